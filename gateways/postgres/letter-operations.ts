/**
 * Dead letters as people see them, and what they ask for: replays, which remediation actors do, and discards. Nothing is
 * sent here.
 *
 * Invariant: what is asked for is written down with its audit entry in one transaction; a letter is in one operation at a
 * time, and only while it waits can it be taken or discarded.
 */
import type { Alert } from '../../actors/event.ts';
import { boundedSearch } from './bounded-search.ts';
import { checkedInteger, checkedTextOrNull, checkedTimeOrNull } from './checked-input.ts';
import { recordChanges } from './change-record.ts';
import type { ChangeAuthor } from './configuration-change.ts';
import type { Connection } from './connection.ts';
import type { FailurePosition } from './failure-log.ts';
import { pageOf, rowsFor } from './page.ts';
import type { Page } from './page.ts';
import { STRANDED_AFTER_MS } from './store-adoption.ts';
import { storableJson, storableText } from './storable-text.ts';

export type LetterState =
  'kept' | 'given_up' | 'queued' | 'discarding' | 'replayed' | 'delivered' | 'superseded' | 'discarded';

/** Times in ms since 1970. */
export interface StoredLetter {
  alert: Alert;
  partition: number;
  destination: string;
  reason: string;
  error: string;
  attempts: number;
  firstFailedAtMs: number;
  lastFailedAtMs: number;
  replays: number;
  state: LetterState;
  /** When it is replayed without a person. */
  retryAtMs: number | null;
  operationId: string | null;
  endedAtMs: number | null;
  isEdited: boolean;
  /** Names the Redis that its event is in flight in; empty: from before these were named. */
  store: string;
  /** When a node of that said last that it lives. */
  storeSeenAtMs: number | null;
  /** None has for a while: nobody replays it until another takes it over. */
  isStranded: boolean;
}
export interface StoredReplay {
  nth: number;
  /** Null: nobody had asked for it. */
  operationId: string | null;
  isEdited: boolean;
  replayedAtMs: number;
  /** Null: on its way. */
  outcome: 'delivered' | 'failed' | 'superseded' | null;
  error: string | null;
  endedAtMs: number | null;
}

/** All given must hold. */
export interface LetterFilter {
  destination?: string | undefined;
  reason?: string | undefined;
  team?: string | undefined;
  ruleId?: number | undefined;
  /** Of the last failure; included. */
  sinceMs?: number | undefined;
}
export interface LetterSelection extends LetterFilter {
  ids?: readonly string[] | undefined;
  lettersMax: number;
  /** Those that alerts are sent to: letters of others are left out. */
  destinations: readonly string[];
}
export interface ReplayRequest extends LetterSelection {
  id: string;
  perSecond: number;
  /** Members that the copies have instead. */
  edit: Partial<Alert> | undefined;
}
export interface ReplayPreview {
  letters: number;
  supersededLetters: number;
  /** The first of them. */
  items: { id: string; destination: string; reason: string; isSuperseded: boolean }[];
}
export interface StoredOperation {
  id: string;
  begunAtMs: number;
  begunBy: string;
  reason: string | null;
  selection: unknown;
  letters: number;
  perSecond: number;
  canceledAtMs: number | null;
  waiting: number;
  onTheirWay: number;
  delivered: number;
  failed: number;
  superseded: number;
  canceled: number;
  /** Of those that wait or are on their way: of a Redis no node of which lives. */
  stranded: number;
}

interface LetterRow {
  alert_id: string;
  partition: number;
  destination: string;
  alert: Alert;
  reason: string;
  error: string;
  attempts: number;
  first_failed_ms: number;
  last_failed_ms: number;
  last_failed_us: number;
  replays: number;
  state: LetterState;
  retry_ms: number | null;
  operation_id: string | null;
  ended_ms: number | null;
  is_edited: boolean;
  store: string;
  store_seen_ms: number | null;
  is_stranded: boolean;
}
interface OperationRow {
  id: string;
  begun_ms: number;
  begun_us: number;
  begun_by: string;
  reason: string | null;
  selection: unknown;
  letters: number;
  per_second: number;
  canceled_ms: number | null;
  canceled: number;
  waiting: number;
  on_their_way: number;
  delivered: number;
  failed: number;
  superseded: number;
  stranded: number;
}

const RESOURCE = 'dead_letters';
const OPERATIONS = 'replay_operations';
const ID_CHARS_MAX = 255;
const MEND = 'Ask for a shorter time with since, or for one destination.';

/** Errors of all: those of Connection; E_ROW_INVALID for what cannot be asked for. */
export class PostgresLetterOperations {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** What failed last first; positions in microseconds. Errors: E_SEARCH_TOO_LONG. */
  async search(
    options: LetterFilter & {
      states: readonly LetterState[];
      store?: string | undefined;
      after?: FailurePosition | undefined;
      limit: number;
    },
  ): Promise<Page<StoredLetter, FailurePosition>> {
    const { after, limit, states, ruleId } = options;
    const values = [
      checkedTextOrNull(options.destination, 'destination'),
      checkedTextOrNull(options.reason, 'code'),
      checkedTextOrNull(options.team, 'team'),
      ruleId ?? null,
      [...states],
      checkedTimeOrNull(options.sinceMs, 'since'),
      after === undefined ? null : checkedInteger(after.at, 'after', 0, Number.MAX_SAFE_INTEGER),
      checkedTextOrNull(after?.id, 'after', ID_CHARS_MAX),
      rowsFor(limit),
      checkedTextOrNull(options.store, 'store'),
      STRANDED_AFTER_MS,
    ];
    const rows = await boundedSearch(this.#connection, { mend: MEND }, (transaction) =>
      transaction.rows<LetterRow>('list_dead_letters', values),
    );
    const { items, next } = pageOf(rows, limit, (row) => ({ at: row.last_failed_us, id: row.alert_id }));
    return { items: items.map(toLetter), next };
  }

  async get(id: string): Promise<{ letter: StoredLetter; replays: StoredReplay[] } | undefined> {
    const [row] = await this.#connection.rows<LetterRow>('get_dead_letter', [id, STRANDED_AFTER_MS]);
    if (row === undefined) return undefined;
    const replays = await this.#connection.rows<{
      nth: number;
      operation_id: string | null;
      is_edited: boolean;
      replayed_ms: number;
      outcome: StoredReplay['outcome'];
      error: string | null;
      ended_ms: number | null;
    }>('list_replays_of_letter', [id]);
    return {
      letter: toLetter(row),
      replays: replays.map((replay) => ({
        nth: replay.nth,
        operationId: replay.operation_id,
        isEdited: replay.is_edited,
        replayedAtMs: replay.replayed_ms,
        outcome: replay.outcome,
        error: replay.error,
        endedAtMs: replay.ended_ms,
      })),
    };
  }

  /** What `queue` would do. Errors: E_SEARCH_TOO_LONG. */
  async preview(selection: LetterSelection, limit: number): Promise<ReplayPreview> {
    const rows = await boundedSearch(this.#connection, { mend: MEND }, (transaction) =>
      transaction.rows<{
        alert_id: string;
        destination: string;
        reason: string;
        is_superseded: boolean;
        letters: number;
        superseded_letters: number;
      }>('preview_replay', [...selectionValues(selection), limit]),
    );
    return {
      letters: rows[0]?.letters ?? 0,
      supersededLetters: rows[0]?.superseded_letters ?? 0,
      items: rows.map((row) => ({
        id: row.alert_id,
        destination: row.destination,
        reason: row.reason,
        isSuperseded: row.is_superseded,
      })),
    };
  }

  /** Resolves to how many letters the operation has; with none there is no operation. */
  queue(request: ReplayRequest, author: ChangeAuthor): Promise<number> {
    const { id, perSecond, edit, destinations: _, ...selection } = request;
    const asked = { ...selection, edit };
    return this.#connection.transaction(async (transaction) => {
      const { letters } = await transaction.row<{ letters: number }>('queue_letters', [
        ...selectionValues(request),
        id,
        edit === undefined ? null : storableJson(edit),
      ]);
      if (letters === 0) return 0;
      const { changedBy, reason = null } = author;
      await transaction.rows('insert_replay_operation', [
        id,
        storableText(changedBy),
        reason === null ? null : storableText(reason),
        storableJson(asked),
        letters,
        perSecond,
      ]);
      const change = {
        operation: 'CREATE',
        resource: OPERATIONS,
        recordKey: id,
        oldValues: null,
        newValues: { selection: asked, letters, per_second: perSecond },
      } as const;
      await recordChanges(transaction, [change], author);
      return letters;
    });
  }

  /** Resolves to the ids of those that are thrown away: not of those that are replayed, or were. */
  discard(ids: readonly string[], author: ChangeAuthor): Promise<ReadonlySet<string>> {
    return this.#connection.transaction(async (transaction) => {
      const rows = await transaction.rows<{ id: string; old_values: object }>('discard_letters', [[...ids]]);
      const changes = rows.map((row) => ({
        operation: 'DELETE' as const,
        resource: RESOURCE,
        recordKey: row.id,
        oldValues: row.old_values,
        newValues: null,
      }));
      await recordChanges(transaction, changes, author);
      return new Set(rows.map(({ id }) => id));
    });
  }

  async operations(options: {
    after?: FailurePosition | undefined;
    limit: number;
  }): Promise<Page<StoredOperation, FailurePosition>> {
    const { after, limit } = options;
    const rows = await this.#connection.rows<OperationRow>('list_replay_operations', [
      null,
      after?.at ?? null,
      after?.id ?? null,
      rowsFor(limit),
      STRANDED_AFTER_MS,
    ]);
    const { items, next } = pageOf(rows, limit, (row) => ({ at: row.begun_us, id: row.id }));
    return { items: items.map(toOperation), next };
  }

  async operation(id: string): Promise<StoredOperation | undefined> {
    const [row] = await this.#connection.rows<OperationRow>('list_replay_operations', [
      id,
      null,
      null,
      1,
      STRANDED_AFTER_MS,
    ]);
    return row === undefined ? undefined : toOperation(row);
  }

  /** Resolves to how many letters were taken back; undefined when none of it waits. */
  cancel(id: string, author: ChangeAuthor): Promise<number | undefined> {
    return this.#connection.transaction(async (transaction) => {
      const [row] = await transaction.rows<{ letters: number }>('cancel_replay_operation', [id]);
      if (row === undefined) return undefined;
      const change = {
        operation: 'UPDATE',
        resource: OPERATIONS,
        recordKey: id,
        oldValues: { is_canceled: false },
        newValues: { is_canceled: true, canceled_letters: row.letters },
      } as const;
      await recordChanges(transaction, [change], author);
      return row.letters;
    });
  }
}

function selectionValues(selection: LetterSelection): unknown[] {
  const { ids, lettersMax, destinations } = selection;
  return [
    ids === undefined ? null : [...ids],
    checkedTextOrNull(selection.destination, 'destination'),
    checkedTextOrNull(selection.reason, 'code'),
    checkedTextOrNull(selection.team, 'team'),
    selection.ruleId ?? null,
    checkedTimeOrNull(selection.sinceMs, 'since'),
    [...destinations],
    lettersMax,
  ];
}

function toLetter(row: LetterRow): StoredLetter {
  return {
    alert: row.alert,
    partition: row.partition,
    destination: row.destination,
    reason: row.reason,
    error: row.error,
    attempts: row.attempts,
    firstFailedAtMs: row.first_failed_ms,
    lastFailedAtMs: row.last_failed_ms,
    replays: row.replays,
    state: row.state,
    retryAtMs: row.retry_ms,
    operationId: row.operation_id,
    endedAtMs: row.ended_ms,
    isEdited: row.is_edited,
    store: row.store,
    storeSeenAtMs: row.store_seen_ms,
    isStranded: row.is_stranded,
  };
}

function toOperation(row: OperationRow): StoredOperation {
  return {
    id: row.id,
    begunAtMs: row.begun_ms,
    begunBy: row.begun_by,
    reason: row.reason,
    selection: row.selection,
    letters: row.letters,
    perSecond: row.per_second,
    canceledAtMs: row.canceled_ms,
    waiting: row.waiting,
    onTheirWay: row.on_their_way,
    delivered: row.delivered,
    failed: row.failed,
    superseded: row.superseded,
    canceled: row.canceled,
    stranded: row.stranded,
  };
}
