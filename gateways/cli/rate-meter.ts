/**
 * A total, and how fast it has grown: per second over the last seconds, and second by second for a small graph.
 */
import type { Clock } from '../../runtime/clock.ts';

const HISTORY_SECONDS = 60;
/** The rate shown is the mean over this many whole seconds: one alone jumps too much to be read. */
const MEAN_SECONDS = 3;

export class RateMeter {
  readonly #clock: Clock;
  readonly #startedAtMs: number;
  /** Per whole second since the start; the last one is still running. */
  #seconds: number[] = [0];
  /** Number of the running second. */
  #second = 0;
  total = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#startedAtMs = clock.monotonicMs();
  }

  add(amount: number): void {
    this.#advance();
    this.total += amount;
    this.#seconds[this.#seconds.length - 1] = (this.#seconds.at(-1) ?? 0) + amount;
  }

  /** Mean over the last whole seconds; in the first second what there is so far. */
  perSecond(): number {
    this.#advance();
    if (this.#seconds.length === 1) return this.total;
    const whole = this.#seconds.slice(-1 - MEAN_SECONDS, -1);
    return whole.reduce((sum, value) => sum + value, 0) / whole.length;
  }

  /** The last whole seconds, oldest first. */
  history(): number[] {
    this.#advance();
    return this.#seconds.slice(0, -1);
  }

  #advance(): void {
    const second = Math.floor((this.#clock.monotonicMs() - this.#startedAtMs) / 1_000);
    for (; this.#second < second; this.#second++) this.#seconds.push(0);
    this.#seconds = this.#seconds.slice(-HISTORY_SECONDS - 1);
  }
}
