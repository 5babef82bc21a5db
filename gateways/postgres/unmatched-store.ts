/**
 * Keeps what no rule matched in PostgreSQL, by host and template: the store of actors/match/unmatched.ts. People read it
 * by unmatched-log.ts.
 *
 * Invariants: one statement for each call; whose alert is latched first stands.
 */
import type { Alert } from '../../actors/event.ts';
import type { StoredChange, StoredTemplate, TemplateChange, UnmatchedStore } from '../../actors/ports.ts';
import { plainArray, textArray } from './array-literal.ts';
import type { Connection } from './connection.ts';
import { storableJson, storableText } from './storable-text.ts';

export class PostgresUnmatchedStore implements UnmatchedStore {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** Errors: those of Connection. */
  async load(partitions: readonly number[], sinceMs: number, limit: number): Promise<StoredTemplate[]> {
    const rows = await this.#connection.rows<LoadedRow>('load_unmatched_templates', [
      plainArray(partitions),
      Math.trunc(sinceMs),
      limit,
    ]);
    return rows.map((row) => ({
      host: row.host,
      partition: row.partition,
      program: row.program,
      trapOid: row.trap_oid,
      template: row.template,
      sample: row.sample,
      sampleEventId: row.sample_event_id,
      windowStartMs: row.window_ms,
      windowCount: row.window_count,
      lastSeenMs: row.last_ms,
      carrier: row.latched_by,
      alerts: row.alerts,
    }));
  }

  /** Errors: those of Connection. */
  async store(changes: readonly TemplateChange[], windowMs: number): Promise<StoredChange[]> {
    if (changes.length === 0) return [];
    const isAlerting = changes.some(({ alert }) => alert !== null);
    const rows = await this.#connection.rows<ChangedRow>('store_unmatched_templates', [
      windowMs,
      ...columns(changes),
      isAlerting,
    ]);
    const byKey = new Map(rows.map((row) => [`${row.fingerprint} ${row.host}`, row]));
    return changes.map(({ fingerprint, host }) => {
      const row = byKey.get(`${fingerprint} ${storableText(host)}`)!;
      const { is_new: isNew, latched_by: carrier, alerted_ms: alertedAtMs, alerts } = row;
      return {
        isNew,
        isLatched: carrier !== null,
        alert:
          carrier === null || alerts === null || alertedAtMs === null
            ? null
            : { carrier, alertedAtMs, alerts },
      };
    });
  }

  /** Errors: those of Connection. */
  async trim(rowsMax: number, sinceMs: number): Promise<number> {
    const row = await this.#connection.row<{ removed: number }>('trim_unmatched_templates', [
      rowsMax,
      Math.trunc(sinceMs),
    ]);
    return row.removed;
  }
}

interface LoadedRow {
  host: string;
  partition: number;
  program: string | null;
  trap_oid: string | null;
  template: string;
  sample: string;
  sample_event_id: string;
  window_ms: number;
  window_count: number;
  last_ms: number;
  latched_by: string | null;
  alerts: Alert[];
}
interface ChangedRow {
  host: string;
  fingerprint: string;
  is_new: boolean;
  latched_by: string | null;
  alerted_ms: number | null;
  alerts: Alert[] | null;
}
function columns(changes: readonly TemplateChange[]): string[] {
  const texts = (pick: (change: TemplateChange) => string | null): string =>
    textArray(
      changes.map((change) => {
        const text = pick(change);
        return text === null ? null : storableText(text);
      }),
    );
  const numbers = (pick: (change: TemplateChange) => number | null): string => plainArray(changes.map(pick));
  return [
    texts(({ host }) => host),
    texts(({ fingerprint }) => fingerprint),
    numbers(({ partition }) => partition),
    texts(({ program }) => program),
    texts(({ trapOid }) => trapOid),
    texts(({ template }) => template),
    texts(({ sample }) => sample),
    texts(({ sampleEventId }) => sampleEventId),
    numbers(({ count }) => count),
    numbers(({ firstSeenMs }) => firstSeenMs),
    numbers(({ lastSeenMs }) => lastSeenMs),
    numbers(({ windowStartMs }) => windowStartMs),
    numbers(({ windowCount }) => windowCount),
    texts(({ alert }) => alert?.carrier ?? null),
    numbers(({ alert }) => alert?.alertedAtMs ?? null),
    textArray(changes.map(({ alert }) => (alert === null ? '[]' : storableJson(alert.alerts)))),
  ];
}
