/**
 * The events of the audit log as they came, page by page, so that rules can decide about them again. Each page is one
 * bounded search: whoever reads a long window holds no transaction open meanwhile.
 */
import type { Handling } from '../../actors/event.ts';
import { boundedSearch } from './bounded-search.ts';
import { checkedTimeOrNull } from './checked-input.ts';
import type { Connection } from './connection.ts';
import { pageOf, rowsFor } from './page.ts';
import type { Page } from './page.ts';

export interface StoredEvent {
  eventId: string;
  receivedAtMs: number;
  correlationId: string;
  /** What was decided, and by which rule. */
  decision: Handling | 'Unmatched';
  ruleId: number | null;
  raw: string;
  rawBytes: Uint8Array | null;
}

export interface StoredEventPosition {
  receivedAtMs: number;
  eventId: string;
}

interface EventRow {
  received_ms: number;
  event_id: string;
  correlation_id: string;
  handling_decision: Handling | 'Unmatched';
  matched_rule_id: number | null;
  raw_message: string;
  raw_bytes: Buffer | null;
}

export class PostgresStoredEvents {
  readonly #connection: Connection;
  readonly #searchMaxMs: number | undefined;

  constructor(connection: Connection, searchMaxMs?: number) {
    this.#connection = connection;
    this.#searchMaxMs = searchMaxMs;
  }

  /** The newest receipt first. Errors: E_SEARCH_TOO_LONG, E_ROW_INVALID, those of Connection. */
  async page(options: {
    fromMs: number;
    toMs: number;
    after?: StoredEventPosition | undefined;
    limit: number;
  }): Promise<Page<StoredEvent, StoredEventPosition>> {
    const { fromMs, toMs, after, limit } = options;
    const values = [
      checkedTimeOrNull(fromMs, 'from'),
      checkedTimeOrNull(toMs, 'to'),
      after?.receivedAtMs ?? null,
      after?.eventId ?? null,
      rowsFor(limit),
    ];
    const search = { searchMaxMs: this.#searchMaxMs, mend: 'Give a shorter time with from and to.' };
    const rows = await boundedSearch(this.#connection, search, (transaction) =>
      transaction.rows<EventRow>('page_stored_events', values),
    );
    return pageOf(rows.map(toEvent), limit, ({ receivedAtMs, eventId }) => ({ receivedAtMs, eventId }));
  }
}

function toEvent(row: EventRow): StoredEvent {
  return {
    eventId: row.event_id,
    receivedAtMs: row.received_ms,
    correlationId: row.correlation_id,
    decision: row.handling_decision,
    ruleId: row.matched_rule_id,
    raw: row.raw_message,
    rawBytes: row.raw_bytes,
  };
}
