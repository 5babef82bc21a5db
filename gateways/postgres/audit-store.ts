/**
 * Keeps decisions in PostgreSQL: one statement per thousand rows, and the first row for an event wins.
 *
 * Rows that are all new, as nearly all batches are, are copied in, for half the price. A batch that holds one that is
 * there, or another fault, is refused as a whole and inserted instead, which leaves out what is there; so are the next
 * ones, until a batch is all new again, since what is sent again comes in runs.
 *
 * A batch that is sent again, by us or by whoever took over, changes nothing: what stands is read back. Invariant: the
 * answer holds exactly what is stored, so alerts built from it never disagree with the audit.
 */
import type { AuditStore, StandingDecision } from '../../actors/ports.ts';
import type { Alert, AuditRow } from '../../actors/event.ts';
import { CodedError, codeOf } from '../../runtime/errors.ts';
import { BinaryRows } from './copy-in.ts';
import { bytesArray, plainArray, textArray } from './array-literal.ts';
import type { Connection } from './connection.ts';
import { storableJson, storableText } from './storable-text.ts';

/** Measured: fewer rows cost more per row, more gain nothing. */
const ROWS_PER_STATEMENT_MAX = 1_000;
/** Of raw text, and of raw bytes in hex; keeps one statement well below the server's limit of 1 GB and the memory of a small machine. */
const CHARS_PER_STATEMENT_MAX = 16_000_000;
/** A row that was found taken may be gone when we look (retention); a second miss is no coincidence. */
const ROUNDS_MAX = 3;
/** What timestamptz can hold and a Date can say; a sender's clock says anything. */
const TIME_MIN_MS = Date.UTC(-4712, 0, 1);
const TIME_MAX_MS = 8_640_000_000_000_000;
/** Until then to_timestamp is exact to the microsecond, so that both statements make one key of one time of receipt. */
const EXACT_UNTIL_MS = Date.UTC(2200, 0, 1);
/** Of a row but for its texts, generously. */
const BYTES_PER_ROW = 400;
const COLUMNS = 21;

export class PostgresAuditStore implements AuditStore {
  readonly #connection: Connection;
  #isRepeating = false;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** See the port. Errors: those of Connection; after one, a part of the rows may be stored, and resending is right. */
  async insert(rows: readonly AuditRow[]): Promise<StandingDecision[]> {
    const standing: StandingDecision[] = [];
    for (const batch of batchesOf(rows)) standing.push(...(await this.#insertBatch(batch)));
    return standing;
  }

  async #insertBatch(rows: readonly AuditRow[]): Promise<StandingDecision[]> {
    const entries = rows.map(storable);
    if (!this.#isRepeating && (await this.#isCopied(entries))) return entries.map(standingOf);
    const standing = await this.#insertNew(entries);
    this.#isRepeating = standing.some((decision) => !decision.isFirst);
    return standing;
  }

  /** Stores all, or none and says so. */
  async #isCopied(entries: readonly StorableRow[]): Promise<boolean> {
    if (!entries.every(({ receivedAtMs }) => receivedAtMs >= 0 && receivedAtMs < EXACT_UNTIL_MS))
      return false;
    try {
      await this.#connection.copyIn('copy_audit_rows', binaryRows(entries));
      return true;
    } catch (error) {
      // What is wrong with which row, if it is not that it is there, is for the other statement to find and say.
      if (error instanceof RangeError || codeOf(error) === 'E_ROW_INVALID') return false;
      throw error;
    }
  }

  async #insertNew(entries: readonly StorableRow[]): Promise<StandingDecision[]> {
    const standing = new Array<StandingDecision | undefined>(entries.length);
    for (let round = 0; round < ROUNDS_MAX; round++) {
      const open = entries.filter((_, index) => standing[index] === undefined);
      const inserted = await this.#connection.rows<{ event_id: string }>('insert_audit_rows', columns(open));
      const first = new Set(inserted.map((row) => row.event_id));
      const later: StorableRow[] = [];
      entries.forEach((entry, index) => {
        if (standing[index] !== undefined) return;
        // An event given twice is stored once, by its first row: only that one is the first.
        if (first.delete(entry.eventId)) standing[index] = standingOf(entry);
        else later.push(entry);
      });
      if (later.length === 0) return standing as StandingDecision[];
      const stored = await this.#findStanding(later);
      entries.forEach((entry, index) => {
        standing[index] ??= stored.get(entry.eventId);
      });
      if (standing.every((decision) => decision !== undefined)) return standing;
    }
    throw new CodedError('E_AUDIT_NOT_STORED', 'audit rows are neither stored nor found', {
      kind: 'transient',
    });
  }

  async #findStanding(entries: readonly StorableRow[]): Promise<Map<string, StandingDecision>> {
    const found = await this.#connection.rows<{
      event_id: string;
      decision: StandingDecision['decision'];
      alerts: Alert[];
    }>('find_standing_decisions', [
      plainArray(entries.map((entry) => entry.receivedAtMs)),
      textArray(entries.map((entry) => entry.eventId)),
    ]);
    return new Map(
      found.map((row) => [
        row.event_id,
        { eventId: row.event_id, decision: row.decision, alerts: row.alerts, isFirst: false },
      ]),
    );
  }
}

interface StorableRow {
  row: AuditRow;
  eventId: string;
  receivedAtMs: number;
  alerts: string;
  /** Alerts as stored: rebuilt only when something in them could not be stored as it was. */
  storedAlerts: Alert[];
}

function storable(row: AuditRow): StorableRow {
  const alerts = row.alerts.length === 0 ? '[]' : storableJson(row.alerts);
  const isChanged = alerts.includes('\ufffd');
  return {
    row,
    eventId: row.eventId,
    receivedAtMs: storableTime(row.receivedAtMs),
    alerts,
    storedAlerts: isChanged ? (JSON.parse(alerts) as Alert[]) : row.alerts,
  };
}

function standingOf(entry: StorableRow): StandingDecision {
  return {
    eventId: entry.eventId,
    decision: entry.row.decision,
    alerts: entry.storedAlerts,
    isFirst: true,
  };
}

/** As sql/queries/copy_audit_rows.sql has its columns. */
function binaryRows(entries: readonly StorableRow[]): Uint8Array {
  const chars = entries.reduce((sum, { row, alerts }) => sum + charsOf(row) + alerts.length, 0);
  const copy = new BinaryRows(chars + BYTES_PER_ROW * entries.length);
  for (const { row, eventId, receivedAtMs, alerts } of entries) {
    copy.begin(COLUMNS);
    copy.timestamptz(receivedAtMs);
    copy.text(eventId);
    copy.timestamptz(storableTime(row.eventTimeMs));
    copy.boolean(row.clockSkewed);
    copy.text(storableText(row.hostname));
    copy.smallint(row.severity);
    copy.text(row.environment);
    copy.text(row.team === null ? null : storableText(row.team));
    copy.integer(row.ruleId);
    copy.integer(row.ruleVersion);
    copy.bigint(row.ruleSetVersion);
    copy.text(row.decision);
    copy.boolean(alerts !== '[]');
    copy.jsonb(row.matches.length === 0 ? '[]' : storableJson(row.matches));
    copy.jsonb(alerts);
    copy.text(storableText(row.correlationId));
    copy.text(storableText(row.raw));
    copy.boolean(row.textRepaired);
    copy.bytes(row.rawBytes);
    copy.text(row.origin === undefined ? null : storableText(row.origin.apiKey));
    copy.text(row.origin === undefined ? null : storableText(row.origin.sender));
  }
  return copy.end();
}

function columns(entries: readonly StorableRow[]): string[] {
  const rows = entries.map((entry) => entry.row);
  return [
    plainArray(entries.map((entry) => entry.receivedAtMs)),
    textArray(entries.map((entry) => entry.eventId)),
    plainArray(rows.map((row) => storableTime(row.eventTimeMs))),
    plainArray(rows.map((row) => row.clockSkewed)),
    textArray(rows.map((row) => storableText(row.hostname))),
    plainArray(rows.map((row) => row.severity)),
    textArray(rows.map((row) => row.environment)),
    textArray(rows.map((row) => (row.team === null ? null : storableText(row.team)))),
    plainArray(rows.map((row) => row.ruleId)),
    plainArray(rows.map((row) => row.ruleVersion)),
    plainArray(rows.map((row) => row.ruleSetVersion)),
    textArray(rows.map((row) => row.decision)),
    textArray(rows.map((row) => (row.matches.length === 0 ? '[]' : storableJson(row.matches)))),
    textArray(entries.map((entry) => entry.alerts)),
    textArray(rows.map((row) => storableText(row.correlationId))),
    textArray(rows.map((row) => storableText(row.raw))),
    plainArray(rows.map((row) => row.textRepaired)),
    bytesArray(rows.map((row) => row.rawBytes)),
    textArray(rows.map(({ origin }) => (origin === undefined ? null : storableText(origin.apiKey)))),
    textArray(rows.map(({ origin }) => (origin === undefined ? null : storableText(origin.sender)))),
  ];
}

function storableTime(ms: number): number {
  return Math.min(TIME_MAX_MS, Math.max(TIME_MIN_MS, Math.trunc(ms) || 0));
}

function* batchesOf(rows: readonly AuditRow[]): Generator<readonly AuditRow[]> {
  let start = 0;
  let chars = 0;
  for (let i = 0; i < rows.length; i++) {
    chars += charsOf(rows[i]);
    if (i > start && (i - start >= ROWS_PER_STATEMENT_MAX || chars > CHARS_PER_STATEMENT_MAX)) {
      yield rows.slice(start, i);
      start = i;
      chars = charsOf(rows[i]);
    }
  }
  if (start < rows.length) yield rows.slice(start);
}

function charsOf(row: AuditRow | undefined): number {
  return (row?.raw.length ?? 0) + 2 * (row?.rawBytes?.length ?? 0);
}
