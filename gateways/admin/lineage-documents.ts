/**
 * The documents of an event's way, as schemas. As documents.ts, of which this is a part.
 */
import { Type } from 'typebox';
import type { Static } from 'typebox';
import { auditLogEntry, count, handling, oneOf, orNull, time } from './documents.ts';
import { REJECT_STATES } from './failure-documents.ts';
import { explainedRuleDocument, normalizedEventDocument } from './rule-documents.ts';

/** Where an event is, or how its way has ended. */
export const LINEAGE_STATES = [
  /** It waits in a mailbox, or is being matched. */
  'waiting',
  /** It matched, and at least one of its alerts is on its way. */
  'forwarding',
  /** Its last alert was taken by its destination. */
  'forwarded',
  /** An alert is a dead letter that waits. */
  'dead_lettered',
  /** Its last alert ended as a dead letter that somebody threw away. */
  'discarded',
  /** As `discarded`, of one that its destination never saw. */
  'shed',
  /** Its last alert ended unsent: its destination is muted, or it was too old. */
  'suppressed',
  /** Its last alert ended unsent, since a later one of its signature waited, or was taken meanwhile. */
  'superseded',
  /** It matched, and nothing was to be sent. */
  'handled',
  'unmatched',
  /** It broke its handler and is kept aside. */
  'quarantined',
  /** No usable record: parked as a reject. */
  'rejected',
  /** It matched nothing, and such events are not all kept. */
  'not_kept',
  'unknown',
  /** Several events, or events and rejects: see each. */
  'several',
] as const;
export type LineageState = (typeof LINEAGE_STATES)[number];

export const ALERT_STATES = [
  'waiting',
  'delivered',
  'dead_lettered',
  'suppressed',
  'superseded',
  'discarded',
  'unknown',
] as const;

const senderDocument = Type.Object({
  /** Name of the API key. */
  api_key: Type.String(),
  /** The peer's: that of the last relay or proxy. Null where it is not known. */
  address: orNull(Type.String()),
  /** Told from the User-Agent. */
  program: Type.String(),
  /** `http`, `websocket`, a dialect, or `resubmission`. */
  protocol: Type.String(),
});

const waitingDocument = Type.Object({
  partition: count,
  mailbox: Type.String(),
  /** Frames before its own; null where it was not found among the first ones. */
  frames_before: orNull(count),
  /** When the first frame there was received. */
  oldest_at: time,
});

const matchDocument = Type.Object({
  rule_id: Type.Integer(),
  rule_version: Type.Integer(),
  handling,
  /** What it is called today; null when it has no name or is gone. */
  name: orNull(Type.String()),
  /** Today's; null when it is gone. */
  current_version: orNull(Type.Integer()),
});

const alertDocument = Type.Object({
  alert_id: Type.String(),
  destination: Type.String(),
  rule_id: Type.Integer(),
  state: oneOf(ALERT_STATES),
  /** Of the destination; null also when it was delivered and its receipt is not stored, or not yet. */
  receipt: orNull(
    Type.Object({
      /** HTTP. */
      status: Type.Integer(),
      attempts: count,
      delivered_at: time,
    }),
  ),
  /** Why it ended unsent, and when; null when it did not. */
  unsent: orNull(Type.Object({ reason: oneOf(['muted', 'stale', 'superseded']), at: time })),
  dead_letter: orNull(
    Type.Object({
      reason: Type.String(),
      error: Type.String(),
      attempts: count,
      first_failed_at: time,
      last_failed_at: time,
      /** When PostgreSQL was told that it was delivered, superseded or discarded; null until then. */
      ended_at: orNull(time),
    }),
  ),
  /** Of its mailbox while it waits; null else, or when that is not known. */
  mailbox: orNull(
    Type.Object({
      depth: count,
      oldest_at: orNull(time),
      /** What holds it back; null while it is read on. */
      paused: orNull(Type.String()),
      /** The alert of its signature that is tried again before it is sent; null without one. */
      waits_behind: orNull(Type.String()),
    }),
  ),
  /** Where it waits while its mailbox is full; null while it does not wait there, or when that is not known. */
  outbox: orNull(
    Type.Object({
      /** In the outbox, of the same mailbox. */
      alerts_before: count,
      since: time,
    }),
  ),
});
export type LineageAlertDocument = Static<typeof alertDocument>;

const eventLineage = Type.Object(
  {
    event_id: Type.String(),
    received_at: time,
    /** Null where its host is not known. */
    partition: orNull(count),
    correlation_id: orNull(Type.String()),
    /** Null where it is not kept. */
    sender: orNull(senderDocument),
    waiting: orNull(waitingDocument),
    audit: orNull(auditLogEntry),
    /** As today's program reads what was received; null where that is not kept or cannot be read. */
    normalized: orNull(normalizedEventDocument),
    /** In the order they were tried; the first decided. */
    matches: Type.Array(matchDocument),
    /** Of an unmatched event, by the rules in force now; the nearest first; null when it cannot be said now. */
    nearest: orNull(Type.Array(explainedRuleDocument)),
    alerts: Type.Array(alertDocument),
    quarantine: orNull(
      Type.Object({
        reason: Type.String(),
        attempts: count,
        quarantined_at: time,
        /** Oldest first. */
        history: Type.Array(Type.String()),
      }),
    ),
  },
  { title: 'EventLineage' },
);
export type EventLineageDocument = Static<typeof eventLineage>;

export const lineageDocument = Type.Object(
  {
    id: Type.String(),
    /** What the id was taken for. A reject is found by its own id, too. */
    kind: oneOf(['event', 'alert', 'correlation_id']),
    state: oneOf(LINEAGE_STATES),
    /** The same as a sentence. */
    explanation: Type.String(),
    /** Of one event; null where there is none, or several. */
    event: orNull(eventLineage),
    /** The newest first; what is not kept of a request is not among them. */
    events: Type.Array(
      Type.Object({
        event_id: Type.String(),
        received_at: time,
        hostname: Type.String(),
        handling_decision: Type.String(),
      }),
    ),
    rejects: Type.Array(
      Type.Object({
        id: Type.String(),
        received_at: time,
        key: Type.String(),
        sender: Type.String(),
        reason: Type.String(),
        error: Type.String(),
        state: oneOf(REJECT_STATES),
      }),
    ),
    /** False when there may be others: the search was ended, or there are more than are listed. */
    is_complete: Type.Boolean(),
  },
  { title: 'Lineage' },
);
export type LineageDocument = Static<typeof lineageDocument>;
