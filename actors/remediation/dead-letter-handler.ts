/**
 * Takes dead letters out of their mailbox into the store where a person can look at them. They stay in flight in the
 * books until somebody replays or discards them.
 */
import type { Batch } from '../../runtime/durable/consumer.ts';
import type { CommitPlan } from '../../runtime/durable/durable-store.ts';
import { wasShed } from '../ports.ts';
import type { DeadLetter, DeadLetterStore, FailedReplay } from '../ports.ts';
import { decodeStoredAlert } from '../forward/messages.ts';

/** Idempotent. */
export async function keepDeadLetters(
  batch: Batch,
  store: DeadLetterStore,
  /** Of those that were not shed: these were counted when they were. */
  count: (n: number) => void,
  onFailed: (failed: readonly FailedReplay[]) => void = () => undefined,
): Promise<CommitPlan> {
  const letters = batch.pieces.map(({ entry }): DeadLetter => {
    const { alert, attempts, reason, error, firstFailedAtMs, lastFailedAtMs, replays } = decodeStoredAlert(
      entry.payload,
    );
    return {
      alert,
      partition: batch.partition,
      destination: alert.destination,
      reason: reason ?? 'rejected',
      error: error ?? '',
      attempts: reason !== undefined && wasShed(reason) ? attempts : Math.max(1, attempts),
      firstFailedAtMs: firstFailedAtMs ?? entry.storedAtMs,
      lastFailedAtMs: lastFailedAtMs ?? entry.storedAtMs,
      replays: replays ?? 0,
    };
  });
  const failed = await store.keep(letters);
  count(letters.filter(({ reason }) => !wasShed(reason)).length);
  if (failed.length > 0) onFailed(failed);
  return { counters: { alerts_kept: letters.length } };
}
