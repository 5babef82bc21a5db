/**
 * A ring of looks at something that only grows, so that what is said of it is of the last while and not of its whole life.
 * Its size is fixed.
 */
import type { Clock } from '../runtime/clock.ts';

export interface LookRingOptions<T> {
  clock: Clock;
  everyMs: number;
  /** How far back the oldest look is at most. */
  windowMs: number;
  read: () => T;
}

export class LookRing<T> {
  readonly #options: LookRingOptions<T>;
  /** Oldest first. */
  readonly #looks: { atMs: number; value: T }[] = [];
  #cancel: (() => void) | undefined;

  constructor(options: LookRingOptions<T>) {
    this.#options = options;
    this.#look();
  }

  get oldest(): { atMs: number; value: T } | undefined {
    return this.#looks[0];
  }

  /** Looks now and then until it is stopped. Idempotent, like `stop`. */
  start(): void {
    const { clock, everyMs } = this.#options;
    this.#cancel ??= clock.after(
      everyMs,
      () => {
        this.#cancel = undefined;
        this.#look();
        this.start();
      },
      { ref: false },
    );
  }

  stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }

  #look(): void {
    const { clock, everyMs, windowMs, read } = this.#options;
    this.#looks.push({ atMs: clock.monotonicMs(), value: read() });
    if (this.#looks.length > windowMs / everyMs + 1) this.#looks.shift();
  }
}
