/**
 * A look at what is open, again and again while anything is: silent peers, keys that no longer hold.
 *
 * Invariant: no timer waits when nothing is open, and none keeps the process alive.
 */
import type { Clock } from '../../runtime/clock.ts';

export interface RepeatedLookOptions {
  clock: Clock;
  everyMs: number;
  /** Must not throw. */
  look: () => void;
  isAnyOpen: () => boolean;
}

export class RepeatedLook {
  readonly #options: RepeatedLookOptions;
  #cancel: (() => void) | undefined;

  constructor(options: RepeatedLookOptions) {
    this.#options = options;
  }

  /** Something was opened. Safe to call at any time. */
  start(): void {
    const { clock, everyMs, look, isAnyOpen } = this.#options;
    this.#cancel ??= clock.after(
      everyMs,
      () => {
        this.#cancel = undefined;
        look();
        if (isAnyOpen()) this.start();
      },
      { ref: false },
    );
  }

  stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }
}
