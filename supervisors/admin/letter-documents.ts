/** Dead letters and their replays as the documents that the API sends. */
import type { FailureDetailDocument, FailureDocument } from '../../gateways/admin/failure-documents.ts';
import type { ReplayOperationDocument } from '../../gateways/admin/replay-documents.ts';
import type {
  StoredLetter,
  StoredOperation,
  StoredReplay,
} from '../../gateways/postgres/letter-operations.ts';

/** The body of a dead letter is its alert, as JSON. */
export function bodyOf({ alert }: StoredLetter): Buffer {
  return Buffer.from(JSON.stringify(alert, undefined, 2));
}

export function letterDocument(letter: StoredLetter): FailureDocument {
  const { alert } = letter;
  return {
    id: alert.id,
    kind: 'dead_letter',
    state: letter.state,
    stage: 'forward',
    partition: letter.partition,
    key: null,
    sender: null,
    correlation_id: null,
    index: null,
    reason: letter.reason,
    error: letter.error,
    attempts: letter.attempts,
    first_failed_at: time(letter.firstFailedAtMs),
    last_failed_at: time(letter.lastFailedAtMs),
    replays: letter.replays,
    resubmitted_at: null,
    destination: letter.destination,
    team: alert.team,
    rule_id: alert.rule_id,
    signature: alert.signature,
    retry_at: timeOrNull(letter.retryAtMs),
    operation_id: letter.operationId,
    ended_at: timeOrNull(letter.endedAtMs),
    store: letter.store === '' ? null : letter.store,
    store_seen_at: timeOrNull(letter.storeSeenAtMs),
    is_stranded: letter.isStranded && letter.endedAtMs === null,
    body_bytes: bodyOf(letter).length,
    excerpt: alert.description.slice(0, EXCERPT_CHARS),
  };
}

export function replayHistory(replays: readonly StoredReplay[]): FailureDetailDocument['replay_history'] {
  return replays.map((replay) => ({
    nth: replay.nth,
    operation_id: replay.operationId,
    is_edited: replay.isEdited,
    replayed_at: time(replay.replayedAtMs),
    outcome: replay.outcome,
    error: replay.error,
    ended_at: timeOrNull(replay.endedAtMs),
  }));
}

export function operationDocument(operation: StoredOperation): ReplayOperationDocument {
  const { waiting, onTheirWay, canceledAtMs } = operation;
  return {
    id: operation.id,
    state: waiting + onTheirWay > 0 ? 'running' : canceledAtMs === null ? 'done' : 'canceled',
    begun_at: time(operation.begunAtMs),
    begun_by: operation.begunBy,
    reason: operation.reason,
    selection: operation.selection as Record<string, unknown>,
    per_second: operation.perSecond,
    letters: operation.letters,
    waiting,
    on_their_way: onTheirWay,
    delivered: operation.delivered,
    failed: operation.failed,
    superseded: operation.superseded,
    canceled: operation.canceled,
    stranded: operation.stranded,
    canceled_at: timeOrNull(canceledAtMs),
  };
}

const EXCERPT_CHARS = 200;

function time(ms: number): string {
  return new Date(ms).toISOString();
}

function timeOrNull(ms: number | null): string | null {
  return ms === null ? null : time(ms);
}
