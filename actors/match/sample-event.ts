/**
 * Events that did not come by the ingest port: those that people give to try rules on, and those that the audit log
 * keeps. Both are read as the ingest port and the matcher read what is sent.
 */
import { CodedError } from '../../runtime/errors.ts';
import { decodeRecord } from '../ingest/decode-record.ts';
import { RECORD_BYTES_MAX } from '../ingest/limits.ts';
import { RECORD_JSON, RECORD_LINE } from '../ingest/split-records.ts';
import type { RecordKind } from '../ingest/split-records.ts';
import { normalizeEvent } from './normalize.ts';
import type { NormalizedRecord } from './normalize.ts';

/** One of the two. */
export interface SampleEvent {
  /** As it is sent; a host and a time are given to it where it has none. */
  event?: Readonly<Record<string, unknown>>;
  /** Of syslog; or one JSON object as text. */
  line?: string;
}

/** Of a sample that names none. */
export const SAMPLE_HOSTNAME = 'test-host';
const SAMPLE_ID = 'sample-0';
const LINE_END = /[\r\n]/;

/**
 * @throws CodedError (permanent) with the code by which the ingest port rejects it: E_FIELD_MISSING, E_LINE_UNREADABLE
 * and so on; E_SAMPLE_INVALID when it is not one event or one line.
 */
export function normalizeSample(sample: SampleEvent, receivedAtMs: number): NormalizedRecord {
  const { event, line } = sample;
  if ((event === undefined) === (line === undefined)) {
    throw new CodedError('E_SAMPLE_INVALID', 'it has to be either an event or a line');
  }
  if (line !== undefined && LINE_END.test(line)) {
    throw new CodedError('E_SAMPLE_INVALID', 'it is more than one line');
  }
  const timestamp = new Date(receivedAtMs).toISOString();
  const text = line ?? JSON.stringify({ hostname: SAMPLE_HOSTNAME, timestamp, ...event });
  const bytes = Buffer.from(text);
  if (bytes.length > RECORD_BYTES_MAX) {
    throw new CodedError('E_RECORD_TOO_LARGE', `it has more than ${RECORD_BYTES_MAX} bytes`);
  }
  const kind = event === undefined ? kindOf(text) : RECORD_JSON;
  const judged = decodeRecord(bytes, kind, 0, bytes.length, receivedAtMs);
  if (!judged.ok) throw new CodedError(judged.code, judged.message);
  return normalizeEvent({ id: SAMPLE_ID, receivedAtMs, correlationId: SAMPLE_ID, kind, bytes });
}

/** What the audit log keeps of an event that its normal form is made of. */
export interface StoredRecord {
  eventId: string;
  receivedAtMs: number;
  correlationId: string;
  raw: string;
  rawBytes: Uint8Array | null;
}

/** The event as it was when it was matched, by the present normaliser. @throws CodedError E_EVENT_UNREADABLE. */
export function normalizeStored(stored: StoredRecord): NormalizedRecord {
  const { eventId, receivedAtMs, correlationId, raw, rawBytes } = stored;
  const bytes =
    rawBytes === null
      ? Buffer.from(raw)
      : Buffer.from(rawBytes.buffer, rawBytes.byteOffset, rawBytes.byteLength);
  const kind = kindOf(rawBytes === null ? raw : bytes.toString());
  return normalizeEvent({ id: eventId, receivedAtMs, correlationId, kind, bytes });
}

/** As split-records.ts tells them: a line that is one whole JSON object is one, every other line is text. */
export function kindOf(text: string): RecordKind {
  if (!text.startsWith('{')) return RECORD_LINE;
  try {
    JSON.parse(text);
    return RECORD_JSON;
  } catch {
    return RECORD_LINE;
  }
}
