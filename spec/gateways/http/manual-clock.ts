/** A clock that stands still until it is told to move. Timers that are due run in order, inside `advance`. */
import type { Clock } from '../../../runtime/clock.ts';

export class ManualClock implements Clock {
  #nowMs = 1_000;
  #timers: { dueMs: number; task: () => void }[] = [];

  monotonicMs(): number {
    return this.#nowMs;
  }
  wallMs(): number {
    return 1_700_000_000_000 + this.#nowMs;
  }
  after(delayMs: number, task: () => void): () => void {
    const timer = { dueMs: this.#nowMs + delayMs, task };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }
  advance(ms: number): void {
    const untilMs = this.#nowMs + ms;
    for (;;) {
      const next = this.#timers.filter(({ dueMs }) => dueMs <= untilMs).sort((a, b) => a.dueMs - b.dueMs)[0];
      if (next === undefined) break;
      this.#timers = this.#timers.filter((other) => other !== next);
      this.#nowMs = Math.max(this.#nowMs, next.dueMs);
      next.task();
    }
    this.#nowMs = untilMs;
  }
}
