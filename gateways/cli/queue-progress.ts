/**
 * How the queues of a node get on: their mailboxes in all partitions, summed up.
 */
import type { PartitionProgress } from './admin-documents.ts';

export interface QueueProgress {
  /** Until the last of its mailboxes is empty; null while that of one is not known. */
  etaSeconds: number | null;
  /** What holds most of its partitions back; one of no use, because nothing waits for a destination, is left out. */
  pause: { reason: string; detail: string; partitions: number } | undefined;
}

/** By name of the queue, in the order in which the node lists them. */
export function queueProgress(partitions: readonly PartitionProgress[]): ReadonlyMap<string, QueueProgress> {
  const mailboxes = partitions.flatMap(({ mailboxes: all = [] }) => all);
  const byName = Map.groupBy(mailboxes, ({ mailbox }) => mailbox);
  return new Map(
    [...byName].map(([name, all]) => {
      const etas = all.map(({ depth, eta_seconds: eta = null }) => (depth === 0 ? 0 : eta));
      const pauses = new Map<string, NonNullable<QueueProgress['pause']>>();
      for (const { depth, paused } of all) {
        if (paused === undefined || paused === null || (depth === 0 && name.startsWith('alert:'))) continue;
        const { reason, detail } = paused;
        const known = pauses.get(reason) ?? { reason, detail, partitions: 0 };
        pauses.set(reason, { ...known, partitions: known.partitions + 1 });
      }
      const [pause] = [...pauses.values()].sort((a, b) => b.partitions - a.partitions);
      return [name, { etaSeconds: etas.includes(null) ? null : Math.max(...(etas as number[])), pause }];
    }),
  );
}
