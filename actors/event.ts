/**
 * The event: what a relay sends, and what a match actor sees.
 *
 * An event is stored as received (bytes) and normalised only when it is matched, so that a better normaliser never
 * needs a migration of what is queued.
 */
import type { Origin } from './ingest/origin.ts';

export type { Origin } from './ingest/origin.ts';

/** An event's fields after normalisation. Absent means the sender did not say; it is never guessed. */
export interface NormalizedEvent {
  /** `<frame UUIDv7>-<index in the frame>`. */
  id: string;
  /** Receipt time at the gateway, ms since 1970 UTC. The partition key of everything stored. */
  receivedAtMs: number;
  correlationId: string;
  /** Canonical (hostname.ts); FQDN or short name, as sent. */
  hostname: string;
  message: string;
  /** The sender's own time, ms since 1970 UTC. Data only: clocks lie. */
  eventTimeMs: number;
  /** The sender's time is more than the allowed skew away from the receipt time. */
  clockSkewed: boolean;
  /** Some of its text was no text: invalid UTF-8, NUL or a lone surrogate was replaced by U+FFFD. */
  textRepaired: boolean;
  /** 0 (emergency) to 7 (debug), RFC 5424 section 6.2.1. */
  severity?: number;
  /** 0 to 23, RFC 5424 section 6.2.1. */
  facility?: number;
  program?: string;
  pid?: string;
  msgid?: string;
  /** Canonical: RFC 5952, dotted decimal for IPv4. */
  sourceIp?: string;
  /** Canonical: arcs joined by dots, no leading dot. */
  trapOid?: string;
  varbinds?: unknown;
  source?: 'syslog' | 'snmp' | 'webhook';
  structuredData?: unknown;
  /** Everything else the sender put in. */
  fields: Record<string, unknown>;
}

export type Handling = 'Page_and_ticket' | 'Page_only' | 'Ticket_only' | 'Ignore';
export const HANDLINGS: readonly Handling[] = ['Page_and_ticket', 'Page_only', 'Ticket_only', 'Ignore'];

export type Environment = 'prod' | 'dev';

/** What leaves: one alert for one destination. Never carries a credential. */
export interface Alert {
  /**
   * First 32 hex digits of SHA-256 of event id, rule id and destination; of an alert about unmatched events, of host,
   * fingerprint, beginning of the window and destination; of one about MUTT itself, of signature, minute, status and
   * destination. Stable under every retry.
   */
  id: string;
  destination: string;
  /** None for an alert about unmatched events, which have ended as such, and for one about MUTT itself. */
  event_ids: string[];
  rule_id: number;
  rule_version: number;
  decision: Handling;
  environment: Environment;
  team: string;
  /** 0 to 7; null when neither the event nor the rule says. */
  severity: number | null;
  /** What the destination folds by; default `<host>::<rule>::<object>`. */
  signature: string;
  hostname: string;
  /** RFC 3339, UTC. */
  event_time: string;
  received_at: string;
  description: string;
  correlation_id: string;
  count: number;
  status: 'firing' | 'resolved';
}

/** The `rule_id` of alerts about MUTT itself. */
export const OWN_RULE_ID = -1;

/** The `rule_id` of alerts about what no rule matches. */
export const UNMATCHED_RULE_ID = 0;

export interface RuleMatch {
  rule_id: number;
  rule_version: number;
  handling: Handling;
}

/** One decision about one event: the audit row, and the alerts that follow from it. */
export interface AuditRow {
  receivedAtMs: number;
  eventId: string;
  eventTimeMs: number;
  clockSkewed: boolean;
  textRepaired: boolean;
  hostname: string;
  severity: number | null;
  environment: Environment;
  /** The team that answers for it; null for an unmatched event of a host no team claims. */
  team: string | null;
  /** The first match; null when unmatched. */
  ruleId: number | null;
  ruleVersion: number | null;
  /** The rule set that decided. */
  ruleSetVersion: number;
  decision: Handling | 'Unmatched';
  matches: RuleMatch[];
  /** Built from this decision; stored with it, so that audit and alerts can never disagree. */
  alerts: Alert[];
  correlationId: string;
  /** Who sent it; absent when its frame does not say. */
  origin?: Origin | undefined;
  /** The event as received, as text (invalid UTF-8 and NUL replaced). */
  raw: string;
  /** The event as received, where `raw` says something else; else null. */
  rawBytes: Uint8Array | null;
}

/** How an event's way can end: exactly one of these, for every accepted event. Everything else is in flight. */
export const TERMINAL_STATES = [
  'handled',
  'forwarded',
  'unmatched',
  'suppressed',
  'superseded',
  'quarantined',
  'shed',
  'discarded',
] as const;
export type TerminalState = (typeof TERMINAL_STATES)[number];
