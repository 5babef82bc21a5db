/**
 * The books of all partitions, and the partitions themselves. The ledger is in Redis; what was rejected and lost is in
 * PostgreSQL, and when that is away the last known figures stand in, since the rest is worth showing all the more.
 */
import type { LedgerPort, PartitionsPort } from '../../gateways/admin/admin-port.ts';
import type { Connection } from '../../gateways/postgres/connection.ts';
import { PostgresRejectStore } from '../../gateways/postgres/reject-store.ts';
import { PostgresWitnessStore } from '../../gateways/postgres/witness-store.ts';
import { sleep } from '../../runtime/clock.ts';
import type { Clock } from '../../runtime/clock.ts';
import { START } from '../../runtime/durable/durable-store.ts';
import type { DurableStore } from '../../runtime/durable/durable-store.ts';
import { CodedError } from '../../runtime/errors.ts';
import type { PartitionOwner } from '../node-status.ts';
import { ledgerDocument } from './ledger-document.ts';
import type { OutsideFigures } from './ledger-document.ts';

export interface LedgerPortOptions {
  store: DurableStore;
  database: Connection;
  clock: Clock;
  partitions: number;
  owners: () => Promise<PartitionOwner[]>;
}

const LOSSES_MAX = 10_000;
/** How long the ledger waits for what PostgreSQL knows. */
const OUTSIDE_WAIT_MS = 1_000;
const INPUT_LANE = 'ingest';

export function ledgerPorts(options: LedgerPortOptions): { ledger: LedgerPort; partitions: PartitionsPort } {
  const { store, clock, partitions } = options;
  const readOutside = outsideReader(options);
  const ledger: LedgerPort = {
    read: async () => ledgerDocument(store, partitions, await readOutside()),
  };
  return {
    ledger,
    partitions: {
      list: async () => {
        const [books, owners, oldest] = await Promise.all([
          ledger.read(),
          options.owners(),
          oldestEntries(store, partitions),
        ]);
        const workerOf = (role: PartitionOwner['role'], partition: number): string | null =>
          owners.find((owner) => owner.role === role && owner.partition === partition)?.worker ?? null;
        return books.partitions.map((book) => ({
          ...book,
          match_worker: workerOf('match', book.partition),
          forward_worker: workerOf('forward', book.partition),
          oldest_at: oldest.get(book.partition) ?? null,
        }));
      },
    },
  };

  /** One question at a time; whoever comes meanwhile gets the same answer. */
  function outsideReader({ database }: LedgerPortOptions): () => Promise<OutsideFigures> {
    const rejects = new PostgresRejectStore(database);
    const witness = new PostgresWitnessStore(database);
    let outside: OutsideFigures | undefined;
    let reading: Promise<void> | undefined;
    const read = async (): Promise<void> => {
      const [totals, losses] = await Promise.all([rejects.totals(), witness.losses(LOSSES_MAX)]);
      const lost = new Map<number, number>();
      for (const { partition, from, to } of losses)
        lost.set(partition, (lost.get(partition) ?? 0) + to - from + 1);
      const rejected = totals.reduce((sum, { keptRows, droppedRows }) => sum + keptRows + droppedRows, 0);
      outside = { rejected, lost };
    };
    return async () => {
      reading ??= read().finally(() => {
        reading = undefined;
      });
      const tooLong = new AbortController();
      try {
        await Promise.race([reading, sleep(clock, OUTSIDE_WAIT_MS, tooLong.signal)]);
      } catch (thrown) {
        if (outside === undefined) throw thrown;
      } finally {
        tooLong.abort();
      }
      if (outside !== undefined) return outside;
      throw new CodedError('E_DATABASE_AWAY', 'PostgreSQL has not said yet what was rejected and lost', {
        kind: 'transient',
      });
    };
  }
}

/** When the entry that waits longest for matching was stored, by partition. */
async function oldestEntries(store: DurableStore, partitions: number): Promise<Map<number, string>> {
  const heads = Array.from({ length: partitions }, (_, partition) => ({
    partition,
    lane: INPUT_LANE,
    afterId: START,
  }));
  const entries = await store.read(heads, { entriesMax: 1, blockMs: 0 });
  return new Map(entries.map(({ partition, storedAtMs }) => [partition, new Date(storedAtMs).toISOString()]));
}
