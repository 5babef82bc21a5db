/**
 * A percentile from the cumulative buckets of a histogram. No I/O.
 */

export interface Bucket {
  /** Upper bound; Infinity of the last. */
  boundMs: number;
  /** Observations no slower than that. */
  count: number;
}

/**
 * `share`: 0 to 1. `buckets`: ascending. Within a bucket, observations are taken to be spread evenly. Infinity past the
 * last bound, undefined without an observation.
 */
export function percentile(buckets: readonly Bucket[], share: number): number | undefined {
  const total = buckets.at(-1)?.count ?? 0;
  if (total <= 0) return undefined;
  const rank = total * share;
  const index = buckets.findIndex(({ count }) => count >= rank);
  const upper = buckets[index];
  const lower = buckets[index - 1] ?? { boundMs: 0, count: 0 };
  if (upper === undefined || upper.boundMs === Infinity) return Infinity;
  const part = (rank - lower.count) / (upper.count - lower.count);
  return lower.boundMs + part * (upper.boundMs - lower.boundMs);
}
