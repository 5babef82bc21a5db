/**
 * Shared memory for bodies on their way to the ingest threads, used again and again.
 *
 * Shared, not transferred, so that a body outlives a thread that dies of it. Used again, because the engine does not
 * count shared memory as garbage: thrown away per batch, 16 MiB bodies would fill the machine before the collector
 * runs. Pages get real memory only when they are first written.
 *
 * The invariant: memory comes back here only when every row in it has its verdict, for then nobody reads it any more.
 * What never comes back (a thread that never answered) is left to the garbage collector.
 */

/** Small bodies and texts of one batch. */
export const ARENA_BYTES = 524_288;
/** Rows of one batch. */
export const ARENA_ROWS = 1_024;
/** Arenas kept for reuse. */
const ARENAS_KEPT_MAX = 64;
/** Large buffers kept for reuse, all together. */
const LARGE_BYTES_KEPT_MAX = 64 * 1024 * 1024;

export interface Arena {
  readonly table: SharedArrayBuffer;
  readonly words: Uint32Array<SharedArrayBuffer>;
  readonly memory: SharedArrayBuffer;
  readonly bytes: Buffer<SharedArrayBuffer>;
}

export class SharedArenas {
  readonly #rowWords: number;
  readonly #arenas: Arena[] = [];
  /** By size, a power of two. */
  readonly #large = new Map<number, SharedArrayBuffer[]>();
  #largeBytesKept = 0;

  constructor(rowWords: number) {
    this.#rowWords = rowWords;
  }

  takeArena(): Arena {
    const kept = this.#arenas.pop();
    if (kept !== undefined) return kept;
    const table = new SharedArrayBuffer(ARENA_ROWS * this.#rowWords * Uint32Array.BYTES_PER_ELEMENT);
    const memory = new SharedArrayBuffer(ARENA_BYTES);
    return { table, words: new Uint32Array(table), memory, bytes: Buffer.from(memory) };
  }

  giveBackArena(arena: Arena): void {
    if (this.#arenas.length < ARENAS_KEPT_MAX) this.#arenas.push(arena);
  }

  /** A buffer of at least this size; its content is whatever was in it. */
  takeLarge(bytes: number): SharedArrayBuffer {
    const size = 2 ** Math.ceil(Math.log2(Math.max(bytes, ARENA_BYTES)));
    const kept = this.#large.get(size)?.pop();
    if (kept === undefined) return new SharedArrayBuffer(size);
    this.#largeBytesKept -= size;
    return kept;
  }

  giveBackLarge(buffer: SharedArrayBuffer): void {
    const size = buffer.byteLength;
    if (this.#largeBytesKept + size > LARGE_BYTES_KEPT_MAX) return;
    this.#largeBytesKept += size;
    const kept = this.#large.get(size);
    if (kept === undefined) this.#large.set(size, [buffer]);
    else kept.push(buffer);
  }
}
