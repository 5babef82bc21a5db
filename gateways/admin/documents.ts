/**
 * The documents of the admin API as schemas: what is sent, and the types that follow from it.
 *
 * A schema with a `title` becomes a named schema of the OpenAPI document. A `description` completes the sentence
 * "must be …" of a fault. Not for what an endpoint takes: those schemas are with their endpoints.
 */
import { Type } from 'typebox';
import type { Static, TSchema } from 'typebox';
import { TERMINAL_STATES } from '../../actors/event.ts';
import type { Handling } from '../../actors/event.ts';

export const orNull = <T extends TSchema>(schema: T) => Type.Union([schema, Type.Null()]);
export const oneOf = <const T extends string[]>(values: readonly [...T]) =>
  Type.Enum(values, { description: `one of ${values.join(', ')}` });
export const handling = oneOf(['Page_and_ticket', 'Page_only', 'Ticket_only', 'Ignore'] satisfies Handling[]);

const INT4_MAX = 2_147_483_647;
/** A whole number that PostgreSQL holds as integer. */
export const idNumber = Type.Integer({
  minimum: 1,
  maximum: INT4_MAX,
  description: `a whole number from 1 to ${INT4_MAX}`,
});
export const time = Type.String({ format: 'date-time', description: 'a time in RFC 3339' });
export const count = Type.Integer({ minimum: 0 });
const settingValue = Type.Union([Type.Number(), Type.String(), Type.Boolean()], {
  description: 'a number, a text, or true or false',
});

/** A page of a list: `next` is the cursor of the page after it, or null at the end. */
export const listOf = <T extends TSchema>(item: T) =>
  Type.Object({ items: Type.Array(item), next: orNull(Type.String()) });

export const fieldFault = Type.Object(
  {
    field: Type.String(),
    why: Type.String(),
    mend: Type.Optional(Type.String()),
    value: Type.Optional(Type.String()),
  },
  { title: 'FieldFault', additionalProperties: true },
);
export const problemDocument = Type.Object(
  {
    type: Type.String(),
    title: Type.String(),
    status: Type.Integer(),
    code: Type.String({ pattern: '^E_[A-Z0-9_]+$' }),
    detail: Type.String(),
    correlation_id: Type.Optional(Type.String()),
    errors: Type.Optional(Type.Array(fieldFault)),
  },
  { title: 'Problem', additionalProperties: true },
);

/** This version of the rule is left out by every node: a message took it over its budget. */
const ruleSuspension = Type.Object({ at: time, reason: Type.String(), event_id: Type.String() });
export const ruleDocument = Type.Object(
  {
    id: idNumber,
    version: count,
    name: orNull(Type.String()),
    match_string: orNull(Type.String()),
    match_type: oneOf(['contains', 'regex', 'oid_prefix']),
    case_sensitive: Type.Boolean(),
    trap_oid: orNull(Type.String()),
    syslog_severity: orNull(Type.Integer({ minimum: 0, maximum: 7 })),
    severity_op: oneOf(['=', '<=', '>=']),
    host: orNull(Type.String()),
    program: orNull(Type.String()),
    facility: orNull(Type.Integer({ minimum: 0, maximum: 23 })),
    network: orNull(Type.String()),
    priority: Type.Integer(),
    continue: Type.Boolean(),
    prod_handling: handling,
    dev_handling: handling,
    team_assignment: Type.String(),
    severity: orNull(Type.Integer({ minimum: 0, maximum: 7 })),
    signature: orNull(Type.String()),
    clears: orNull(idNumber),
    active_from: orNull(time),
    active_until: orNull(time),
    is_active: Type.Boolean(),
    tests: Type.Array(Type.Unknown()),
    suspended: Type.Optional(orNull(ruleSuspension)),
  },
  { title: 'Rule' },
);
export type RuleDocument = Static<typeof ruleDocument>;

export const appliedDocument = Type.Object(
  {
    created: count,
    updated: count,
    unchanged: count,
    deleted: count,
    snapshot_version: count,
    rules: Type.Array(
      Type.Object({
        id: Type.Integer(),
        name: orNull(Type.String()),
        version: Type.Integer(),
        outcome: oneOf(['created', 'updated', 'unchanged']),
      }),
    ),
  },
  { title: 'AppliedRuleSet' },
);
export type AppliedDocument = Static<typeof appliedDocument>;

export const devHostDocument = Type.Object(
  { hostname: Type.String(), created_at: time },
  { title: 'DevHost' },
);
export type DevHostDocument = Static<typeof devHostDocument>;

export const teamDocument = Type.Object(
  { hostname: Type.String(), team: Type.String(), version: count, updated_at: time },
  { title: 'Team' },
);
export type TeamDocument = Static<typeof teamDocument>;

export const settingDocument = Type.Object(
  {
    key: Type.String(),
    value: settingValue,
    default: settingValue,
    source: oneOf(['default', 'environment', 'set']),
    type: oneOf(['integer', 'number', 'choice', 'boolean', 'text']),
    unit: orNull(Type.String()),
    minimum: Type.Optional(Type.Number()),
    maximum: Type.Optional(Type.Number()),
    choices: Type.Optional(Type.Array(Type.String())),
    description: Type.String(),
    reacts: Type.String(),
    version: count,
    updated_at: orNull(time),
    updated_by: orNull(Type.String()),
    guard: orNull(
      Type.Object({
        until: time,
        error_rate_max: orNull(Type.Number()),
        latency_p99_ms_max: orNull(Type.Number()),
        previous_value: orNull(settingValue),
      }),
    ),
  },
  { title: 'Setting' },
);
export type SettingDocument = Static<typeof settingDocument>;
export type SettingValue = Static<typeof settingValue>;

export const workerVersions = Type.Array(Type.Object({ worker: Type.String(), version: count }));
export const effectiveDocument = Type.Object(
  {
    snapshot_version: count,
    settings: Type.Record(Type.String(), settingValue),
    workers: workerVersions,
  },
  { title: 'EffectiveSettings' },
);
export type EffectiveDocument = Static<typeof effectiveDocument>;

const anyValue = Type.Unknown();
export const configAuditEntry = Type.Object(
  {
    id: Type.Integer(),
    changed_at: time,
    changed_by: Type.String(),
    operation: oneOf(['CREATE', 'UPDATE', 'DELETE']),
    resource: Type.String(),
    record_key: Type.String(),
    old_values: anyValue,
    new_values: anyValue,
    reason: orNull(Type.String()),
    correlation_id: orNull(Type.String()),
    hash: Type.String({ pattern: '^[0-9a-f]{64}$' }),
  },
  { title: 'ConfigAuditEntry' },
);
export type ConfigAuditEntryDocument = Static<typeof configAuditEntry>;

export const configAuditVerdict = Type.Object(
  {
    intact: Type.Boolean(),
    entries: count,
    problems: Type.Array(
      Type.Object({
        id: Type.Integer(),
        problem: oneOf(['missing', 'altered', 'unlinked', 'truncated']),
      }),
    ),
  },
  { title: 'ConfigAuditVerdict' },
);
export type ConfigAuditVerdict = Static<typeof configAuditVerdict>;

export const SCOPES = ['ingest', 'read', 'operate', 'admin'] as const;
export const keyDocument = Type.Object(
  {
    name: Type.String(),
    scopes: Type.Array(oneOf([...SCOPES, 'sink'])),
    source: oneOf(['node', 'database']),
    state: oneOf(['active', 'expired', 'revoked', 'foreign']),
    /** Whether the `id` of an event says which one it is, when it comes again. */
    event_ids: Type.Boolean(),
    created_at: orNull(time),
    expires_at: orNull(time),
    revoked_at: orNull(time),
    /** Until then the value before the last rotation works too. */
    previous_expires_at: orNull(time),
  },
  { title: 'Key' },
);
export type KeyDocument = Static<typeof keyDocument>;

export const newKeyDocument = Type.Object(
  {
    name: Type.String(),
    key: Type.String(),
    scopes: Type.Array(oneOf(SCOPES)),
    event_ids: Type.Boolean(),
    expires_at: orNull(time),
    previous_expires_at: Type.Optional(orNull(time)),
  },
  { title: 'NewKey' },
);
export type NewKeyDocument = Static<typeof newKeyDocument>;

export const auditLogEntry = Type.Object(
  {
    event_id: Type.String(),
    received_at: time,
    /** What the sender's clock said, whatever year that is. */
    event_time: Type.String(),
    clock_skewed: Type.Boolean(),
    hostname: Type.String(),
    severity: orNull(Type.Integer({ minimum: 0, maximum: 7 })),
    environment: oneOf(['prod', 'dev']),
    team: orNull(Type.String()),
    matched_rule_id: orNull(Type.Integer()),
    rule_version: orNull(Type.Integer()),
    rule_set_version: Type.Integer(),
    handling_decision: Type.String(),
    forwarded: Type.Boolean(),
    matches: Type.Array(anyValue),
    alerts: Type.Array(anyValue),
    correlation_id: Type.String(),
    raw_message: Type.String(),
    /** Something in its text was none and became U+FFFD. */
    text_repaired: Type.Boolean(),
    /** The record as received, where raw_message is another. */
    raw_base64: orNull(Type.String()),
  },
  { title: 'AuditLogEntry' },
);
export type AuditLogEntryDocument = Static<typeof auditLogEntry>;

const actorFields = {
  id: Type.String(),
  status: Type.String(),
  epoch: Type.Integer(),
  restarts: count,
  since: Type.Optional(time),
  exits: Type.Optional(Type.Array(Type.Object({ at: time, reason: Type.String() }))),
  placement: Type.Optional(Type.String()),
  pid: Type.Optional(Type.Integer()),
  heap_used_bytes: Type.Optional(Type.Number()),
  rss_bytes: Type.Optional(Type.Number()),
  waiting: Type.Optional(Type.Number()),
  doing: Type.Optional(Type.String()),
};
/** A part of the live tree with what is below it. */
export const actorDocument = Type.Cyclic(
  {
    Actor: Type.Object({ ...actorFields, children: Type.Optional(Type.Array(Type.Ref('Actor'))) }),
  },
  'Actor',
);
export interface ActorDocument {
  id: string;
  status: string;
  epoch: number;
  restarts: number;
  since?: string;
  exits?: { at: string; reason: string }[];
  placement?: string;
  pid?: number;
  heap_used_bytes?: number;
  rss_bytes?: number;
  waiting?: number;
  doing?: string;
  children?: ActorDocument[];
}

/** How one actor is, and what it says of its state. */
export const actorStateDocument = Type.Object(
  {
    id: Type.String(),
    status: Type.String(),
    epoch: Type.Integer(),
    since: Type.Optional(time),
    waiting: count,
    stashed: count,
    messages_handled: count,
    state: Type.Optional(Type.Unknown()),
  },
  { title: 'ActorState' },
);
export type ActorStateDocument = Static<typeof actorStateDocument>;

const laneMeasure = Type.Object({ entries: count, messages: Type.Integer(), bytes: Type.Integer() });
const partitionBooks = Type.Object({
  partition: count,
  accepted: count,
  in_flight: Type.Integer(),
  balanced: Type.Boolean(),
  lost: count,
  problems: Type.Array(Type.String()),
  lanes: Type.Record(Type.String(), laneMeasure),
  delayed: Type.Record(Type.String(), count),
  /** Alerts that wait in the outbox, by mailbox. */
  outbox: Type.Record(Type.String(), Type.Object({ alerts: count, bytes: count })),
  diverted_hosts: count,
  resend_keys: count,
});
export const ledgerDocument = Type.Object(
  {
    accepted: count,
    replayed: count,
    terminal: Type.Object(Object.fromEntries(TERMINAL_STATES.map((state) => [state, count]))),
    in_flight: Type.Integer(),
    rejected: count,
    balanced: Type.Boolean(),
    lost: count,
    alerts: Type.Object({
      opened: count,
      delivered: count,
      dead: count,
      shed: count,
      deferred: count,
      suppressed: count,
      superseded: count,
    }),
    partitions: Type.Array(partitionBooks),
  },
  { title: 'Ledger' },
);
export interface LedgerDocument extends Omit<Static<typeof ledgerDocument>, 'terminal'> {
  terminal: Record<string, number>;
}

/** Why a mailbox is not read on. */
export const PAUSE_REASONS = [
  'no_owner',
  'worker_down',
  'lease_lost',
  'handing_over',
  'store_away',
  'database_away',
  'mailbox_full',
  'message_fails',
  'destination_failing',
  'destination_down',
  'destination_unauthorized',
  'secret_unreadable',
  'destination_paused',
  'destination_removed',
] as const;
export type PauseReason = (typeof PAUSE_REASONS)[number];
const pauseDocument = Type.Object(
  {
    reason: oneOf(PAUSE_REASONS),
    detail: Type.String(),
    /** Null when that is not known. */
    since: orNull(time),
    /** When it ends by itself, where that is known. */
    until: Type.Optional(orNull(time)),
  },
  { title: 'Pause' },
);
export type PauseDocument = Static<typeof pauseDocument>;

const progress = {
  /** What holds it back; null while it is read on. */
  paused: orNull(pauseDocument),
  /** Until it is empty at the present pace: 0 when it is, null while it does not get emptier or that is not known yet. */
  eta_seconds: orNull(count),
};
const setAsideDocument = Type.Object(
  {
    alert_id: Type.String(),
    signature: Type.String(),
    /** Failed so far, while the destination took others. */
    attempts: count,
    /** Of the last failure. */
    reason: orNull(Type.String()),
    last_failed_at: orNull(time),
  },
  { title: 'SetAside' },
);
export type SetAsideDocument = Static<typeof setAsideDocument>;

const mailboxDocument = Type.Object(
  {
    /** `ingest`, `alert:<destination>` or `dead`. */
    mailbox: Type.String(),
    worker: orNull(Type.String()),
    /** Events or alerts; those that wait for a later try are counted with their destination. */
    depth: count,
    /** Of these, those in the outbox: the mailbox itself is full, or was. */
    outbox: count,
    /** When its first entry was stored; null without one. */
    oldest_at: orNull(time),
    /** Alerts that are tried again later, those first due; later ones of their signatures wait behind them. */
    set_aside: Type.Array(setAsideDocument),
    ...progress,
  },
  { title: 'Mailbox' },
);
export type MailboxDocument = Static<typeof mailboxDocument>;

export const partitionDocument = Type.Object(
  {
    ...partitionBooks.properties,
    /** The worker of this node that handles it; null when nobody does. */
    match_worker: orNull(Type.String()),
    forward_worker: orNull(Type.String()),
    /** When the entry that waits longest for matching was stored; null when nothing waits. */
    oldest_at: orNull(time),
    /** Of matching: those of the mailbox `ingest`. */
    ...progress,
    mailboxes: Type.Array(mailboxDocument),
  },
  { title: 'Partition' },
);
export type PartitionDocument = Static<typeof partitionDocument>;

const perMinute = Type.Number({ minimum: 0 });
/** Events accepted per minute. */
export const ratesDocument = Type.Object(
  {
    summary: Type.Object({ current_rate_1m: perMinute, avg_rate_15m: perMinute, avg_rate_1h: perMinute }),
    chart_24h: Type.Object({
      labels: Type.Array(Type.String({ pattern: '^\\d\\d:00$' }), { minItems: 24, maxItems: 24 }),
      data: Type.Array(perMinute, { minItems: 24, maxItems: 24 }),
    }),
  },
  { title: 'Rates' },
);
export type RatesDocument = Static<typeof ratesDocument>;

export const versionDocument = Type.Object(
  { version: Type.String(), node: Type.String(), api: Type.Array(Type.String()) },
  { title: 'Version' },
);
export type VersionDocument = Static<typeof versionDocument>;

export const recentAlertsDocument = Type.Object(
  {
    alerts: Type.Array(
      Type.Object({
        n: Type.Integer(),
        received_at: time,
        alert: Type.Record(Type.String(), Type.Unknown()),
      }),
    ),
    next: Type.Integer(),
    missed: Type.Integer({
      description: 'Alerts between the number asked with and these that are kept no longer',
    }),
  },
  { title: 'RecentAlerts' },
);
