/**
 * What could not go its way, for people who look for it: rejects and quarantined events. Only reading; what operators do
 * about rejects is in reject-operations.ts.
 *
 * Invariant: of a body no more is read than was asked for, and a search ends by itself.
 */
import { boundedSearch } from './bounded-search.ts';
import { checkedInteger, checkedText, checkedTextOrNull, checkedTimeOrNull } from './checked-input.ts';
import type { Connection } from './connection.ts';
import { pageOf, rowsFor } from './page.ts';
import type { Page } from './page.ts';

export const REJECT_STATES = ['parked', 'resubmitting', 'resubmitted'] as const;
export type RejectState = (typeof REJECT_STATES)[number];

/** Times in ms since 1970. */
export interface StoredReject {
  id: string;
  receivedAtMs: number;
  keyName: string;
  sender: string;
  correlationId: string;
  /** Its place in the request, from 0. */
  index: number;
  code: string;
  message: string;
  state: RejectState;
  /** How often it was resubmitted. */
  replays: number;
  resubmittedAtMs: number | null;
  bodyBytes: number;
  /** Its beginning. */
  body: Buffer;
}

export interface StoredQuarantinedEvent {
  eventId: string;
  receivedAtMs: number;
  quarantinedAtMs: number;
  partition: number;
  attempts: number;
  reason: string;
  /** Oldest first: `code: message`. */
  history: string[];
  replays: number;
  state: 'quarantined' | 'resubmitting' | 'resubmitted';
  resubmittedAtMs: number | null;
  bodyBytes: number;
  /** Its beginning. */
  body: Buffer;
}

/** All given must hold. */
export interface RejectFilter {
  keyName?: string | undefined;
  code?: string | undefined;
  sender?: string | undefined;
  state?: RejectState | undefined;
  /** Of receipt; included. */
  sinceMs?: number | undefined;
}

/** Where a page begins: after (before in time) this one. `at` is in the unit of the list. */
export interface FailurePosition {
  at: number;
  id: string;
}

export interface FailurePage {
  after?: FailurePosition | undefined;
  limit: number;
  /** Of each body. */
  bodyBytesMax: number;
}

interface RejectRow {
  id: string;
  received_ms: number;
  key_name: string;
  sender: string;
  correlation_id: string;
  position: number;
  code: string;
  message: string;
  state: RejectState;
  replays: number;
  resubmitted_ms: number | null;
  body_bytes: number;
  body: Buffer;
}
interface QuarantinedRow {
  event_id: string;
  received_ms: number;
  quarantined_ms: number;
  quarantined_us: number;
  partition: number;
  attempts: number;
  reason: string;
  history: unknown;
  replays: number;
  state: StoredQuarantinedEvent['state'];
  resubmitted_ms: number | null;
  body_bytes: number;
  body: Buffer;
}

const ID_CHARS_MAX = 255;
const BODY_BYTES_MAX = 2 ** 30;
/** Only key and time have an index: anything else reads back through time. */
const MEND = 'Name a key, or a shorter time with since.';

export class PostgresFailureLog {
  readonly #connection: Connection;
  readonly #searchMaxMs: number | undefined;

  constructor(connection: Connection, searchMaxMs?: number) {
    this.#connection = connection;
    this.#searchMaxMs = searchMaxMs;
  }

  /** The newest receipt first; positions in ms. Errors: E_SEARCH_TOO_LONG, E_ROW_INVALID, those of Connection. */
  async rejects(options: RejectFilter & FailurePage): Promise<Page<StoredReject, FailurePosition>> {
    const { after, limit, keyName } = options;
    const values = [
      checkedTextOrNull(options.code, 'code'),
      checkedTextOrNull(options.sender, 'sender'),
      checkedTextOrNull(options.state, 'state'),
      checkedTimeOrNull(options.sinceMs, 'since'),
      checkedTimeOrNull(after?.at, 'after'),
      checkedTextOrNull(after?.id, 'after', ID_CHARS_MAX),
      checkedBytes(options.bodyBytesMax),
      rowsFor(limit),
    ];
    const key = keyName === undefined ? undefined : checkedText(keyName, 'key');
    const rows = await this.#search<RejectRow>(
      key === undefined ? 'list_rejects' : 'list_rejects_of_key',
      key === undefined ? values : [...values, key],
    );
    return pageOf(rows.map(toReject), limit, ({ receivedAtMs, id }) => ({ at: receivedAtMs, id }));
  }

  /** Undefined when there is none. Errors: E_ROW_INVALID, those of Connection. */
  async reject(id: string, bodyBytesMax: number): Promise<StoredReject | undefined> {
    const values = [checkedText(id, 'id', ID_CHARS_MAX), checkedBytes(bodyBytesMax)];
    const [row] = await this.#connection.rows<RejectRow>('get_reject', values);
    return row === undefined ? undefined : toReject(row);
  }

  /**
   * The newest quarantine first; positions in microseconds, since the server's clock has those. Errors: E_SEARCH_TOO_LONG,
   * E_ROW_INVALID, those of Connection.
   */
  async quarantined(
    options: Pick<RejectFilter, 'sinceMs'> & FailurePage,
  ): Promise<Page<StoredQuarantinedEvent, FailurePosition>> {
    const { after, limit } = options;
    const rows = await this.#search<QuarantinedRow>('list_quarantined_events', [
      checkedTimeOrNull(options.sinceMs, 'since'),
      after === undefined ? null : checkedInteger(after.at, 'after', 0, Number.MAX_SAFE_INTEGER),
      checkedTextOrNull(after?.id, 'after', ID_CHARS_MAX),
      checkedBytes(options.bodyBytesMax),
      rowsFor(limit),
    ]);
    const { items, next } = pageOf(rows, limit, (row) => ({ at: row.quarantined_us, id: row.event_id }));
    return { items: items.map(toQuarantined), next };
  }

  /** Undefined when there is none. Errors: E_ROW_INVALID, those of Connection. */
  async quarantinedEvent(id: string, bodyBytesMax: number): Promise<StoredQuarantinedEvent | undefined> {
    const values = [checkedText(id, 'id', ID_CHARS_MAX), checkedBytes(bodyBytesMax)];
    const [row] = await this.#connection.rows<QuarantinedRow>('get_quarantined_event', values);
    return row === undefined ? undefined : toQuarantined(row);
  }

  #search<Row>(name: string, values: readonly unknown[]): Promise<Row[]> {
    return boundedSearch(this.#connection, { searchMaxMs: this.#searchMaxMs, mend: MEND }, (transaction) =>
      transaction.rows<Row>(name, values),
    );
  }
}

function checkedBytes(bytes: number): number {
  return checkedInteger(bytes, 'bytes', 0, BODY_BYTES_MAX);
}

function toReject(row: RejectRow): StoredReject {
  return {
    id: row.id,
    receivedAtMs: row.received_ms,
    keyName: row.key_name,
    sender: row.sender,
    correlationId: row.correlation_id,
    index: row.position,
    code: row.code,
    message: row.message,
    state: row.state,
    replays: row.replays,
    resubmittedAtMs: row.resubmitted_ms,
    bodyBytes: row.body_bytes,
    body: row.body,
  };
}

function toQuarantined(row: QuarantinedRow): StoredQuarantinedEvent {
  return {
    eventId: row.event_id,
    receivedAtMs: row.received_ms,
    quarantinedAtMs: row.quarantined_ms,
    partition: row.partition,
    attempts: row.attempts,
    reason: row.reason,
    history: Array.isArray(row.history) ? row.history.map(String) : [],
    replays: row.replays,
    state: row.state,
    resubmittedAtMs: row.resubmitted_ms,
    bodyBytes: row.body_bytes,
    body: row.body,
  };
}
