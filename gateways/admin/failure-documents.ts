/**
 * The documents of what could not go its way, as schemas: rejects, quarantined events and dead
 * letters. As documents.ts, of which this is a part.
 */
import { Type } from 'typebox';
import type { Static } from 'typebox';
import { oneOf, orNull } from './documents.ts';

export const FAILURE_KINDS = ['reject', 'quarantine', 'dead_letter'] as const;
export type FailureKind = (typeof FAILURE_KINDS)[number];
export const REJECT_STATES = ['parked', 'resubmitting', 'resubmitted'] as const;
export type RejectState = (typeof REJECT_STATES)[number];
/** The first five are there to be dealt with; the others have ended. */
export const LETTER_STATES = [
  'kept',
  'given_up',
  'queued',
  'discarding',
  'replayed',
  'delivered',
  'superseded',
  'discarded',
] as const;
export type LetterState = (typeof LETTER_STATES)[number];
export const RESUBMISSION_OUTCOMES = [
  'resubmitted',
  'already_resubmitted',
  'pending',
  'usable',
  'unusable',
  'busy',
  'read_only',
  'unknown',
] as const;
export const DISCARD_OUTCOMES = ['discarded', 'busy', 'unknown'] as const;

const count = Type.Integer({ minimum: 0 });
const time = Type.String({ format: 'date-time' });

const failureFields = {
  id: Type.String(),
  kind: oneOf(FAILURE_KINDS),
  state: oneOf([...REJECT_STATES, 'quarantined', ...LETTER_STATES]),
  /** Where it failed. */
  stage: oneOf(['ingest', 'match', 'forward', 'remediation']),
  /** Null for rejects: they never came so far. */
  partition: orNull(count),
  /** Name of the API key; this and what follows is of rejects, and null for all others. */
  key: orNull(Type.String()),
  sender: orNull(Type.String()),
  correlation_id: orNull(Type.String()),
  /** Its place in the request, from 0. */
  index: orNull(count),
  /** A stable code. */
  reason: Type.String(),
  error: Type.String(),
  attempts: count,
  first_failed_at: time,
  last_failed_at: time,
  /** How often it was resubmitted, or replayed. */
  replays: count,
  resubmitted_at: orNull(time),
  /** This and what follows is of dead letters, and null for all others. */
  destination: orNull(Type.String()),
  team: orNull(Type.String()),
  rule_id: orNull(Type.Integer()),
  signature: orNull(Type.String()),
  /** When it is replayed without a person; null: it is not. */
  retry_at: orNull(time),
  /** The replay that it waits for, or was part of last. */
  operation_id: orNull(Type.String()),
  ended_at: orNull(time),
  /** Names the Redis that its event is in flight in: only a node of that one replays it. */
  store: orNull(Type.String()),
  /** When a node of that said last that it lives. */
  store_seen_at: orNull(time),
  /** No node of its store has lived for a while: nobody replays it until another store adopts it. */
  is_stranded: orNull(Type.Boolean()),
  body_bytes: count,
};

export const failureDocument = Type.Object(
  {
    ...failureFields,
    /** The beginning of the body, as text. */
    excerpt: Type.String(),
  },
  { title: 'Failure' },
);
export type FailureDocument = Static<typeof failureDocument>;

export const failureDetailDocument = Type.Object(
  {
    ...failureFields,
    /** What it did, oldest first; empty for rejects and dead letters. */
    history: Type.Array(Type.String()),
    /** Of a dead letter, oldest first. */
    replay_history: Type.Array(
      Type.Object({
        nth: count,
        /** Null: nobody had asked for it. */
        operation_id: orNull(Type.String()),
        /** An edited copy was sent. */
        is_edited: Type.Boolean(),
        replayed_at: time,
        /** Null: it is on its way. */
        outcome: orNull(oneOf(['delivered', 'failed', 'superseded'])),
        error: orNull(Type.String()),
        ended_at: orNull(time),
      }),
    ),
    body: Type.Object({
      /** What is not UTF-8 is shown as U+FFFD. */
      text: Type.String(),
      base64: Type.String(),
      is_utf8: Type.Boolean(),
      /** There is more of it than is shown. */
      is_cut: Type.Boolean(),
    }),
  },
  { title: 'FailureDetail' },
);
export type FailureDetailDocument = Static<typeof failureDetailDocument>;

/** A Redis behind this PostgreSQL, and what it has here. */
export const storeDocument = Type.Object(
  {
    store: Type.String(),
    /** That of the node which answers. */
    is_own: Type.Boolean(),
    /** The node of it that said last that it lives. */
    node: orNull(Type.String()),
    seen_at: orNull(time),
    /** No node of it has lived for a while. */
    is_stranded: Type.Boolean(),
    /** Dead letters that have not ended. */
    letters: count,
    outbox_alerts: count,
    /** Of rejects and quarantined events, under way. */
    resubmissions: count,
  },
  { title: 'Store' },
);
export type StoreDocument = Static<typeof storeDocument>;

/** What was taken over, or would be. */
export const adoptionDocument = Type.Object(
  {
    store: Type.String(),
    adopted_by: Type.String(),
    letters: count,
    /** They are dead letters now, which are replayed without a person. */
    outbox_alerts: count,
    resubmissions: count,
    /** Ask again for the rest. */
    left: count,
  },
  { title: 'Adoption' },
);
export type AdoptionDocument = Static<typeof adoptionDocument>;

/** Of one API key, since ever. */
export const rejectTotalsDocument = Type.Object(
  {
    key: Type.String(),
    kept: count,
    kept_bytes: count,
    evicted: count,
    evicted_bytes: count,
    resubmitted: count,
    discarded: count,
    discarded_bytes: count,
  },
  { title: 'RejectTotals' },
);
export type RejectTotalsDocument = Static<typeof rejectTotalsDocument>;

export const resubmittedDocument = Type.Object(
  {
    id: Type.String(),
    outcome: oneOf(RESUBMISSION_OUTCOMES),
    /** That it became, or will. */
    events: count,
    /** Of records that are not usable, at most 10. */
    errors: Type.Array(Type.Object({ index: count, code: Type.String(), message: Type.String() })),
    /** Why, for a person; null when there is nothing to say. */
    detail: orNull(Type.String()),
  },
  { title: 'ResubmittedFailure' },
);
export type ResubmittedDocument = Static<typeof resubmittedDocument>;

export const discardedDocument = Type.Object(
  { id: Type.String(), outcome: oneOf(DISCARD_OUTCOMES) },
  { title: 'DiscardedFailure' },
);
export type DiscardedDocument = Static<typeof discardedDocument>;
