/**
 * How long an alert waits before it is sent again: twice as long after each failure, up to a limit, with jitter so that
 * the alerts an outage held up do not come back all at once. A wait that the destination asked for (Retry-After) takes
 * the place of this one, in the lane.
 */

export interface RetryLimits {
  /** The wait after the first failure, before jitter. */
  baseMs: number;
  /** The longest wait, before jitter. */
  delayMsMax: number;
}

/** The share of a wait that is left to chance. */
const JITTER_SHARE = 0.5;

/**
 * Milliseconds until the next attempt. `attempts` counts the failed ones (1 after the first); `random` gives numbers from
 * 0 (inclusive) to 1 (exclusive). The wait lies between half and the whole of the doubled base.
 */
export function retryDelayMs(
  attempts: number,
  random: () => number,
  { baseMs, delayMsMax }: RetryLimits,
): number {
  const doubledMs = Math.min(delayMsMax, baseMs * 2 ** Math.max(0, attempts - 1));
  return Math.round(doubledMs * (1 - JITTER_SHARE * random()));
}
