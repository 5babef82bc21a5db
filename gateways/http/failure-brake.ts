/**
 * Slows down whoever guesses keys, without slowing anybody else.
 *
 * Counts failures per remote address in a window. The first ones are answered at once; after that each answer waits.
 * Nothing blocks: the wait is a timer, and a valid key from the same address is never delayed. The table of addresses
 * and the number of waiting answers are bounded.
 */
import type { Clock } from '../../runtime/clock.ts';
import { networkOf } from './network-of.ts';

export interface FailureBrakeOptions {
  clock: Clock;
  /** Failures of one address in a window that are answered at once. */
  failuresMax?: number;
  windowMs?: number;
  delayMs?: number;
  /** Addresses kept; past that the one whose window began first is forgotten. */
  addressesMax?: number;
  /** Answers waiting at once, over all addresses; past that the caller is told to break the connection off. */
  waitingMax?: number;
}

export const BRAKE_FAILURES_MAX = 20;
export const BRAKE_WINDOW_MS = 10_000;
export const BRAKE_DELAY_MS = 250;
export const BRAKE_ADDRESSES_MAX = 4_096;
export const BRAKE_WAITING_MAX = 1_024;

export class FailureBrake {
  readonly #clock: Clock;
  readonly #failuresMax: number;
  readonly #windowMs: number;
  readonly #delayMs: number;
  readonly #addressesMax: number;
  readonly #waitingMax: number;
  readonly #windows = new Map<string, { beganMs: number; failures: number }>();
  #waiting = 0;

  constructor(options: FailureBrakeOptions) {
    this.#clock = options.clock;
    this.#failuresMax = options.failuresMax ?? BRAKE_FAILURES_MAX;
    this.#windowMs = options.windowMs ?? BRAKE_WINDOW_MS;
    this.#delayMs = options.delayMs ?? BRAKE_DELAY_MS;
    this.#addressesMax = options.addressesMax ?? BRAKE_ADDRESSES_MAX;
    this.#waitingMax = options.waitingMax ?? BRAKE_WAITING_MAX;
  }

  get waiting(): number {
    return this.#waiting;
  }
  get addresses(): number {
    return this.#windows.size;
  }

  /**
   * Notes one failure of the address (4 or 16 bytes) and says what to do with its answer: `now`, `later` (then call
   * `wait`), or `never` (too many wait already: break the connection off).
   */
  fail(address: ArrayBuffer): 'now' | 'later' | 'never' {
    const key = networkOf(address);
    const nowMs = this.#clock.monotonicMs();
    let window = this.#windows.get(key);
    if (window === undefined || nowMs - window.beganMs >= this.#windowMs) {
      // Deleted first, so that the map stays in the order in which the windows began.
      this.#windows.delete(key);
      window = { beganMs: nowMs, failures: 0 };
      this.#windows.set(key, window);
      if (this.#windows.size > this.#addressesMax) {
        const oldest = this.#windows.keys().next();
        if (!oldest.done) this.#windows.delete(oldest.value);
      }
    }
    window.failures += 1;
    if (window.failures <= this.#failuresMax) return 'now';
    return this.#waiting < this.#waitingMax ? 'later' : 'never';
  }

  /** Calls `answer` after the delay, whatever happened meanwhile: it must know whether the request is still there. */
  wait(answer: () => void): void {
    this.#waiting += 1;
    this.#clock.after(
      this.#delayMs,
      () => {
        this.#waiting -= 1;
        answer();
      },
      { ref: false },
    );
  }
}
