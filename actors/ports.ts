/**
 * What the actors need from the outside, as interfaces. The gateways implement them; the actors never know how.
 */
import type { Alert, AuditRow, Environment, Handling } from './event.ts';
import type { SettingValues } from './settings.ts';

export type { SettingValue, SettingValues } from './settings.ts';

/** Keeps decisions. The first row for an event wins for ever. */
export interface AuditStore {
  /**
   * Stores the rows and gives back, for each in the same order, the decision that stands: the given one, or the one an
   * earlier attempt stored. Idempotent. Rejects with kind `transient` when the store is away.
   */
  insert(rows: readonly AuditRow[]): Promise<StandingDecision[]>;
}

export interface StandingDecision {
  eventId: string;
  decision: Handling | 'Unmatched';
  alerts: Alert[];
  /** False when an earlier attempt had already stored a row for this event. */
  isFirst: boolean;
}

/** Unusable input, kept with its bytes so that nothing a sender gave us vanishes. Bounded: the oldest go first, counted. */
export interface Reject {
  id: string;
  receivedAtMs: number;
  /** Name of the API key that sent it. */
  keyName: string;
  sender: string;
  correlationId: string;
  /** Position in the request. */
  index: number;
  code: string;
  message: string;
  body: Buffer;
}
export interface RejectStore {
  /** Idempotent by id. Resolves to how many were not there yet, and how many had to go at a bound: the oldest. */
  park(rejects: readonly Reject[]): Promise<ParkedRejects>;
}
export interface ParkedRejects extends EvictedRejects {
  parked: number;
}
export interface EvictedRejects {
  /** At the bound of the API key of those that are parked. */
  ofKey: number;
  /** At the bound of all: of the keys that hold most. */
  ofAll: number;
}

/** An event that breaks its handler, with what it did. Never dropped. */
export interface QuarantinedEvent {
  eventId: string;
  receivedAtMs: number;
  partition: number;
  attempts: number;
  reason: string;
  history: readonly string[];
  body: Buffer;
}
export interface QuarantineStore {
  /** Idempotent by event id. */
  quarantine(events: readonly QuarantinedEvent[]): Promise<void>;
}

/** One template of one host: what came of it since the last time, and how its window stands. Times of receipt. */
export interface TemplateChange {
  host: string;
  fingerprint: string;
  partition: number;
  program: string | null;
  trapOid: string | null;
  template: string;
  sample: string;
  sampleEventId: string;
  /** Events to add. */
  count: number;
  /** Of these. */
  firstSeenMs: number;
  lastSeenMs: number;
  windowStartMs: number;
  windowCount: number;
  /** It is latched with this, unless it is already. */
  alert: TemplateAlert | null;
}
export interface TemplateAlert {
  /** The frame whose batch takes the alerts along. */
  carrier: string;
  alertedAtMs: number;
  alerts: Alert[];
}
export interface StoredChange {
  isNew: boolean;
  isLatched: boolean;
  /** What stands; null when no change of the call had one. */
  alert: TemplateAlert | null;
}
export interface StoredTemplate extends Omit<
  TemplateChange,
  'fingerprint' | 'count' | 'firstSeenMs' | 'alert'
> {
  /** Null when it is not latched. */
  carrier: string | null;
  alerts: Alert[];
}
/** What no rule matched, by host and template. Rows are bounded: by `trim`. */
export interface UnmatchedStore {
  /** Of these partitions, seen since then: the latched ones first, then those with most in their windows. */
  load(partitions: readonly number[], sinceMs: number, limit: number): Promise<StoredTemplate[]>;
  /**
   * Adds; each host and fingerprint once at most. One that was quiet for `windowMs` is latched no more. Not idempotent:
   * a call whose answer is lost counts twice when it is repeated; it never raises another alert. Answers in their order.
   */
  store(changes: readonly TemplateChange[], windowMs: number): Promise<StoredChange[]>;
  /** Removes what nothing was added to since then, and past `rowsMax` what counts least. Resolves to how many. */
  trim(rowsMax: number, sinceMs: number): Promise<number>;
}

/** An alert that a destination will never take, kept for a person. */
export interface DeadLetter {
  alert: Alert;
  partition: number;
  destination: string;
  reason: string;
  error: string;
  attempts: number;
  firstFailedAtMs: number;
  lastFailedAtMs: number;
  /** Replays before it failed. */
  replays: number;
}
export interface DeadLetterStore {
  /** Idempotent by alert id and replays. Resolves to the replays that have failed with this. */
  keep(letters: readonly DeadLetter[]): Promise<FailedReplay[]>;
}
export interface FailedReplay {
  destination: string;
  /** Nobody had asked for it. */
  isAutomatic: boolean;
}

/** What there is to do about dead letters of a partition. */
export type LetterWork =
  /** Was begun, by whomever, and is not finished. */
  | { kind: 'batch'; partition: number; batch: LetterBatch }
  | { kind: 'discard'; partition: number }
  /** An operation has letters queued. */
  | { kind: 'replay'; partition: number; destination: string; operationId: string; perSecond: number }
  /** Letters that may heal are due. */
  | { kind: 'retry'; partition: number; destination: string };
export interface LetterBatch {
  id: string;
  partition: number;
  /** Its name is, or was, in the mailboxes' store: it must not get there again. */
  isArmed: boolean;
}
export interface BatchLetter {
  alertId: string;
  destination: string;
  /** What is to be sent. */
  alert: Alert;
  end: LetterEnd;
  /** This one included. */
  replays: number;
  firstFailedAtMs: number;
  /** Of the last failure. */
  reason: string;
}
export type LetterEnd = 'replayed' | 'superseded' | 'discarded';
/** How many letters of one destination or end. */
export interface LetterCount {
  letters: number;
  isAutomatic: boolean;
}
/** What paces replays: tokens that all nodes share. */
export interface ReplayPace {
  name: string;
  /** At first. */
  perSecond: number;
  /** On their way to the destination at a time; null: twice as many as are replayed in a second. */
  onTheirWayMax: number | null;
}
/** Replays of dead letters as they are written down. Everything may be repeated, but for the taking of tokens. */
export interface LetterReleaseStore {
  /** Letters that name no store are of this one from here on. */
  adopt(partitions: readonly number[]): Promise<void>;
  work(
    partitions: readonly number[],
    destinations: readonly string[],
    reasons: readonly string[],
  ): Promise<LetterWork[]>;
  /** These resolve to how many letters are in the batch; with none there is no batch. */
  claimQueued(work: Extract<LetterWork, { kind: 'replay' }>, limit: number, batchId: string): Promise<number>;
  claimDue(
    work: Extract<LetterWork, { kind: 'retry' }>,
    reasons: readonly string[],
    limit: number,
    batchId: string,
  ): Promise<number>;
  claimDiscarded(partition: number, limit: number, batchId: string): Promise<number>;
  /** False: somebody else has finished it. */
  arm(batchId: string): Promise<boolean>;
  /** The oldest alerts first. */
  lettersOf(batchId: string): Promise<BatchLetter[]>;
  finish(batchId: string): Promise<(LetterCount & { end: LetterEnd })[]>;
  noteDelivered(
    partitions: readonly number[],
    destinations: readonly string[],
  ): Promise<(LetterCount & { destination: string; outcome: 'delivered' | 'superseded' })[]>;
  /** Where letters are on their way for at least so long. */
  lost(
    partitions: readonly number[],
    ageMsMin: number,
  ): Promise<{ partition: number; destination: string }[]>;
  /** Resolves to how many. */
  endLost(at: { partition: number; destination: string }, ageMsMin: number): Promise<number>;
  plan(
    partitions: readonly number[],
    reasons: readonly string[],
    limits: { baseMs: number; delayMsMax: number; replaysMax: number; lettersMax: number },
  ): Promise<{ destination: string; isGivenUp: boolean; letters: number }[]>;
  takeTokens(pace: ReplayPace, wanted: number, destination: string): Promise<number>;
  /** Those that were not needed. */
  giveBackTokens(pace: string, tokens: number): Promise<void>;
  adapt(
    pace: string,
    isGrowing: boolean,
    bounds: { perSecondMin: number; perSecondMax: number },
  ): Promise<void>;
  closeOperations(): Promise<void>;
}

/** That a destination took an alert, or that it ended unsent. */
export interface AlertReceipt {
  alertId: string;
  /** Of the event. */
  receivedAtMs: number;
  eventIds: readonly string[];
  destination: string;
  partition: number;
  /** HTTP; 0 when it was not sent. */
  status: number;
  /** Deliveries that counted, this one included. */
  attempts: number;
  /** When it was delivered, or ended unsent. */
  deliveredAtMs: number;
  signature: string;
  /** Null: it was delivered. */
  unsentReason: UnsentReason | null;
}
/** Why an alert was not sent: its destination is muted, it was too old, or a later one of its signature waited. */
export type UnsentReason = 'muted' | 'stale' | 'superseded';
export interface ReceiptStore {
  /** Idempotent by alert: the first one stands. Resolves to how many were not there yet. */
  keep(receipts: readonly AlertReceipt[]): Promise<number>;
}
/** Knows what destinations have taken. */
export interface DeliveryLog {
  /** Whether its destination has taken a later alert of its signature. */
  isSuperseded(alert: Alert): Promise<boolean>;
}

/** What came of an alert whose turn it was. */
export type DeliveryOutcome =
  | SentOutcome
  /** Not sent: it was replayed, and its destination has taken a later alert of its signature. */
  | { kind: 'superseded' };
/** How one delivery ended (wire formats, section 5.7). */
export type SentOutcome =
  | { kind: 'delivered'; status: number }
  /** Try again: 408, 425, 429, 5xx, network. `retryAfterMs` is what the destination asked for. */
  | { kind: 'retry'; reason: DeliveryFailure; error: string; status?: number; retryAfterMs?: number }
  /** 401, 403, or what says the same: pause the whole lane; the alert is not at fault. */
  | { kind: 'unauthorized'; reason: 'auth'; error: string; status: number }
  /** This alert will never be taken: any other 4xx, or no document can be made of it, which has no status. */
  | { kind: 'refused'; reason: DeliveryFailure; error: string; status?: number };
export type DeliveryFailure =
  'timeout' | 'network' | 'tls' | 'throttled' | 'server' | 'auth' | 'rejected' | 'template';
/** Why an alert became a dead letter unsent: for a person to look at, or until there is less to do. */
export const SHED_REASONS = ['shed', 'deferred'] as const;
export type ShedReason = (typeof SHED_REASONS)[number];
export function wasShed(reason: string): boolean {
  return SHED_REASONS.some((known) => known === reason);
}

/**
 * Posts one document. Rejects when there is no answer: with the network's own code, `ETIMEDOUT`, or a coded error; also
 * with whatever `compose` throws.
 */
export interface WebhookClient {
  post(request: WebhookRequest): Promise<WebhookReply>;
}
export interface WebhookRequest {
  url: string;
  timeoutMs: number;
  secretRef: string | null;
  /** Asked once the credential is there: where it goes is the kind's affair. `undefined`: there is none. */
  compose: (credential: string | undefined) => WebhookMessage;
}
export interface WebhookMessage {
  /** Names in lower case. */
  headers: Readonly<Record<string, string>>;
  body: string;
}
export interface WebhookReply {
  status: number;
  /** Header names in lower case. */
  headers: Readonly<Record<string, string | string[] | undefined>>;
  /** The beginning of the body, without the credential it was sent. */
  excerpt: string;
}

/** What destinations understand; what each does is in actors/forward/kinds/. */
export const KIND_NAMES = ['moogsoft', 'moogsoft_cloud', 'pagerduty', 'alertmanager', 'webhook'] as const;
export type KindName = (typeof KIND_NAMES)[number];

/** How a credential goes along: two ways of the header Authorization, or in the body beside the event. */
export const AUTH_FORMS = ['bearer', 'basic', 'auth_token'] as const;
export type AuthForm = (typeof AUTH_FORMS)[number];

/** What a template may make. The first is what it makes when nothing is said. */
export const CONTENT_TYPES = ['application/json', 'text/plain', 'application/x-www-form-urlencoded'] as const;
export type ContentType = (typeof CONTENT_TYPES)[number];

export interface Destination {
  name: string;
  kind: KindName;
  url: string;
  /** Where the credential is found (`env:NAME`, `file:/path`); the credential itself is never stored or queued. */
  secretRef: string | null;
  /** Absent: the first that the kind knows. */
  auth?: AuthForm;
  /** Of a webhook: what its body is made from, in Liquid. Absent: the alert's own fields. */
  template?: string;
  contentType?: ContentType;
  /** Of an Alertmanager: how long an alert fires there that nobody resolves. */
  resolveAfterMs?: number;
  routes: DestinationRoute[];
  ratePerSecond: number;
  concurrency: number;
  timeoutMs: number;
  /** An alert that was received longer ago is not sent any more. Null or absent: however long ago. */
  staleAfterMs?: number | null;
  /** Of what waited while nothing was sent, only the latest of each signature counts. Absent: so it is. */
  collapse?: boolean;
  /** Null or absent: there is none. */
  hold?: DestinationHold | null;
}
/** That nothing is sent, since somebody wants it so; void from `untilMs` on. */
export interface DestinationHold {
  /** `pause`: alerts wait. `mute`: they end unsent. */
  kind: 'pause' | 'mute';
  /** ms since 1970; null: until it is ended. */
  untilMs: number | null;
  reason: string;
  sinceMs: number;
  by: string;
}
/** The hold that is not void; undefined without one. */
export function holdAt({ hold }: Pick<Destination, 'hold'>, nowMs: number): DestinationHold | undefined {
  if (hold === undefined || hold === null) return undefined;
  return hold.untilMs === null || nowMs < hold.untilMs ? hold : undefined;
}
/** All given criteria must hold; a destination without routes takes everything that is forwarded. */
export interface DestinationRoute {
  team?: string;
  /** At least this bad: severity number less than or equal. */
  severityAtMost?: number;
  environment?: Environment;
  handling?: Handling;
}

/** Everything people configure; one immutable version of it. */
export interface Snapshot {
  version: number;
  rules: RuleRow[];
  developmentHosts: string[];
  /** Host (case-folded) to team. */
  teams: Record<string, string>;
  destinations: Destination[];
  /** Only what was set. Values are as stored: whoever reads them checks them against the table of settings. */
  settings: SettingValues;
  /** Keys that are not revoked; those that expired within the last day too, so that a gateway can say so. */
  keys: ApiKeyRecord[];
}

export type KeyScope = 'ingest' | 'read' | 'operate' | 'admin';

/** An API key as published: what opens it, never the key. */
export interface ApiKeyRecord {
  name: string;
  scopes: KeyScope[];
  /** The key itself first, then the one it replaced, which works on until its own end. */
  hmacSha256s: ApiKeyDigest[];
  /** Names the pepper that the digests were made with; empty when it is not known. */
  pepperFingerprint: string;
  /** The `id` of an event says which one it is, when it comes again. Absent where nobody opted for it. */
  eventIds?: boolean;
}
export interface ApiKeyDigest {
  /** HMAC-SHA-256 of the key: 64 hex digits. */
  hmac: string;
  /** ms since 1970 UTC, or null for never. */
  expiresAt: number | null;
}

/** A rule as stored and as published (contract, section "Events to alerts"). */
export interface RuleRow {
  id: number;
  version: number;
  match_string: string | null;
  match_type: 'contains' | 'regex' | 'oid_prefix';
  case_sensitive: boolean;
  trap_oid: string | null;
  syslog_severity: number | null;
  severity_op: '=' | '<=' | '>=';
  host: string | null;
  program: string | null;
  facility: number | null;
  network: string | null;
  priority: number;
  continue: boolean;
  prod_handling: Handling;
  dev_handling: Handling;
  team_assignment: string;
  severity: number | null;
  signature: string | null;
  clears: number | null;
  /** RFC 3339; judged by receipt time. */
  active_from: string | null;
  active_until: string | null;
  is_active: boolean;
  tests: unknown[];
  /** Not for people to set. Absent or null: it is not. */
  suspended?: RuleSuspension | null;
}

/** Why every node leaves a rule out: one of them found it over its budget. */
export interface RuleSuspension {
  /** RFC 3339. */
  at: string;
  reason: string;
  /** What took it over its budget. */
  event_id: string;
}

/** What a rule has where its writer gave nothing; undefined for what must be given. In the order that rules are shown. */
export const RULE_DEFAULTS = {
  match_string: null,
  match_type: 'contains',
  case_sensitive: false,
  trap_oid: null,
  syslog_severity: null,
  severity_op: '=',
  host: null,
  program: null,
  facility: null,
  network: null,
  priority: 100,
  continue: false,
  prod_handling: undefined,
  dev_handling: undefined,
  team_assignment: undefined,
  severity: null,
  signature: null,
  clears: null,
  active_from: null,
  active_until: null,
  is_active: true,
  tests: [] as unknown[],
} as const satisfies { [Field in keyof Omit<RuleRow, 'id' | 'version'>]: RuleRow[Field] | undefined };
