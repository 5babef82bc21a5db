/** Removes configured records by their keys, whatever their table, and notes what each was. */
import type { RecordChange } from './configuration-change.ts';
import type { Transaction } from './connection.ts';

/** The statement of each table. */
const STATEMENTS = {
  alert_rules: 'delete_rules',
  development_hosts: 'delete_development_hosts',
  device_teams: 'delete_device_teams',
  destinations: 'delete_destinations',
} as const;

/** How many there were; one that is not there is no error. */
export async function removeRecords(
  transaction: Transaction,
  resource: keyof typeof STATEMENTS,
  keys: readonly (string | number)[],
  record: RecordChange,
): Promise<number> {
  if (keys.length === 0) return 0;
  const removed = await transaction.rows<{ record_key: string; old_values: unknown }>(STATEMENTS[resource], [
    [...keys],
  ]);
  for (const { record_key, old_values } of removed) {
    record({
      operation: 'DELETE',
      resource,
      recordKey: record_key,
      oldValues: old_values,
      newValues: null,
    });
  }
  return removed.length;
}
