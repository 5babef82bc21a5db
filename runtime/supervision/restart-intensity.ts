/**
 * How often is too often: restarts in a sliding window over monotonic milliseconds.
 *
 * Every restart counts, not only the last (a window measured from the last failure never fills under a slow drip).
 * Memory is bounded: to know whether more than `restartsMax` lie in the window, the last `restartsMax + 1` times are
 * enough. Invariant: `record` says false exactly when more than `restartsMax` recorded times t hold now - t < windowMs.
 */
import { assert } from '../assert.ts';

export interface RestartIntensityOptions {
  /** So many restarts within the window are borne; 0 bears none. */
  restartsMax: number;
  windowMs: number;
}

export class RestartIntensity {
  private readonly windowMs: number;
  private readonly timesMs: Float64Array;
  private next = 0;
  private recorded = 0;

  constructor({ restartsMax, windowMs }: RestartIntensityOptions) {
    assert(Number.isSafeInteger(restartsMax) && restartsMax >= 0, 'restartsMax is a whole number >= 0');
    assert(windowMs > 0, 'windowMs is above 0');
    this.windowMs = windowMs;
    this.timesMs = new Float64Array(restartsMax + 1);
  }

  /** Counts a restart at `nowMs` (never before an earlier one). False when that is one too many. */
  record(nowMs: number): boolean {
    this.timesMs[this.next] = nowMs;
    this.next = (this.next + 1) % this.timesMs.length;
    this.recorded = Math.min(this.recorded + 1, this.timesMs.length);
    // Times never fall: when the oldest kept one lies in the window, all do.
    const isFull = this.recorded === this.timesMs.length;
    return !isFull || nowMs - (this.timesMs[this.next] as number) >= this.windowMs;
  }

  /** Restarts in the window that ends at `nowMs`; counts no further than one above the maximum. */
  inWindow(nowMs: number): number {
    let count = 0;
    for (let index = 0; index < this.recorded; index++) {
      if (nowMs - (this.timesMs[index] as number) < this.windowMs) count++;
    }
    return count;
  }
}
