/** What other Redis have left in PostgreSQL, for the API. What is taken over is this node's Redis' from then on. */
import type { AdoptionsPort } from '../../gateways/admin/admin-port.ts';
import type { AdoptionDocument } from '../../gateways/admin/failure-documents.ts';
import type { Adopted, PostgresStoreAdoption } from '../../gateways/postgres/store-adoption.ts';
import { authorOf } from './documents.ts';

export interface AdoptionsPortOptions {
  adoptions: PostgresStoreAdoption;
  storeName: string;
  partitions: number;
}

export function adoptionsPort({ adoptions, storeName, partitions }: AdoptionsPortOptions): AdoptionsPort {
  const documentOf = (
    store: string,
    { letters, outboxAlerts, resubmissions }: Adopted,
    left: number,
  ): AdoptionDocument => ({
    store,
    adopted_by: storeName,
    letters,
    outbox_alerts: outboxAlerts,
    resubmissions,
    left,
  });
  return {
    stores: async () =>
      (await adoptions.list()).map((remains) => ({
        store: remains.store,
        is_own: remains.store === storeName,
        node: remains.node,
        seen_at: remains.seenAtMs === null ? null : new Date(remains.seenAtMs).toISOString(),
        is_stranded: remains.isStranded,
        letters: remains.letters,
        outbox_alerts: remains.outboxAlerts,
        resubmissions: remains.resubmissions,
      })),
    preview: async (store) => {
      const adopted = await adoptions.preview(store);
      return adopted === undefined ? undefined : documentOf(store, adopted, 0);
    },
    adopt: async (store, change) => {
      const adopted = await adoptions.adopt(store, { store: storeName, partitions }, authorOf(change));
      return adopted === undefined ? undefined : documentOf(store, adopted, adopted.left);
    },
  };
}
