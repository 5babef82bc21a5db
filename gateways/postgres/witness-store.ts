/**
 * The witness outside Redis: per partition of one store the highest sequence that was answered with 2xx, and the ranges
 * found lost. Stores that share a PostgreSQL have nothing to do with each other.
 *
 * It judges nothing; whoever compares it with Redis does. Invariant: a sequence only rises, except by a recorded loss,
 * after which reports from before that loss no longer count.
 */
import { plainArray } from './array-literal.ts';
import type { Connection } from './connection.ts';

export interface WitnessReport {
  partition: number;
  sequence: number;
  reportedAtMs: number;
}

/** Both ends included. */
export interface LedgerLoss {
  partition: number;
  from: number;
  to: number;
  detectedAtMs: number;
}

export class PostgresWitnessStore {
  readonly #connection: Connection;
  readonly #store: string;

  constructor(connection: Connection, store: string) {
    this.#connection = connection;
    this.#store = store;
  }

  /** Idempotent; in any order. Errors: those of Connection. */
  async report(reports: readonly WitnessReport[]): Promise<void> {
    if (reports.length === 0) return;
    await this.#connection.rows('report_witness', [
      this.#store,
      plainArray(reports.map((report) => report.partition)),
      plainArray(reports.map((report) => report.sequence)),
      plainArray(reports.map((report) => report.reportedAtMs)),
    ]);
  }

  /** What is known, by partition. */
  async list(): Promise<WitnessReport[]> {
    const rows = await this.#connection.rows<{ partition: number; sequence: number; reported_ms: number }>(
      'list_witness',
      [this.#store],
    );
    return rows.map((row) => ({
      partition: row.partition,
      sequence: row.sequence,
      reportedAtMs: row.reported_ms,
    }));
  }

  /** Records losses and sets the witness back to just before each, in one transaction. Idempotent. */
  async recordLosses(losses: readonly LedgerLoss[]): Promise<void> {
    if (losses.length === 0) return;
    const partitions = plainArray(losses.map((loss) => loss.partition));
    const detected = plainArray(losses.map((loss) => loss.detectedAtMs));
    const from = plainArray(losses.map((loss) => loss.from));
    const to = plainArray(losses.map((loss) => loss.to));
    const before = plainArray(losses.map((loss) => loss.from - 1));
    await this.#connection.transaction(async (transaction) => {
      await transaction.rows('insert_ledger_losses', [this.#store, partitions, from, to, detected]);
      await transaction.rows('lower_witness', [this.#store, partitions, before, detected]);
    });
  }

  /** The newest finding first. */
  async losses(limit: number): Promise<LedgerLoss[]> {
    const rows = await this.#connection.rows<{
      partition: number;
      from_sequence: number;
      to_sequence: number;
      detected_ms: number;
    }>('list_ledger_losses', [this.#store, limit]);
    return rows.map((row) => ({
      partition: row.partition,
      from: row.from_sequence,
      to: row.to_sequence,
      detectedAtMs: row.detected_ms,
    }));
  }
}
