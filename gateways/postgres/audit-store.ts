/**
 * Keeps decisions in PostgreSQL: one statement per thousand rows, and the first row for an event wins.
 *
 * A batch that is sent again, by us or by whoever took over, changes nothing: what stands is read back. Invariant: the
 * answer holds exactly what is stored, so alerts built from it never disagree with the audit.
 */
import type { AuditStore, StandingDecision } from '../../actors/ports.ts';
import type { Alert, AuditRow } from '../../actors/event.ts';
import { CodedError } from '../../runtime/errors.ts';
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

export class PostgresAuditStore implements AuditStore {
  readonly #connection: Connection;

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
    const standing = new Array<StandingDecision | undefined>(rows.length);
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
