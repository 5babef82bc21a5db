/**
 * How long an alert waits before it is sent again: twice as long after each failure, up to a limit, with jitter so that
 * the alerts an outage held up do not come back all at once. A wait that the destination asked for is kept.
 */

export interface RetryLimits {
  /** The wait after the first failure, before jitter. */
  baseMs: number;
  /** The longest wait, before jitter. */
  delayMsMax: number;
}

export const DEFAULT_RETRY_LIMITS: RetryLimits = { baseMs: 1_000, delayMsMax: 60_000 };

/** The share of a wait that is left to chance. */
const JITTER_SHARE = 0.5;

/**
 * Milliseconds until the next attempt. `attempts` counts the failed ones (1 after the first); `random` gives numbers from
 * 0 (inclusive) to 1 (exclusive). The wait lies between half and the whole of the doubled base; with `retryAfterMs`, it
 * is that long at least and no more than half the base longer.
 */
export function retryDelayMs(
  attempts: number,
  random: () => number,
  retryAfterMs?: number,
  limits: RetryLimits = DEFAULT_RETRY_LIMITS,
): number {
  const doubledMs = Math.min(limits.delayMsMax, limits.baseMs * 2 ** Math.max(0, attempts - 1));
  const delayMs = Math.round(doubledMs * (1 - JITTER_SHARE * random()));
  if (retryAfterMs === undefined || delayMs >= retryAfterMs) return delayMs;
  return Math.round(retryAfterMs + limits.baseMs * JITTER_SHARE * random());
}
