/**
 * The frame: one entry of an ingest mailbox, holding events as received. This is the format on disk between versions
 * of the product: a new one is written only once every node can read it, and the old one stays readable.
 *
 * Version 1, numbers little-endian:
 *   0  'M' 'F'           2  version (1)         3  flags (bit 0: body is zstd)
 *   4  CRC-32 of all that follows, started from the flags (u32)
 *   8  frame id, UUIDv7 (16 bytes)             24  receipt time, ms since 1970 (f64)
 *  32  number of records (u32)                 36  length of the body when plain (u32)
 *  40  body: number of texts (u16); each: length (u16), UTF-8: a correlation id, or an origin (origin.ts), which is
 *      that of all correlation ids from it to the next origin;
 *      then each record: kind (u8), index of its correlation id among the texts (u16), length (u32), bytes as received.
 *
 * Origins came later than the rest. A program that does not know them takes them for correlation ids that no record
 * names, so it reads these frames as any other: this is still version 1, and a rollback needs no empty mailbox.
 *
 * Invariant: decoding gives back exactly what was encoded, or throws; damage is never read as events.
 */
import { constants, crc32, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { CodedError } from '../../runtime/errors.ts';
import { RECORD_JSON, RECORD_LINE } from './split-records.ts';
import type { RecordKind } from './split-records.ts';
import { isOriginEntry, readOriginEntry } from './origin.ts';
import type { Origin } from './origin.ts';
import { UUID_BYTES, formatUuid } from './uuid-v7.ts';

export const FRAME_VERSION = 1;
/** Records of one frame: what its narrowest index can number. Writers cut far earlier. */
export const FRAME_RECORDS_MAX = 65_535;
/** Bytes of one frame's plain body. It bounds what a damaged header can make the decoder allocate. */
export const FRAME_BODY_BYTES_MAX = 32 * 1024 * 1024;

const HEADER_BYTES = 40;
const CHECKED_FROM = 8;
const RECORD_HEADER_BYTES = 7;
const FLAG_ZSTD = 1;
/** Below this, compressing costs more time than the bytes are worth: 30-40 µs each way whatever the size, measured. */
const COMPRESS_BYTES_MIN = 8 * 1024;
const ZSTD_OPTIONS = { params: { [constants.ZSTD_c_compressionLevel]: 1 } };

/** A record to be framed: bytes `start` to `end` of the request body that holds it. */
export interface FrameInput {
  kind: RecordKind;
  correlationId: string;
  /** As `originEntry` writes it; absent when nobody knows. The same text for all records of a request. */
  origin?: string | undefined;
  body: Buffer;
  start: number;
  end: number;
}

/** A record read from a frame. `bytes` is a view into the frame, not a copy. */
export interface FrameRecord {
  kind: RecordKind;
  correlationId: string;
  /** Absent when the frame says nothing of it. */
  origin: Origin | undefined;
  bytes: Buffer;
}

export interface Frame {
  /** UUIDv7 as text. The id of the event at index i is `<id>-<i>`. */
  id: string;
  /** Milliseconds since 1970 UTC. */
  receivedAtMs: number;
  records: FrameRecord[];
}

/**
 * Encodes records into one frame, copying each record once.
 * @throws CodedError E_FRAME_TOO_LARGE (defect) when there are more records or bytes than a frame may hold.
 */
export function encodeFrame(id: Buffer, receivedAtMs: number, records: readonly FrameInput[]): Buffer {
  const table = new TextTable();
  let bodyBytes = 2;
  for (const { correlationId, origin, start, end } of records) {
    table.add(correlationId, origin);
    bodyBytes += RECORD_HEADER_BYTES + end - start;
  }
  bodyBytes += table.number();
  if (Math.max(records.length, table.size) > FRAME_RECORDS_MAX || bodyBytes > FRAME_BODY_BYTES_MAX) {
    throw new CodedError(
      'E_FRAME_TOO_LARGE',
      `A frame of ${records.length} records and ${bodyBytes} bytes.`,
      {
        kind: 'defect',
        mend: `Cut frames at ${FRAME_RECORDS_MAX} records or ${FRAME_BODY_BYTES_MAX} bytes, whichever comes first.`,
      },
    );
  }

  const frame = draft(HEADER_BYTES + bodyBytes);
  frame.write('MF', 0, 'latin1');
  frame[2] = FRAME_VERSION;
  frame[3] = 0;
  id.copy(frame, 8, 0, UUID_BYTES);
  frame.writeDoubleLE(receivedAtMs, 24);
  frame.writeUInt32LE(records.length, 32);
  frame.writeUInt32LE(bodyBytes, 36);

  let at = frame.writeUInt16LE(table.size, HEADER_BYTES);
  for (const text of table.texts()) {
    const length = frame.write(text, at + 2);
    frame.writeUInt16LE(length, at);
    at += 2 + length;
  }
  for (const { kind, correlationId, origin, body, start, end } of records) {
    frame[at] = kind;
    frame.writeUInt16LE(table.indexOf(correlationId, origin), at + 1);
    frame.writeUInt32LE(end - start, at + 3);
    at += RECORD_HEADER_BYTES;
    at += body.copy(frame, at, start, end);
  }
  return seal(finished(frame));
}

/** Correlation ids by origin, each once, numbered as they lie in the frame. Records of one request come in runs. */
class TextTable {
  /** Without an origin first: what follows an origin has it. */
  readonly #groups = new Map([['', new Map<string, number>()]]);
  #lastOrigin: string | undefined;
  #lastGroup: Map<string, number> | undefined;
  #lastId: string | undefined;
  #lastIndex = 0;
  size = 0;

  add(correlationId: string, origin = ''): void {
    if (correlationId === this.#lastId && origin === this.#lastOrigin) return;
    let group = this.#groups.get(origin);
    if (group === undefined) this.#groups.set(origin, (group = new Map<string, number>()));
    group.set(correlationId, 0);
    this.#lastOrigin = origin;
    this.#lastId = correlationId;
  }

  /** Numbers everything; from here on `texts` and `indexOf` hold. Gives the bytes of all texts. */
  number(): number {
    this.#lastId = undefined;
    let bytes = 0;
    for (const [origin, group] of this.#groups) {
      if (origin !== '') {
        this.size += 1;
        bytes += 2 + Buffer.byteLength(origin);
      }
      for (const correlationId of group.keys()) {
        group.set(correlationId, this.size);
        this.size += 1;
        bytes += 2 + Buffer.byteLength(correlationId);
      }
    }
    return bytes;
  }

  *texts(): Iterable<string> {
    for (const [origin, group] of this.#groups) {
      if (origin !== '') yield origin;
      yield* group.keys();
    }
  }

  indexOf(correlationId: string, origin = ''): number {
    if (correlationId === this.#lastId && origin === this.#lastOrigin) return this.#lastIndex;
    if (origin !== this.#lastOrigin || this.#lastGroup === undefined) {
      this.#lastGroup = this.#groups.get(origin);
      this.#lastOrigin = origin;
    }
    this.#lastId = correlationId;
    this.#lastIndex = this.#lastGroup?.get(correlationId) ?? 0;
    return this.#lastIndex;
  }
}

/**
 * Where a frame is put together before its bytes are copied out, compressed or not: a fresh buffer of some hundred KiB for
 * each frame costs more in page faults and garbage collection than the copy. Only one frame is made at a time.
 */
let drafting = Buffer.allocUnsafeSlow(0);
const DRAFT_BYTES_MAX = 2 * 1024 * 1024;

function draft(bytes: number): Buffer {
  if (bytes > DRAFT_BYTES_MAX) return Buffer.allocUnsafe(bytes);
  if (bytes > drafting.length) drafting = Buffer.allocUnsafeSlow(Math.min(DRAFT_BYTES_MAX, 2 * bytes));
  return drafting.subarray(0, bytes);
}

/** A copy of the frame, with its body compressed where that makes it smaller. */
function finished(frame: Buffer): Buffer {
  if (frame.length - HEADER_BYTES < COMPRESS_BYTES_MIN) return Buffer.from(frame);
  const body = zstdCompressSync(frame.subarray(HEADER_BYTES), ZSTD_OPTIONS);
  if (HEADER_BYTES + body.length >= frame.length) return Buffer.from(frame);
  const smaller = Buffer.concat([frame.subarray(0, HEADER_BYTES), body]);
  smaller[3] = FLAG_ZSTD;
  return smaller;
}

function seal(frame: Buffer): Buffer {
  frame.writeUInt32LE(crc32(frame.subarray(CHECKED_FROM), frame[3]), 4);
  return frame;
}

/**
 * Decodes a frame.
 * @throws CodedError E_FRAME_VERSION (permanent) for a version this build cannot read; E_FRAME_DAMAGED (permanent) for
 * anything else that is not exactly a frame.
 */
export function decodeFrame(frame: Buffer): Frame {
  if (frame.length < 3 || frame[0] !== 0x4d || frame[1] !== 0x46) throw damaged('it does not begin with MF');
  if (frame[2] !== FRAME_VERSION) {
    throw new CodedError(
      'E_FRAME_VERSION',
      `A frame of version ${frame[2]}; this build reads ${FRAME_VERSION}.`,
      {
        details: { version: frame[2] },
        mend: 'Run a build that knows this version; the frame is kept.',
      },
    );
  }
  if (frame.length < HEADER_BYTES) throw damaged('its header is cut off');
  const flags = frame[3]!;
  if ((flags & ~FLAG_ZSTD) !== 0) throw damaged('it carries unknown flags');
  if (crc32(frame.subarray(CHECKED_FROM), flags) !== frame.readUInt32LE(4))
    throw damaged('its checksum differs');

  const count = frame.readUInt32LE(32);
  const body = plainBody(frame.subarray(HEADER_BYTES), (flags & FLAG_ZSTD) !== 0, frame.readUInt32LE(36));
  const reader = new BodyReader(body);
  const texts: ({ correlationId: string; origin: Origin | undefined } | undefined)[] = [];
  let from: Origin | undefined;
  for (let left = reader.u16(); left > 0; left--) {
    const text = reader.bytes(reader.u16()).toString();
    const isOrigin = isOriginEntry(text);
    if (isOrigin) from = readOriginEntry(text);
    texts.push(isOrigin ? undefined : { correlationId: text, origin: from });
  }
  const records: FrameRecord[] = [];
  for (let left = count; left > 0; left--) {
    const kind = reader.u8();
    if (kind !== RECORD_JSON && kind !== RECORD_LINE) throw damaged('a record is of no known kind');
    const named = texts[reader.u16()];
    if (named === undefined) throw damaged('a record names no correlation id');
    const { correlationId, origin } = named;
    records.push({ kind, correlationId, origin, bytes: reader.bytes(reader.u32()) });
  }
  if (!reader.isAtEnd()) throw damaged('bytes follow its last record');
  return {
    id: formatUuid(frame.subarray(8, 8 + UUID_BYTES)),
    receivedAtMs: frame.readDoubleLE(24),
    records,
  };
}

/** What a frame's head says of it. */
export interface FrameHead extends Pick<Frame, 'id' | 'receivedAtMs'> {
  /** How many it has. */
  records: number;
}

/** Whatever its version; undefined for what is no frame. Nothing is checked. */
export function frameHead(frame: Buffer): FrameHead | undefined {
  if (frame.length < HEADER_BYTES || frame[0] !== 0x4d || frame[1] !== 0x46) return undefined;
  return {
    id: formatUuid(frame.subarray(8, 8 + UUID_BYTES)),
    receivedAtMs: frame.readDoubleLE(24),
    records: frame.readUInt32LE(32),
  };
}

function plainBody(stored: Buffer, isCompressed: boolean, plainBytes: number): Buffer {
  if (plainBytes > FRAME_BODY_BYTES_MAX) throw damaged('its body is larger than a frame may be');
  let body = stored;
  if (isCompressed) {
    try {
      body = zstdDecompressSync(stored, { maxOutputLength: Math.max(1, plainBytes) });
    } catch (cause) {
      throw damaged('its body cannot be decompressed', cause);
    }
  }
  if (body.length !== plainBytes) throw damaged('its body has another length than its header says');
  return body;
}

/** Reads forward and refuses to read past the end. */
class BodyReader {
  private readonly body: Buffer;
  private at = 0;

  constructor(body: Buffer) {
    this.body = body;
  }

  u8(): number {
    return this.body[this.advance(1)]!;
  }

  u16(): number {
    return this.body.readUInt16LE(this.advance(2));
  }

  u32(): number {
    return this.body.readUInt32LE(this.advance(4));
  }

  bytes(length: number): Buffer {
    const start = this.advance(length);
    return this.body.subarray(start, start + length);
  }

  isAtEnd(): boolean {
    return this.at === this.body.length;
  }

  private advance(length: number): number {
    const start = this.at;
    if (length > this.body.length - start) throw damaged('a length in it points past its end');
    this.at = start + length;
    return start;
  }
}

function damaged(how: string, cause?: unknown): CodedError {
  return new CodedError('E_FRAME_DAMAGED', `The frame is damaged: ${how}.`, {
    mend: 'The frame is kept aside; look for damage of the store it came from.',
    cause,
  });
}
