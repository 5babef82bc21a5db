/**
 * Rejects on their way to their store: one write at a time, everything that came meanwhile in the next.
 *
 * A reject was never accepted as an event, so it may not hold up good ones: a request with a few is held up for a moment
 * at most. One with more than there is room for hands them over as fast as the store takes them, after the ones that came
 * before it, and nobody else waits for it.
 *
 * Invariants: what waits here is bounded; every reject is given to `onParked` or to `onDropped`, once; nothing is dropped
 * while the store takes what it is given, but what a single request could not hand over in `TURN_MS_MAX`.
 */
import { sleep } from '../../runtime/clock.ts';
import type { Clock } from '../../runtime/clock.ts';
import { codeOf } from '../../runtime/errors.ts';
import type { EvictedRejects, Reject, RejectStore } from '../ports.ts';

const BYTES_MAX = 16 * 1024 * 1024;
/** Up to here the queue is filled by requests that wait their turn; the rest is for those with a few rejects. */
const BYTES_IN_TURN_MAX = BYTES_MAX / 2;
/** Of one request, without waiting for its turn. */
const BYTES_AT_ONCE_MAX = 1024 * 1024;
/** What a reject costs beside its body: many small ones fill the memory, too. */
const REJECT_BYTES_MIN = 512;
const PER_WRITE_MAX = 2_000;
/** But for a single larger one: a statement carries twice its bytes as text. */
const WRITE_BYTES_MAX = 4 * 1024 * 1024;
/** How long the caller waits for what is in the queue to be stored. */
const WAIT_MS_MAX = 2_000;
/**
 * How long a request may take to hand over its rejects. With the store of its events (5 s) before and `WAIT_MS_MAX` after,
 * it still has its answer within the gateway's 30 s: one that came later would have its events sent again.
 */
const TURN_MS_MAX = 18_000;
/** The store counts as away when it has taken nothing for so long, though it was asked. */
const AWAY_AFTER_MS = 5_000;
const RETRY_MS = 1_000;
/** The queue holds many writes, so the store never waits for a request to look again. */
const LOOK_EVERY_MS = 50;

export interface RejectQueueOptions {
  store: RejectStore;
  clock: Clock;
  /** Stored now and not before; of those stored earlier, `evicted` have gone for them. */
  onParked: (count: number, evicted: EvictedRejects) => void;
  /** `code` is what the store last failed with, if it has. */
  onDropped: (count: number, why: DropReason, code: string | undefined) => void;
}
export type DropReason = 'store away' | 'too many at once' | 'stopping';

/** What one caller waits for. */
interface Parking {
  /** Rejects in the queue, and one for the caller while it still hands over. */
  open: number;
  done: PromiseWithResolvers<void>;
}
interface Waiting {
  reject: Reject;
  parking: Parking;
}

export class RejectQueue {
  readonly #options: RejectQueueOptions;
  #waiting: Waiting[] = [];
  #bytes = 0;
  #writing: Promise<void> | undefined;
  /** When the store was asked for what it has not taken yet. */
  #askedAtMs: number | undefined;
  #failure: string | undefined;
  /** Settles when those who hand over more than `BYTES_AT_ONCE_MAX` are through. */
  #turn: Promise<void> = Promise.resolve();
  #isClosed = false;

  constructor(options: RejectQueueOptions) {
    this.#options = options;
  }

  /**
   * Takes `count` rejects, made by `at` when there is room for them. Resolves when all are stored, or after a bounded time.
   * Never rejects, unless `at` throws.
   */
  async park(count: number, at: (nth: number) => Reject): Promise<void> {
    if (count === 0) return;
    const startedMs = this.#options.clock.monotonicMs();
    const parking: Parking = { open: 1, done: Promise.withResolvers() };
    let taken = this.#take(parking, count, at, 0, BYTES_MAX, BYTES_AT_ONCE_MAX);
    if (taken < count) taken = await this.#takeInTurn(parking, count, at, taken, startedMs);
    if (taken < count) {
      const why = this.#isClosed ? 'stopping' : this.#isAway ? 'store away' : 'too many at once';
      this.#options.onDropped(count - taken, why, this.#failure);
    }
    settle(parking);
    const waited = new AbortController();
    await Promise.race([parking.done.promise, sleep(this.#options.clock, WAIT_MS_MAX, waited.signal)]);
    waited.abort();
  }

  /** Writes what can be written in one more try; the rest goes, counted. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#writing;
  }

  get #isAway(): boolean {
    if (this.#askedAtMs === undefined) return false;
    return this.#options.clock.monotonicMs() - this.#askedAtMs >= AWAY_AFTER_MS;
  }

  /** Takes from the nth on until the queue holds `bytesMax`, or this request has given `shareMax`. Returns how far it came. */
  #take(
    parking: Parking,
    count: number,
    at: (nth: number) => Reject,
    from: number,
    bytesMax: number,
    shareMax = Infinity,
  ): number {
    let nth = from;
    for (let share = 0; nth < count && this.#bytes < bytesMax && share < shareMax; nth++) {
      const reject = at(nth);
      this.#waiting.push({ reject, parking });
      parking.open += 1;
      share += sizeOf(reject);
      this.#bytes += sizeOf(reject);
    }
    if (nth > from) this.#writing ??= this.#write();
    return nth;
  }

  async #takeInTurn(
    parking: Parking,
    count: number,
    at: (nth: number) => Reject,
    from: number,
    startedMs: number,
  ): Promise<number> {
    const { clock } = this.#options;
    const before = this.#turn;
    const through = Promise.withResolvers<void>();
    this.#turn = through.promise;
    try {
      // Not for ever: each of them came earlier, and gives up earlier.
      await before;
      let nth = from;
      for (;;) {
        if (this.#isClosed) return nth;
        nth = this.#take(parking, count, at, nth, BYTES_IN_TURN_MAX);
        if (nth === count || this.#isAway) return nth;
        if (clock.monotonicMs() - startedMs >= TURN_MS_MAX) return nth;
        await sleep(clock, LOOK_EVERY_MS);
      }
    } finally {
      through.resolve();
    }
  }

  async #write(): Promise<void> {
    const { store, clock, onParked } = this.#options;
    // One turn later, so that all rejects of one batch of requests go together.
    await Promise.resolve();
    while (this.#waiting.length > 0) {
      const batch = this.#nextBatch();
      this.#askedAtMs ??= clock.monotonicMs();
      try {
        const { parked, ...evicted } = await store.park(batch.map(({ reject }) => reject));
        this.#askedAtMs = undefined;
        this.#failure = undefined;
        this.#forget(batch);
        onParked(parked, evicted);
      } catch (thrown) {
        this.#failure = codeOf(thrown);
        this.#waiting = [...batch, ...this.#waiting];
        if (this.#isClosed) this.#giveUp();
        if (this.#waiting.length > 0) await sleep(clock, RETRY_MS);
      }
    }
    this.#writing = undefined;
  }

  #nextBatch(): Waiting[] {
    let rows = 0;
    for (let bytes = 0; rows < this.#waiting.length && rows < PER_WRITE_MAX; rows++) {
      bytes += (this.#waiting[rows] as Waiting).reject.body.length;
      if (rows > 0 && bytes > WRITE_BYTES_MAX) break;
    }
    return this.#waiting.splice(0, rows);
  }

  #giveUp(): void {
    const left = this.#waiting.splice(0);
    this.#forget(left);
    this.#options.onDropped(left.length, 'stopping', this.#failure);
  }

  #forget(gone: readonly Waiting[]): void {
    for (const { reject, parking } of gone) {
      this.#bytes -= sizeOf(reject);
      settle(parking);
    }
  }
}

function settle(parking: Parking): void {
  parking.open -= 1;
  if (parking.open === 0) parking.done.resolve();
}

function sizeOf({ body }: Reject): number {
  return body.length + REJECT_BYTES_MIN;
}
