/** How long the stages of the way took between two looks at the histograms of a node. */
import type { NodeUnderTest } from '../../spec/support/node-under-test.ts';
import { STAGES } from '../../supervisors/threads/stage-latency.ts';

/** Counts of observations up to each bound (seconds), over all labels; by stage. */
type Look = ReadonlyMap<string, ReadonlyMap<number, number>>;

export async function lookAtStages(node: NodeUnderTest): Promise<Look> {
  const { body } = await node.admin<string>('/metrics');
  return new Map(STAGES.map((stage) => [stage, bucketsOf(body, stage)]));
}

function bucketsOf(metrics: string, stage: string): Map<number, number> {
  const buckets = new Map<number, number>();
  const line = new RegExp(`^mutt_${stage}_seconds_bucket\\{(?:.*,)?le="([^"]+)".*\\} (\\d+)$`, 'gm');
  for (const [, bound = '', count] of metrics.matchAll(line)) {
    const upTo = bound === '+Inf' ? Infinity : Number(bound);
    buckets.set(upTo, (buckets.get(upTo) ?? 0) + Number(count));
  }
  return buckets;
}

/** The bound (ms) of the bucket in which the median was, of each stage that anything was seen of. */
export function mediansBetween(before: Look, after: Look): Record<string, number> {
  const medians: Record<string, number> = {};
  for (const [stage, buckets] of after) {
    const grown = [...buckets]
      .map(([bound, count]) => ({ bound, count: count - (before.get(stage)?.get(bound) ?? 0) }))
      .sort((a, b) => a.bound - b.bound);
    const all = grown.at(-1)?.count ?? 0;
    const middle = grown.find(({ count }) => count >= all / 2);
    if (all > 0 && middle !== undefined)
      medians[`${stage.replaceAll('_', ' ')} p50 ms up to`] = middle.bound * 1_000;
  }
  return medians;
}
