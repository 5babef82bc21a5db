/**
 * How much may pass: a burst, and then so much a second. What was too much is counted.
 *
 * Not a queue: what is refused is gone. Invariant: the counts given out and the one still held add up to all refusals.
 */
import type { Clock } from './clock.ts';

export interface TokenBucketOptions {
  burst: number;
  perSecond: number;
}

export class TokenBucket {
  private readonly clock: Clock;
  private readonly options: TokenBucketOptions;
  private tokens: number;
  private filledAtMs: number;
  private leftOut = 0;

  constructor(options: TokenBucketOptions, clock: Clock) {
    this.options = options;
    this.clock = clock;
    this.tokens = options.burst;
    this.filledAtMs = clock.monotonicMs();
  }

  /** Undefined when this one is too many; else how many before it were. */
  take(): number | undefined {
    const { burst, perSecond } = this.options;
    const nowMs = this.clock.monotonicMs();
    this.tokens = Math.min(burst, this.tokens + ((nowMs - this.filledAtMs) * perSecond) / 1_000);
    this.filledAtMs = nowMs;
    if (this.tokens < 1) {
      this.leftOut += 1;
      return undefined;
    }
    this.tokens -= 1;
    const { leftOut } = this;
    this.leftOut = 0;
    return leftOut;
  }
}
