/** Several plans as one, in order: what a single commit stores for an entry that was handled in pieces. */
import type { CommitPlan } from './durable-store.ts';

export function mergePlans(plans: readonly CommitPlan[]): CommitPlan {
  const counters: Record<string, number> = {};
  for (const plan of plans) {
    for (const [name, amount] of Object.entries(plan.counters ?? {})) {
      counters[name] = (counters[name] ?? 0) + amount;
    }
  }
  return {
    outputs: plans.flatMap(({ outputs }) => outputs ?? []),
    delayed: plans.flatMap(({ delayed }) => delayed ?? []),
    counters,
    openGroups: plans.flatMap(({ openGroups }) => openGroups ?? []),
    settleGroups: plans.flatMap(({ settleGroups }) => settleGroups ?? []),
  };
}
