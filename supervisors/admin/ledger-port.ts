/**
 * The ledger. The books are in Redis; what was rejected and lost is in PostgreSQL, and when that is away the last known
 * figures stand in, since the rest is worth showing all the more.
 */
import type { LedgerPort } from '../../gateways/admin/admin-port.ts';
import type { Connection } from '../../gateways/postgres/connection.ts';
import { PostgresRejectStore } from '../../gateways/postgres/reject-store.ts';
import type { RejectTotals } from '../../gateways/postgres/reject-store.ts';
import { PostgresWitnessStore } from '../../gateways/postgres/witness-store.ts';
import { sleep } from '../../runtime/clock.ts';
import type { Clock } from '../../runtime/clock.ts';
import { CodedError } from '../../runtime/errors.ts';
import type { Books } from './books.ts';
import { ledgerDocument } from './ledger-document.ts';
import type { OutsideFigures, RejectFigures } from './ledger-document.ts';

export interface LedgerPortOptions {
  books: Books;
  database: Connection;
  /** Whose losses are shown. */
  storeName: string;
  clock: Clock;
}

const LOSSES_MAX = 10_000;
/** How long the ledger waits for what PostgreSQL knows. */
const OUTSIDE_WAIT_MS = 1_000;

export interface LedgerAndRejects extends LedgerPort {
  /** As the ledger: now, or the last known figures. */
  rejects(): Promise<RejectFigures>;
}

export function ledgerPort(options: LedgerPortOptions): LedgerAndRejects {
  const { books } = options;
  const readOutside = outsideReader(options);
  return {
    read: async () => {
      const outside = await readOutside();
      return ledgerDocument(await books.read(), outside);
    },
    rejects: async () => (await readOutside()).rejects,
  };
}

/** One question at a time; whoever comes meanwhile gets the same answer. */
function outsideReader({ database, storeName, clock }: LedgerPortOptions): () => Promise<OutsideFigures> {
  const rejects = new PostgresRejectStore(database);
  const witness = new PostgresWitnessStore(database, storeName);
  let outside: OutsideFigures | undefined;
  let reading: Promise<void> | undefined;
  const read = async (): Promise<void> => {
    const [totals, losses] = await Promise.all([rejects.totals(), witness.losses(LOSSES_MAX)]);
    const lost = new Map<number, number>();
    for (const { partition, from, to } of losses)
      lost.set(partition, (lost.get(partition) ?? 0) + to - from + 1);
    const sum = (pick: (key: RejectTotals) => number): number =>
      totals.reduce((all, key) => all + pick(key), 0);
    outside = {
      rejects: {
        kept: sum(({ keptRows }) => keptRows),
        keptBytes: sum(({ keptBytes }) => keptBytes),
        evicted: sum(({ droppedRows }) => droppedRows),
        resubmitted: sum(({ resubmittedRows }) => resubmittedRows),
        discarded: sum(({ discardedRows }) => discardedRows),
      },
      lost,
    };
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
