/**
 * The ledgers of a run: balanced by themselves, and equal to what the audit has. And the witness, which may know of nothing
 * that Redis does not.
 */
import { TERMINAL_STATES } from '../../actors/event.ts';
import { Examples } from './examples.ts';
import { findingOf } from './finding.ts';
import type { Finding } from './finding.ts';
import type { LedgerFigures, NodeLedgers, RunRecord, WitnessRow } from './run-record.ts';

/** How an event ends that alerts follow from. */
const OF_ALERTS = ['forwarded', 'superseded', 'suppressed', 'discarded'] as const;

export function judgeLedgers(record: RunRecord): Finding[] {
  const { audit, quarantined, letters, nodes } = record;
  const sum = (pick: (figures: LedgerFigures) => number): number =>
    nodes.reduce((total, { before, after }) => total + pick(after) - pick(before), 0);
  const terminal = (state: string): number => sum((figures) => figures.terminal[state] ?? 0);
  const figures: [what: string, ledger: number, wanted: number][] = [
    ['accepted', sum(({ accepted }) => accepted), audit.rows + quarantined.size],
    ['unmatched', terminal('unmatched'), audit.unmatched.size],
    ['handled', terminal('handled'), audit.handled],
    ['quarantined', terminal('quarantined'), quarantined.size],
    ['shed', terminal('shed'), 0],
    // Nobody throws a letter away.
    ['discarded', terminal('discarded'), 0],
    // Of the events of dead letters alone.
    ['in flight', sum(({ in_flight }) => in_flight), letters.inFlight.size],
    [
      OF_ALERTS.join(', '),
      OF_ALERTS.reduce((total, state) => total + terminal(state), 0),
      audit.alerting.size - letters.inFlight.size,
    ],
    ['lost', sum(({ lost }) => lost), 0],
  ];
  const wrong = new Examples();
  for (const [what, ledger, wanted] of figures) {
    if (ledger !== wanted) wrong.add(() => `${what}: ${ledger}, and not ${wanted}`);
  }
  return [
    ...findingOf('ledger', 'all nodes', 'figures are not those of what was sent and stored', wrong),
    ...nodes.flatMap(judgeNode),
    ...judgeWitness(record.witness),
  ];
}

function judgeNode({ name, before, after }: NodeLedgers): Finding[] {
  const problems = new Examples();
  for (const { partition, balanced, problems: texts = [] } of after.partitions) {
    if (!balanced) problems.add(() => `partition ${partition}: ${texts.join('; ')}`);
  }
  if (!after.balanced && problems.count === 0)
    problems.add(() => 'the node says so of none of its partitions');
  // Its own sum, whatever it says of it.
  const ends = TERMINAL_STATES.reduce((total, state) => total + (after.terminal[state] ?? 0), 0);
  const sum = new Examples();
  if (after.accepted + after.replayed !== ends + after.in_flight)
    sum.add(() => `${after.accepted} + ${after.replayed} and ${ends} + ${after.in_flight}`);
  const fallen = new Examples();
  const growing: [string, (figures: LedgerFigures) => number][] = [
    ['accepted', ({ accepted }) => accepted],
    ['replayed', ({ replayed }) => replayed],
    ...TERMINAL_STATES.map((state): [string, (figures: LedgerFigures) => number] => [
      state,
      ({ terminal }) => terminal[state] ?? 0,
    ]),
  ];
  for (const [what, pick] of growing) {
    if (pick(after) < pick(before)) fallen.add(() => `${what}: ${pick(before)} and then ${pick(after)}`);
  }
  return [
    ...findingOf('ledger', name, 'partitions are not balanced', problems),
    ...findingOf('ledger', name, 'accepted + replayed is not terminal + in flight', sum),
    ...findingOf('ledger', name, 'figures that can only grow have fallen', fallen),
  ];
}

function judgeWitness(witness: readonly WitnessRow[]): Finding[] {
  const found = new Examples();
  for (const { node, partition, acknowledged, accepted } of witness) {
    if (acknowledged > accepted)
      found.add(
        () => `${node}, partition ${partition}: ${acknowledged} were answered, Redis knows ${accepted}`,
      );
  }
  return findingOf('witness', 'witness', 'partitions have answered more than they know', found);
}
