/**
 * The verdict of a run: what was sent held against what PostgreSQL, the destinations, the ledgers and the machine have of
 * it. Pure functions over what was recorded.
 *
 * It believes nothing that the nodes say of themselves but where that is what is judged. Invariant: a record of a run in
 * which nothing went wrong gives no finding, and each kind is found when it is there once (the specs plant them).
 */
import { Examples } from './examples.ts';
import { eventsThat, findingOf } from './finding.ts';
import type { Finding } from './finding.ts';
import type { RunRecord } from './run-record.ts';
import { judgeAlerts } from './verdict-alerts.ts';
import { judgeGrowth } from './verdict-growth.ts';
import { judgeLedgers } from './verdict-ledgers.ts';

/** Empty for a run in which everything is as it must be. */
export function judge(record: RunRecord): Finding[] {
  return [
    ...judgeEvents(record),
    ...judgeAlerts(record),
    ...judgeLedgers(record),
    ...judgeGrowth(record.growth),
    ...judgeLeftovers(record.leftovers),
  ];
}

function judgeEvents({ sent, answered, audit, quarantined, letters }: RunRecord): Finding[] {
  const { stored, doubled } = audit;
  const all = (): boolean => true;
  return [
    ...findingOf(
      'event missing',
      'audit',
      'answered events have no row and are not quarantined',
      eventsThat(answered, (event) => !stored.has(event) && !quarantined.has(event)),
    ),
    ...findingOf('event in two states', 'audit', 'events have several rows', eventsThat(doubled, all)),
    ...findingOf(
      'event in two states',
      'audit and quarantine',
      'events have a row and are quarantined',
      eventsThat(quarantined, (event) => stored.has(event)),
    ),
    ...findingOf(
      'event never sent',
      'audit',
      'rows are of events that nobody sent',
      eventsThat(stored, (event) => !sent.has(event)),
    ),
    ...findingOf(
      'event never sent',
      'quarantine',
      'quarantined events are of nobody',
      eventsThat(quarantined, (event) => !sent.has(event)),
    ),
    ...findingOf('event never sent', 'audit', 'rows are of no known event', audit.strange),
    ...findingOf('event never sent', 'dead letters', 'letters are of no known event', letters.strange),
    ...findingOf('event misjudged', 'audit', 'rows say something else than the rules', audit.misjudged),
    ...findingOf(
      'record',
      'traffic',
      'events were answered and never sent',
      eventsThat(answered, (event) => !sent.has(event)),
    ),
  ];
}

function judgeLeftovers({ processes, files }: RunRecord['leftovers']): Finding[] {
  const found = (lines: readonly string[]): Examples => {
    const examples = new Examples();
    for (const line of lines) examples.add(() => line);
    return examples;
  };
  return [
    ...findingOf('left over', 'processes', 'processes run on after everything was stopped', found(processes)),
    ...findingOf('left over', 'files', 'files are left after everything was stopped', found(files)),
  ];
}
