/**
 * Spreads events over time at a rate. Time that the server cost is not made up for by a wall of events afterwards.
 */
import { sleep } from '../../runtime/clock.ts';
import type { Clock } from '../../runtime/clock.ts';

/** How far behind the schedule sending may be and still catch up. */
const CATCH_UP_MS_MAX = 1_000;

export class Pacer {
  readonly #clock: Clock;
  readonly #ratePerSecond: number;
  #nextAtMs: number | undefined;

  /** `ratePerSecond` may be Infinity: nothing ever waits then. */
  constructor(clock: Clock, ratePerSecond: number) {
    this.#clock = clock;
    this.#ratePerSecond = ratePerSecond;
  }

  /** Resolves when these events may go, or at once when the signal aborts. */
  async admit(events: number, signal: AbortSignal): Promise<void> {
    if (!Number.isFinite(this.#ratePerSecond)) return;
    const nowMs = this.#clock.monotonicMs();
    const dueMs = Math.max(this.#nextAtMs ?? nowMs, nowMs - CATCH_UP_MS_MAX);
    this.#nextAtMs = dueMs + (events * 1_000) / this.#ratePerSecond;
    if (dueMs > nowMs) await sleep(this.#clock, dueMs - nowMs, signal);
  }
}
