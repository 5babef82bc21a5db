/**
 * Limits how often each caller may ask: one token bucket per name.
 *
 * The number of buckets is bounded: past it the one used longest ago is forgotten, which only ever gives its caller
 * more. The limits may change while it runs; a lower burst cuts what was saved up.
 */
import type { Clock } from '../../runtime/clock.ts';

export interface RateLimits {
  requestsPerSecond: number;
  burst: number;
}

export interface RateVerdict {
  isAllowed: boolean;
  /** Whole requests left at once. */
  remaining: number;
  /** Seconds, rounded up, until there is one more; 0 when there is. */
  retryAfterS: number;
}

export interface RateLimiterOptions {
  clock: Clock;
  limits: RateLimits;
  bucketsMax?: number;
}

export const RATE_BUCKETS_MAX = 4_096;

export class RateLimiter {
  readonly #clock: Clock;
  readonly #bucketsMax: number;
  /** In the order of use. */
  readonly #buckets = new Map<string, { tokens: number; atMs: number }>();
  #limits: RateLimits;

  constructor({ clock, limits, bucketsMax = RATE_BUCKETS_MAX }: RateLimiterOptions) {
    this.#clock = clock;
    this.#limits = limits;
    this.#bucketsMax = bucketsMax;
  }

  get limits(): RateLimits {
    return this.#limits;
  }
  set limits(limits: RateLimits) {
    this.#limits = limits;
  }
  get buckets(): number {
    return this.#buckets.size;
  }

  /** Takes one token of this caller's bucket, if there is one. */
  take(name: string): RateVerdict {
    const { requestsPerSecond, burst } = this.#limits;
    const nowMs = this.#clock.monotonicMs();
    const bucket = this.#buckets.get(name);
    const saved =
      bucket === undefined ? burst : bucket.tokens + ((nowMs - bucket.atMs) / 1_000) * requestsPerSecond;
    const tokens = Math.min(burst, saved);
    const isAllowed = tokens >= 1;
    const left = isAllowed ? tokens - 1 : tokens;
    this.#buckets.delete(name);
    this.#buckets.set(name, { tokens: left, atMs: nowMs });
    if (this.#buckets.size > this.#bucketsMax) {
      const oldest = this.#buckets.keys().next();
      if (!oldest.done) this.#buckets.delete(oldest.value);
    }
    const retryAfterS = left >= 1 ? 0 : Math.ceil((1 - left) / requestsPerSecond);
    return { isAllowed, remaining: Math.floor(left), retryAfterS };
  }
}
