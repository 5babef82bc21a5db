/**
 * What no rule matched, for people who look for it: by template over all hosts, and of one template by host. Match threads
 * write it (unmatched-store.ts).
 */
import { boundedSearch } from './bounded-search.ts';
import { checkedInteger, checkedText, checkedTextOrNull, checkedTimeOrNull } from './checked-input.ts';
import type { ChangeAuthor } from './configuration-change.ts';
import type { Connection } from './connection.ts';
import { pageOf, rowsFor } from './page.ts';
import type { Page } from './page.ts';
import { storableJson, storableText } from './storable-text.ts';

/** One template over all its hosts. Times in ms since 1970. */
export interface UnmatchedTemplate {
  fingerprint: string;
  program: string | null;
  trapOid: string | null;
  template: string;
  sample: string;
  sampleEventId: string;
  count: number;
  firstSeenMs: number;
  lastSeenMs: number;
  alertedAtMs: number | null;
  hostCount: number;
  /** Hosts that have had their alert. */
  latchedCount: number;
  /** Those with most events. */
  hosts: string[];
}

export interface UnmatchedHost {
  host: string;
  count: number;
  firstSeenMs: number;
  lastSeenMs: number;
  alertedAtMs: number | null;
  isLatched: boolean;
  sample: string;
  sampleEventId: string;
}

export interface UnmatchedPosition {
  count: number;
  fingerprint: string;
}
export interface UnmatchedHostPosition {
  count: number;
  host: string;
}

const RESOURCE = 'unmatched_templates';
const MEND = 'Name a host, or a shorter time with since.';

export class PostgresUnmatchedLog {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /**
   * The most events first. Counts go on while pages are read, so a template may come twice, or be passed over. Errors:
   * E_SEARCH_TOO_LONG, E_ROW_INVALID, those of Connection.
   */
  async search(options: {
    host?: string | undefined;
    /** Of receipt; included. */
    sinceMs?: number | undefined;
    after?: UnmatchedPosition | undefined;
    limit: number;
    hostsMax: number;
  }): Promise<Page<UnmatchedTemplate, UnmatchedPosition>> {
    const { host, sinceMs, after, limit, hostsMax } = options;
    const rows = await this.#list(
      [
        checkedTextOrNull(host, 'host'),
        checkedTimeOrNull(sinceMs, 'since'),
        after === undefined ? null : checkedInteger(after.count, 'after', 0, Number.MAX_SAFE_INTEGER),
        after === undefined ? null : checkedText(after.fingerprint, 'after'),
        rowsFor(limit),
      ],
      hostsMax,
      null,
    );
    return pageOf(rows, limit, ({ count, fingerprint }) => ({ count, fingerprint }));
  }

  /** Errors: as `search`. */
  async get(fingerprint: string, hostsMax: number): Promise<UnmatchedTemplate | undefined> {
    const rows = await this.#list(
      [null, null, null, null, 1],
      hostsMax,
      checkedText(fingerprint, 'fingerprint'),
    );
    return rows[0];
  }

  /** The most events first. Errors: as `search`. */
  async hosts(
    fingerprint: string,
    { after, limit }: { after?: UnmatchedHostPosition | undefined; limit: number },
  ): Promise<Page<UnmatchedHost, UnmatchedHostPosition>> {
    const rows = await this.#connection.rows<HostRow>('list_unmatched_hosts', [
      checkedText(fingerprint, 'fingerprint'),
      after === undefined ? null : checkedInteger(after.count, 'after', 0, Number.MAX_SAFE_INTEGER),
      after === undefined ? null : checkedText(after.host, 'after'),
      rowsFor(limit),
    ]);
    return pageOf(rows.map(toHost), limit, ({ count, host }) => ({ count, host }));
  }

  /**
   * Removes it, of one host or of all, with its latch: it may raise an alert again. In the log of changes. Resolves to how
   * many hosts it was of. Errors: E_ROW_INVALID, those of Connection.
   */
  forget(fingerprint: string, host: string | undefined, author: ChangeAuthor): Promise<number> {
    return this.#connection.transaction(async (transaction) => {
      const [gone] = await transaction.rows<ForgottenRow>('forget_unmatched_template', [
        checkedText(fingerprint, 'fingerprint'),
        checkedTextOrNull(host, 'host'),
      ]);
      if (gone === undefined) return 0;
      const oldValues = { ...gone, host: host ?? null };
      const entry = {
        operation: 'DELETE',
        resource: RESOURCE,
        record_key: fingerprint,
        old_values: oldValues,
        new_values: null,
      };
      const { changedBy, reason = null, correlationId = null } = author;
      await transaction.rows('insert_config_audit_entries', [
        storableJson([entry]),
        storableText(changedBy),
        reason === null ? null : storableText(reason),
        correlationId === null ? null : storableText(correlationId),
      ]);
      return gone.host_count;
    });
  }

  async #list(values: unknown[], hostsMax: number, fingerprint: string | null): Promise<UnmatchedTemplate[]> {
    const rows = await boundedSearch(this.#connection, { mend: MEND }, (transaction) =>
      transaction.rows<TemplateRow>('list_unmatched_templates', [...values, hostsMax, fingerprint]),
    );
    return rows.map((row) => ({
      fingerprint: row.fingerprint,
      program: row.program,
      trapOid: row.trap_oid,
      template: row.template,
      sample: row.sample,
      sampleEventId: row.sample_event_id,
      count: row.event_count,
      firstSeenMs: row.first_ms,
      lastSeenMs: row.last_ms,
      alertedAtMs: row.alerted_ms,
      hostCount: row.host_count,
      latchedCount: row.latched_count,
      hosts: row.hosts,
    }));
  }
}

interface TemplateRow {
  fingerprint: string;
  program: string | null;
  trap_oid: string | null;
  template: string;
  sample: string;
  sample_event_id: string;
  event_count: number;
  first_ms: number;
  last_ms: number;
  alerted_ms: number | null;
  host_count: number;
  latched_count: number;
  hosts: string[];
}
interface HostRow {
  host: string;
  event_count: number;
  first_ms: number;
  last_ms: number;
  alerted_ms: number | null;
  is_latched: boolean;
  sample: string;
  sample_event_id: string;
}
interface ForgottenRow {
  template: string;
  host_count: number;
  event_count: number;
  latched_count: number;
}

function toHost(row: HostRow): UnmatchedHost {
  return {
    host: row.host,
    count: row.event_count,
    firstSeenMs: row.first_ms,
    lastSeenMs: row.last_ms,
    alertedAtMs: row.alerted_ms,
    isLatched: row.is_latched,
    sample: row.sample,
    sampleEventId: row.sample_event_id,
  };
}
