/**
 * Records that are no event as sent, but whose shape is known: the names that relays use by default, CloudEvents, and
 * bare text from a sender that said the host in a header.
 *
 * Tried only when a record has been found wanting, so that an event with the names of the contract costs nothing here.
 * Nothing is guessed: what names no host, no message or no time stays a reject. Names are listed in
 * docs/reference/events.md.
 */
import { HINT_FIELDS } from './messages.ts';
import { RECORD_JSON } from './split-records.ts';
import type { RecordKind } from './split-records.ts';
import { parseSyslogLine } from './syslog-line.ts';

/** What the sender said beside the body; see HINT_FIELDS. */
export type Hint = Partial<Record<(typeof HINT_FIELDS)[number], string>>;

/** A decoded record. */
export type Fields = Record<string, unknown>;

/**
 * What a sender may call a field of ours, in the order in which they are tried. Fluent Bit, Fluentd: `date`, `log`,
 * `host`, `ident`. Vector: `host`, `appname`, `procid`. rsyslog's own JSON: `msg`, `timereported`. GELF: `short_message`.
 * syslog-ng's `format-json`: the names in capitals.
 */
export const OTHER_NAMES = {
  hostname: ['host', 'HOST'],
  message: ['log', 'msg', 'short_message', 'MESSAGE'],
  timestamp: ['date', '@timestamp', 'time', 'timereported', 'ISODATE'],
  program: ['appname', 'programname', 'ident', 'PROGRAM'],
  pid: ['procid', 'PID'],
} as const;

/** Said of an event whose time is the one of its receipt, because its sender gave none. */
export const RECEIPT_TIME = { time_source: 'receipt' } as const;

const NOTHING_SAID: Hint = {};

/** What a sender said beside its body, one to a line in the order of HINT_FIELDS. */
export function readHint(text: string): Hint {
  if (text === '') return NOTHING_SAID;
  const hint: Hint = {};
  const lines = text.split('\n');
  for (const [at, name] of HINT_FIELDS.entries()) {
    const said = lines[at]?.trim();
    if (said !== undefined && said !== '') hint[name] = said;
  }
  return hint;
}

/**
 * The event that bytes `start` to `end` of `body` are in another shape; undefined when no known shape fits. It is still
 * to be judged. Never throws.
 */
export function reshaped(
  body: Buffer,
  kind: RecordKind,
  start: number,
  end: number,
  hint: Hint,
  receivedAtMs: number,
): Fields | undefined {
  const text = body.toString('utf8', start, end);
  if (kind !== RECORD_JSON) return fromText(text, hint, receivedAtMs);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!isFields(value)) return undefined;
  return fromCloudEvent(value) ?? withOurNames(value, hint);
}

/** Text that is no syslog line is a message where host and the rest were said beside it; its time is the receipt. */
export function fromText(text: string, hint: Hint, receivedAtMs: number): Fields | undefined {
  if (hint.hostname === undefined || text.trim() === '') return undefined;
  if (parseSyslogLine(text, receivedAtMs) !== undefined) return undefined;
  return { ...hint, message: text, timestamp: new Date(receivedAtMs).toISOString(), ...RECEIPT_TIME };
}

/** The record under our names; what it has under them already stays. Undefined when nothing was to be renamed. */
export function withOurNames(sent: Fields, given: Fields = {}): Fields | undefined {
  const event: Fields = { ...sent };
  let isChanged = false;
  for (const [name, others] of Object.entries(OTHER_NAMES)) {
    if (isSaid(event[name])) continue;
    const other = others.find((candidate) => isSaid(event[candidate]));
    if (other === undefined) continue;
    event[name] = event[other];
    delete event[other];
    isChanged = true;
  }
  for (const [name, value] of Object.entries(given)) {
    if (isSaid(event[name]) || !isSaid(value)) continue;
    event[name] = value;
    isChanged = true;
  }
  // GELF counts as syslog does, other senders' levels have scales of their own.
  if (
    isSaid(sent['short_message']) &&
    typeof event['level'] === 'number' &&
    !isSaid(event['syslog_severity'])
  ) {
    event['syslog_severity'] = event['level'];
    delete event['level'];
  }
  return isChanged ? event : undefined;
}

/**
 * A CloudEvent (specification 1.0, section 3): the event is its data, and its attributes say what the data does not.
 * The host may be that of its `source`, where that is an address.
 */
function fromCloudEvent(sent: Fields): Fields | undefined {
  const { specversion, type, source, id, time, subject, data } = sent;
  if (typeof specversion !== 'string' || typeof type !== 'string' || typeof source !== 'string')
    return undefined;
  const attributes = {
    cloud_event: { id, type, source, ...(subject === undefined ? {} : { subject }) },
    source: 'webhook',
  };
  const given = { hostname: hostOf(source), timestamp: time };
  if (typeof data === 'string') return { ...attributes, message: data, ...given };
  if (!isFields(data)) return undefined;
  return { ...attributes, ...(withOurNames(data, given) ?? data) };
}

function hostOf(source: string): string | undefined {
  return /^[a-z][a-z0-9+.-]*:\/\/(?:[^/?#@]*@)?([^/?#:@]+)/i.exec(source)?.[1];
}

/** Whether there is something: an empty text is as good as nothing. */
export function isSaid(value: unknown): boolean {
  return value !== undefined && value !== null && value !== '';
}

export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
