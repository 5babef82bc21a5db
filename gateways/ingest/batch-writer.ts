/**
 * Collects the bodies that were completed in one turn of the loop into one batch, in shared memory.
 *
 * A body is copied once, from the network's buffer to the place where an ingest thread reads it. Bounded: `hasRoom` is
 * false when the batch must be taken first. Memory goes back to the pool when the last row of its batch is settled.
 */
import { HINT_CHARS_MAX } from '../../actors/ingest/messages.ts';
import { ADDRESS_BYTES_MAX, ROW, ROW_STAGE, ROW_WORDS } from './ingest-port.ts';
import type { IngestBatch } from './ingest-port.ts';
import { ARENA_BYTES, ARENA_ROWS, SharedArenas } from './shared-arenas.ts';
import type { Arena } from './shared-arenas.ts';

/** A body over this size travels in a buffer of its own. */
export const LARGE_BODY_BYTES = 262_144;
export const IDEMPOTENCY_KEY_MAX = 256;
/** Room for the texts of one row: the correlation id, the idempotency key, the hint and the address. */
const TEXT_BYTES_MAX = 128 + IDEMPOTENCY_KEY_MAX + HINT_CHARS_MAX + ADDRESS_BYTES_MAX;

/** What a row says beside its body. */
export interface RowHead {
  request: number;
  encoding: number;
  dialect: number;
  flags: number;
  keyName: string;
  sender: number;
  /** ASCII, at most 128 characters. */
  correlationId: string;
  /** ASCII, at most IDEMPOTENCY_KEY_MAX characters; empty for none. */
  idempotencyKey: string;
  /** Latin-1, at most HINT_CHARS_MAX characters; empty for none. */
  hint: string;
  /** The peer's, in network order: 4 or 16 bytes; empty when it is not known. */
  address: Uint8Array;
}

/** The memory of one batch and how many of its rows still need it. */
export interface BatchLease {
  open: number;
  readonly arena: Arena;
  readonly large: SharedArrayBuffer[];
}

export class BatchWriter {
  readonly #pool = new SharedArenas(ROW_WORDS);
  #lease: BatchLease | undefined;
  #used = 0;
  #count = 0;
  #keyNames: string[] = [];

  get count(): number {
    return this.#count;
  }

  /** Whether a small body of this size (at most LARGE_BODY_BYTES; 0 for one that brings its own buffer) still fits. */
  hasRoom(bodyBytes: number): boolean {
    return this.#count < ARENA_ROWS && this.#used + bodyBytes + TEXT_BYTES_MAX <= ARENA_BYTES;
  }

  /** Whether so many small bodies, of so many bytes together, still fit. */
  hasRoomFor(bodies: number, bytes: number): boolean {
    const needed = bytes + bodies * TEXT_BYTES_MAX;
    return this.#count + bodies <= ARENA_ROWS && this.#used + needed <= ARENA_BYTES;
  }

  /** Adds a row whose body is copied. Needs `hasRoom`. */
  addCopy(head: RowHead, body: Uint8Array): BatchLease {
    const lease = this.#open();
    const offset = this.#used;
    lease.arena.bytes.set(body, offset);
    this.#used = offset + body.byteLength;
    this.#addRow(lease, head, 0, offset, body.byteLength);
    return lease;
  }

  /** Adds a row whose body fills the first `length` bytes of a buffer from `takeLarge`. Needs `hasRoom(0)`. */
  addLarge(head: RowHead, body: SharedArrayBuffer, length: number): BatchLease {
    const lease = this.#open();
    lease.large.push(body);
    this.#addRow(lease, head, lease.large.length, 0, length);
    return lease;
  }

  takeLarge(bytes: number): SharedArrayBuffer {
    return this.#pool.takeLarge(bytes);
  }

  /** For a large buffer that never got into a batch. */
  giveBackLarge(buffer: SharedArrayBuffer): void {
    this.#pool.giveBackLarge(buffer);
  }

  /** Gives the batch away and starts a new one. Needs at least one row. */
  take(): IngestBatch {
    const { arena, large } = this.#open();
    const batch: IngestBatch = {
      count: this.#count,
      table: arena.table,
      bodies: [arena.memory, ...large],
      keyNames: this.#keyNames,
    };
    this.#lease = undefined;
    this.#used = 0;
    this.#count = 0;
    this.#keyNames = [];
    return batch;
  }

  /** A row has its verdict; the last one of a batch that was taken frees its memory. */
  settle(lease: BatchLease): void {
    lease.open -= 1;
    if (lease.open > 0 || lease === this.#lease) return;
    this.#pool.giveBackArena(lease.arena);
    for (const buffer of lease.large) this.#pool.giveBackLarge(buffer);
  }

  #open(): BatchLease {
    this.#lease ??= { open: 0, arena: this.#pool.takeArena(), large: [] };
    return this.#lease;
  }

  #addRow(lease: BatchLease, head: RowHead, body: number, offset: number, length: number): void {
    const { words, bytes } = lease.arena;
    const at = this.#count * ROW_WORDS;
    words[at + ROW.request] = head.request;
    words[at + ROW.body] = body;
    words[at + ROW.offset] = offset;
    words[at + ROW.length] = length;
    words[at + ROW.encoding] = head.encoding;
    words[at + ROW.flags] = head.flags;
    words[at + ROW.key] = this.#keyIndex(head.keyName);
    words[at + ROW.sender] = head.sender;
    words[at + ROW.correlationOffset] = this.#used;
    words[at + ROW.correlationLength] = this.#text(bytes, head.correlationId);
    words[at + ROW.idempotencyOffset] = this.#used;
    words[at + ROW.idempotencyLength] =
      head.idempotencyKey === '' ? 0 : this.#text(bytes, head.idempotencyKey);
    words[at + ROW.stage] = ROW_STAGE.untouched;
    words[at + ROW.deaths] = 0;
    words[at + ROW.dialect] = head.dialect;
    words[at + ROW.hintOffset] = this.#used;
    words[at + ROW.hintLength] = head.hint === '' ? 0 : this.#text(bytes, head.hint);
    words[at + ROW.addressOffset] = this.#used;
    words[at + ROW.addressLength] = this.#address(bytes, head.address);
    this.#count += 1;
    lease.open += 1;
  }

  #text(bytes: Buffer, text: string): number {
    const written = bytes.write(text, this.#used, 'latin1');
    this.#used += written;
    return written;
  }

  #address(bytes: Buffer, address: Uint8Array): number {
    const length = Math.min(address.length, ADDRESS_BYTES_MAX);
    for (let at = 0; at < length; at++) bytes[this.#used + at] = address[at] ?? 0;
    this.#used += length;
    return length;
  }

  #keyIndex(name: string): number {
    const names = this.#keyNames;
    const last = names.length - 1;
    // Requests of one key come in runs; the list is as long as there are keys in use, at most the rows of the batch.
    if (last >= 0 && names[last] === name) return last;
    const found = names.indexOf(name);
    if (found >= 0) return found;
    return names.push(name) - 1;
  }
}
