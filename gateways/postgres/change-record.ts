/**
 * Audit entries of what is no configuration: the same log, and no new version of the configuration.
 */
import type { ChangeAuthor, ConfigurationChange } from './configuration-change.ts';
import type { Transaction } from './connection.ts';
import { storableJson, storableText } from './storable-text.ts';

/** In the transaction of the changes themselves. */
export async function recordChanges(
  transaction: Transaction,
  changes: readonly ConfigurationChange[],
  { changedBy, reason = null, correlationId = null }: ChangeAuthor,
): Promise<void> {
  if (changes.length === 0) return;
  const entries = changes.map((change) => ({
    operation: change.operation,
    resource: change.resource,
    record_key: change.recordKey,
    old_values: change.oldValues,
    new_values: change.newValues,
  }));
  await transaction.rows('insert_config_audit_entries', [
    storableJson(entries),
    storableText(changedBy),
    reason === null ? null : storableText(reason),
    correlationId === null ? null : storableText(correlationId),
  ]);
}
