/**
 * The record of configuration changes: who changed what, why, from what to what. Found, read, and proved whole.
 *
 * The chain of hashes is recomputed in the database. Nothing here writes: entries come with the changes they record.
 */
import { checkedId, checkedInteger, checkedTextOrNull, checkedTimeOrNull } from './checked-input.ts';
import type { Connection, Statements } from './connection.ts';
import { pageOf, rowsFor } from './page.ts';
import type { Page } from './page.ts';

export type ConfigAuditOperation = 'CREATE' | 'UPDATE' | 'DELETE';

export interface ConfigAuditEntry {
  /** From 1, without gaps. */
  id: number;
  changedAtMs: number;
  changedBy: string;
  operation: ConfigAuditOperation;
  /** `alert_rules`, `rule_suspensions`, `development_hosts`, `device_teams`, `destinations`, `settings`, `api_keys`; `rejects`. */
  resource: string;
  recordKey: string;
  /** The whole record before; null when it is new. */
  oldValues: unknown;
  /** The whole record after; null when it is gone. */
  newValues: unknown;
  reason: string | null;
  correlationId: string | null;
  /** The seal of this entry and all before it: SHA-256 in hex. */
  hash: string;
}

/** All given must hold. */
export interface ConfigAuditFilter {
  changedBy?: string | undefined;
  /** Part of it, whatever its case. */
  changedByPart?: string | undefined;
  operation?: ConfigAuditOperation | undefined;
  resource?: string | undefined;
  recordKey?: string | undefined;
  /** Included. */
  fromMs?: number | undefined;
  /** Not included. */
  toMs?: number | undefined;
}

export interface ConfigAuditProblem {
  /** The entry where it shows. */
  id: number;
  /**
   * `missing`: entries before this one are gone. `altered`: it does not say what was sealed. `unlinked`: it does not
   * follow from the one before. `truncated`: entries after this one are gone.
   */
  problem: 'missing' | 'altered' | 'unlinked' | 'truncated';
}

export interface ConfigAuditVerdict {
  intact: boolean;
  /** How many there are. */
  entries: number;
  /** The first ones, in order. */
  problems: ConfigAuditProblem[];
}

interface EntryRow {
  id: number;
  changed_ms: number;
  changed_by: string;
  operation: ConfigAuditOperation;
  resource: string;
  record_key: string;
  old_values: unknown;
  new_values: unknown;
  reason: string | null;
  correlation_id: string | null;
  hash: Buffer;
}

const PROBLEMS_MAX = 100;
const RECORD_KEY_CHARS_MAX = 1_000;

export class PostgresConfigAudit {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** The newest first; `beforeId` is the last one of the page before. Errors: E_ROW_INVALID, those of Connection. */
  async search(
    options: ConfigAuditFilter & { beforeId?: number | undefined; limit: number },
  ): Promise<Page<ConfigAuditEntry, number>> {
    const { limit } = options;
    const rows = await this.#connection.rows<EntryRow>('search_config_audit', [
      checkedTextOrNull(options.changedBy, 'changed_by'),
      checkedTextOrNull(options.changedByPart, 'changed_by'),
      checkedTextOrNull(options.operation, 'operation'),
      checkedTextOrNull(options.resource, 'resource'),
      checkedTextOrNull(options.recordKey, 'record_key', RECORD_KEY_CHARS_MAX),
      checkedTimeOrNull(options.fromMs, 'from'),
      checkedTimeOrNull(options.toMs, 'to'),
      options.beforeId === undefined
        ? null
        : checkedInteger(options.beforeId, 'before', 1, Number.MAX_SAFE_INTEGER),
      rowsFor(limit),
    ]);
    return pageOf(rows.map(toEntry), limit, ({ id }) => id);
  }

  /** Undefined when there is no such entry. Errors: E_ROW_INVALID, those of Connection. */
  async get(id: number): Promise<ConfigAuditEntry | undefined> {
    const [row] = await this.#connection.rows<EntryRow>('get_config_audit_entry', [checkedId(id)]);
    return row === undefined ? undefined : toEntry(row);
  }

  /** Reads every entry. Errors: those of Connection. */
  verify(): Promise<ConfigAuditVerdict> {
    return this.#connection.transaction(
      async (transaction) => {
        const problems = await verifyConfigAudit(transaction);
        const { entries } = await transaction.row<{ entries: number }>('count_config_audit_entries');
        return { intact: problems.length === 0, entries, problems };
      },
      { isSnapshot: true },
    );
  }
}

/** The first problems, in order; none means that the chain is whole. Reads every entry. Errors: those of Connection. */
export function verifyConfigAudit(statements: Statements): Promise<ConfigAuditProblem[]> {
  return statements.rows<ConfigAuditProblem>('verify_config_audit', [PROBLEMS_MAX]);
}

function toEntry(row: EntryRow): ConfigAuditEntry {
  return {
    id: row.id,
    changedAtMs: row.changed_ms,
    changedBy: row.changed_by,
    operation: row.operation,
    resource: row.resource,
    recordKey: row.record_key,
    oldValues: row.old_values,
    newValues: row.new_values,
    reason: row.reason,
    correlationId: row.correlation_id,
    hash: row.hash.toString('hex'),
  };
}
