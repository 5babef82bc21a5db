/**
 * The in-memory store's books of what waits outside: the counterpart of `scripts/spill.lua`, and of its part in
 * `scripts/commit.lua`.
 */
import type { CommitRequest, SpillLook } from './durable-store.ts';
import type { MemoryPartition } from './memory-partition.ts';

/** Whether the numbers of the commit's spills or refill follow those that are known. */
export function goesOn(state: MemoryPartition, { spills, refill }: CommitRequest): boolean {
  if (spills !== undefined && spills.attempt !== state.number('spill:attempt')) return false;
  if (refill !== undefined && refill.after !== state.number(`spill:${refill.lane}:taken`)) return false;
  return (spills?.lanes ?? []).every(({ lane, after }) => after === state.number(`spill:${lane}:last`));
}

export function hasSpilled(state: MemoryPartition, lane: string): boolean {
  return state.number(`spill:${lane}:last`) > state.number(`spill:${lane}:taken`);
}

/** Returns the anomalies. */
export function bookSpills(state: MemoryPartition, { spills, refill }: CommitRequest): number {
  for (const { lane, after, count, bytes } of spills?.lanes ?? []) {
    state.put(`spill:${lane}:last`, after + count);
    state.add(`spill:${lane}:bytes`, bytes);
    state.add('spill:messages', count);
    state.add('spill:bytes', bytes);
  }
  if (refill === undefined) return 0;
  const { lane, after, count, missing } = refill;
  const isLast = after + count >= state.number(`spill:${lane}:last`);
  const bytes = isLast ? state.number(`spill:${lane}:bytes`) : refill.bytes;
  state.put(`spill:${lane}:taken`, after + count);
  state.add(`spill:${lane}:bytes`, -bytes);
  state.add('spill:messages', -count);
  state.add('spill:bytes', -bytes);
  return missing;
}

/** With a time, a new attempt begins. */
export function lookAtSpills(
  state: MemoryPartition,
  lanes: readonly string[],
  attemptAtMs: number | undefined,
): SpillLook {
  if (attemptAtMs !== undefined) {
    state.put('spill:attempt', Math.max(state.number('spill:attempt') + 1, Math.floor(attemptAtMs)));
  }
  const found = lanes.map((lane) => {
    const of = (name: string): number => state.number(`spill:${lane}:${name}`);
    const entries = state.streams.get(lane)?.length ?? 0;
    const entryBytes = state.number(`lane:${lane}:bytes`);
    return [lane, { last: of('last'), taken: of('taken'), bytes: of('bytes'), entries, entryBytes }] as const;
  });
  return {
    status: 'looked',
    attempt: state.number('spill:attempt'),
    waiting: { messages: state.number('spill:messages'), bytes: state.number('spill:bytes') },
    lanes: Object.fromEntries(found),
  };
}
