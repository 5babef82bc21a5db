/**
 * Reads a Loki push request as protobuf (grafana/loki, pkg/push/push.proto), with or without the snappy block around it:
 * Promtail and Alloy compress without a Content-Encoding.
 */
import { rejected } from '../decode-record.ts';
import type { EventCollector } from '../event-collector.ts';
import type { Fields } from '../known-shapes.ts';
import { RECORD_BYTES_MAX } from '../limits.ts';
import type { Unreadable } from '../read-records.ts';
import { LABELS_UNUSABLE, lokiEvent, streamOf } from './loki.ts';
import type { LokiStream } from './loki.ts';
import { WireType, isAboutMessage, pieceAt, readFields, readMessage } from './protobuf-fields.ts';
import type { BinaryReader, FieldsRead, MessagePiece } from './protobuf-fields.ts';

const REQUEST = { streams: 1 } as const;
const STREAM = { labels: 1, entries: 2, hash: 3 } as const;
const ENTRY = { timestamp: 1, line: 2, structuredMetadata: 3 } as const;
const TIMESTAMP = { seconds: 1, nanos: 2 } as const;
const LABEL = { name: 1, value: 2 } as const;
const NS_PER_S = 1_000_000_000n;

const BROKEN = rejected(
  'E_PROTOBUF_MALFORMED',
  'The bytes are no protobuf of a Loki push request from here on: they are damaged, or were cut off.',
);
const UNREADABLE = {
  code: 'E_BODY_UNREADABLE',
  message: 'The body is no Loki push request: send snappy protobuf, or {"streams": […]} as JSON.',
};

/** Reads `into.body`, decompressed. Gives back why nothing can be read, if so. */
export function readLokiProtobuf(into: EventCollector): Unreadable | undefined {
  const { body } = into;
  let isOver = false;
  const whole = { start: 0, end: body.length };
  const read = readFields(
    into,
    whole,
    (field, wireType, reader) => {
      if (field !== REQUEST.streams || wireType !== WireType.LengthDelimited) return false;
      isOver = !readStream(into, pieceAt(into.body, reader));
      return true;
    },
    () => isOver,
  );
  if (into.count === 0 && !read.isKnown) return UNREADABLE;
  finish(into, isOver, whole, read);
  return undefined;
}

/** What is left of a message that is broken, or not what it should be, becomes one reject. */
function finish(into: EventCollector, isOver: boolean, piece: MessagePiece, read: FieldsRead): void {
  if (isOver) return;
  if (!read.isWhole) into.refuse(BROKEN, read.brokenAt, piece.end);
  else if (!read.isKnown && piece.end > piece.start) into.refuse(BROKEN, piece.start, piece.end);
}

/** False when the request is full. */
function readStream(into: EventCollector, piece: MessagePiece): boolean {
  const { body } = into;
  if (into.isFullBeforeGroup(piece.start, body.length)) return false;
  let stream: LokiStream | undefined = streamOf({});
  readFields(into, piece, (field, wireType, reader) => {
    if (field !== STREAM.labels || wireType !== WireType.LengthDelimited) return false;
    const { start, end } = pieceAt(into.body, reader);
    const labels = end - start > RECORD_BYTES_MAX ? undefined : readLabels(body.toString('utf8', start, end));
    stream = labels === undefined ? undefined : streamOf(labels);
    return true;
  });
  let isOver = false;
  const read = readFields(
    into,
    piece,
    (field, wireType, reader) => {
      if (wireType === WireType.Varint && field === STREAM.hash) reader.uint64();
      else if (wireType !== WireType.LengthDelimited) return false;
      else if (field === STREAM.labels) reader.bytes();
      else if (field !== STREAM.entries) return false;
      else {
        const entry = pieceAt(into.body, reader);
        isOver = into.isFull(entry.start, body.length);
        if (!isOver) readEntry(into, stream, entry);
      }
      return true;
    },
    () => isOver,
  );
  finish(into, isOver, piece, read);
  return !isOver;
}

function readEntry(into: EventCollector, stream: LokiStream | undefined, piece: MessagePiece): void {
  const { start, end } = piece;
  if (stream === undefined) {
    into.refuse(LABELS_UNUSABLE, start, end);
    return;
  }
  if (into.refusesSize(piece)) return;
  let timeNs: bigint | undefined;
  let line: string | undefined;
  let metadata: Fields | undefined;
  try {
    readMessage(into, piece, (field, wireType, reader) => {
      if (wireType !== WireType.LengthDelimited) return false;
      if (field === ENTRY.timestamp) timeNs = timeAt(into, pieceAt(into.body, reader));
      else if (field === ENTRY.line) line = reader.string();
      else if (field === ENTRY.structuredMetadata) {
        metadata ??= Object.create(null) as Fields;
        readLabelPair(into, pieceAt(into.body, reader), metadata);
      } else return false;
      return true;
    });
  } catch (thrown) {
    if (!isAboutMessage(thrown)) throw thrown;
    into.refuse(BROKEN, start, end);
    return;
  }
  into.event(lokiEvent(stream, line, timeNs, metadata), start, end, stream.shared);
}

function timeAt(into: EventCollector, piece: MessagePiece): bigint | undefined {
  let seconds = 0n;
  let nanos = 0n;
  readMessage(into, piece, (field, wireType, reader) => {
    if (wireType !== WireType.Varint) return false;
    if (field === TIMESTAMP.seconds) seconds = BigInt(reader.int64());
    else if (field === TIMESTAMP.nanos) nanos = BigInt(reader.int32());
    else return false;
    return true;
  });
  const timeNs = seconds * NS_PER_S + nanos;
  return timeNs > 0n ? timeNs : undefined;
}

function readLabelPair(into: EventCollector, piece: MessagePiece, labels: Fields): void {
  let name = '';
  let value = '';
  readMessage(into, piece, (field, wireType, reader: BinaryReader) => {
    if (wireType !== WireType.LengthDelimited) return false;
    if (field === LABEL.name) name = reader.string();
    else if (field === LABEL.value) value = reader.string();
    else return false;
    return true;
  });
  labels[name] = value;
}

/** `{host="r1", job="a\"b"}` as Prometheus writes it; undefined when it is none. Linear. */
export function readLabels(text: string): Fields | undefined {
  const labels = Object.create(null) as Fields;
  const inner = /^\s*\{(.*)\}\s*$/s.exec(text)?.[1];
  if (inner === undefined) return undefined;
  const label = /\s*([A-Za-z_:][\w:.]*)\s*=\s*("(?:[^"\\]|\\.)*")\s*(,|$)/sy;
  for (let at = 0; at < inner.length; at = label.lastIndex) {
    const found = label.exec(inner);
    if (found === null) return inner.slice(at).trim() === '' ? labels : undefined;
    labels[found[1]!] = unquoted(found[2]!);
  }
  return labels;
}

/** A text quoted as Go does, which is as JSON does but for `\x`, `\a`, `\v` and octal numbers. */
function unquoted(quoted: string): string {
  try {
    return JSON.parse(quoted) as string;
  } catch {
    return quoted.slice(1, -1).replaceAll(/\\(["\\])/g, '$1');
  }
}
