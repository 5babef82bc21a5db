/**
 * What could not go its way, for the API: rejects and quarantined events from PostgreSQL, and what operators do about
 * rejects.
 *
 * It also keeps house, as long as the admin process lives: resubmissions that a crash left unfinished are finished, and
 * bounds that were lowered are kept.
 */
import type { FailurePosition, FailuresPort } from '../../gateways/admin/admin-port.ts';
import type {
  FailureDetailDocument,
  FailureDocument,
  RejectTotalsDocument,
} from '../../gateways/admin/failure-documents.ts';
import { PostgresFailureLog } from '../../gateways/postgres/failure-log.ts';
import type { StoredQuarantinedEvent, StoredReject } from '../../gateways/postgres/failure-log.ts';
import type { Connection } from '../../gateways/postgres/connection.ts';
import { PostgresRejectOperations } from '../../gateways/postgres/reject-operations.ts';
import { PostgresRejectStore } from '../../gateways/postgres/reject-store.ts';
import type { RejectBounds, RejectTotals } from '../../gateways/postgres/reject-store.ts';
import { PostgresWitnessStore } from '../../gateways/postgres/witness-store.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { Bounds, DurableStore } from '../../runtime/durable/durable-store.ts';
import type { Log } from '../../runtime/telemetry/log.ts';
import { authorOf, listed } from './documents.ts';
import { Resubmitter } from './resubmitter.ts';

export interface FailuresPortOptions {
  database: Connection;
  /** See ResubmitterOptions. */
  store: () => Promise<Pick<DurableStore, 'append'>>;
  storeName: string;
  partitions: number;
  /** Of the ingest mailbox. */
  bounds: () => Bounds;
  rejectBounds: () => RejectBounds;
  clock: Clock;
  log: Pick<Log, 'warn'>;
}

export interface RunningFailuresPort extends FailuresPort {
  stop(): void;
}

const EXCERPT_BYTES = 200;
const FINISH_EVERY_MS = 5_000;
const ENFORCE_EVERY_MS = 30_000;
/** Dead letters that cannot be read are quarantined under such names. */
const DEAD_LETTER_PREFIX = 'dead-letter-';

export function failuresPort(options: FailuresPortOptions): RunningFailuresPort {
  const { database, clock } = options;
  const log = new PostgresFailureLog(database);
  const rejects = new PostgresRejectStore(database, options.rejectBounds);
  const operations = new PostgresRejectOperations(database);
  const witness = new PostgresWitnessStore(database, options.storeName);
  const resubmitter = new Resubmitter({ ...options, operations, witness });
  const stops = [
    every(clock, FINISH_EVERY_MS, () => resubmitter.finishOld()),
    // When PostgreSQL is away, the next round does it.
    every(clock, ENFORCE_EVERY_MS, () => rejects.enforce().catch(() => undefined)),
  ];

  return {
    search: async ({ kind, after, ...question }) => {
      const asked = { ...question, after, bodyBytesMax: EXCERPT_BYTES };
      const page =
        kind === 'reject'
          ? listed(await log.rejects(asked), rejectDocument)
          : listed(await log.quarantined(asked), quarantinedDocument);
      const next: FailurePosition | null = page.next === null ? null : { kind, ...page.next };
      return { items: page.items, next };
    },
    get: async (id, bytesMax) => {
      const reject = await log.reject(id, bytesMax);
      if (reject !== undefined) return detailOf(rejectDocument(reject), reject, []);
      const event = await log.quarantinedEvent(id, bytesMax);
      return event === undefined ? undefined : detailOf(quarantinedDocument(event), event, event.history);
    },
    totals: async (page) => listed(await rejects.page(page), totalsDocument),
    resubmit: (asked, change) => resubmitter.resubmit(asked, authorOf(change)),
    judge: (asked) => resubmitter.judge(asked),
    discard: async (ids, change) => {
      const found = await operations.find(ids);
      const isReject = (id: string): boolean => found.get(id)?.kind === 'reject';
      const gone = await operations.discard(ids.filter(isReject), authorOf(change));
      return ids.map((id) => {
        if (gone.has(id)) return { id, outcome: 'discarded' };
        if (isReject(id)) return { id, outcome: 'busy' };
        return { id, outcome: found.has(id) ? 'read_only' : 'unknown' };
      });
    },
    stop: () => {
      for (const stop of stops) stop();
    },
  };
}

/** Again and again, a while after the last time was done. Gives what ends it. */
function every(clock: Clock, everyMs: number, act: () => Promise<unknown>): () => void {
  let isStopped = false;
  let cancel: (() => void) | undefined;
  const round = (): void => {
    void act().finally(() => {
      if (!isStopped) cancel = clock.after(everyMs, round, { ref: false });
    });
  };
  round();
  return () => {
    isStopped = true;
    cancel?.();
  };
}

function time(ms: number): string {
  return new Date(ms).toISOString();
}

function rejectDocument(reject: StoredReject): FailureDocument {
  return {
    id: reject.id,
    kind: 'reject',
    state: reject.state,
    stage: 'ingest',
    partition: null,
    key: reject.keyName,
    sender: reject.sender,
    correlation_id: reject.correlationId,
    index: reject.index,
    reason: reject.code,
    error: reject.message,
    attempts: 1,
    first_failed_at: time(reject.receivedAtMs),
    last_failed_at: time(reject.receivedAtMs),
    replays: reject.replays,
    resubmitted_at: reject.resubmittedAtMs === null ? null : time(reject.resubmittedAtMs),
    body_bytes: reject.bodyBytes,
    excerpt: excerptOf(reject.body),
  };
}

function quarantinedDocument(event: StoredQuarantinedEvent): FailureDocument {
  return {
    id: event.eventId,
    kind: 'quarantine',
    state: 'quarantined',
    stage: event.eventId.startsWith(DEAD_LETTER_PREFIX) ? 'remediation' : 'match',
    partition: event.partition,
    key: null,
    sender: null,
    correlation_id: null,
    index: null,
    reason: event.reason,
    error: event.history.at(-1) ?? event.reason,
    attempts: event.attempts,
    first_failed_at: time(event.receivedAtMs),
    last_failed_at: time(event.quarantinedAtMs),
    replays: event.replays,
    resubmitted_at: null,
    body_bytes: event.bodyBytes,
    excerpt: excerptOf(event.body),
  };
}

function detailOf(
  { excerpt: _, ...document }: FailureDocument,
  { body, bodyBytes }: { body: Buffer; bodyBytes: number },
  history: string[],
): FailureDetailDocument {
  const text = body.toString('utf8');
  return {
    ...document,
    history,
    body: {
      text,
      base64: body.toString('base64'),
      is_utf8: Buffer.from(text).equals(body),
      is_cut: body.length < bodyBytes,
    },
  };
}

/** What the beginning of a body says. A character that is cut in two at its end is left out. */
function excerptOf(body: Buffer): string {
  return new TextDecoder().decode(body.subarray(0, EXCERPT_BYTES), { stream: true });
}

function totalsDocument(totals: RejectTotals): RejectTotalsDocument {
  return {
    key: totals.keyName,
    kept: totals.keptRows,
    kept_bytes: totals.keptBytes,
    evicted: totals.droppedRows,
    evicted_bytes: totals.droppedBytes,
    resubmitted: totals.resubmittedRows,
    discarded: totals.discardedRows,
    discarded_bytes: totals.discardedBytes,
  };
}
