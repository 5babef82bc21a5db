/**
 * Reads MessagePack as Fluent Bit and Fluentd send it: events one after the other, each `[time, record]`,
 * `[[time, metadata], record]`, or the record alone; or an array of those.
 *
 * The bytes are cut into records first, without decoding: a length that a stranger wrote makes no room here, and a bad
 * record costs no good one. Only a record of allowed size and depth is given to the decoder. Time is a number of seconds
 * or Fluent's EventTime (extension type 0); a record that names a time itself keeps its own.
 */
import { Decoder, ExtensionCodec } from '@msgpack/msgpack';
import { rejected } from '../decode-record.ts';
import type { EventCollector } from '../event-collector.ts';
import { isFields, withOurNames } from '../known-shapes.ts';
import type { Fields } from '../known-shapes.ts';
import { RECORD_DEPTH_MAX } from '../limits.ts';

const EVENT_TIME_TYPE = 0;
const EVENT_TIME_BYTES = 8;
/** Lists that begin with lists are looked into so far; each look costs as much as what it looks at. */
const LISTS_IN_ROW_MAX = 2;
const MS_PER_S = 1_000;
const NS_PER_MS = 1_000_000;

const BROKEN = rejected(
  'E_MSGPACK_MALFORMED',
  'The bytes are no MessagePack from here on: they are damaged, or were cut off.',
);
const UNREADABLE_RECORD = rejected('E_MSGPACK_MALFORMED', 'The record cannot be decoded as MessagePack.');
const NO_RECORD = rejected(
  'E_NOT_AN_OBJECT',
  'It is no record: send a map, or an array of its time and the map.',
);

const extensions = new ExtensionCodec();
extensions.register({ type: EVENT_TIME_TYPE, encode: () => null, decode: readEventTime });
const decoder = new Decoder({ extensionCodec: extensions, useBigInt64: true });

/** Whether a body begins as one of these: with a map of named members, or an array that holds a map or an array. */
export function isMsgpack(body: Buffer): boolean {
  const head = headAt(body, 0);
  if (head.kind === 'map') return head.count > 0 && headAt(body, head.bytes).kind === 'text';
  if (head.kind !== 'array' || head.count === 0) return false;
  const first = headAt(body, head.bytes);
  // The first byte alone could be a letter of some old character set.
  return first.kind === 'map' || first.kind === 'array' || (head.count === 2 && scan(body, 0).end !== -1);
}

/** Reads `into.body`. */
export function readMsgpack(into: EventCollector): void {
  const { body } = into;
  let at = 0;
  let listsInRow = 0;
  while (at < body.length) {
    if (into.isFull(at, body.length)) return;
    const listBytes = listsInRow < LISTS_IN_ROW_MAX ? listHead(body, at) : 0;
    if (listBytes > 0) {
      // Its elements follow each other as events of a stream do.
      at += listBytes;
      listsInRow += 1;
      continue;
    }
    listsInRow = 0;
    const { end, isTooDeep } = scan(body, at);
    if (end === -1) {
      into.refuse(BROKEN, at, body.length);
      return;
    }
    if (!into.refusesSize({ start: at, end, isTooDeep })) readEntry(into, at, end);
    at = end;
  }
}

/** The bytes of the head of an array of events; 0 when it is one event, or none. */
function listHead(body: Buffer, at: number): number {
  const head = headAt(body, at);
  if (head.kind !== 'array') return 0;
  if (head.count !== 2) return head.count === 0 || isContainer(body, at + head.bytes) ? head.bytes : 0;
  // Two elements: an event, `[time, record]` or `[[time, metadata], record]`, or a list of two events.
  const first = headAt(body, at + head.bytes);
  if (first.kind === 'map') return head.bytes;
  if (first.kind !== 'array') return 0;
  const { end } = scan(body, at + head.bytes);
  return end !== -1 && headAt(body, end).kind === 'array' ? head.bytes : 0;
}

function isContainer(body: Buffer, at: number): boolean {
  const { kind } = headAt(body, at);
  return kind === 'array' || kind === 'map';
}

function readEntry(into: EventCollector, start: number, end: number): void {
  let value: unknown;
  try {
    // A copy: the decoder's views must not be of shared memory.
    value = plainOf(decoder.decode(Uint8Array.prototype.slice.call(into.body, start, end)));
  } catch {
    into.refuse(UNREADABLE_RECORD, start, end);
    return;
  }
  const [time, metadata, record] = partsOf(value);
  if (!isFields(record)) {
    into.refuse(NO_RECORD, start, end);
    return;
  }
  const hasMetadata = isFields(metadata) && Object.keys(metadata).length > 0;
  const given = { timestamp: timeText(time), ...(hasMetadata ? { metadata } : {}) };
  into.event(withOurNames(record, given) ?? record, start, end);
}

function partsOf(value: unknown): [time: unknown, metadata: unknown, record: unknown] {
  if (!Array.isArray(value)) return [undefined, undefined, value];
  if (value.length !== 2) return [undefined, undefined, undefined];
  const [head, record] = value as [unknown, unknown];
  return Array.isArray(head) ? [head[0], head[1], record] : [head, undefined, record];
}

/** `time` in seconds, or what an extension gave; undefined when it is no time. */
function timeText(time: unknown): string | undefined {
  const timeMs = time instanceof Date ? time.getTime() : typeof time === 'number' ? time * MS_PER_S : NaN;
  // Before 1970 and behind the year 9999 there is no time of a log.
  return timeMs >= 0 && timeMs < 253_402_300_800_000 ? new Date(timeMs).toISOString() : undefined;
}

function readEventTime(data: Uint8Array): Date | null {
  if (data.length !== EVENT_TIME_BYTES) return null;
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  return new Date(view.getUint32(0) * MS_PER_S + Math.trunc(view.getUint32(4) / NS_PER_MS));
}

/** What JSON can hold: binary as text, large numbers as texts, times as they are, foreign extensions as nothing. */
function plainOf(value: unknown): unknown {
  if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
  if (typeof value !== 'object' || value === null || value instanceof Date) return value;
  if (value instanceof Uint8Array) return Buffer.from(value).toString('utf8');
  if (Array.isArray(value)) return value.map(plainOf);
  if (Object.getPrototypeOf(value) !== Object.prototype) return null;
  const fields = value as Fields;
  for (const name of Object.keys(fields)) fields[name] = plainOf(fields[name]);
  return fields;
}

interface Head {
  kind: 'map' | 'array' | 'text' | 'other' | 'none';
  /** Bytes of the head alone. */
  bytes: number;
  /** Values that follow and belong to it: twice the members of a map. */
  count: number;
  /** Bytes of content that follow the head. */
  content: number;
}

/** What begins at `at`; `none` when nothing does, or its head is cut off. */
function headAt(body: Buffer, at: number): Head {
  const byte = body[at];
  if (byte === undefined || byte === 0xc1) return head('none', 0);
  if (byte <= 0x7f || byte >= 0xe0) return head('other', 1);
  if (byte <= 0x8f) return head('map', 1, 2 * (byte & 0x0f));
  if (byte <= 0x9f) return head('array', 1, byte & 0x0f);
  if (byte <= 0xbf) return head('text', 1, 0, byte & 0x1f);
  if (byte <= 0xc3) return head('other', 1);
  if (byte >= 0xca && byte <= 0xd3) return head('other', 1, 0, SCALAR_BYTES[byte - 0xca]);
  if (byte >= 0xd4 && byte <= 0xd8) return head('other', 2, 0, 2 ** (byte - 0xd4));
  const sizeBytes = SIZE_BYTES[byte]!;
  if (at + 1 + sizeBytes > body.length) return head('none', 0);
  const size = body.readUIntBE(at + 1, sizeBytes);
  if (byte <= 0xc6) return head('other', 1 + sizeBytes, 0, size);
  if (byte <= 0xc9) return head('other', 2 + sizeBytes, 0, size);
  if (byte <= 0xdb) return head('text', 1 + sizeBytes, 0, size);
  if (byte <= 0xdd) return head('array', 1 + sizeBytes, size);
  return head('map', 1 + sizeBytes, 2 * size);
}

function head(kind: Head['kind'], bytes: number, count = 0, content = 0): Head {
  return { kind, bytes, count, content };
}

/** Of float 32 and 64, uint 8 to 64, int 8 to 64. */
const SCALAR_BYTES = [4, 8, 1, 2, 4, 8, 1, 2, 4, 8];
/** How many bytes say the size, by first byte: bin, ext, str, array, map. */
// prettier-ignore
const SIZE_BYTES: Readonly<Record<number, number>> = {
  0xc4: 1, 0xc5: 2, 0xc6: 4, 0xc7: 1, 0xc8: 2, 0xc9: 4, 0xd9: 1, 0xda: 2, 0xdb: 4, 0xdc: 2, 0xdd: 4, 0xde: 2, 0xdf: 4,
};

/** The end of the value at `start`, or -1 when the bytes hold no whole one. Takes no memory, whatever they claim. */
function scan(body: Buffer, start: number): { end: number; isTooDeep: boolean } {
  let at = start;
  /** Values still to come, in all open containers together. */
  let left = 1;
  /** The same for each open container, as long as they are few enough. */
  const open: number[] = [];
  let depth = 0;
  let isTooDeep = false;
  while (left > 0) {
    const first = body[at] ?? 0xc1;
    let count = 0;
    // Small numbers and short texts, which most values are, without asking further.
    if (first <= 0x7f || first >= 0xe0) at += 1;
    else if (first >= 0xa0 && first <= 0xbf) at += 1 + (first & 0x1f);
    else {
      const found = headAt(body, at);
      if (found.kind === 'none') return { end: -1, isTooDeep };
      at += found.bytes + found.content;
      ({ count } = found);
    }
    left += count - 1;
    // Each takes a byte at least.
    if (at > body.length || left > body.length - at) return { end: -1, isTooDeep };
    if (isTooDeep) continue;
    if (depth > 0) open[depth - 1]! -= 1;
    if (count > 0) {
      // The entry itself is one level more than its record.
      if (depth > RECORD_DEPTH_MAX) isTooDeep = true;
      else open[depth++] = count;
    }
    while (depth > 0 && open[depth - 1] === 0) depth--;
  }
  return { end: at, isTooDeep };
}
