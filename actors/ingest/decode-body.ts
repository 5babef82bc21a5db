/**
 * One request body to events: decompress within bounds, find out what it is, and have it read.
 *
 * The route tells the dialect, and for two of them the Content-Type; everything that comes by the native routes is told
 * apart by its bytes. Invariant: no input throws, or takes more memory than a few times what a body may have.
 */
import { isAlertmanager, readAlertmanager } from './dialects/alertmanager.ts';
import { readHecEvents } from './dialects/hec.ts';
import { readKafkaRest } from './dialects/kafka-rest.ts';
import { readLokiProtobuf } from './dialects/loki-protobuf.ts';
import { readLokiJson } from './dialects/loki.ts';
import { isMsgpack, readMsgpack } from './dialects/msgpack.ts';
import { readOtlpJson } from './dialects/otlp-json.ts';
import { readOtlpProtobuf } from './dialects/otlp-protobuf.ts';
import { EventCollector, EventsTooLarge } from './event-collector.ts';
import type { AcceptedRecord, RejectedPart } from './event-collector.ts';
import { BODY_BYTES_MAX, inflate } from './inflate.ts';
import { readHint } from './known-shapes.ts';
import type { Dialect } from './messages.ts';
import { BodyAbsurd } from './read-budget.ts';
import { readNative } from './read-records.ts';
import type { Unreadable } from './read-records.ts';
import { unsnap } from './snappy.ts';

export type DecodedBody =
  /** `body` is the plain body; rejects lie in it, and events that were kept as received. */
  | { kind: 'records'; body: Buffer; accepted: AcceptedRecord[]; rejected: RejectedPart[] }
  | { kind: 'unreadable'; code: string; message: string }
  | { kind: 'too_large' };

/** How a body came, beside its bytes. */
export interface BodyContext {
  dialect?: Dialect;
  /** See HINT_FIELDS. */
  hint?: string;
}

type Reader = (into: EventCollector) => Unreadable | undefined | void;

const BRACE_OPEN = 0x7b;
const QUOTE = 0x22;
const SPACE = 0x20;
const LETTER_R = 0x72;
const LETTER_S = 0x73;
const ASCII_MAX = 0x7f;

const ABSURD = {
  code: 'E_BODY_UNREADABLE',
  message:
    'The body has millions of members that are no part of an event: send records, and little around them.',
};

/** Throws only for a defect of ours, which is the same at every resend. */
export function decodeBody(
  wire: Buffer,
  encoding: string,
  receivedAtMs: number,
  { dialect = 'native', hint = '' }: BodyContext = {},
): DecodedBody {
  const inflated = inflate(wire, encoding);
  if (inflated.kind !== 'plain') return inflated;
  let { body } = inflated;
  let read: Reader;
  if (dialect === 'native') {
    read = readerOf(body);
  } else if (dialect === 'loki_protobuf') {
    // Promtail and Alloy compress without saying so.
    const plain = encoding === 'identity' ? unsnap(body, BODY_BYTES_MAX) : inflated;
    if (plain.kind === 'too_large') return plain;
    read =
      plain.kind === 'plain' ? readLokiProtobuf : body[0] === BRACE_OPEN ? readLokiJson : readLokiProtobuf;
    if (plain.kind === 'plain') ({ body } = plain);
  } else {
    read = READERS[dialect](body);
  }
  const into = new EventCollector(body, receivedAtMs, readHint(hint));
  try {
    const unreadable = read(into);
    if (unreadable !== undefined) return { kind: 'unreadable', ...unreadable };
  } catch (thrown) {
    if (thrown instanceof EventsTooLarge) return { kind: 'too_large' };
    if (thrown instanceof BodyAbsurd) return { kind: 'unreadable', ...ABSURD };
    throw thrown;
  }
  return { kind: 'records', body, accepted: into.accepted, rejected: into.rejected };
}

/** A label that lies is no harm where the first byte tells. */
const READERS: Readonly<Record<Exclude<Dialect, 'native' | 'loki_protobuf'>, (body: Buffer) => Reader>> = {
  otlp_protobuf: (body) => (body[0] === BRACE_OPEN ? readOtlpJson : readOtlpProtobuf),
  otlp_json: (body) => (startsAsObject(body) || body.length === 0 ? readOtlpJson : readOtlpProtobuf),
  hec_event: () => readHecEvents,
  hec_raw: () => readNative,
  loki_json: () => readLokiJson,
};

/** What a body of a native route is, by its first bytes. */
function readerOf(body: Buffer): Reader {
  const first = body[0] ?? 0;
  if (first > ASCII_MAX) return isMsgpack(body) ? readMsgpack : readNative;
  return envelopeReader(body) ?? readNative;
}

/** For an object whose first member is that of a known envelope; almost always answered by one letter. */
function envelopeReader(body: Buffer): Reader | undefined {
  let at = skipBlanks(body, 0);
  if (body[at] !== BRACE_OPEN) return undefined;
  at = skipBlanks(body, at + 1);
  if (body[at] !== QUOTE) return undefined;
  const letter = body[at + 1];
  if (letter !== LETTER_R && letter !== LETTER_S) return undefined;
  const end = body.indexOf(QUOTE, at + 1);
  if (end === -1 || end - at > 16) return undefined;
  switch (body.toString('latin1', at + 1, end)) {
    case 'records':
      return orNative(readKafkaRest);
    case 'receiver':
      return isAlertmanager(body) ? readAlertmanager : undefined;
    case 'resourceLogs':
      return orNative(readOtlpJson);
    case 'streams':
      return orNative(readLokiJson);
    default:
      return undefined;
  }
}

/** An event may have a field of that name: what holds no records at all is read as an event. */
function orNative(read: Reader): Reader {
  return (into) => {
    const unreadable = read(into);
    return unreadable !== undefined || into.count === 0 ? readNative(into) : undefined;
  };
}

function startsAsObject(body: Buffer): boolean {
  return body[skipBlanks(body, 0)] === BRACE_OPEN;
}

function skipBlanks(body: Buffer, from: number): number {
  let at = from;
  while (at < body.length && body[at]! <= SPACE) at++;
  return at;
}
