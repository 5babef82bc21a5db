/**
 * Compares the witness with the store one partition at a time, and tells of each loss as soon as it is found.
 *
 * The comparison itself makes the store forget that there was a loss (it raises its numbers), so what is found must be
 * told before the next partition is asked: the store may be away again by then, and nobody would ever find it again.
 */
import type { LostRange, Witness } from '../../runtime/durable/witness.ts';

/** Rejects with the store's error; the partitions before it are done and told. */
export async function reconcileEach(
  witness: Pick<Witness, 'reconcile'>,
  store: Parameters<Witness['reconcile']>[0],
  partitions: readonly number[],
  onLost: (ranges: LostRange[]) => void,
): Promise<void> {
  for (const partition of partitions) {
    const ranges = await witness.reconcile(store, [partition]);
    if (ranges.length > 0) onLost(ranges);
  }
}
