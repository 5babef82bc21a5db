/**
 * The one way to change what people configure: lock, change, audit, next version, notice, in one transaction.
 *
 * Invariant: no change without its audit entry and its version, no version without a change. What is recorded is the
 * whole record before and after, never a credential.
 */
import { invalidInput } from './checked-input.ts';
import type { Connection, Transaction } from './connection.ts';
import { storableJson, storableText } from './storable-text.ts';

/** Who changes something, and why. */
export interface ChangeAuthor {
  /** A key's name or a person's; never a key. */
  changedBy: string;
  reason?: string | null;
  correlationId?: string | null;
}

export interface ConfigurationChange {
  operation: 'CREATE' | 'UPDATE' | 'DELETE';
  /** The table. */
  resource: string;
  recordKey: string;
  oldValues: unknown;
  newValues: unknown;
}

/** Notes a change that was made in the same transaction. */
export type RecordChange = (change: ConfigurationChange) => void;

export interface ChangedConfiguration<T> {
  result: T;
  /** The next version, or the current one when nothing was recorded. */
  snapshotVersion: number;
}

const REASON_CHARS_MAX = 4_000;

/**
 * Runs `work` while nobody else changes anything. When it rejects, nothing has happened. Errors: E_ROW_INVALID (the
 * reason is too long), those of Connection.
 */
export function changeConfiguration<T>(
  connection: Connection,
  author: ChangeAuthor,
  work: (transaction: Transaction, record: RecordChange) => Promise<T>,
): Promise<ChangedConfiguration<T>> {
  return connection.transaction(async (transaction) => {
    if ((author.reason?.length ?? 0) > REASON_CHARS_MAX) {
      throw invalidInput('reason', 'is too long', `Give at most ${REASON_CHARS_MAX} characters.`);
    }
    const before = await transaction.row<{ snapshot_version: number }>('lock_config_version');
    const changes: ConfigurationChange[] = [];
    const result = await work(transaction, (change) => changes.push(change));
    if (changes.length === 0) return { result, snapshotVersion: before.snapshot_version };

    await transaction.rows('insert_config_audit_entries', [
      storableJson(changes.map(toEntry)),
      storableText(author.changedBy),
      storableTextOrNull(author.reason),
      storableTextOrNull(author.correlationId),
    ]);
    const after = await transaction.row<{ snapshot_version: number }>('raise_config_version');
    await transaction.rows('insert_outbox_notice', [after.snapshot_version]);
    return { result, snapshotVersion: after.snapshot_version };
  });
}

function toEntry(change: ConfigurationChange): Record<string, unknown> {
  return {
    operation: change.operation,
    resource: change.resource,
    record_key: change.recordKey,
    old_values: change.oldValues,
    new_values: change.newValues,
  };
}

function storableTextOrNull(text: string | null | undefined): string | null {
  return text === null || text === undefined ? null : storableText(text);
}
