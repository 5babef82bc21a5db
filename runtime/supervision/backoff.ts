/**
 * How long to wait before the next restart: exponential, capped, with jitter, back to the start after a quiet time.
 *
 * Pure but for its own attempt count; time and chance come in. Invariant: 0 <= delay <= maxMs.
 */
import { assert, assertNever } from '../assert.ts';

/** `full`: anywhere from 0 to the step. `equal`: half the step and up to half more. `none`: the step itself. */
export type Jitter = 'full' | 'equal' | 'none';

export interface BackoffOptions {
  /** The first step. */
  initialMs: number;
  /** No step is longer. */
  maxMs: number;
  /** Each step is this times the one before. Default 2. */
  factor?: number;
  /** Default `equal`: spreads restarts, and still always waits. */
  jitter?: Jitter;
  /** Without a failure for so long after the last wait was over, the next one is a first again. */
  resetAfterMs: number;
}

/** For a restart that must wait although its spec says nothing: one that does not count towards the intensity. */
export const BACKOFF_DEFAULT: BackoffOptions = { initialMs: 50, maxMs: 10_000, resetAfterMs: 30_000 };

export class Backoff {
  private readonly options: BackoffOptions;
  /** Uniform in [0, 1). */
  private readonly random: () => number;
  private failures = 0;
  private waitOverMs = 0;

  constructor(options: BackoffOptions, random: () => number) {
    this.options = options;
    this.random = random;
  }

  /** A failure at `nowMs` (monotonic): how long to wait from now, in milliseconds. */
  next(nowMs: number): number {
    const { initialMs, maxMs, factor = 2, resetAfterMs } = this.options;
    if (this.failures > 0 && nowMs - this.waitOverMs >= resetAfterMs) this.failures = 0;
    const stepMs = Math.min(maxMs, initialMs * factor ** this.failures);
    // Beyond the cap the exponent would grow to Infinity for nothing.
    if (stepMs < maxMs) this.failures++;
    else this.failures = Math.max(this.failures, 1);
    const delayMs = this.jittered(stepMs);
    this.waitOverMs = nowMs + delayMs;
    return delayMs;
  }

  reset(): void {
    this.failures = 0;
  }

  private jittered(stepMs: number): number {
    const { jitter = 'equal' } = this.options;
    const chance = this.random();
    assert(chance >= 0 && chance < 1, 'the random source is uniform in [0, 1)');
    switch (jitter) {
      case 'full':
        return chance * stepMs;
      case 'equal':
        return stepMs / 2 + (chance * stepMs) / 2;
      case 'none':
        return stepMs;
      default:
        return assertNever(jitter);
    }
  }
}
