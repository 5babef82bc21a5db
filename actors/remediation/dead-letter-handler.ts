/**
 * Takes dead letters out of their mailbox into the store where a person can look at them. They stay in flight in the
 * books until somebody replays or discards them.
 */
import type { Batch } from '../../runtime/durable/consumer.ts';
import type { CommitPlan } from '../../runtime/durable/durable-store.ts';
import type { DeadLetter, DeadLetterStore } from '../ports.ts';
import { decodeStoredAlert } from '../forward/messages.ts';

/** Idempotent. */
export async function keepDeadLetters(
  batch: Batch,
  store: DeadLetterStore,
  count: (n: number) => void,
): Promise<CommitPlan> {
  const letters = batch.pieces.map(({ entry }): DeadLetter => {
    const { alert, attempts, reason, error, firstFailedAtMs, lastFailedAtMs } = decodeStoredAlert(
      entry.payload,
    );
    return {
      alert,
      partition: batch.partition,
      destination: alert.destination,
      reason: reason ?? 'rejected',
      error: error ?? '',
      attempts: Math.max(1, attempts),
      firstFailedAtMs: firstFailedAtMs ?? entry.storedAtMs,
      lastFailedAtMs: lastFailedAtMs ?? entry.storedAtMs,
    };
  });
  await store.keep(letters);
  count(letters.length);
  return { counters: { alerts_kept: letters.length } };
}
