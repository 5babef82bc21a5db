/**
 * Creates the monthly partitions of the audit log, and of the receipts that lie beside it, ahead of time: this month and
 * the next three, in UTC.
 *
 * Called at migration and by the running service; several at once are harmless. A month that comes too late costs
 * nothing but time: its rows wait in the default partition and are moved when it is created.
 */
import type { Connection } from './connection.ts';

const MONTHS_AHEAD = 3;

export interface AuditMonth {
  /** `YYYY-MM`. */
  month: string;
  isNew: boolean;
  /** Audit rows that were waiting in the default partition. */
  moved: number;
}

/**
 * One transaction per month, so that inserts wait as short as can be. Needs a connection without statement timeout
 * when many rows may have to be moved. Errors: those of Connection; E_DATABASE_AWAY also when a long query holds the
 * default partition.
 */
export async function createAuditMonths(connection: Connection, nowMs: number): Promise<AuditMonth[]> {
  const now = new Date(nowMs);
  const months: AuditMonth[] = [];
  for (let ahead = 0; ahead <= MONTHS_AHEAD; ahead++) {
    const firstDay = new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + ahead, 1));
    const day = firstDay.toISOString().slice(0, 'YYYY-MM-DD'.length);
    const created = await connection.row<{ is_new: boolean; moved: number }>('create_audit_month', [day]);
    months.push({ month: day.slice(0, 'YYYY-MM'.length), isNew: created.is_new, moved: created.moved });
  }
  return months;
}
