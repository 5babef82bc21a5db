/**
 * What the admin gateway needs from the rest of the node: one interface per resource. It serves people and programs;
 * it knows no actor and no store. Documents are the API's own (documents.ts), ready to be sent.
 *
 * A change is given who makes it and why. What is not there is undefined or false; every other refusal is a coded
 * error. Lists give at most `limit` items behind `after`, in a fixed order.
 */
import type { Handling } from '../../actors/event.ts';
import type {
  ActorDocument,
  ActorStateDocument,
  AppliedDocument,
  AuditLogEntryDocument,
  ConfigAuditEntryDocument,
  ConfigAuditVerdict,
  DestinationDocument,
  DevHostDocument,
  EffectiveDocument,
  KeyDocument,
  LedgerDocument,
  NewKeyDocument,
  PartitionDocument,
  RatesDocument,
  RuleDocument,
  RuleSetDocument,
  SettingDocument,
  SettingValue,
  StatusDocument,
  TeamDocument,
  VersionDocument,
} from './documents.ts';
import type { Precondition } from './endpoint.ts';
import type {
  DiscardedDocument,
  FailureDetailDocument,
  FailureDocument,
  FailureKind,
  RejectState,
  RejectTotalsDocument,
  ResubmittedDocument,
} from './failure-documents.ts';

/** Who asks: goes into audit records. */
export interface Caller {
  keyName: string;
  correlationId: string;
}

/** Who changes something, and why. */
export interface Change {
  caller: Caller;
  reason: string | null;
}

/** A change of one version of an item. Refused with `E_VERSION_STALE` (details.current) when it is not that one. */
export type ItemChange = Change & Precondition;

export interface Page<Position> {
  /** The position of the last item seen. */
  after?: Position;
  limit: number;
}

export interface Listed<Item, Position> {
  items: Item[];
  /** What to give as `after` for the following page; null when this is the last one. */
  next: Position | null;
}

export interface Readiness {
  ready: boolean;
  /** Why not; empty when ready. */
  reasons: string[];
}

export interface AdminPort {
  node: NodePort;
  settings: SettingsPort;
  keys: KeysPort;
  rules: RulesPort;
  hosts: HostsPort;
  teams: TeamsPort;
  destinations: DestinationsPort;
  configAudit: ConfigAuditPort;
  auditLogs: AuditLogsPort;
  failures: FailuresPort;
  actors: ActorsPort;
  partitions: PartitionsPort;
  ledger: LedgerPort;
  metrics: MetricsPort;
}

export interface NodePort {
  /** Known without asking anybody: must answer while everything else is away. */
  readiness(): Readiness;
  /** Addresses, version, the applied snapshot per worker, the live tree. */
  status(): Promise<StatusDocument>;
  version(): Promise<VersionDocument>;
}

export interface SettingsPort {
  /** Every key of the schema, by key. */
  list(): Promise<SettingDocument[]>;
  /** Rejects with `E_SETTING_UNKNOWN` (names the nearest). */
  get(key: string): Promise<SettingDocument>;
  effective(): Promise<EffectiveDocument>;
  /** Rejects with `E_SETTING_UNKNOWN`, `E_SETTING_INVALID` (details.faults), `E_SETTINGS_CONTRADICT`. */
  set(
    key: string,
    value: SettingValue,
    guard: SettingGuard | null,
    change: ItemChange,
  ): Promise<SettingDocument>;
  /** Back to the default. Gives the setting as it then is; undefined when it was not set. */
  unset(key: string, change: ItemChange): Promise<SettingDocument | undefined>;
  /** To the value of an earlier version, or the one before the last change. Rejects with `E_NO_EARLIER_VALUE`. */
  rollback(key: string, toVersion: number | undefined, change: ItemChange): Promise<SettingDocument>;
}

/** Watched for so long after the change, and undone when a limit is passed. */
export interface SettingGuard {
  watchSeconds: number;
  /** Share of failed requests, 0 to 1. */
  errorRateMax: number | null;
  latencyP99MsMax: number | null;
}

export interface KeysPort {
  /** Those of the node's own files first, then by name. */
  page(page: Page<string>): Promise<Listed<KeyDocument, string>>;
  get(name: string): Promise<KeyDocument | undefined>;
  /** Rejects with `E_KEY_EXISTS`, `E_KEYS_FULL`. The key itself is nowhere but in the answer. */
  create(key: NewKey, change: Change): Promise<NewKeyDocument>;
  /** Rejects with `E_KEY_OF_NODE`, `E_KEY_PEPPER`, `E_KEY_ROTATING`. The old value works on for `overlapSeconds`. */
  rotate(name: string, overlapSeconds: number, change: Change): Promise<NewKeyDocument | undefined>;
  /** Rejects with `E_KEY_OF_NODE`. */
  revoke(name: string, change: Change): Promise<boolean>;
}

export interface NewKey {
  name: string;
  scopes: readonly KeyDocument['scopes'][number][];
  /** ms since 1970 UTC; null is never. */
  expiresAtMs: number | null;
  /** The `id` of an event says which one it is, when it comes again. */
  eventIds: boolean;
}

export interface RulesPort {
  /** In the order they are tried: priority, then id. */
  page(page: RulePage): Promise<Listed<RuleDocument, RulePosition>>;
  get(id: number): Promise<RuleDocument | undefined>;
  /** Rejects with `E_RULE_INVALID` (details.faults), `E_EXISTS`. */
  create(rule: unknown, change: Change): Promise<RuleDocument>;
  /** Takes the whole rule. */
  replace(id: number, rule: unknown, change: ItemChange): Promise<RuleDocument | undefined>;
  remove(id: number, change: ItemChange): Promise<boolean>;
  /** Everything that decides, in one document. */
  set(): Promise<RuleSetDocument>;
  /** Rejects with `E_CONFIG_INVALID` (details.faults) for bad input; nothing is applied then. */
  applySet(document: unknown, caller: Caller): Promise<AppliedDocument>;
  /** As `applySet`, and applies nothing. */
  checkSet(document: unknown): Promise<void>;
}

export interface RulePosition {
  priority: number;
  id: number;
}

export interface RulePage extends Page<RulePosition> {
  /** Part of a name, pattern, OID, host, program or team, whatever its case. */
  q?: string;
  team?: string;
  isActive?: boolean;
}

export interface HostsPort {
  /** By name. */
  page(page: Page<string>): Promise<Listed<DevHostDocument, string>>;
  /** Host names are case-folded. Rejects with `E_EXISTS`. */
  add(hostname: string, change: Change): Promise<DevHostDocument>;
  remove(hostname: string, change: Change): Promise<boolean>;
}

export interface TeamsPort {
  /** By host name. */
  page(page: Page<string>): Promise<Listed<TeamDocument, string>>;
  get(hostname: string): Promise<TeamDocument | undefined>;
  put(hostname: string, team: string, change: ItemChange): Promise<TeamDocument>;
  remove(hostname: string, change: ItemChange): Promise<boolean>;
}

export interface DestinationsPort {
  /** By name. */
  page(page: Page<string>): Promise<Listed<DestinationDocument, string>>;
  get(name: string): Promise<DestinationDocument | undefined>;
  /** Rejects with `E_CONFIG_INVALID` (details.faults), `E_DESTINATION_INVALID`. */
  put(name: string, document: unknown, change: ItemChange): Promise<DestinationDocument>;
  remove(name: string, change: ItemChange): Promise<boolean>;
}

export interface ConfigAuditPort {
  /** Newest first. */
  search(question: ConfigAuditQuestion): Promise<Listed<ConfigAuditEntryDocument, number>>;
  get(id: number): Promise<ConfigAuditEntryDocument | undefined>;
  /** Recomputes the chain. */
  verify(): Promise<ConfigAuditVerdict>;
}

/** All given criteria hold. */
export interface ConfigAuditQuestion {
  changedBy?: string;
  /** Part of it, whatever its case. */
  changedByPart?: string;
  operation?: ConfigAuditEntryDocument['operation'];
  resource?: string;
  recordKey?: string;
  /** ms since 1970 UTC, this one included. */
  fromMs?: number;
  /** Not included. */
  toMs?: number;
  beforeId?: number;
  limit: number;
}

export interface AuditLogsPort {
  /** Newest first. Rejects with `E_SEARCH_TOO_LONG`. */
  search(question: AuditLogQuestion): Promise<Listed<AuditLogEntryDocument, AuditLogPosition>>;
}

export interface AuditLogPosition {
  receivedAtMs: number;
  eventId: string;
}

/** All given criteria hold. */
export interface AuditLogQuestion extends Page<AuditLogPosition> {
  hostname?: string;
  ruleId?: number;
  decision?: Handling | 'Unmatched';
  /** Of receipt, ms since 1970 UTC, this one included. */
  fromMs?: number;
  /** Not included. */
  toMs?: number;
}

export interface FailuresPort {
  /** Of one kind, newest first. Rejects with `E_SEARCH_TOO_LONG`. */
  search(question: FailureQuestion): Promise<Listed<FailureDocument, FailurePosition>>;
  /** With at most so many bytes of its body. */
  get(id: string, bytesMax: number): Promise<FailureDetailDocument | undefined>;
  /** By name of the API key. */
  totals(page: Page<string>): Promise<Listed<RejectTotalsDocument, string>>;
  /** One outcome for each, in their order. What one has done before is not done again. */
  resubmit(rejects: readonly ResubmittedReject[], change: Change): Promise<ResubmittedDocument[]>;
  /** What `resubmit` would say, and nothing is changed. */
  judge(reject: ResubmittedReject): Promise<ResubmittedDocument>;
  discard(ids: readonly string[], change: Change): Promise<DiscardedDocument[]>;
}

export interface ResubmittedReject {
  id: string;
  /** Sent instead of what was parked. */
  body?: Buffer;
}

export interface FailurePosition {
  kind: FailureKind;
  /** Of the order of this kind. */
  at: number;
  id: string;
}

/** All given criteria hold; all but the time are of rejects. */
export interface FailureQuestion extends Page<FailurePosition> {
  kind: FailureKind;
  keyName?: string;
  code?: string;
  sender?: string;
  state?: RejectState;
  /** Since when it failed, ms since 1970 UTC, this one included. */
  sinceMs?: number;
}

export interface ActorsPort {
  /** The live tree. */
  tree(): Promise<ActorDocument>;
  /** Rejects with `E_ACTOR_UNKNOWN`. `kill` gives it no time to finish. */
  restart(id: string, how: 'kill' | 'drain', caller: Caller): Promise<{ id: string; how: string }>;
  /**
   * By the path of an actor. Settle when its message in hand is done. Reject with `E_ACTOR_UNKNOWN`, `E_ACTOR_AMBIGUOUS`,
   * `E_NOT_AN_ACTOR`, `E_CHILD_DOWN`, `E_ACTOR_STOPPED`, `E_SUSPEND_FAILED`.
   */
  suspend(id: string, caller: Caller): Promise<{ id: string; status: string }>;
  resume(id: string, caller: Caller): Promise<{ id: string; status: string }>;
  /** As `suspend`; also `E_INSPECT_FAILED` and `E_STATE_TOO_LARGE`. */
  inspect(id: string, caller: Caller): Promise<ActorStateDocument>;
}

export interface PartitionsPort {
  list(): Promise<PartitionDocument[]>;
}

export interface LedgerPort {
  read(): Promise<LedgerDocument>;
}

export interface MetricsPort {
  /** Prometheus text of all processes and threads. */
  exposition(): Promise<string>;
  /** Events accepted per minute, now and over the last 24 hours. */
  rates(): Promise<RatesDocument>;
}
