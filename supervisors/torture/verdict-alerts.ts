/**
 * The alerts of a run: those of the audit rows held against those that each destination has taken, in their order.
 */
import { Examples } from './examples.ts';
import { nameOf } from './known-event.ts';
import type { KnownEvent } from './known-event.ts';
import { eventsThat, findingOf } from './finding.ts';
import type { Finding } from './finding.ts';
import type { DestinationRecord, RunRecord } from './run-record.ts';

export function judgeAlerts(record: RunRecord): Finding[] {
  const { audit, destinations, nodes } = record;
  const known = new Set(destinations.map(({ name }) => name));
  const unknown = new Examples();
  for (const name of audit.destinations) {
    if (!known.has(name)) unknown.add(() => `${audit.expectedAt(name).size} for ${name}`);
  }
  // The ledger knows only how many alerts have ended unsent, not which.
  const counted = (state: 'superseded' | 'suppressed'): number =>
    nodes.reduce(
      (sum, { before, after }) => sum + (after.alerts[state] ?? 0) - (before.alerts[state] ?? 0),
      0,
    );
  const suppressed = counted('suppressed');
  const mayBeMissing = suppressed + counted('superseded');
  const ended: Ended = { all: new Examples(), last: new Examples() };
  const findings = destinations.flatMap((destination) => judgeDestination(destination, record, ended));
  const where = 'destinations that may be left out';
  if (ended.all.count > mayBeMissing) {
    const what = `alerts never came; the ledgers know of ${mayBeMissing} that ended unsent`;
    findings.push(...findingOf('alert missing', where, what, ended.all));
  }
  if (ended.last.count > suppressed) {
    const what = `latest alerts of their hosts never came; the ledgers know of ${suppressed} that were suppressed`;
    findings.push(...findingOf('alert missing', where, what, ended.last));
  }
  return [
    ...findings,
    ...findingOf('alert doubled', 'audit', 'rows have two alerts for one destination', audit.twoAlerts),
    ...findingOf('record', 'audit', 'rows have alerts for destinations that were not watched', unknown),
  ];
}

/** What never came where alerts may end unsent. */
interface Ended {
  all: Examples;
  /** Those that no later one can have superseded. */
  last: Examples;
}

/** Adds to `ended` what never came and may have ended unsent. */
function judgeDestination(destination: DestinationRecord, record: RunRecord, ended: Ended): Finding[] {
  const { name, received, mayEndUnsent, refused, oddities } = destination;
  const { audit, answered, isOrdered = () => true } = record;
  const letters = record.letters.at(name);
  const expected = audit.expectedAt(name);
  const missing = new Examples();
  const others = new Examples();
  for (const [event, idDigest] of expected) {
    const came = received.idDigest(event);
    if (came !== undefined) {
      if (came !== idDigest) others.add(() => nameOf(event));
    } else if (!letters.waiting.has(event) && !letters.endedUnsent.has(event)) {
      (mayEndUnsent ? ended.all : missing).add(() => `${nameOf(event)} at ${name}`);
    }
  }
  const latestMs = new Map<string, number>();
  for (const event of received.events()) {
    if (!expected.has(event)) continue;
    const { host } = event;
    latestMs.set(host, Math.max(latestMs.get(host) ?? -Infinity, expected.receivedMs(event)));
  }
  // By the times that the nodes gave them, as they judge it: a clock that jumps is no excuse, and no fault.
  const isSuperseded = (event: KnownEvent): boolean =>
    received.has(event) || (latestMs.get(event.host) ?? -Infinity) >= expected.receivedMs(event);
  const isPlaced = (event: KnownEvent): boolean => answered.has(event) && isOrdered(event.host);
  for (const event of mayEndUnsent ? expected.latest() : []) {
    // One that was never answered may have been stored before others.
    if (isPlaced(event) && !received.has(event) && !letters.all.has(event))
      ended.last.add(() => `${nameOf(event)} at ${name}`);
  }
  const isLate = (event: KnownEvent): boolean => isPlaced(event) && !letters.all.has(event);
  const letterCount = letters.all.size;
  return [
    ...findingOf('alert missing', name, 'alerts of audit rows never came', missing),
    ...findingOf('alert doubled', name, 'alerts came under another id than the audit row has', others),
    ...findingOf(
      'alert without row',
      name,
      'alerts came of which no audit row knows',
      eventsThat(received.events(), (event) => !expected.has(event)),
    ),
    ...findingOf('alert doubled', name, 'events came with several alert ids', received.twoAlerts),
    ...findingOf('dedup key', name, 'alerts came again under another dedup key', received.twoKeys),
    ...findingOf(
      'dedup key',
      name,
      'alerts came again with another content under the same key',
      received.twoContents,
    ),
    ...findingOf(
      'dedup key',
      name,
      'alerts have the dedup key of another event',
      eventsThat(received.withKeyOfAnother(), () => true),
    ),
    ...findingOf(
      'order',
      name,
      'alerts came first after a later one of their signature',
      eventsThat(received.late, isLate, (event) => `${nameOf(event)} after ${received.lateAfter(event)}`),
    ),
    ...findingOf(
      'dead letter',
      name,
      `dead letters, though ${refused} requests were refused for good`,
      letterCount > refused ? eventsThat(letters.all, () => true) : new Examples(),
    ),
    ...findingOf(
      'dead letter',
      name,
      'dead letters are of alerts that no audit row knows',
      eventsThat(letters.all, (event) => !expected.has(event)),
    ),
    ...(mayEndUnsent
      ? []
      : [
          ...findingOf(
            'alert missing',
            name,
            'dead letters ended unsent, and no later alert of their hosts came',
            eventsThat(letters.endedUnsent, (event) => expected.has(event) && !isSuperseded(event)),
          ),
          ...findingOf(
            'alert missing',
            name,
            'audit rows that have alerts have none for it',
            eventsThat(audit.alerting, (event) => !expected.has(event)),
          ),
        ]),
    ...findingOf('record', name, 'signatures were of two hosts', received.twoHosts),
    ...findingOf('alert without row', name, 'posts are no alert of a known event', received.strange),
    ...findingOf('alert without row', name, 'requests are what no node should send', oddities),
    ...unrecorded(name, received.unrecorded),
  ];
}

function unrecorded(name: string, count: number): Finding[] {
  const what = 'alerts came that could not be recorded: the record is full';
  return count === 0 ? [] : [{ kind: 'record', where: name, what, count, examples: [] }];
}
