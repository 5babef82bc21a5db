/**
 * What could not go its way, for the API: rejects, quarantined events and dead letters from PostgreSQL, and what operators
 * do about rejects; what they do about dead letters is in replays-port.ts, but for throwing them away.
 *
 * It also keeps house, as long as the admin process lives: resubmissions that a crash left unfinished are finished, and
 * bounds that were lowered are kept.
 */
import type { FailurePosition, FailuresPort } from '../../gateways/admin/admin-port.ts';
import { LETTER_STATES } from '../../gateways/admin/failure-documents.ts';
import type {
  FailureDetailDocument,
  FailureDocument,
  LetterState,
  RejectState,
  RejectTotalsDocument,
} from '../../gateways/admin/failure-documents.ts';
import { PostgresFailureLog } from '../../gateways/postgres/failure-log.ts';
import type { StoredQuarantinedEvent, StoredReject } from '../../gateways/postgres/failure-log.ts';
import type { PostgresLetterOperations } from '../../gateways/postgres/letter-operations.ts';
import type { Connection } from '../../gateways/postgres/connection.ts';
import { PostgresRejectOperations } from '../../gateways/postgres/reject-operations.ts';
import type { FoundFailure } from '../../gateways/postgres/reject-operations.ts';
import { PostgresRejectStore } from '../../gateways/postgres/reject-store.ts';
import type { RejectBounds, RejectTotals } from '../../gateways/postgres/reject-store.ts';
import { PostgresWitnessStore } from '../../gateways/postgres/witness-store.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { Bounds, DurableStore } from '../../runtime/durable/durable-store.ts';
import type { Log } from '../../runtime/telemetry/log.ts';
import { authorOf, listed } from './documents.ts';
import { bodyOf, letterDocument, replayHistory } from './letter-documents.ts';
import { Resubmitter } from './resubmitter.ts';

export interface FailuresPortOptions {
  database: Connection;
  letters: PostgresLetterOperations;
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
/** What is of other kinds. */
const NOT_A_LETTER = {
  destination: null,
  team: null,
  rule_id: null,
  signature: null,
  retry_at: null,
  operation_id: null,
  ended_at: null,
  store: null,
  store_seen_at: null,
  is_stranded: null,
} as const;
const FINISH_EVERY_MS = 5_000;
const ENFORCE_EVERY_MS = 30_000;
/** The others have ended: they are shown when they are asked for. */
const OPEN_LETTER_STATES = LETTER_STATES.slice(0, 5);
/** Dead letters that cannot be read are quarantined under such names. */
const DEAD_LETTER_PREFIX = 'dead-letter-';

export function failuresPort(options: FailuresPortOptions): RunningFailuresPort {
  const { database, letters, clock } = options;
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
    search: async ({ kind, after, state, ...question }) => {
      const asked = { ...question, after, bodyBytesMax: EXCERPT_BYTES };
      const states = state === undefined ? OPEN_LETTER_STATES : [state as LetterState];
      const page =
        kind === 'reject'
          ? listed(await log.rejects({ ...asked, state: state as RejectState | undefined }), rejectDocument)
          : kind === 'quarantine'
            ? listed(await log.quarantined(asked), quarantinedDocument)
            : listed(await letters.search({ ...asked, states, reason: question.code }), letterDocument);
      const next: FailurePosition | null = page.next === null ? null : { kind, ...page.next };
      return { items: page.items, next };
    },
    get: async (id, bytesMax) => {
      const reject = await log.reject(id, bytesMax);
      if (reject !== undefined) return detailOf(rejectDocument(reject), reject, {});
      const event = await log.quarantinedEvent(id, bytesMax);
      if (event !== undefined) return detailOf(quarantinedDocument(event), event, { history: event.history });
      const found = await letters.get(id);
      if (found === undefined) return undefined;
      const whole = bodyOf(found.letter);
      const shown = { body: whole.subarray(0, bytesMax), bodyBytes: whole.length };
      const replays = replayHistory(found.replays);
      return detailOf(letterDocument(found.letter), shown, { replays });
    },
    totals: async (page) => listed(await rejects.page(page), totalsDocument),
    resubmit: (asked, change) => resubmitter.resubmit(asked, authorOf(change)),
    judge: (asked) => resubmitter.judge(asked),
    discard: async (ids, change) => {
      const found = await operations.find(ids);
      const isOf = (kind: FoundFailure['kind']) => (id: string) => found.get(id)?.kind === kind;
      const author = authorOf(change);
      const rejected = ids.filter(isOf('reject'));
      const dead = ids.filter(isOf('dead_letter'));
      const gone = new Set(rejected.length === 0 ? [] : await operations.discard(rejected, author));
      const broken = ids.filter(isOf('quarantine'));
      if (broken.length > 0)
        for (const id of await operations.discardQuarantined(broken, author)) gone.add(id);
      if (dead.length > 0) for (const id of await letters.discard(dead, author)) gone.add(id);
      return ids.map((id) => {
        if (gone.has(id)) return { id, outcome: 'discarded' };
        return { id, outcome: found.has(id) ? 'busy' : 'unknown' };
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
    ...NOT_A_LETTER,
    body_bytes: reject.bodyBytes,
    excerpt: excerptOf(reject.body),
  };
}

function quarantinedDocument(event: StoredQuarantinedEvent): FailureDocument {
  return {
    id: event.eventId,
    kind: 'quarantine',
    state: event.state,
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
    resubmitted_at: event.resubmittedAtMs === null ? null : time(event.resubmittedAtMs),
    ...NOT_A_LETTER,
    body_bytes: event.bodyBytes,
    excerpt: excerptOf(event.body),
  };
}

function detailOf(
  { excerpt: _, ...document }: FailureDocument,
  { body, bodyBytes }: { body: Buffer; bodyBytes: number },
  told: { history?: string[]; replays?: FailureDetailDocument['replay_history'] },
): FailureDetailDocument {
  const text = body.toString('utf8');
  return {
    ...document,
    history: told.history ?? [],
    replay_history: told.replays ?? [],
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
