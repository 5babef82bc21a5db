/**
 * What was decided about events, for people who look for it. Writing is the match actors' (see audit-store.ts).
 *
 * Invariant: a search that would take too long ends by itself and says so; it never holds up what is being written.
 */
import type { Alert, AuditRow, Environment, Handling } from '../../actors/event.ts';
import { boundedSearch } from './bounded-search.ts';
import { checkedId, checkedText, checkedTextOrNull, checkedTimeOrNull } from './checked-input.ts';
import type { Connection } from './connection.ts';
import { pageOf, rowsFor } from './page.ts';
import type { Page } from './page.ts';

/** One decided event as stored. Times in ms since 1970. */
export interface AuditLogEntry extends Omit<AuditRow, 'matches'> {
  /** Whether alerts follow from it, not whether they were delivered. */
  forwarded: boolean;
  /** An older program may have written them otherwise. */
  matches: unknown[];
}

/** Where a page begins: after (before in time) this entry. */
export interface AuditLogPosition {
  receivedAtMs: number;
  eventId: string;
}

/** All given must hold. */
export interface AuditLogFilter {
  /** As stored: exactly this one. */
  hostname?: string | undefined;
  /** The rule that decided. */
  ruleId?: number | undefined;
  decision?: Handling | 'Unmatched' | undefined;
  /** Of receipt; included. */
  fromMs?: number | undefined;
  /** Of receipt; not included. */
  toMs?: number | undefined;
}

/** As `search_audit_rows` gives it. */
export interface AuditLogRow {
  received_ms: number;
  event_id: string;
  event_ms: number;
  clock_skewed: boolean;
  hostname: string;
  severity: number | null;
  environment: Environment;
  team: string | null;
  matched_rule_id: number | null;
  rule_version: number | null;
  rule_set_version: number;
  handling_decision: Handling | 'Unmatched';
  forwarded: boolean;
  matches: unknown[];
  alerts: Alert[];
  correlation_id: string;
  raw_message: string;
  text_repaired: boolean;
  raw_bytes: Buffer | null;
}

/** Only host and time have an index: anything else reads back through time. */
const MEND = 'Name a host, or a shorter time with from and to.';

export class PostgresAuditLog {
  readonly #connection: Connection;
  readonly #searchMaxMs: number | undefined;

  constructor(connection: Connection, searchMaxMs?: number) {
    this.#connection = connection;
    this.#searchMaxMs = searchMaxMs;
  }

  /** The newest receipt first. Errors: E_SEARCH_TOO_LONG, E_ROW_INVALID, those of Connection. */
  async search(
    options: AuditLogFilter & { after?: AuditLogPosition | undefined; limit: number },
  ): Promise<Page<AuditLogEntry, AuditLogPosition>> {
    const { after, limit, hostname } = options;
    const values = [
      options.ruleId === undefined ? null : checkedId(options.ruleId, 'rule_id'),
      checkedTextOrNull(options.decision, 'decision'),
      checkedTimeOrNull(options.fromMs, 'from'),
      checkedTimeOrNull(options.toMs, 'to'),
      after === undefined ? null : checkedTimeOrNull(after.receivedAtMs, 'after'),
      after === undefined ? null : checkedText(after.eventId, 'after'),
      rowsFor(limit),
    ];
    const host = hostname === undefined ? undefined : checkedText(hostname, 'hostname');
    const search = { searchMaxMs: this.#searchMaxMs, mend: MEND };
    const rows = await boundedSearch(this.#connection, search, (transaction) =>
      host === undefined
        ? transaction.rows<AuditLogRow>('search_audit_rows', values)
        : transaction.rows<AuditLogRow>('search_audit_rows_of_host', [...values, host]),
    );
    return pageOf(rows.map(auditLogEntry), limit, ({ receivedAtMs, eventId }) => ({ receivedAtMs, eventId }));
  }
}

export function auditLogEntry(row: AuditLogRow): AuditLogEntry {
  return {
    receivedAtMs: row.received_ms,
    eventId: row.event_id,
    eventTimeMs: row.event_ms,
    clockSkewed: row.clock_skewed,
    hostname: row.hostname,
    severity: row.severity,
    environment: row.environment,
    team: row.team,
    ruleId: row.matched_rule_id,
    ruleVersion: row.rule_version,
    ruleSetVersion: row.rule_set_version,
    decision: row.handling_decision,
    forwarded: row.forwarded,
    matches: row.matches,
    alerts: row.alerts,
    correlationId: row.correlation_id,
    raw: row.raw_message,
    textRepaired: row.text_repaired,
    rawBytes: row.raw_bytes,
  };
}
