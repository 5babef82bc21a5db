/**
 * What the ingest gateway's loop needs from the ingest threads: hand over bodies in batches, get verdicts back.
 *
 * The loop never decodes anything. A batch is bytes and a table of numbers in shared memory, so that nothing is copied
 * between threads and a body outlives a thread that dies of it. Two invariants: every row of a submitted batch gets
 * exactly one verdict, `away` when nobody can say; and a row's verdict is the promise that nobody reads the row again,
 * because the memory is then used for other bodies. The loop itself answers 503 for a row without a verdict in time.
 */
import { DIALECTS } from '../../actors/ingest/messages.ts';
import type { Dialect } from '../../actors/ingest/messages.ts';
import { SENDERS } from './sender.ts';
import type { Sender } from './sender.ts';

/** Content encodings; the position is the code in the table. `unknown` makes the body unreadable, not the request. */
export const CONTENT_ENCODINGS = ['identity', 'gzip', 'deflate', 'zstd', 'snappy', 'unknown'] as const;
export type ContentEncoding = (typeof CONTENT_ENCODINGS)[number];

/** Words (unsigned 32 bit) of one row of the table. */
export const ROW_WORDS = 19;
export const ROW = {
  /** The request number the verdict must name. Opaque. */
  request: 0,
  /** Which of `bodies` holds the body. */
  body: 1,
  offset: 2,
  length: 3,
  /** Position in CONTENT_ENCODINGS. */
  encoding: 4,
  /** Bit set: see FLAG_. */
  flags: 5,
  /** Position in the batch's `keyNames`. */
  key: 6,
  /** Position in SENDERS. */
  sender: 7,
  /** Texts are ASCII and lie in `bodies[0]`. */
  correlationOffset: 8,
  correlationLength: 9,
  idempotencyOffset: 10,
  /** 0 when the sender gave none. */
  idempotencyLength: 11,
  /** One of ROW_STAGE. Written by the port's side only; `untouched` at first. */
  stage: 12,
  /** Threads that died while decoding the row. Written by the port's side only; 0 at first. */
  deaths: 13,
  /** Position in DIALECTS. */
  dialect: 14,
  /** Latin-1; what the sender said of its records in headers or the query (see HINT_FIELDS). 0 long for nothing. */
  hintOffset: 15,
  hintLength: 16,
  /** The peer's address in network order, 4 or 16 bytes, in `bodies[0]`; 0 long when it is not known. */
  addressOffset: 17,
  addressLength: 18,
} as const;

/** How far a thread has got with a row, so that its successor knows what may be done again. */
export const ROW_STAGE = {
  /** Nobody has begun. */
  untouched: 0,
  /** A thread is reading the body: if it dies now, the body is the suspect. Nothing is stored yet. */
  decoding: 1,
  /** Events of it may be stored already. */
  storing: 2,
  /** To be parked as it is, without being looked at. */
  parking: 3,
  /** It has its verdict; written before the verdict is given. */
  answered: 4,
} as const;

/** The sender asked for all or nothing (`Prefer: handling=strict`): one bad record and nothing is stored or parked. */
export const FLAG_STRICT = 1;
/** The API key opts in: an event is known by its `id` when it comes again. */
export const FLAG_EVENT_IDS = 2;
/** It is a message of a WebSocket. */
export const FLAG_SOCKET = 4;
/** Of an address in network order. */
export const ADDRESS_BYTES_MAX = 16;

export interface IngestBatch {
  /** Rows. */
  count: number;
  /** ROW_WORDS unsigned 32-bit words a row, in the byte order of the machine; longer than `count` rows. */
  table: SharedArrayBuffer;
  /** `[0]`: all small bodies and texts, one after the other; then one per body over 256 KiB. Longer than filled. */
  bodies: SharedArrayBuffer[];
  /** Names of the API keys used in this batch. */
  keyNames: string[];
}

export type IngestStatus =
  /** Everything good is stored at the ack level; what was bad is parked. */
  | 'stored'
  /** Strict only: a record was bad, nothing was stored. */
  | 'refused'
  /** Not one record could be read out of the body. Parked whole, unless strict. */
  | 'unreadable'
  /** Over 64 MiB when decompressed. */
  | 'too_large'
  /** The mailbox is at its bound: nothing stored, later it may be. */
  | 'full'
  /** The store or the thread is away: nothing stored as far as anybody knows. */
  | 'away';

export interface IngestError {
  /** Position of the record in the request. */
  index: number;
  /** Stable. */
  code: string;
  message: string;
}

export interface IngestVerdict {
  request: number;
  status: IngestStatus;
  accepted: number;
  rejected: number;
  /** The first ones; the reply shows at most 10. */
  errors: readonly IngestError[];
  /** Events that this try stored, whatever the status; absent when it is `accepted`: none had been stored before. */
  stored?: number;
  /** The Idempotency-Key came before with another body; this one is stored all the same. */
  isKeyReused?: boolean;
}

export interface IngestPort {
  /** Threads that take batches now. */
  readonly threads: number;
  /**
   * Takes the batch over: its memory belongs to the port until the verdicts. Must not call back in the same turn, must
   * not wait. A throw means that nothing was taken: the loop answers 503 for all rows.
   */
  submit(batch: IngestBatch): void;
  /** Sets the one listener for verdicts; called with as many as there are. Verdicts on unknown requests are ignored. */
  onVerdicts(listener: (verdicts: readonly IngestVerdict[]) => void): void;
}

/** One row, decoded. `body` is a view into the batch: valid until the row's verdict is given. */
export interface BatchRow {
  request: number;
  body: Uint8Array;
  encoding: ContentEncoding;
  dialect: Dialect;
  hint: string;
  isStrict: boolean;
  hasEventIds: boolean;
  isSocket: boolean;
  /** The peer's, in network order; 0 bytes when it is not known. A view, as `body`. */
  address: Uint8Array;
  keyName: string;
  sender: Sender;
  correlationId: string;
  idempotencyKey: string | undefined;
}

/** Decodes row `index` of a batch. For the side that takes batches. */
export function readRow(batch: IngestBatch, index: number): BatchRow {
  const row = new Uint32Array(batch.table, index * ROW_WORDS * Uint32Array.BYTES_PER_ELEMENT, ROW_WORDS);
  const word = (at: number): number => row[at] ?? 0;
  const text = (offset: number, length: number): string =>
    Buffer.from(batch.bodies[0] as SharedArrayBuffer, offset, length).toString('latin1');
  const idempotencyLength = word(ROW.idempotencyLength);
  return {
    request: word(ROW.request),
    body: new Uint8Array(
      batch.bodies[word(ROW.body)] as SharedArrayBuffer,
      word(ROW.offset),
      word(ROW.length),
    ),
    encoding: CONTENT_ENCODINGS[word(ROW.encoding)] ?? 'unknown',
    dialect: DIALECTS[word(ROW.dialect)] ?? 'native',
    hint: text(word(ROW.hintOffset), word(ROW.hintLength)),
    isStrict: (word(ROW.flags) & FLAG_STRICT) !== 0,
    hasEventIds: (word(ROW.flags) & FLAG_EVENT_IDS) !== 0,
    isSocket: (word(ROW.flags) & FLAG_SOCKET) !== 0,
    address: new Uint8Array(
      batch.bodies[0] as SharedArrayBuffer,
      word(ROW.addressOffset),
      word(ROW.addressLength),
    ),
    keyName: batch.keyNames[word(ROW.key)] ?? '',
    sender: SENDERS[word(ROW.sender)] ?? 'unknown',
    correlationId: text(word(ROW.correlationOffset), word(ROW.correlationLength)),
    idempotencyKey:
      idempotencyLength === 0 ? undefined : text(word(ROW.idempotencyOffset), idempotencyLength),
  };
}
