/**
 * Judges one record: is it an event we can promise to handle, and which host is it about?
 *
 * It keeps nothing of what it decodes: an event is stored as received and normalised when it is matched, so that a
 * better normaliser never needs a migration of what is queued. Only what the contract requires is checked; an optional
 * field that makes no sense costs nobody the event. Invalid UTF-8 is never a fault.
 *
 * Invariant: whatever passes here, actors/match/normalize.ts can read.
 */
import { canonicalHostname } from '../hostname.ts';
import { HOSTNAME_CHARS_MAX } from './limits.ts';
import { RECORD_JSON } from './split-records.ts';
import type { RecordKind } from './split-records.ts';
import { parseSyslogLine } from './syslog-line.ts';
import { parseTimestamp } from './timestamp.ts';

export type RejectCode =
  | 'E_JSON_MALFORMED'
  | 'E_NOT_AN_OBJECT'
  | 'E_FIELD_MISSING'
  | 'E_FIELD_EMPTY'
  | 'E_FIELD_TYPE'
  | 'E_FIELD_TOO_LONG'
  | 'E_TIMESTAMP_INVALID'
  | 'E_LINE_UNREADABLE'
  | 'E_MSGPACK_MALFORMED'
  | 'E_PROTOBUF_MALFORMED'
  | 'E_RECORD_TOO_LARGE'
  | 'E_TOO_DEEP';

/** A record that is an event. `hostname` is canonical: what the partition is computed from. */
export interface DecodedRecord {
  ok: true;
  hostname: string;
}
/** A record that cannot become an event. `message` names the field, the fault and the remedy; never the content. */
export interface RejectedRecord {
  ok: false;
  code: RejectCode;
  message: string;
}

/**
 * Judges bytes `start` to `end` of `body`. `receivedAtMs` (ms since 1970 UTC) gives the year to syslog lines without
 * one. Total: never throws.
 */
export function decodeRecord(
  body: Buffer,
  kind: RecordKind,
  start: number,
  end: number,
  receivedAtMs: number,
): DecodedRecord | RejectedRecord {
  const text = body.toString('utf8', start, end);
  return kind === RECORD_JSON ? decodeJson(text) : decodeLine(text, receivedAtMs);
}

function decodeJson(text: string): DecodedRecord | RejectedRecord {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return rejected(
      'E_JSON_MALFORMED',
      'The record is not valid JSON: quote names and texts, escape line ends.',
    );
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return rejected(
      'E_NOT_AN_OBJECT',
      'The record is not a JSON object: send {"hostname": …, "message": …, …}.',
    );
  }
  return judgeEvent(value);
}

/** Judges an event that is decoded already, whatever it came as. */
export function judgeEvent(event: object): DecodedRecord | RejectedRecord {
  const { hostname, message, timestamp } = event as {
    hostname: unknown;
    message: unknown;
    timestamp: unknown;
  };
  const fault = textFault('hostname', hostname) ?? textFault('message', message);
  if (fault !== undefined) return fault;
  if ((hostname as string).length > HOSTNAME_CHARS_MAX) return hostnameTooLong(hostname as string);
  if (timestamp === undefined || timestamp === null) return missing('timestamp');
  if (timestamp === '') return empty('timestamp');
  if (typeof timestamp !== 'string' && typeof timestamp !== 'number') {
    return rejected(
      'E_FIELD_TYPE',
      'timestamp must be a text or a number: send RFC 3339 or seconds since 1970.',
    );
  }
  if (parseTimestamp(timestamp) === undefined) {
    return rejected(
      'E_TIMESTAMP_INVALID',
      'timestamp is no time: send RFC 3339 such as 2024-05-01T12:00:00Z, or seconds or milliseconds since 1970.',
    );
  }
  return { ok: true, hostname: canonicalHostname(hostname as string) };
}

function decodeLine(text: string, receivedAtMs: number): DecodedRecord | RejectedRecord {
  const line = parseSyslogLine(text, receivedAtMs);
  if (line === undefined) {
    return rejected(
      'E_LINE_UNREADABLE',
      'The line is neither a JSON object nor a syslog line (RFC 3164 or RFC 5424) with time, host and message.',
    );
  }
  if (line.hostname.length > HOSTNAME_CHARS_MAX) return hostnameTooLong(line.hostname);
  return { ok: true, hostname: canonicalHostname(line.hostname) };
}

function textFault(name: string, value: unknown): RejectedRecord | undefined {
  if (typeof value === 'string') return isBlank(value) ? empty(name) : undefined;
  if (value === undefined || value === null) return missing(name);
  return rejected('E_FIELD_TYPE', `${name} must be a text: send it in quotes.`);
}

/** Whether nothing but white space is in it; almost always answered by the first character. */
function isBlank(value: string): boolean {
  const first = value.charCodeAt(0);
  return !(first > 0x20 && first < 0x7f) && value.trim() === '';
}

/**
 * Whether a reject with this code could not be read at all, as opposed to read and found wanting. A body of which
 * nothing was accepted and every reject is of this sort is wholly unreadable.
 */
export function isUnreadableCode(code: string): boolean {
  return UNREADABLE.has(code);
}

const UNREADABLE: ReadonlySet<string> = new Set<RejectCode>([
  'E_JSON_MALFORMED',
  'E_LINE_UNREADABLE',
  'E_MSGPACK_MALFORMED',
  'E_PROTOBUF_MALFORMED',
]);

export function missing(name: string): RejectedRecord {
  return rejected(
    'E_FIELD_MISSING',
    `${name} is missing: every event needs hostname, message and timestamp.`,
  );
}

function empty(name: string): RejectedRecord {
  return rejected('E_FIELD_EMPTY', `${name} is empty: every event needs hostname, message and timestamp.`);
}

function hostnameTooLong(hostname: string): RejectedRecord {
  return rejected(
    'E_FIELD_TOO_LONG',
    `hostname has ${hostname.length} characters; at most ${HOSTNAME_CHARS_MAX} are taken: send the bare host name.`,
  );
}

export function rejected(code: RejectCode, message: string): RejectedRecord {
  return { ok: false, code, message };
}
