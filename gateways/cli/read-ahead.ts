/**
 * Reads a source ahead of whoever takes from it: for what comes from a sender that cannot wait, such as one of datagrams.
 *
 * Invariant: never more than `bytesMax` and one chunk is kept; then the source waits until something was taken.
 */
export interface ReadAheadOptions {
  bytesMax: number;
  /** Called whenever the bound is reached anew. */
  onFull: () => void;
}

/** What a chunk costs beside its bytes. */
const CHUNK_OVERHEAD_BYTES = 256;
/** Chunks that wait are given together, up to so many bytes. */
const TOGETHER_BYTES_MAX = 256 * 1024;

export function readAhead(source: AsyncIterable<Buffer>, options: ReadAheadOptions): AsyncIterable<Buffer> {
  const ahead = new ReadAhead(options);
  void ahead.read(source);
  return ahead.chunks();
}

class ReadAhead {
  readonly #options: ReadAheadOptions;
  readonly #waiting: Buffer[] = [];
  #bytes = 0;
  #isOver = false;
  #isLeft = false;
  #failure: Error | undefined;
  #changed = Promise.withResolvers<void>();

  constructor(options: ReadAheadOptions) {
    this.#options = options;
  }

  async read(source: AsyncIterable<Buffer>): Promise<void> {
    const { bytesMax, onFull } = this.#options;
    try {
      for await (const chunk of source) {
        this.#waiting.push(chunk);
        this.#bytes += chunk.length + CHUNK_OVERHEAD_BYTES;
        this.#change();
        if (this.#bytes >= bytesMax) onFull();
        while (this.#bytes >= bytesMax && !this.#isLeft) await this.#changed.promise;
        if (this.#isLeft) return;
      }
    } catch (thrown) {
      this.#failure = thrown instanceof Error ? thrown : new Error(String(thrown));
    } finally {
      this.#isOver = true;
      this.#change();
    }
  }

  async *chunks(): AsyncGenerator<Buffer> {
    try {
      for (;;) {
        const together = this.#waiting.splice(0, countTogether(this.#waiting));
        if (together.length > 0) {
          for (const { length } of together) this.#bytes -= length + CHUNK_OVERHEAD_BYTES;
          this.#change();
          yield Buffer.concat(together);
        } else if (this.#failure !== undefined) throw this.#failure;
        else if (this.#isOver) return;
        else await this.#changed.promise;
      }
    } finally {
      this.#isLeft = true;
      this.#change();
    }
  }

  #change(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }
}

/** At least one, if there is any. */
function countTogether(waiting: readonly Buffer[]): number {
  let count = 0;
  for (let bytes = 0; count < waiting.length; count++) {
    bytes += waiting[count]?.length ?? 0;
    if (count > 0 && bytes > TOGETHER_BYTES_MAX) break;
  }
  return count;
}
