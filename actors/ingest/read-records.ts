/**
 * Reads a body that is its own records: JSON objects and syslog lines, as `split-records.ts` cuts them.
 */
import type { EventCollector } from './event-collector.ts';
import { splitRecords } from './split-records.ts';
import type { RecordSlice } from './split-records.ts';

/** Why nothing at all can be read out of a body. */
export interface Unreadable {
  code: string;
  message: string;
}

/** Reads `into.body`, with its records as events. */
export function readNative(into: EventCollector): Unreadable | undefined {
  return readRecords(
    into,
    ({ kind, start, end, hostHash }) => {
      if (hostHash === undefined) into.received(kind, start, end);
      else into.plain(hostHash, start, end);
    },
    true,
  );
}

/**
 * Gives every record of `into.body` to `take`, which adds it to `into`; what is none becomes a reject in its place. With
 * `takesEvents`, plain events come with the hash of their host.
 */
export function readRecords(
  into: EventCollector,
  take: (record: RecordSlice) => void,
  takesEvents = false,
): Unreadable | undefined {
  const { records, rejects, unreadable } = splitRecords(into.body, takesEvents);
  if (unreadable !== undefined) return unreadable;
  let at = 0;
  for (const record of records) {
    for (; at < rejects.length && rejects[at]!.index < record.index; at++) {
      const reject = rejects[at]!;
      into.refuse(reject, reject.start, reject.end);
    }
    take(record);
  }
  for (const reject of rejects.slice(at)) into.refuse(reject, reject.start, reject.end);
  return undefined;
}
