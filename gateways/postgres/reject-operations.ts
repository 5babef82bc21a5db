/**
 * What operators do about rejects and quarantined events, as PostgreSQL remembers it: resubmissions that are written down before they are sent,
 * and rejects that are thrown away. It sends nothing itself.
 *
 * Invariants: a reject is in one resubmission at most, ever; a resubmission is there with all its frames until its rejects
 * are marked; every claim and every removal has its audit entry in the same transaction.
 */
import { bytesArray, plainArray } from './array-literal.ts';
import { recordChanges } from './change-record.ts';
import type { ChangeAuthor, ConfigurationChange } from './configuration-change.ts';
import type { Connection, Transaction } from './connection.ts';
import type { RejectState } from './failure-log.ts';

/** What an id stands for. */
export interface FoundFailure {
  id: string;
  kind: 'reject' | 'quarantine' | 'dead_letter';
  /** Null of dead letters. */
  state: RejectState | null;
  bodyBytes: number;
  /** Under way; null when there is none. */
  resubmissionId: string | null;
  /** The Redis that takes it; null when there is none. */
  store: string | null;
}

export interface WholeReject {
  id: string;
  kind: 'reject' | 'quarantine';
  keyName: string;
  sender: string;
  correlationId: string;
  code: string;
  body: Buffer;
}

/** One append of the resubmission: its id is the writer. */
export interface ResubmissionFrame {
  partition: number;
  /** From 1 in each partition. */
  sequence: number;
  events: number;
  frame: Buffer;
}

export interface Claim {
  /** 32 hex digits. */
  resubmissionId: string;
  store: string;
  /** Of rejects that may be resubmitted, with what the audit says of each. */
  rejects: readonly { id: string; kind: WholeReject['kind']; oldValues: object; newValues: object }[];
  /** Makes the frames of those that are claimed, of which there is at least one. */
  framesOf: (ids: ReadonlySet<string>) => ResubmissionFrame[];
}

const RESOURCES = { reject: 'rejects', quarantine: 'quarantined_events' } as const;

export class PostgresRejectOperations {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** Those that there are, by id. Errors: those of Connection. */
  async find(ids: readonly string[]): Promise<Map<string, FoundFailure>> {
    const rows = await this.#connection.rows<{
      id: string;
      kind: FoundFailure['kind'];
      state: RejectState | null;
      body_bytes: number;
      resubmission_id: string | null;
      store: string | null;
    }>('find_failures', [[...ids]]);
    return new Map(
      rows.map((row) => [
        row.id,
        {
          id: row.id,
          kind: row.kind,
          state: row.state,
          bodyBytes: row.body_bytes,
          resubmissionId: row.resubmission_id,
          store: row.store,
        },
      ]),
    );
  }

  /** Those that are parked. Errors: those of Connection. */
  async read(ids: readonly string[]): Promise<WholeReject[]> {
    const rows = await this.#connection.rows<{
      id: string;
      kind: WholeReject['kind'];
      key_name: string;
      sender: string;
      correlation_id: string;
      code: string;
      body: Buffer;
    }>('read_reject_bodies', [[...ids]]);
    return rows.map((row) => ({
      id: row.id,
      kind: row.kind,
      keyName: row.key_name,
      sender: row.sender,
      correlationId: row.correlation_id,
      code: row.code,
      body: row.body,
    }));
  }

  /**
   * Writes a resubmission down for those of the rejects that are still parked, and resolves to their ids: none when
   * somebody else was faster. Errors: those of Connection, and what `framesOf` throws; nothing has happened then.
   */
  claim(claim: Claim, author: ChangeAuthor): Promise<ReadonlySet<string>> {
    const { resubmissionId, store, rejects, framesOf } = claim;
    return this.#connection.transaction(async (transaction) => {
      const rows = await transaction.rows<{ id: string }>('claim_rejects', [
        rejects.map(({ id }) => id),
        resubmissionId,
      ]);
      const claimed = new Set(rows.map(({ id }) => id));
      if (claimed.size === 0) return claimed;
      const frames = framesOf(claimed);
      await transaction.rows('insert_resubmission', [
        resubmissionId,
        store,
        plainArray(frames.map(({ partition }) => partition)),
        plainArray(frames.map(({ sequence }) => sequence)),
        plainArray(frames.map(({ events }) => events)),
        bytesArray(frames.map(({ frame }) => frame)),
      ]);
      const entries = rejects.flatMap(({ id, kind, oldValues, newValues }) =>
        claimed.has(id)
          ? [entryOf('UPDATE', kind, id, oldValues, { ...newValues, resubmission_id: resubmissionId })]
          : [],
      );
      await recordChanges(transaction, entries, author);
      return claimed;
    });
  }

  /** Of one store, begun at least so long ago, the oldest first. Errors: those of Connection. */
  async unfinished(store: string, ageMsMin: number, limit: number): Promise<string[]> {
    const rows = await this.#connection.rows<{ id: string }>('list_resubmissions', [store, ageMsMin, limit]);
    return rows.map(({ id }) => id);
  }

  /** In the order to send them; none when it is finished, or another store's. Errors: those of Connection. */
  frames(resubmissionId: string, store: string): Promise<ResubmissionFrame[]> {
    return this.#connection.rows<ResubmissionFrame>('list_resubmission_frames', [resubmissionId, store]);
  }

  /** Every frame is stored. Idempotent. Errors: those of Connection. */
  finish(resubmissionId: string): Promise<void> {
    return this.#connection.transaction(async (transaction) => {
      await lockTotals(transaction, 'list_resubmission_keys', resubmissionId);
      await transaction.rows('finish_resubmission', [resubmissionId]);
    });
  }

  /** Resolves to the ids of those that are gone: not of what is being resubmitted. Errors: those of Connection. */
  discard(ids: readonly string[], author: ChangeAuthor): Promise<ReadonlySet<string>> {
    return this.#connection.transaction(async (transaction) => {
      await lockTotals(transaction, 'list_reject_keys', [...ids]);
      const rows = await transaction.rows<{ id: string; old_values: object }>('discard_rejects', [[...ids]]);
      const entries = rows.map((row) => entryOf('DELETE', 'reject', row.id, row.old_values, null));
      await recordChanges(transaction, entries, author);
      return new Set(rows.map(({ id }) => id));
    });
  }

  /** As `discard`, of quarantined events. */
  discardQuarantined(ids: readonly string[], author: ChangeAuthor): Promise<ReadonlySet<string>> {
    return this.#connection.transaction(async (transaction) => {
      const rows = await transaction.rows<{ id: string; old_values: object }>('discard_quarantined_events', [
        [...ids],
      ]);
      const entries = rows.map((row) => entryOf('DELETE', 'quarantine', row.id, row.old_values, null));
      await recordChanges(transaction, entries, author);
      return new Set(rows.map(({ id }) => id));
    });
  }
}

/** Before any reject is touched: whoever evicts does it in the same order. */
async function lockTotals(transaction: Transaction, keysOf: string, value: unknown): Promise<void> {
  const rows = await transaction.rows<{ key_name: string }>(keysOf, [value]);
  await transaction.rows('lock_reject_totals', [rows.map((row) => row.key_name)]);
}

function entryOf(
  operation: 'UPDATE' | 'DELETE',
  kind: WholeReject['kind'],
  id: string,
  oldValues: object,
  newValues: object | null,
): ConfigurationChange {
  return { operation, resource: RESOURCES[kind], recordKey: id, oldValues, newValues };
}
