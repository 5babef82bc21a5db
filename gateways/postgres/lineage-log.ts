/**
 * What PostgreSQL knows of one event's way, for people who look for it: the decision, receipts, dead letters, quarantine
 * and rejects. Only reading.
 *
 * By the id of an event or of an alert that has ended, everything is found by key. What has no index (a correlation id,
 * an alert on its way) is searched back through time, the newest first, within a bounded time: a search that comes to
 * its end early gives what it has found, and says so.
 */
import type { AuditRow, Handling } from '../../actors/event.ts';
import type { UnsentReason } from '../../actors/ports.ts';
import { codeOf } from '../../runtime/errors.ts';
import { auditLogEntry } from './audit-log.ts';
import type { AuditLogEntry, AuditLogRow } from './audit-log.ts';
import { boundedSearch } from './bounded-search.ts';
import type { Connection } from './connection.ts';
import type { RejectState } from './failure-log.ts';

/** One decided event; times in ms since 1970. */
export interface FoundEvent {
  receivedAtMs: number;
  eventId: string;
  hostname: string;
  decision: Handling | 'Unmatched';
}
export interface FoundEvents {
  events: FoundEvent[];
  /** There are no others, or at least the limit were found. */
  isComplete: boolean;
}
export interface FoundRejects {
  items: RejectNote[];
  /** As of FoundEvents. */
  isComplete: boolean;
}
export interface StoredReceipt {
  alertId: string;
  destination: string;
  status: number;
  attempts: number;
  deliveredAtMs: number;
  /** Null: it was delivered. */
  unsentReason: UnsentReason | null;
}
export interface StoredDeadLetter {
  alertId: string;
  destination: string;
  reason: string;
  error: string;
  attempts: number;
  firstFailedAtMs: number;
  lastFailedAtMs: number;
  /** Undefined until it has ended. */
  endedAtMs: number | undefined;
  state: 'kept' | 'queued' | 'discarding' | 'leaving' | 'replayed' | 'delivered' | 'superseded' | 'discarded';
}
export interface QuarantineNote {
  receivedAtMs: number;
  quarantinedAtMs: number;
  partition: number;
  attempts: number;
  reason: string;
  history: string[];
}
export interface RejectNote {
  id: string;
  receivedAtMs: number;
  keyName: string;
  sender: string;
  code: string;
  message: string;
  state: RejectState;
}

/** Of one search over some time; there are as many as `LOOK_BACK_MS` has members, and the first is nearly always enough. */
const SEARCH_MAX_MS = 2_000;
/** Each search begins where the one before it ended; null is the beginning. */
const LOOK_BACK_MS: readonly (number | null)[] = [900_000, 86_400_000, null];
const MEND = 'Ask by the id of the event.';

export class PostgresLineageLog {
  readonly #connection: Connection;
  readonly #searchMaxMs: number;

  constructor(connection: Connection, searchMaxMs = SEARCH_MAX_MS) {
    this.#connection = connection;
    this.#searchMaxMs = searchMaxMs;
  }

  async decisionOn(eventId: string): Promise<(AuditLogEntry & Pick<AuditRow, 'origin'>) | undefined> {
    const [row] = await this.#connection.rows<
      AuditLogRow & { api_key: string | null; sender: string | null }
    >('get_audit_row', [eventId]);
    if (row === undefined) return undefined;
    const { api_key: apiKey, sender } = row;
    const origin = apiKey === null || sender === null ? undefined : { apiKey, sender };
    return { ...auditLogEntry(row), origin };
  }

  /** Since when decisions are kept, ms since 1970; undefined when there is none. */
  async keptSinceMs(): Promise<number | undefined> {
    const { received_ms: ms } = await this.#connection.row<{ received_ms: number | null }>(
      'find_first_audit_time',
    );
    return ms ?? undefined;
  }

  async quarantineOf(eventId: string): Promise<QuarantineNote | undefined> {
    const [row] = await this.#connection.rows<{
      received_ms: number;
      quarantined_ms: number;
      partition: number;
      attempts: number;
      reason: string;
      history: string[];
    }>('get_quarantine_note', [eventId]);
    if (row === undefined) return undefined;
    const { received_ms: receivedAtMs, quarantined_ms: quarantinedAtMs, ...note } = row;
    return { ...note, receivedAtMs, quarantinedAtMs };
  }

  async receiptsOf(alertIds: readonly string[]): Promise<StoredReceipt[]> {
    if (alertIds.length === 0) return [];
    const rows = await this.#connection.rows<{
      alert_id: string;
      destination: string;
      status: number;
      attempts: number;
      delivered_ms: number;
      unsent_reason: UnsentReason | null;
    }>('list_receipts_of_alerts', [[...alertIds]]);
    return rows.map((row) => {
      const { alert_id: alertId, delivered_ms: deliveredAtMs, unsent_reason: unsentReason, ...receipt } = row;
      return { ...receipt, alertId, deliveredAtMs, unsentReason };
    });
  }

  async deadLettersOf(alertIds: readonly string[]): Promise<StoredDeadLetter[]> {
    if (alertIds.length === 0) return [];
    const rows = await this.#connection.rows<{
      alert_id: string;
      destination: string;
      reason: string;
      error: string;
      attempts: number;
      first_failed_ms: number;
      last_failed_ms: number;
      ended_ms: number | null;
      state: StoredDeadLetter['state'];
    }>('list_dead_letters_of_alerts', [[...alertIds]]);
    return rows.map(({ alert_id, first_failed_ms, last_failed_ms, ended_ms, ...letter }) => ({
      ...letter,
      alertId: alert_id,
      firstFailedAtMs: first_failed_ms,
      lastFailedAtMs: last_failed_ms,
      endedAtMs: ended_ms ?? undefined,
    }));
  }

  /** The parked records of a request, or the one of this id, in their order. */
  async rejectsOf(correlationId: string, limit: number): Promise<FoundRejects> {
    const search = { searchMaxMs: this.#searchMaxMs, mend: MEND };
    try {
      const rows = await boundedSearch(this.#connection, search, (transaction) =>
        transaction.rows<{
          id: string;
          received_ms: number;
          key_name: string;
          sender: string;
          code: string;
          message: string;
          state: RejectState;
        }>('find_rejects_of_correlation', [correlationId, limit]),
      );
      const items = rows.map(({ received_ms: receivedAtMs, key_name: keyName, ...reject }) => ({
        ...reject,
        receivedAtMs,
        keyName,
      }));
      return { items, isComplete: true };
    } catch (thrown) {
      if (codeOf(thrown) !== 'E_SEARCH_TOO_LONG') throw thrown;
      return { items: [], isComplete: false };
    }
  }

  /** The newest receipt first. */
  eventsOfCorrelation(correlationId: string, limit: number, nowMs: number): Promise<FoundEvents> {
    return this.#searchBack('find_audit_rows_of_correlation', correlationId, limit, nowMs);
  }

  /** Ids of the events of an alert. */
  async eventsOfAlert(alertId: string, nowMs: number): Promise<{ eventIds: string[]; isComplete: boolean }> {
    const known = await this.#connection.rows<{ event_id: string }>('find_events_of_alert', [alertId]);
    if (known.length > 0) return { eventIds: known.map(({ event_id }) => event_id), isComplete: true };
    // An alert follows from one decision.
    const { events, isComplete } = await this.#searchBack('find_audit_rows_of_alert', alertId, 1, nowMs);
    return { eventIds: events.map(({ eventId }) => eventId), isComplete };
  }

  /** Later times first; ends at the limit, or at the first search that takes too long. */
  async #searchBack(query: string, id: string, limit: number, nowMs: number): Promise<FoundEvents> {
    const search = { searchMaxMs: this.#searchMaxMs, mend: MEND };
    const events: FoundEvent[] = [];
    let toMs: number | null = null;
    for (const lookBackMs of LOOK_BACK_MS) {
      const fromMs: number | null = lookBackMs === null ? null : nowMs - lookBackMs;
      const values = [id, fromMs, toMs, limit - events.length];
      try {
        const rows = await boundedSearch(this.#connection, search, (transaction) =>
          transaction.rows<{
            received_ms: number;
            event_id: string;
            hostname: string;
            handling_decision: FoundEvent['decision'];
          }>(query, values),
        );
        for (const row of rows) {
          events.push({
            receivedAtMs: row.received_ms,
            eventId: row.event_id,
            hostname: row.hostname,
            decision: row.handling_decision,
          });
        }
      } catch (thrown) {
        if (codeOf(thrown) !== 'E_SEARCH_TOO_LONG') throw thrown;
        return { events, isComplete: false };
      }
      if (events.length >= limit) break;
      toMs = fromMs;
    }
    return { events, isComplete: true };
  }
}
