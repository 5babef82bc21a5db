/** Where alerts wait in the outbox: what PostgreSQL has of them, as far as it counts by the books in Redis. */
import { alertLane } from '../../actors/forward/messages.ts';
import type { PostgresAlertOutbox } from '../../gateways/postgres/alert-outbox.ts';
import type { LineageAlertDocument } from '../../gateways/admin/lineage-documents.ts';
import type { DurableStore } from '../../runtime/durable/durable-store.ts';
import { kindOf } from '../../runtime/errors.ts';

type OutboxDocument = NonNullable<LineageAlertDocument['outbox']>;

/** By alert; empty while a store is away. */
export async function findInOutbox(
  outbox: Pick<PostgresAlertOutbox, 'find'>,
  store: Pick<DurableStore, 'ledger'>,
  alertIds: readonly string[],
): Promise<ReadonlyMap<string, OutboxDocument>> {
  const found = new Map<string, OutboxDocument>();
  try {
    for (const { alertId, partition, destination, number, spilledAtMs } of await outbox.find(alertIds)) {
      const { spilled } = await store.ledger(partition, { terminal: [], inputLanes: [] });
      const { taken = 0, last = 0 } = spilled[alertLane(destination)] ?? {};
      if (number <= taken || number > last) continue;
      found.set(alertId, { alerts_before: number - taken - 1, since: new Date(spilledAtMs).toISOString() });
    }
  } catch (thrown) {
    if (kindOf(thrown) !== 'transient') throw thrown;
    found.clear();
  }
  return found;
}
