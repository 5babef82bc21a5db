/**
 * The documents of the admin API, as far as the commands use them. Times are RFC 3339.
 *
 * They are read leniently: a node may be older or newer than the command, so what is not needed to go on is optional.
 */
import type { TerminalState } from '../../actors/event.ts';

export interface Ledger {
  accepted: number;
  replayed: number;
  terminal: Partial<Record<TerminalState, number>>;
  in_flight: number;
  rejected: number;
  balanced: boolean;
  lost: number;
  alerts?: { opened?: number; delivered?: number; dead?: number; suppressed?: number; superseded?: number };
  partitions: LedgerPartition[];
}
export interface LedgerPartition {
  partition: number;
  accepted: number;
  in_flight: number;
  balanced: boolean;
  lost: number;
  /** By lane: `ingest`, `overflow`, `alert:<destination>`. */
  lanes?: Record<string, { entries: number; messages: number; bytes: number }>;
  /** Waiting for a later try, by set. */
  delayed?: Record<string, number>;
  /** In the outbox, by mailbox. */
  outbox?: Record<string, { alerts: number; bytes: number }>;
}

/** How one mailbox of a partition gets on. */
export interface MailboxProgress {
  mailbox: string;
  depth: number;
  /** Until it is empty; null while it does not get emptier or that is not known yet. */
  eta_seconds?: number | null;
  /** What holds it back. */
  paused?: { reason: string; detail: string; since?: string | null } | null;
}
export interface PartitionProgress {
  partition: number;
  mailboxes?: MailboxProgress[];
}

export interface TreeNode {
  id: string;
  /** `running`, `starting`, `backing off`, … */
  status?: string;
  epoch?: number;
  restarts?: number;
  since?: string;
  /** Oldest first. */
  exits?: { at: string; reason: string }[];
  /** `local`, `thread`, `process` or `server`. */
  placement?: string;
  pid?: number;
  heap_used_bytes?: number;
  rss_bytes?: number;
  waiting?: number;
  doing?: string;
  children?: TreeNode[];
}

export interface WorkerVersion {
  worker: string;
  version: number;
}

/** A pool of threads or processes, and how large it is to be. */
export interface Pool {
  pool: string;
  size: number;
  target: number;
  /** Why it is not of that size; null while it is on its way. */
  problem?: string | null;
}

export interface NodeStatus {
  ready: boolean;
  reasons?: string[];
  version?: string;
  pid?: number;
  uptime_seconds?: number;
  /** Name to address, for example `ingest`: `http://127.0.0.1:8080`. */
  addresses?: Record<string, string>;
  snapshot?: { version: number; applied?: WorkerVersion[] };
  pools?: Pool[];
  /** Those that are not well, or held. */
  destinations?: { name: string; state: string; last_error: string; since: string; until?: string | null }[];
  /** Of the last minutes, by stage. */
  latency?: {
    stages?: Record<string, { count?: number; p50_ms?: number | null; p99_ms?: number | null }>;
  };
  /** What is wrong with MUTT itself. */
  own_alerts?: { signature: string; description: string; since: string }[];
  actors?: TreeNode;
}

export interface RecentAlerts {
  alerts: { n: number; received_at: string; alert: Record<string, unknown> }[];
  next: number;
  /** Alerts between the number asked with and these that the node keeps no longer. */
  missed?: number;
}

export interface AppliedRules {
  created: number;
  updated: number;
  unchanged: number;
  snapshot_version: number;
}

/** How a node reads a document of rules. */
export interface CheckedRules {
  /** Why it would refuse it; empty when it would not. */
  faults: FieldFault[];
  /** With defaults, and each value in its one form; only of a sound document, and not from older nodes. */
  rules?: Record<string, unknown>[];
}

export type SettingValue = number | string | boolean;

export interface SettingDocument {
  key: string;
  value: SettingValue;
  default: SettingValue;
  /** `default`, `environment` or `set`. */
  source: string;
  type: string;
  unit?: string | null;
  minimum?: number;
  maximum?: number;
  choices?: string[];
  description?: string;
  /** What a change of it does, and when. */
  reacts?: string;
  /** 0 when nothing is set. */
  version: number;
  updated_at?: string | null;
  updated_by?: string | null;
  guard?: GuardDocument | null;
}

/** A change that is watched and undone when it makes things worse. */
export interface GuardDocument {
  until: string;
  /** Of 1. */
  error_rate_max?: number | null;
  latency_p99_ms_max?: number | null;
  previous_value?: SettingValue | null;
}

export interface EffectiveConfiguration {
  snapshot_version: number;
  settings: Record<string, SettingValue>;
  workers: WorkerVersion[];
}

/** One entry of the audit of changes. */
export interface ChangeDocument {
  id: number | string;
  changed_at: string;
  changed_by: string;
  operation: string;
  resource: string;
  record_key: string;
  old_values: unknown;
  new_values: unknown;
  reason?: string | null;
  correlation_id?: string | null;
  hash?: string | null;
}

/** What was decided about one event. */
export interface EventAuditDocument {
  event_id: string;
  received_at: string;
  hostname: string;
  environment?: string;
  team?: string | null;
  matched_rule_id?: number | null;
  handling_decision: string;
  forwarded?: boolean;
  raw_message?: string;
}

export interface ChainVerdict {
  intact: boolean;
  entries: number;
  problems: { id: number; problem: string }[];
}

export interface KeyDocument {
  name: string;
  scopes: string[];
  /** `node`: of a file of the node, which the API does not change. */
  source?: string;
  expires_at?: string | null;
  previous_expires_at?: string | null;
  created_at?: string | null;
  /** `active`, `expired`, `revoked`, or `foreign`: made by nodes with another pepper. */
  state?: string;
  /** Whether the id of an event says which one it is, when it comes again. */
  event_ids?: boolean;
}

/** The one time that a key is shown. */
export interface NewKey {
  name: string;
  key: string;
  scopes: string[];
  expires_at?: string | null;
  previous_expires_at?: string | null;
}

/** A reject or a quarantined event. */
export interface FailureDocument {
  id: string;
  state?: string;
  key?: string | null;
  sender?: string | null;
  /** The code. */
  reason: string;
  error?: string;
  last_failed_at?: string;
  /** Of dead letters, as what follows. */
  destination?: string | null;
  team?: string | null;
  replays?: number;
  retry_at?: string | null;
  store?: string | null;
  is_stranded?: boolean | null;
  body_bytes?: number;
  excerpt?: string;
}
export interface FailureDetail extends FailureDocument {
  history?: string[];
  replay_history?: {
    nth: number;
    operation_id: string | null;
    is_edited: boolean;
    replayed_at: string;
    outcome: string | null;
    error: string | null;
    ended_at: string | null;
  }[];
  body?: { text: string; base64: string; is_utf8: boolean; is_cut: boolean };
}
/** What became of one that was resubmitted or discarded. */
export interface FailureOutcome {
  id: string;
  outcome: string;
  events?: number;
  errors?: { index: number; code: string; message: string }[];
  detail?: string | null;
}
/** A replay of dead letters: the letters are the sum of all that follow. */
export interface ReplayOperation {
  id: string;
  state: string;
  begun_at: string;
  begun_by: string;
  letters: number;
  waiting: number;
  on_their_way: number;
  delivered: number;
  failed: number;
  superseded: number;
  canceled: number;
  /** Of those that wait or are on their way. */
  stranded?: number;
}
/** A Redis, and what it has in PostgreSQL. */
export interface StoreDocument {
  store: string;
  is_own: boolean;
  node: string | null;
  seen_at: string | null;
  is_stranded: boolean;
  letters: number;
  outbox_alerts: number;
  resubmissions: number;
}
export interface Adoption {
  store: string;
  adopted_by: string;
  letters: number;
  outbox_alerts: number;
  resubmissions: number;
  left: number;
}
export interface ReplayPreview {
  letters: number;
  superseded: number;
  items: { id: string; destination: string; reason: string; is_superseded: boolean }[];
}
/** Of one API key, since ever. */
export interface RejectTotals {
  key: string;
  kept: number;
  kept_bytes: number;
  evicted: number;
  resubmitted: number;
  discarded: number;
}

/** What no rule matched: one template over all its hosts. */
export interface UnmatchedDocument {
  fingerprint: string;
  template: string;
  program?: string | null;
  trap_oid?: string | null;
  count: number;
  host_count: number;
  first_seen: string;
  last_seen: string;
  sample?: string;
  alerted_at?: string | null;
}
export interface UnmatchedDetail extends UnmatchedDocument {
  /** As a rules file has it. */
  suggested_rule?: Record<string, unknown> | null;
}
export interface UnmatchedHost {
  hostname: string;
  count: number;
  first_seen: string;
  last_seen: string;
  alerted_at?: string | null;
}

export interface List<T> {
  items: T[];
  /** Where the rest begins; null when this is all. */
  next: string | null;
}

/** One fault of a problem document. */
export interface FieldFault {
  field: string;
  value?: unknown;
  /** Which kind of fault it is, where there are several. */
  code?: string;
  why: string;
  mend?: string;
}
