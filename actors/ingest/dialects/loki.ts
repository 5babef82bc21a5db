/**
 * Reads Loki push requests: streams of labels, each with its lines and their times. JSON as relays send it by default,
 * and protobuf in a snappy block as Promtail and Alloy do (grafana/loki, pkg/push/push.proto).
 *
 * The labels name the host and go with every event of their stream; an entry's structured metadata goes with it alone.
 */
import { rejected } from '../decode-record.ts';
import type { EventCollector } from '../event-collector.ts';
import { isFields, isSaid } from '../known-shapes.ts';
import type { Fields } from '../known-shapes.ts';
import { RECORD_BYTES_MAX } from '../limits.ts';
import type { Unreadable } from '../read-records.ts';
import { JsonCursor } from './json-cursor.ts';
import type { JsonPiece } from './json-cursor.ts';
import { eachElement, fieldsIn, untilBroken } from './json-parts.ts';
import { hostOfLabels } from './labels.ts';

/** A stream, as far as its entries share it. */
export interface LokiStream {
  labels: Fields;
  hostname: string | undefined;
  /** JSON text of the common members, without braces. */
  shared: string;
}

const NS_PER_MS = 1_000_000n;
const UNREADABLE = {
  code: 'E_BODY_UNREADABLE',
  message:
    'The body is no Loki push request: send {"streams": […]}, or snappy protobuf with its Content-Type.',
};
const NO_ENTRY = rejected(
  'E_NOT_AN_OBJECT',
  'The entry is no array of time and line: send ["<ns>", "<line>"].',
);

export function streamOf(labels: Fields): LokiStream {
  return { labels, hostname: hostOfLabels(labels), shared: JSON.stringify({ labels }).slice(1, -1) };
}

/** The event of a line, still to be judged. `timeNs` is undefined when it is no time. */
export function lokiEvent(
  stream: LokiStream,
  line: unknown,
  timeNs: bigint | undefined,
  metadata?: Fields,
): Fields {
  const { labels, hostname } = stream;
  const program = [labels['app'], labels['program'], labels['syslog_app_name'], labels['service_name']].find(
    isSaid,
  );
  const severity = [labels['severity'], labels['level']].find(isSaid);
  return {
    ...(program === undefined ? {} : { program }),
    ...(severity === undefined ? {} : { severity }),
    ...(metadata === undefined ? {} : { metadata }),
    hostname,
    message: line,
    timestamp: timeNs === undefined ? 'none' : timeOf(timeNs),
  };
}

function timeOf(timeNs: bigint): string {
  const time = new Date(Number(timeNs / NS_PER_MS));
  return Number.isNaN(time.getTime()) ? 'none' : time.toISOString();
}

/** Reads `into.body`. Gives back why nothing can be read, if so. */
export function readLokiJson(into: EventCollector): Unreadable | undefined {
  const cursor = new JsonCursor(into.body, into.budget);
  if (cursor.next() !== 'object') return UNREADABLE;
  let isKnown = false;
  untilBroken(cursor, into, () => {
    cursor.enter();
    for (let name = cursor.nextMember(); name !== undefined; name = cursor.nextMember()) {
      if (name !== 'streams' || cursor.next() !== 'array') {
        cursor.skip();
        continue;
      }
      isKnown = true;
      cursor.enter();
      while (cursor.nextElement()) if (!readStream(cursor, into)) return;
    }
  });
  return isKnown || into.count > 0 ? undefined : UNREADABLE;
}

function readStream(cursor: JsonCursor, into: EventCollector): boolean {
  if (into.isFullBeforeGroup(cursor.at, into.body.length)) return false;
  if (cursor.next() !== 'object') {
    const { start, end } = cursor.skip();
    into.refuse(NO_ENTRY, start, end);
    return true;
  }
  cursor.enter();
  const found = cursor.findMember('stream');
  const labels = found === undefined ? {} : fieldsIn(into.body, found);
  const stream = labels === undefined ? undefined : streamOf(labels);
  for (let name = cursor.nextMember(); name !== undefined; name = cursor.nextMember()) {
    if (name !== 'values') cursor.skip();
    else if (!eachElement(cursor, into, (entry) => readEntry(into, stream, entry))) return false;
  }
  return true;
}

function readEntry(into: EventCollector, stream: LokiStream | undefined, piece: JsonPiece): void {
  const { start, end } = piece;
  if (stream === undefined) {
    into.refuse(LABELS_UNUSABLE, start, end);
    return;
  }
  if (into.refusesSize(piece)) return;
  const entry = entryIn(into.body, piece);
  if (entry === undefined) {
    into.refuse(NO_ENTRY, start, end);
    return;
  }
  const [time, line, metadata] = entry;
  const timeNs = typeof time === 'string' && /^\d{1,19}$/.test(time) ? BigInt(time) : undefined;
  const event = lokiEvent(stream, line, timeNs, isFields(metadata) ? metadata : undefined);
  into.event(event, start, end, stream.shared);
}

/** Of entries whose labels alone are over what a record may be, or no labels. */
export const LABELS_UNUSABLE = rejected(
  'E_RECORD_TOO_LARGE',
  `The labels of the stream cannot be read, or are alone over the ${RECORD_BYTES_MAX} bytes of a record: shorten them.`,
);

function entryIn(body: Buffer, { start, end }: JsonPiece): unknown[] | undefined {
  try {
    const value: unknown = JSON.parse(body.toString('utf8', start, end));
    return Array.isArray(value) ? (value as unknown[]) : undefined;
  } catch {
    return undefined;
  }
}
