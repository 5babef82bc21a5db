/**
 * Parks rejects in PostgreSQL, bounded in rows and bytes per API key: one noisy sender never pushes out another's.
 *
 * At the bound the oldest go, a tenth at once so that not every call pays for it; what went is counted in the same
 * transaction. Invariant: after every call no key holds more than its bound.
 */
import type { Reject, RejectStore } from '../../actors/ports.ts';
import { bytesArray, plainArray, textArray } from './array-literal.ts';
import type { Connection, Transaction } from './connection.ts';
import { storableText } from './storable-text.ts';

export interface RejectBounds {
  /** Per API key; default 250,000: several requests of nothing but rejects. */
  rowsMax?: number;
  /** Of bodies, per API key; default 256 MiB. */
  bytesMax?: number;
}

/** Since ever, per API key. */
export interface RejectTotals {
  keyName: string;
  keptRows: number;
  keptBytes: number;
  droppedRows: number;
  droppedBytes: number;
}

const ROWS_MAX = 250_000;
const BYTES_MAX = 256 * 1024 * 1024;
/** How full a key is left after its oldest rejects went. */
const LOW_WATER = 0.9;

export class PostgresRejectStore implements RejectStore {
  readonly #connection: Connection;
  readonly #rowsMax: number;
  readonly #bytesMax: number;

  constructor(connection: Connection, bounds: RejectBounds = {}) {
    this.#connection = connection;
    this.#rowsMax = bounds.rowsMax ?? ROWS_MAX;
    this.#bytesMax = bounds.bytesMax ?? BYTES_MAX;
  }

  /** Idempotent by id. Errors: those of Connection. */
  async park(rejects: readonly Reject[]): Promise<number> {
    if (rejects.length === 0) return 0;
    return this.#connection.transaction(async (transaction) => {
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
      let evicted = 0;
      for (const key of totals) {
        evicted += await this.#enforce(transaction, key.key_name, key.kept_rows, key.kept_bytes);
      }
      return evicted;
    });
  }

  async totals(): Promise<RejectTotals[]> {
    const rows = await this.#connection.rows<{
      key_name: string;
      kept_rows: number;
      kept_bytes: number;
      dropped_rows: number;
      dropped_bytes: number;
    }>('list_reject_totals');
    return rows.map((row) => ({
      keyName: row.key_name,
      keptRows: row.kept_rows,
      keptBytes: row.kept_bytes,
      droppedRows: row.dropped_rows,
      droppedBytes: row.dropped_bytes,
    }));
  }

  async #enforce(transaction: Transaction, keyName: string, rows: number, bytes: number): Promise<number> {
    if (rows <= this.#rowsMax && bytes <= this.#bytesMax) return 0;
    const rowsToDrop = rows <= this.#rowsMax ? 0 : rows - Math.floor(this.#rowsMax * LOW_WATER);
    const bytesToDrop = bytes <= this.#bytesMax ? 0 : bytes - Math.floor(this.#bytesMax * LOW_WATER);
    const { dropped_rows: evicted } = await transaction.row<{ dropped_rows: number }>(
      'delete_oldest_rejects',
      [keyName, rowsToDrop, bytesToDrop],
    );
    return evicted;
  }
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
