/**
 * Reads OTLP/HTTP logs as protobuf: an ExportLogsServiceRequest (opentelemetry-proto, collector/logs/v1, logs/v1,
 * common/v1). Field numbers are those of the published files; unknown fields are passed over.
 */
import type { EventCollector } from '../event-collector.ts';
import { rejected } from '../decode-record.ts';
import type { Fields } from '../known-shapes.ts';
import { RECORD_BYTES_MAX, RECORD_DEPTH_MAX } from '../limits.ts';
import type { Unreadable } from '../read-records.ts';
import { RESOURCE_UNUSABLE, otlpEvent, resourceOf, sharedOf } from './otlp.ts';
import type { OtlpRecord, OtlpResource } from './otlp.ts';
import { TooDeep, WireType, isAboutMessage, pieceAt, readFields, readMessage } from './protobuf-fields.ts';
import type { BinaryReader, FieldsRead, MessagePiece } from './protobuf-fields.ts';

const REQUEST = { resourceLogs: 1 } as const;
const RESOURCE_LOGS = { resource: 1, scopeLogs: 2, schemaUrl: 3 } as const;
const RESOURCE = { attributes: 1 } as const;
const SCOPE_LOGS = { scope: 1, logRecords: 2, schemaUrl: 3 } as const;
const SCOPE = { name: 1, version: 2 } as const;
const KEY_VALUE = { key: 1, value: 2 } as const;
const VALUE = { string: 1, bool: 2, int: 3, double: 4, array: 5, list: 6, bytes: 7 } as const;
const REPEATED = { values: 1 } as const;
const RECORD = {
  timeUnixNano: 1,
  severityNumber: 2,
  severityText: 3,
  body: 5,
  attributes: 6,
  traceId: 9,
  spanId: 10,
  observedTimeUnixNano: 11,
  eventName: 12,
} as const;

/** Nested values take two messages a level. */
const VALUE_DEPTH_MAX = RECORD_DEPTH_MAX - 4;

const BROKEN = rejected(
  'E_PROTOBUF_MALFORMED',
  'The bytes are no protobuf of opentelemetry-proto from here on: they are damaged, or were cut off.',
);
const UNREADABLE = {
  code: 'E_BODY_UNREADABLE',
  message: 'The body is no ExportLogsServiceRequest: send protobuf, or JSON with its Content-Type.',
};

/** Reads `into.body`. Gives back why nothing can be read, if so. An empty body is an empty request. */
export function readOtlpProtobuf(into: EventCollector): Unreadable | undefined {
  const { body } = into;
  const state: ReadState = { into, isOver: false };
  const whole = { start: 0, end: body.length };
  const read = readFields(
    into,
    whole,
    (field, wireType, reader) => {
      if (field !== REQUEST.resourceLogs || wireType !== WireType.LengthDelimited) return false;
      readResourceLogs(state, pieceAt(into.body, reader));
      return true;
    },
    () => state.isOver,
  );
  if (into.count === 0 && !read.isKnown && body.length > 0) return UNREADABLE;
  finish(state, whole, read);
  return undefined;
}

interface ReadState {
  into: EventCollector;
  /** The request is full: nothing more of it is read. */
  isOver: boolean;
}

/** What is left of a message that is broken, or not what it should be, becomes one reject. */
function finish({ into, isOver }: ReadState, piece: MessagePiece, read: FieldsRead): void {
  if (isOver) return;
  if (!read.isWhole) into.refuse(BROKEN, read.brokenAt, piece.end);
  else if (!read.isKnown && piece.end > piece.start) into.refuse(BROKEN, piece.start, piece.end);
}

function isOverBefore(state: ReadState, { start }: MessagePiece): boolean {
  state.isOver = state.into.isFullBeforeGroup(start, state.into.body.length);
  return state.isOver;
}

function readResourceLogs(state: ReadState, piece: MessagePiece): void {
  const { into } = state;
  if (isOverBefore(state, piece)) return;
  // First the resource, wherever it is: what it says goes with every record.
  let resource = resourceOf({});
  readFields(into, piece, (field, wireType, reader) => {
    if (field !== RESOURCE_LOGS.resource || wireType !== WireType.LengthDelimited) return false;
    resource = resourceAt(into, pieceAt(into.body, reader));
    return true;
  });
  const read = readFields(
    into,
    piece,
    (field, wireType, reader) => {
      if (wireType !== WireType.LengthDelimited) return false;
      if (field === RESOURCE_LOGS.scopeLogs) readScopeLogs(state, pieceAt(into.body, reader), resource);
      else if (field === RESOURCE_LOGS.resource || field === RESOURCE_LOGS.schemaUrl) reader.bytes();
      else return false;
      return true;
    },
    () => state.isOver,
  );
  finish(state, piece, read);
}

function resourceAt(into: EventCollector, piece: MessagePiece): OtlpResource | undefined {
  if (piece.end - piece.start > RECORD_BYTES_MAX) return undefined;
  const attributes = emptyFields();
  try {
    readMessage(into, piece, (field, wireType, reader) => {
      if (field !== RESOURCE.attributes || wireType !== WireType.LengthDelimited) return false;
      readKeyValue(into, pieceAt(into.body, reader), attributes, 0);
      return true;
    });
    return resourceOf(attributes);
  } catch (thrown) {
    if (isAboutMessage(thrown)) return undefined;
    throw thrown;
  }
}

function readScopeLogs(state: ReadState, piece: MessagePiece, resource: OtlpResource | undefined): void {
  const { into } = state;
  if (isOverBefore(state, piece)) return;
  let scope: { name?: string; version?: string } = {};
  readFields(into, piece, (field, wireType, reader) => {
    if (field !== SCOPE_LOGS.scope || wireType !== WireType.LengthDelimited) return false;
    scope = scopeAt(into, pieceAt(into.body, reader));
    return true;
  });
  const shared = resource === undefined ? '' : sharedOf(resource, scope);
  const read = readFields(
    into,
    piece,
    (field, wireType, reader) => {
      if (wireType !== WireType.LengthDelimited) return false;
      if (field === SCOPE_LOGS.logRecords) takeRecord(state, pieceAt(into.body, reader), resource, shared);
      else if (field === SCOPE_LOGS.scope || field === SCOPE_LOGS.schemaUrl) reader.bytes();
      else return false;
      return true;
    },
    () => state.isOver,
  );
  finish(state, piece, read);
}

function scopeAt(into: EventCollector, piece: MessagePiece): { name?: string; version?: string } {
  const scope: { name?: string; version?: string } = {};
  if (piece.end - piece.start > RECORD_BYTES_MAX) return scope;
  readFields(into, piece, (field, wireType, reader) => {
    if (wireType !== WireType.LengthDelimited) return false;
    if (field === SCOPE.name) scope.name = reader.string();
    else if (field === SCOPE.version) scope.version = reader.string();
    else return false;
    return true;
  });
  return scope;
}

function takeRecord(
  state: ReadState,
  piece: MessagePiece,
  resource: OtlpResource | undefined,
  shared: string,
): void {
  const { into } = state;
  const { start, end } = piece;
  if (into.isFull(start, into.body.length)) {
    state.isOver = true;
    return;
  }
  if (resource === undefined) {
    into.refuse(RESOURCE_UNUSABLE, start, end);
    return;
  }
  if (into.refusesSize(piece)) return;
  const record: OtlpRecord = { attributes: emptyFields() };
  try {
    readMessage(into, piece, (field, wireType, reader) =>
      readRecordField(into, record, field, wireType, reader),
    );
  } catch (thrown) {
    if (!isAboutMessage(thrown)) throw thrown;
    if (thrown instanceof TooDeep) into.refuseDepth(start, end);
    else into.refuse(BROKEN, start, end);
    return;
  }
  into.event(otlpEvent(record, resource.attributes, into.receivedAtMs), start, end, shared);
}

function readRecordField(
  into: EventCollector,
  record: OtlpRecord,
  field: number,
  wireType: WireType,
  reader: BinaryReader,
): boolean {
  if (wireType === WireType.Bit64) {
    if (field === RECORD.timeUnixNano) record.timeUnixNano = BigInt(reader.fixed64());
    else if (field === RECORD.observedTimeUnixNano) record.observedTimeUnixNano = BigInt(reader.fixed64());
    else return false;
    return true;
  }
  if (wireType === WireType.Varint) {
    if (field !== RECORD.severityNumber) return false;
    record.severityNumber = reader.int32();
    return true;
  }
  if (wireType !== WireType.LengthDelimited) return false;
  switch (field) {
    case RECORD.severityText:
      record.severityText = reader.string();
      return true;
    case RECORD.body:
      record.body = valueAt(into, pieceAt(into.body, reader), 0);
      return true;
    case RECORD.attributes:
      readKeyValue(into, pieceAt(into.body, reader), record.attributes, 0);
      return true;
    case RECORD.traceId:
      record.traceId = hexOf(reader.bytes());
      return true;
    case RECORD.spanId:
      record.spanId = hexOf(reader.bytes());
      return true;
    case RECORD.eventName:
      record.eventName = reader.string();
      return true;
    default:
      return false;
  }
}

function readKeyValue(into: EventCollector, piece: MessagePiece, fields: Fields, depth: number): void {
  let key = '';
  let value: unknown = null;
  readMessage(into, piece, (field, wireType, reader) => {
    if (wireType !== WireType.LengthDelimited) return false;
    if (field === KEY_VALUE.key) key = reader.string();
    else if (field === KEY_VALUE.value) value = valueAt(into, pieceAt(into.body, reader), depth + 1);
    else return false;
    return true;
  });
  fields[key] = value;
}

function valueAt(into: EventCollector, piece: MessagePiece, depth: number): unknown {
  if (depth > VALUE_DEPTH_MAX) throw new TooDeep();
  let value: unknown = null;
  readMessage(into, piece, (field, wireType, reader) => {
    if (wireType === WireType.Varint && field === VALUE.bool) value = reader.bool();
    else if (wireType === WireType.Varint && field === VALUE.int) value = plainNumber(reader.int64());
    else if (wireType === WireType.Bit64 && field === VALUE.double) value = reader.double();
    else if (wireType !== WireType.LengthDelimited) return false;
    else if (field === VALUE.string) value = reader.string();
    else if (field === VALUE.bytes) value = Buffer.from(reader.bytes()).toString('base64');
    else if (field === VALUE.array) value = arrayAt(into, pieceAt(into.body, reader), depth);
    else if (field === VALUE.list) value = listAt(into, pieceAt(into.body, reader), depth);
    else return false;
    return true;
  });
  return value;
}

function arrayAt(into: EventCollector, piece: MessagePiece, depth: number): unknown[] {
  const values: unknown[] = [];
  readMessage(into, piece, (field, wireType, reader) => {
    if (field !== REPEATED.values || wireType !== WireType.LengthDelimited) return false;
    values.push(valueAt(into, pieceAt(into.body, reader), depth + 1));
    return true;
  });
  return values;
}

function listAt(into: EventCollector, piece: MessagePiece, depth: number): Fields {
  const fields = emptyFields();
  readMessage(into, piece, (field, wireType, reader) => {
    if (field !== REPEATED.values || wireType !== WireType.LengthDelimited) return false;
    readKeyValue(into, pieceAt(into.body, reader), fields, depth);
    return true;
  });
  return fields;
}

/** Without a prototype: the names are a stranger's. */
function emptyFields(): Fields {
  return Object.create(null) as Fields;
}

/** A 64-bit number stays a text where a number would not hold it. */
function plainNumber(value: bigint | string): number | string {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : String(value);
}

function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex');
}
