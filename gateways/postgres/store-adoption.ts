/**
 * Which Redis there are behind this PostgreSQL, and what one that is gone for good has left here: dead letters, alerts in
 * its outboxes, unfinished resubmissions. Another one takes that over when an operator says so.
 *
 * Invariants: nothing is taken from a store of which a node lives, or lived a while ago; what is taken over, its audit entry
 * and the end of what it was before are one transaction; an alert that was on its way becomes a letter that waits again, so
 * it may come twice and is never lost. The books are right by themselves: the other Redis does not know the events of such
 * letters, and books them as replayed (letter-releaser.ts).
 */
import { decodeStoredAlert } from '../../actors/forward/messages.ts';
import type { DeadLetter } from '../../actors/ports.ts';
import { CodedError } from '../../runtime/errors.ts';
import { boundedSearch } from './bounded-search.ts';
import { recordChanges } from './change-record.ts';
import type { ChangeAuthor } from './configuration-change.ts';
import type { Connection, Statements, Transaction } from './connection.ts';
import { PostgresDeadLetterStore } from './dead-letter-store.ts';

/** Times in ms since 1970. */
export interface StoreRemains {
  store: string;
  /** The one that said last that it lives. */
  node: string | null;
  /** When it did. */
  seenAtMs: number | null;
  /** No node of it has said for a while that it lives. */
  isStranded: boolean;
  /** Dead letters that have not ended. */
  letters: number;
  outboxAlerts: number;
  /** Under way. */
  resubmissions: number;
}
export type Adopted = Pick<StoreRemains, 'letters' | 'outboxAlerts' | 'resubmissions'>;

/** A restart, and the repair of a machine by hand, are over by then or nobody waits for them. */
export const STRANDED_AFTER_MS = 300_000;
const STORES_MAX = 1_000;
/** At a time, so that a transaction ends in time. */
const LETTERS_AT_ONCE = 50_000;
const OUTBOX_ALERTS_AT_ONCE = 5_000;
const RESOURCE = 'stores';
const WHY = 'its Redis was given up';

interface RemainsRow {
  store: string;
  node: string | null;
  seen_ms: number | null;
  is_stranded: boolean;
  letters: number;
  outbox_alerts: number;
  resubmissions: number;
}

/** Errors of all: those of Connection. */
export class PostgresStoreAdoption {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** A node of this store lives. */
  async note(store: string, node: string): Promise<void> {
    await this.#connection.rows('note_store', [store, node]);
  }

  /** Those that were seen last first. Errors: E_SEARCH_TOO_LONG. */
  list(): Promise<StoreRemains[]> {
    const mend = 'Ask again when PostgreSQL has less to do.';
    return boundedSearch(this.#connection, { mend }, (transaction) => remainsOf(transaction, null));
  }

  /** What `adopt` would take over. Undefined when there is no such store. Errors: E_STORE_ALIVE. */
  async preview(store: string): Promise<Adopted | undefined> {
    const [remains] = await remainsOf(this.#connection, store);
    if (remains === undefined) return undefined;
    refuseLiving(remains);
    return remains;
  }

  /**
   * One part of it; `left` says whether there is more. Undefined when there is no such store. Errors: E_STORE_ALIVE.
   * `partitions`: how many the other one has.
   */
  adopt(
    store: string,
    into: { store: string; partitions: number },
    author: ChangeAuthor,
  ): Promise<(Adopted & { left: number }) | undefined> {
    return this.#connection.transaction(async (transaction) => {
      const [before] = await remainsOf(transaction, store);
      if (before === undefined) return undefined;
      await transaction.rows('lock_store', [store]);
      // Once more: a node may have come back until the row was ours.
      const [remains = before] = await remainsOf(transaction, store);
      refuseLiving(remains);
      const { letters } = await transaction.row<{ letters: number }>('take_over_letters', [
        store,
        into.store,
        into.partitions,
        LETTERS_AT_ONCE,
        WHY,
      ]);
      await transaction.rows('drop_empty_batches', [store]);
      const outboxAlerts = await emptyOutbox(transaction, store, into);
      const resubmissions = (
        await transaction.rows('take_over_resubmissions', [store, into.store, into.partitions])
      ).length;
      const adopted = { letters, outboxAlerts, resubmissions };
      const left = remains.letters - letters + (remains.outboxAlerts - outboxAlerts);
      if (letters + outboxAlerts + resubmissions > 0) {
        const change = {
          operation: 'UPDATE',
          resource: RESOURCE,
          recordKey: store,
          oldValues: { letters: remains.letters, outbox_alerts: remains.outboxAlerts },
          newValues: { adopted_by: into.store, letters, outbox_alerts: outboxAlerts, resubmissions },
        } as const;
        await recordChanges(transaction, [change], author);
      }
      return { ...adopted, left };
    });
  }
}

async function remainsOf(statements: Statements, store: string | null): Promise<StoreRemains[]> {
  const rows = await statements.rows<RemainsRow>('list_stores', [STRANDED_AFTER_MS, store, STORES_MAX]);
  return rows.map((row) => ({
    store: row.store,
    node: row.node,
    seenAtMs: row.seen_ms,
    isStranded: row.is_stranded,
    letters: row.letters,
    outboxAlerts: row.outbox_alerts,
    resubmissions: row.resubmissions,
  }));
}

/** Alerts that were not sent yet become dead letters, which are replayed without a person. */
async function emptyOutbox(
  transaction: Transaction,
  store: string,
  into: { store: string; partitions: number },
): Promise<number> {
  const rows = await transaction.rows<{
    payload: Buffer;
    partition: number;
    spilled_ms: number;
    is_delivered: boolean;
  }>('empty_outbox_of_store', [store, OUTBOX_ALERTS_AT_ONCE]);
  const nowMs = Date.now();
  const letters = rows
    .filter((row) => !row.is_delivered)
    .map(({ payload, partition, spilled_ms: spilledAtMs }): DeadLetter => {
      const { alert, attempts, firstFailedAtMs, replays } = decodeStoredAlert(payload);
      return {
        alert,
        partition: partition % into.partitions,
        destination: alert.destination,
        reason: 'network',
        error: `${WHY} before it was sent`,
        attempts: Math.max(1, attempts),
        firstFailedAtMs: firstFailedAtMs ?? spilledAtMs,
        lastFailedAtMs: nowMs,
        replays: replays ?? 0,
      };
    });
  await new PostgresDeadLetterStore(transaction, into.store).keep(letters);
  return rows.length;
}

function refuseLiving({ store, node, seenAtMs, isStranded }: StoreRemains): void {
  if (isStranded) return;
  const seen = seenAtMs === null ? '' : ` at ${new Date(seenAtMs).toISOString()}`;
  throw new CodedError('E_STORE_ALIVE', `a node of store ${store} lived${seen} (${node ?? 'unknown'})`, {
    mend: `Stop its nodes for good, and wait until they have been silent for ${STRANDED_AFTER_MS / 60_000} minutes.`,
  });
}
