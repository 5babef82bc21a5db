/**
 * Parks rejects in PostgreSQL, bounded in rows and bytes per API key and in all: one noisy sender never pushes out
 * another's. Nothing here reads or resubmits them (see failure-store.ts).
 *
 * What goes at a bound is the oldest, a tenth at once so that not every call pays for it, and is counted in the same
 * transaction. Invariant: after every call no key that was given any holds more than its bound. All together may be over
 * theirs by what several nodes park at the same moment, until the next call of one of them.
 */
import type { ParkedRejects, Reject, RejectStore } from '../../actors/ports.ts';
import { bytesArray, plainArray, textArray } from './array-literal.ts';
import { checkedTextOrNull } from './checked-input.ts';
import type { Connection, Transaction } from './connection.ts';
import { pageOf, rowsFor } from './page.ts';
import type { Page } from './page.ts';
import { evictionOfKey, evictionsOfAll, isOverTotal, REJECT_BOUNDS } from './reject-bounds.ts';
import type { Eviction, KeptRejects, RejectBounds } from './reject-bounds.ts';
import { storableText } from './storable-text.ts';

export type { RejectBounds } from './reject-bounds.ts';

/** Since ever, per API key. Every reject is kept, dropped or discarded; resubmitted ones are among the kept for long. */
export interface RejectTotals extends KeptRejects {
  droppedRows: number;
  droppedBytes: number;
  resubmittedRows: number;
  discardedRows: number;
  discardedBytes: number;
}

interface TotalsRow {
  key_name: string;
  kept_rows: number;
  kept_bytes: number;
  dropped_rows: number;
  dropped_bytes: number;
  resubmitted_rows: number;
  discarded_rows: number;
  discarded_bytes: number;
}

export class PostgresRejectStore implements RejectStore {
  readonly #connection: Connection;
  readonly #bounds: () => RejectBounds;

  /** The bounds are asked for at every use, since they may change. What is left out has its default. */
  constructor(connection: Connection, bounds: () => Partial<RejectBounds> = () => ({})) {
    this.#connection = connection;
    this.#bounds = () => ({ ...REJECT_BOUNDS, ...bounds() });
  }

  /** Idempotent by id. Errors: those of Connection. */
  async park(rejects: readonly Reject[]): Promise<ParkedRejects> {
    if (rejects.length === 0) return { parked: 0, ofKey: 0, ofAll: 0 };
    const { parked, ofKey } = await this.#connection.transaction(async (transaction) => {
      const parked = await transaction.rows<{ key_name: string; parked_rows: number; parked_bytes: number }>(
        'insert_rejects',
        columns(rejects),
      );
      const totals = await transaction.rows<{ key_name: string; kept_rows: number; kept_bytes: number }>(
        'add_reject_totals',
        [
          textArray(parked.map((key) => key.key_name)),
          plainArray(parked.map((key) => key.parked_rows)),
          plainArray(parked.map((key) => key.parked_bytes)),
        ],
      );
      const evictions = totals.flatMap((row) => {
        const kept = { keyName: row.key_name, keptRows: row.kept_rows, keptBytes: row.kept_bytes };
        return evictionOfKey(kept, this.#bounds()) ?? [];
      });
      return {
        parked: parked.reduce((sum, key) => sum + key.parked_rows, 0),
        ofKey: await evict(transaction, evictions),
      };
    });
    // What is parked is parked: when this fails, the next call tries it again.
    return { parked, ofKey, ofAll: await this.#enforceTotal().catch(() => 0) };
  }

  /**
   * Brings every key, and all together, within their bounds: for bounds that were lowered. Resolves to how many went; 0
   * too when somebody else is at it. Errors: those of Connection.
   */
  enforce(): Promise<number> {
    // In a transaction of its own: it locks keys that the caller's may have locked already in another order.
    return this.#connection.transaction(async (transaction) => {
      const { is_locked: isLocked } = await transaction.row<{ is_locked: boolean }>(
        'try_lock_reject_eviction',
      );
      if (!isLocked) return 0;
      const rows = await transaction.rows<TotalsRow>('list_reject_totals');
      return evict(transaction, evictionsOfAll(rows.map(toTotals), this.#bounds()));
    });
  }

  async #enforceTotal(): Promise<number> {
    const sum = await this.#connection.row<{ kept_rows: number; kept_bytes: number }>('sum_reject_totals');
    const kept = { keptRows: sum.kept_rows, keptBytes: sum.kept_bytes };
    return isOverTotal(kept, this.#bounds()) ? this.enforce() : 0;
  }

  async totals(): Promise<RejectTotals[]> {
    const rows = await this.#connection.rows<TotalsRow>('list_reject_totals');
    return rows.map(toTotals);
  }

  /** By name of the key. Errors: E_ROW_INVALID, those of Connection. */
  async page({
    after,
    limit,
  }: {
    after?: string | undefined;
    limit: number;
  }): Promise<Page<RejectTotals, string>> {
    const values = [checkedTextOrNull(after, 'after'), rowsFor(limit)];
    const rows = await this.#connection.rows<TotalsRow>('page_reject_totals', values);
    return pageOf(rows.map(toTotals), limit, ({ keyName }) => keyName);
  }
}

/** In the order of the names, as everybody who locks totals. Resolves to how many went. */
async function evict(transaction: Transaction, evictions: readonly Eviction[]): Promise<number> {
  let evicted = 0;
  for (const { keyName, rows, bytes } of evictions) {
    // First, since what it deletes may be in the hands of whoever waits for the totals.
    await transaction.rows('lock_reject_totals', [[keyName]]);
    const gone = await transaction.row<{ dropped_rows: number }>('delete_oldest_rejects', [
      keyName,
      rows,
      bytes,
    ]);
    evicted += gone.dropped_rows;
  }
  return evicted;
}

function toTotals(row: TotalsRow): RejectTotals {
  return {
    keyName: row.key_name,
    keptRows: row.kept_rows,
    keptBytes: row.kept_bytes,
    droppedRows: row.dropped_rows,
    droppedBytes: row.dropped_bytes,
    resubmittedRows: row.resubmitted_rows,
    discardedRows: row.discarded_rows,
    discardedBytes: row.discarded_bytes,
  };
}

function columns(rejects: readonly Reject[]): string[] {
  return [
    textArray(rejects.map((reject) => storableText(reject.id))),
    plainArray(rejects.map((reject) => reject.receivedAtMs)),
    textArray(rejects.map((reject) => storableText(reject.keyName))),
    textArray(rejects.map((reject) => storableText(reject.sender))),
    textArray(rejects.map((reject) => storableText(reject.correlationId))),
    plainArray(rejects.map((reject) => reject.index)),
    textArray(rejects.map((reject) => storableText(reject.code))),
    textArray(rejects.map((reject) => storableText(reject.message))),
    bytesArray(rejects.map((reject) => reject.body)),
  ];
}
