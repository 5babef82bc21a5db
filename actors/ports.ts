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
}
export interface DeadLetterStore {
  /** Idempotent by alert id. */
  keep(letters: readonly DeadLetter[]): Promise<void>;
}

/** How one delivery ended (wire formats, section 5.7). */
export type DeliveryOutcome =
  | { kind: 'delivered'; status: number }
  /** Try again: 408, 425, 429, 5xx, network. `retryAfterMs` is what the destination asked for. */
  | { kind: 'retry'; reason: DeliveryFailure; error: string; status?: number; retryAfterMs?: number }
  /** 401 or 403: pause the whole lane; the alert is not at fault. */
  | { kind: 'unauthorized'; reason: 'auth'; error: string; status: number }
  /** Any other 4xx: this alert will never be taken. */
  | { kind: 'refused'; reason: DeliveryFailure; error: string; status: number };
export type DeliveryFailure =
  'timeout' | 'network' | 'tls' | 'throttled' | 'server' | 'auth' | 'rejected' | 'template';

/** Posts one document. Rejects when there is no answer: with the network's own code, `ETIMEDOUT`, or a coded error. */
export interface WebhookClient {
  post(request: WebhookRequest): Promise<WebhookReply>;
}
export interface WebhookRequest {
  url: string;
  /** JSON text. */
  body: string;
  timeoutMs: number;
  secretRef: string | null;
}
export interface WebhookReply {
  status: number;
  /** Header names in lower case. */
  headers: Readonly<Record<string, string | string[] | undefined>>;
  /** The beginning of the body. */
  excerpt: string;
}

export interface Destination {
  name: string;
  kind: 'moogsoft' | 'webhook';
  url: string;
  /** Where the credential is found (`env:NAME`, `file:/path`); the credential itself is never stored or queued. */
  secretRef: string | null;
  routes: DestinationRoute[];
  ratePerSecond: number;
  concurrency: number;
  timeoutMs: number;
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
