/**
 * What an OpenTelemetry log record becomes as an event, whichever encoding it came in (opentelemetry-proto, logs/v1).
 *
 * A record of the collector's syslog receiver (its attributes hold a `priority`) is about the device whose line it is;
 * any other is about the host of its resource. Resource and scope are written once for all records that share them.
 */
import { rejected } from '../decode-record.ts';
import { RECEIPT_TIME, isSaid } from '../known-shapes.ts';
import type { Fields } from '../known-shapes.ts';
import { RECORD_BYTES_MAX } from '../limits.ts';

/** One log record, decoded. Times in ns since 1970 UTC; absent or 0 for none. */
export interface OtlpRecord {
  timeUnixNano?: bigint;
  observedTimeUnixNano?: bigint;
  severityNumber?: number;
  severityText?: string;
  body?: unknown;
  attributes: Fields;
  traceId?: string;
  spanId?: string;
  eventName?: string;
}

/** What all records of a resource have in common. */
export interface OtlpResource {
  attributes: Fields;
  /** JSON text of it as a member, without braces. */
  shared: string;
}

/** Syslog severities by severityNumber - 1 (log data model, appendix B). */
const SEVERITIES = [7, 7, 7, 7, 7, 7, 7, 7, 6, 5, 5, 5, 4, 4, 4, 4, 3, 2, 1, 1, 0, 0, 0, 0];
const NS_PER_MS = 1_000_000n;
/** The last millisecond that RFC 3339 can write. */
const EPOCH_MS_MAX = 253_402_300_799_999;

/** Of records whose resource cannot be read, or is alone over what a record may be. */
export const RESOURCE_UNUSABLE = rejected(
  'E_RECORD_TOO_LARGE',
  `The resource of the record cannot be read, or is alone over the ${RECORD_BYTES_MAX} bytes of a record: shorten it.`,
);

/** Undefined when it is alone too large for a record. */
export function resourceOf(attributes: Fields): OtlpResource | undefined {
  const shared = JSON.stringify({ resource: attributes }).slice(1, -1);
  return shared.length > RECORD_BYTES_MAX ? undefined : { attributes, shared };
}

/** JSON text of what the records of a scope share, without braces. */
export function sharedOf({ shared }: OtlpResource, scope: { name?: string; version?: string }): string {
  return isSaid(scope.name) ? `${shared},"scope":${JSON.stringify(scope)}` : shared;
}

/** The event, still to be judged. */
export function otlpEvent(record: OtlpRecord, resource: Fields, receivedAtMs: number): Fields {
  const { attributes, severityNumber, severityText, traceId, spanId, eventName } = record;
  const isSyslog = typeof attributes['priority'] === 'number';
  const time = timeOf(record);
  const body = messageOf(record.body);
  const event: Fields = {
    hostname: first(
      isSyslog ? attributes['hostname'] : undefined,
      resource['host.name'],
      attributes['host.name'],
      attributes['hostname'],
      resource['service.instance.id'],
      resource['service.name'],
    ),
    message: first(isSyslog ? attributes['message'] : undefined, body, attributes['message'], eventName),
    timestamp: new Date(time ?? receivedAtMs).toISOString(),
    ...(time === undefined ? RECEIPT_TIME : {}),
  };
  const severity = severityNumber === undefined ? undefined : SEVERITIES[severityNumber - 1];
  if (severity !== undefined) event['syslog_severity'] = severity;
  if (isSaid(severityText)) event[severity === undefined ? 'severity' : 'severity_text'] = severityText;
  const program = first(isSyslog ? attributes['appname'] : undefined, resource['service.name']);
  if (program !== undefined) event['program'] = program;
  if (isSyslog) {
    setIfSaid(event, 'pid', attributes['proc_id']);
    setIfSaid(event, 'msgid', attributes['msg_id']);
    setIfSaid(event, 'syslog_facility', attributes['facility']);
    setIfSaid(event, 'structured_data', attributes['structured_data']);
    event['source'] = 'syslog';
  }
  if (typeof record.body === 'object' && record.body !== null) event['body'] = record.body;
  setIfSaid(event, 'event_name', eventName);
  setIfSaid(event, 'trace_id', traceId);
  setIfSaid(event, 'span_id', spanId);
  if (Object.keys(attributes).length > 0) event['attributes'] = attributes;
  return event;
}

/** A structured body says its message in `message`, or is one as a whole. */
function messageOf(body: unknown): string | undefined {
  if (typeof body === 'string') return body;
  if (body === undefined || body === null) return undefined;
  const { message } = body as { message?: unknown };
  return typeof message === 'string' && message !== '' ? message : JSON.stringify(body);
}

function timeOf({ timeUnixNano, observedTimeUnixNano }: OtlpRecord): number | undefined {
  const time = timeUnixNano !== undefined && timeUnixNano > 0n ? timeUnixNano : observedTimeUnixNano;
  if (time === undefined || time <= 0n) return undefined;
  const timeMs = Number(time / NS_PER_MS);
  return timeMs <= EPOCH_MS_MAX ? timeMs : undefined;
}

function first(...values: unknown[]): unknown {
  return values.find(isSaid);
}

function setIfSaid(event: Fields, name: string, value: unknown): void {
  if (isSaid(value)) event[name] = value;
}
