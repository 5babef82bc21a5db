/**
 * Rejects on their way to their store: one write at a time, everything that came meanwhile in the next.
 *
 * A reject was never accepted as an event, so it may not hold up good ones: who parks waits a bounded time. When the
 * store is away the newest rejects are kept here up to a bound and the oldest go, counted.
 */
import { sleep } from '../../runtime/clock.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { Reject, RejectStore } from '../ports.ts';

const BYTES_MAX = 8 * 1024 * 1024;
/** What a reject costs beside its body: many small ones fill the memory, too. */
const REJECT_BYTES_MIN = 512;
const PER_WRITE_MAX = 500;
const WAIT_MS_MAX = 2_000;
const RETRY_MS = 1_000;

interface Parked {
  reject: Reject;
  stored: () => void;
}

export class RejectQueue {
  readonly #store: RejectStore;
  readonly #clock: Clock;
  readonly #onDropped: (count: number) => void;
  #waiting: Parked[] = [];
  #bytes = 0;
  #writing: Promise<void> | undefined;
  #isClosed = false;

  constructor(store: RejectStore, clock: Clock, onDropped: (count: number) => void) {
    this.#store = store;
    this.#clock = clock;
    this.#onDropped = onDropped;
  }

  /** Resolves when all are stored, or after a bounded time. Never rejects. */
  async park(rejects: readonly Reject[]): Promise<void> {
    const stored = rejects.map(
      (reject) =>
        new Promise<void>((resolve) => {
          this.#waiting.push({ reject, stored: resolve });
          this.#bytes += sizeOf(reject);
        }),
    );
    this.#bound();
    this.#writing ??= this.#write();
    const waited = new AbortController();
    await Promise.race([Promise.all(stored), sleep(this.#clock, WAIT_MS_MAX, waited.signal)]);
    waited.abort();
  }

  /** Writes what can be written in one more try; the rest goes, counted. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#writing;
  }

  #bound(): void {
    let count = 0;
    for (; this.#bytes > BYTES_MAX && count < this.#waiting.length - 1; count++) {
      this.#bytes -= sizeOf((this.#waiting[count] as Parked).reject);
    }
    if (count === 0) return;
    // Taken out at once: one by one, a body of many bad records would stop the thread for seconds.
    for (const { stored } of this.#waiting.splice(0, count)) stored();
    this.#onDropped(count);
  }

  async #write(): Promise<void> {
    // One turn later, so that all rejects of one batch of requests go together.
    await Promise.resolve();
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, PER_WRITE_MAX);
      try {
        await this.#store.park(batch.map(({ reject }) => reject));
        for (const { reject, stored } of batch) {
          this.#bytes -= sizeOf(reject);
          stored();
        }
      } catch {
        this.#waiting = [...batch, ...this.#waiting];
        if (this.#isClosed) this.#giveUp();
        this.#bound();
        if (this.#waiting.length > 0) await sleep(this.#clock, RETRY_MS);
      }
    }
    this.#writing = undefined;
  }

  #giveUp(): void {
    const left = this.#waiting.splice(0);
    this.#bytes = 0;
    for (const { stored } of left) stored();
    this.#onDropped(left.length);
  }
}

function sizeOf({ body }: Reject): number {
  return body.length + REJECT_BYTES_MIN;
}
