/**
 * Makes a normalised event of the bytes that a relay sent: names, times, severities and identifiers in one form each.
 *
 * Nothing is guessed: what the sender did not say stays absent, and a known optional field whose value makes no sense
 * stays under `fields` as it was sent. Everything a row or an alert is made of is well-formed text without NUL, which
 * PostgreSQL cannot store; where that changed something, the event says so (`textRepaired`), and the bytes as received
 * are given where the text no longer says them. Invariant: reads every record that decode-record.ts let in.
 */
import { isUtf8 } from 'node:buffer';
import { CodedError } from '../../runtime/errors.ts';
import { canonicalHostname } from '../hostname.ts';
import { RECORD_JSON } from '../ingest/split-records.ts';
import type { RecordKind } from '../ingest/split-records.ts';
import { parseSyslogLine } from '../ingest/syslog-line.ts';
import { parseTimestamp } from '../ingest/timestamp.ts';
import type { NormalizedEvent, Origin } from '../event.ts';
import { storableText } from '../storable-text.ts';
import { canonicalAddress } from './ip-network.ts';
import { canonicalOid } from './oid.ts';
import { facilityOf, priorityOf, severityOf } from './severity.ts';

/** A sender's clock further than this from ours is reported as skewed. */
export const CLOCK_SKEW_MS_MAX = 5 * 60_000;
/** Longer programs, pids and message ids are not taken for such; they stay under `fields`. */
export const SHORT_FIELD_CHARS_MAX = 255;

/** One record of a frame, with what the frame knows about it. */
export interface ReceivedRecord {
  /** `<frame id>-<index in the frame>`. */
  id: string;
  receivedAtMs: number;
  correlationId: string;
  origin?: Origin | undefined;
  kind: RecordKind;
  bytes: Buffer;
}

export interface NormalizedRecord {
  event: NormalizedEvent;
  /** The record as text: invalid UTF-8 and NUL replaced. What the audit row keeps. */
  raw: string;
  /** The record as received, a view into its frame, where `raw` says something else; else null. */
  rawBytes: Buffer | null;
  /** Who sent it; absent when its frame does not say. */
  origin?: Origin | undefined;
}

/**
 * Normalises one record.
 * @throws CodedError E_EVENT_UNREADABLE (permanent) when the record could never have been let in: damage, or a defect.
 */
export function normalizeEvent(record: ReceivedRecord): NormalizedRecord {
  const text = record.bytes.toString('utf8');
  const raw = storableText(text);
  // A sender may mean U+FFFD: only then are the bytes looked at again.
  const isRawRepaired = raw !== text || (text.includes('\uFFFD') && !isUtf8(record.bytes));
  const event = record.kind === RECORD_JSON ? fromJson(record, text) : fromLine(record, text);
  if (isRawRepaired) event.textRepaired = true;
  const { origin } = record;
  return {
    event,
    raw,
    rawBytes: isRawRepaired ? record.bytes : null,
    ...(origin === undefined ? {} : { origin }),
  };
}

function fromLine(record: ReceivedRecord, text: string): NormalizedEvent {
  const line = parseSyslogLine(text, record.receivedAtMs);
  if (line === undefined) throw unreadable(record, 'it is no syslog line');
  const event = bareEvent(record, line.hostname, line.message, line.timestampMs);
  event.source = 'syslog';
  if (line.severity !== undefined) event.severity = line.severity;
  if (line.facility !== undefined) event.facility = line.facility;
  if (line.structuredData !== undefined) event.structuredData = line.structuredData;
  for (const name of ['program', 'pid', 'msgid'] as const) {
    const value = line[name];
    if (value === undefined) continue;
    if (value.length <= SHORT_FIELD_CHARS_MAX) event[name] = repaired(event, value);
    else event.fields[name] = value;
  }
  return event;
}

function fromJson(record: ReceivedRecord, text: string): NormalizedEvent {
  let sent: Record<string, unknown>;
  try {
    sent = JSON.parse(text) as Record<string, unknown>;
  } catch {
    throw unreadable(record, 'it is no JSON');
  }
  if (typeof sent !== 'object' || sent === null) throw unreadable(record, 'it is no object');
  const { hostname, message } = sent;
  const eventTimeMs = parseTimestamp(sent['timestamp']);
  if (typeof hostname !== 'string' || typeof message !== 'string' || eventTimeMs === undefined) {
    throw unreadable(record, 'a required field is missing');
  }
  const event = bareEvent(record, hostname, message, eventTimeMs);
  for (const name in sent) {
    // Names with a leading underscore are ours; a stranger's are dropped, `__proto__` among them.
    if (name.charCodeAt(0) === 0x5f) continue;
    const value = sent[name];
    if (value === null || !take(event, name, value)) event.fields[name] = value;
  }
  // Senders that know no `syslog_severity` say `severity` and `facility`; with both, the plain name is a scale of theirs.
  if (event.severity === undefined) borrow(event, 'severity', severityOf);
  if (event.facility === undefined) borrow(event, 'facility', facilityOf);
  for (const name of ['pri', 'syslog_pri']) takePriority(event, name);
  return event;
}

/** Takes a known field into its place; false when the name is unknown or the value makes no sense there. */
function take(event: NormalizedEvent, name: string, value: unknown): boolean {
  switch (name) {
    case 'hostname':
    case 'message':
    case 'timestamp':
      return true;
    case 'syslog_severity': {
      const severity = severityOf(value);
      if (severity === undefined) return false;
      event.severity = severity;
      return true;
    }
    case 'syslog_facility': {
      const facility = facilityOf(value);
      if (facility === undefined) return false;
      event.facility = facility;
      return true;
    }
    case 'program':
    case 'pid':
    case 'msgid': {
      const short = typeof value === 'number' ? String(value) : value;
      if (typeof short !== 'string' || short === '' || short.length > SHORT_FIELD_CHARS_MAX) return false;
      event[name] = repaired(event, short);
      return true;
    }
    case 'source_ip': {
      const address = typeof value === 'string' ? canonicalAddress(value.trim()) : undefined;
      if (address === undefined) return false;
      event.sourceIp = address;
      return true;
    }
    case 'trap_oid': {
      const oid = typeof value === 'string' ? canonicalOid(value) : undefined;
      if (oid === undefined) return false;
      event.trapOid = oid;
      return true;
    }
    case 'source':
      if (value !== 'syslog' && value !== 'snmp' && value !== 'webhook') return false;
      event.source = value;
      return true;
    case 'varbinds':
      event.varbinds = value;
      return true;
    case 'structured_data':
      event.structuredData = value;
      return true;
    default:
      return false;
  }
}

function borrow(
  event: NormalizedEvent,
  name: 'severity' | 'facility',
  read: (value: unknown) => number | undefined,
): void {
  const value = read(event.fields[name]);
  if (value === undefined) return;
  event[name] = value;
  delete event.fields[name];
}

/** Relays send `pri` for want of the two: it fills what is not said otherwise, and is left where that is nothing. */
function takePriority(event: NormalizedEvent, name: string): void {
  if (event.severity !== undefined && event.facility !== undefined) return;
  const priority = priorityOf(event.fields[name]);
  if (priority === undefined) return;
  event.severity ??= priority.severity;
  event.facility ??= priority.facility;
  delete event.fields[name];
}

function bareEvent(
  record: ReceivedRecord,
  hostname: string,
  message: string,
  eventTimeMs: number,
): NormalizedEvent {
  const event: NormalizedEvent = {
    id: record.id,
    receivedAtMs: record.receivedAtMs,
    correlationId: record.correlationId,
    hostname: canonicalHostname(hostname),
    message,
    eventTimeMs,
    clockSkewed: Math.abs(eventTimeMs - record.receivedAtMs) > CLOCK_SKEW_MS_MAX,
    textRepaired: storableText(hostname) !== hostname,
    fields: {},
  };
  event.message = repaired(event, message);
  return event;
}

/** `text` as every store takes it; the event is flagged when that is another. */
function repaired(event: NormalizedEvent, text: string): string {
  const stored = storableText(text);
  if (stored !== text) event.textRepaired = true;
  return stored;
}

function unreadable(record: ReceivedRecord, how: string): CodedError {
  return new CodedError('E_EVENT_UNREADABLE', `Event ${record.id} cannot be read: ${how}.`, {
    details: { eventId: record.id },
    mend: 'Look at the quarantined bytes; no gateway of this version lets such a record in.',
  });
}
