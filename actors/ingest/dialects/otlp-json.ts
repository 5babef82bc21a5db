/**
 * Reads OTLP/HTTP logs as JSON: an ExportLogsServiceRequest in the protobuf JSON mapping, with ids in hex and 64-bit
 * numbers as texts (opentelemetry-proto, docs/specification.md). Unknown members are passed over.
 */
import { rejected } from '../decode-record.ts';
import type { EventCollector } from '../event-collector.ts';
import { isFields } from '../known-shapes.ts';
import type { Fields } from '../known-shapes.ts';
import type { Unreadable } from '../read-records.ts';
import { JsonCursor } from './json-cursor.ts';
import type { JsonPiece } from './json-cursor.ts';
import { eachElement, fieldsIn, untilBroken } from './json-parts.ts';
import { RESOURCE_UNUSABLE, otlpEvent, resourceOf, sharedOf } from './otlp.ts';
import type { OtlpRecord, OtlpResource } from './otlp.ts';

/** Reads `into.body`. Gives back why nothing can be read, if so. */
export function readOtlpJson(into: EventCollector): Unreadable | undefined {
  const cursor = new JsonCursor(into.body, into.budget);
  if (cursor.next() !== 'object') return UNREADABLE;
  let isKnown = false;
  let isEmpty = true;
  untilBroken(cursor, into, () => {
    cursor.enter();
    for (let name = cursor.nextMember(); name !== undefined; name = cursor.nextMember()) {
      isEmpty = false;
      if (name !== 'resourceLogs' && name !== 'resource_logs') {
        cursor.skip();
        continue;
      }
      isKnown = true;
      if (!eachObject(cursor, into, () => readResourceLogs(cursor, into))) return;
    }
  });
  return isKnown || isEmpty || into.count > 0 ? undefined : UNREADABLE;
}

/** Where records come from, as all of a scope share it. */
interface OtlpOrigin {
  resource: OtlpResource;
  shared: string;
}

const UNREADABLE = {
  code: 'E_BODY_UNREADABLE',
  message:
    'The body is no ExportLogsServiceRequest: send {"resourceLogs": […]}, or protobuf with its Content-Type.',
};

/** Steps into each object of the array that the cursor stands before; `read` must leave it behind the object. */
function eachObject(cursor: JsonCursor, into: EventCollector, read: () => boolean): boolean {
  if (cursor.next() !== 'array') {
    cursor.skip();
    return true;
  }
  cursor.enter();
  while (cursor.nextElement()) {
    if (into.isFullBeforeGroup(cursor.at, into.body.length)) return false;
    if (cursor.next() !== 'object') {
      const { start, end } = cursor.skip();
      into.refuse(NO_OBJECT, start, end);
      continue;
    }
    cursor.enter();
    if (!read()) return false;
  }
  return true;
}

function readResourceLogs(cursor: JsonCursor, into: EventCollector): boolean {
  const found = cursor.findMember('resource');
  const resource = resourceIn(into, found);
  for (let name = cursor.nextMember(); name !== undefined; name = cursor.nextMember()) {
    if (name !== 'scopeLogs' && name !== 'scope_logs') cursor.skip();
    else if (!eachObject(cursor, into, () => readScopeLogs(cursor, into, resource))) return false;
  }
  return true;
}

function readScopeLogs(
  cursor: JsonCursor,
  into: EventCollector,
  resource: OtlpResource | undefined,
): boolean {
  const { name: scopeName, version } = fieldsIn(into.body, cursor.findMember('scope')) ?? {};
  const scope = {
    ...(typeof scopeName === 'string' ? { name: scopeName } : {}),
    ...(typeof version === 'string' ? { version } : {}),
  };
  const origin = resource === undefined ? undefined : { resource, shared: sharedOf(resource, scope) };
  for (let name = cursor.nextMember(); name !== undefined; name = cursor.nextMember()) {
    if (name !== 'logRecords' && name !== 'log_records') cursor.skip();
    else if (!eachElement(cursor, into, (piece) => readRecord(into, piece, origin))) return false;
  }
  return true;
}

function readRecord(into: EventCollector, piece: JsonPiece, origin: OtlpOrigin | undefined): void {
  const { start, end } = piece;
  if (origin === undefined) {
    into.refuse(RESOURCE_UNUSABLE, start, end);
    return;
  }
  if (into.refusesSize(piece)) return;
  const log = fieldsIn(into.body, piece);
  if (log === undefined) {
    into.refuse(NO_OBJECT, start, end);
    return;
  }
  into.event(
    otlpEvent(recordOf(log), origin.resource.attributes, into.receivedAtMs),
    start,
    end,
    origin.shared,
  );
}

const NO_OBJECT = rejected(
  'E_NOT_AN_OBJECT',
  'The log record is no valid JSON object: see opentelemetry-proto.',
);
function recordOf(log: Fields): OtlpRecord {
  const time = nanosOf(log['timeUnixNano']);
  const observed = nanosOf(log['observedTimeUnixNano']);
  const severity = Number(log['severityNumber'] ?? 0);
  const body = log['body'];
  return {
    ...(time === undefined ? {} : { timeUnixNano: time }),
    ...(observed === undefined ? {} : { observedTimeUnixNano: observed }),
    severityNumber: severity,
    ...textMember(log, 'severityText'),
    ...textMember(log, 'traceId'),
    ...textMember(log, 'spanId'),
    ...textMember(log, 'eventName'),
    ...(body === undefined ? {} : { body: plainOf(body) }),
    attributes: attributesOf(log['attributes']),
  };
}

function textMember<Name extends 'severityText' | 'traceId' | 'spanId' | 'eventName'>(
  log: Fields,
  name: Name,
): { [name in Name]?: string } {
  const value = log[name];
  return (typeof value === 'string' ? { [name]: value } : {}) as { [name in Name]?: string };
}

function nanosOf(value: unknown): bigint | undefined {
  if (typeof value === 'number' && Number.isSafeInteger(value)) return BigInt(value);
  if (typeof value !== 'string' || !/^\d{1,20}$/.test(value)) return undefined;
  return BigInt(value);
}

/** Undefined when there is one that cannot be read, or is too large. */
function resourceIn(into: EventCollector, piece: JsonPiece | undefined): OtlpResource | undefined {
  const resource = piece === undefined ? {} : fieldsIn(into.body, piece);
  return resource === undefined ? undefined : resourceOf(attributesOf(resource['attributes']));
}

function attributesOf(list: unknown): Fields {
  // Without a prototype: the names are a stranger's.
  const attributes = Object.create(null) as Fields;
  if (!Array.isArray(list)) return attributes;
  for (const entry of list as unknown[]) {
    if (isFields(entry) && typeof entry['key'] === 'string')
      attributes[entry['key']] = plainOf(entry['value']);
  }
  return attributes;
}

/** An AnyValue as plain JSON. Its depth is bounded by that of the record it is in. */
function plainOf(any: unknown): unknown {
  if (!isFields(any)) return null;
  if ('stringValue' in any) return any['stringValue'];
  if ('boolValue' in any) return any['boolValue'];
  if ('intValue' in any) return wholeNumber(any['intValue']);
  if ('doubleValue' in any) return any['doubleValue'];
  if ('bytesValue' in any) return any['bytesValue'];
  if (isFields(any['arrayValue'])) {
    const { values } = any['arrayValue'];
    return Array.isArray(values) ? values.map(plainOf) : [];
  }
  return isFields(any['kvlistValue']) ? attributesOf(any['kvlistValue']['values']) : null;
}

/** A 64-bit number comes as a text; it stays one where a number would not hold it. */
function wholeNumber(value: unknown): unknown {
  if (typeof value !== 'string' || !/^-?\d{1,20}$/.test(value)) return value;
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}
