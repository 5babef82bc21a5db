/**
 * What the admin gateway needs from the rest of the node: one interface per resource. It serves people and programs;
 * it knows no actor and no store. Documents are the API's own (documents.ts), ready to be sent.
 *
 * A change is given who makes it and why. What is not there is undefined or false; every other refusal is a coded
 * error. Lists give at most `limit` items behind `after`, in a fixed order.
 */
import type { Handling } from '../../actors/event.ts';
import type { DestinationTestDocument } from './destination-documents.ts';
import type {
  ActorDocument,
  ActorStateDocument,
  AppliedDocument,
  AuditLogEntryDocument,
  ConfigAuditEntryDocument,
  ConfigAuditVerdict,
  DevHostDocument,
  EffectiveDocument,
  KeyDocument,
  LedgerDocument,
  NewKeyDocument,
  PartitionDocument,
  RatesDocument,
  RuleDocument,
  SettingDocument,
  SettingValue,
  TeamDocument,
  VersionDocument,
} from './documents.ts';
import type { LatencyDocument, SloDocument } from './metric-documents.ts';
import type { DestinationDocument, RuleSetDocument } from './rule-set-documents.ts';
import type { StatusDocument } from './status-document.ts';
import type { Precondition } from './endpoint.ts';
import type {
  AdoptionDocument,
  DiscardedDocument,
  FailureDetailDocument,
  FailureDocument,
  FailureKind,
  LetterState,
  RejectState,
  RejectTotalsDocument,
  ResubmittedDocument,
  StoreDocument,
} from './failure-documents.ts';
import type { AlertEdit, ReplayOperationDocument, ReplayPreviewDocument } from './replay-documents.ts';
import type {
  BacktestReply,
  BacktestRequest,
  CoverageKind,
  CoverageReply,
  RuleTestReply,
  RuleTestRequest,
  RuleVersionDocument,
} from './rule-documents.ts';
import type {
  UnmatchedDetailDocument,
  UnmatchedDocument,
  UnmatchedHostDocument,
} from './unmatched-documents.ts';
import type { LineageDocument } from './lineage-documents.ts';

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
  ruleTrials: RuleTrialsPort;
  hosts: HostsPort;
  teams: TeamsPort;
  destinations: DestinationsPort;
  configAudit: ConfigAuditPort;
  auditLogs: AuditLogsPort;
  events: EventsPort;
  failures: FailuresPort;
  adoptions: AdoptionsPort;
  replays: ReplaysPort;
  unmatched: UnmatchedPort;
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
  /** As it was after each change, newest first. Undefined when there is and was no such rule. */
  versions(id: number, page: Page<number>): Promise<Listed<RuleVersionDocument, number> | undefined>;
  /**
   * To an earlier version, or the one before the last change; checked as a new one is. Rejects with
   * `E_RULE_VERSION_UNKNOWN`, `E_RULE_INVALID`, `E_EXISTS`.
   */
  rollback(id: number, toVersion: number | undefined, change: ItemChange): Promise<RuleDocument | undefined>;
  /** Everything that decides, in one document. */
  set(): Promise<RuleSetDocument>;
  /** Rejects with `E_CONFIG_INVALID` (details.faults) for bad input; nothing is applied then. */
  applySet(document: unknown, caller: Caller): Promise<AppliedDocument>;
  /** As `applySet`, and applies nothing. Gives the rules of the document as they are read: whole, each value in its one form. */
  checkSet(document: unknown): Promise<CheckedRule[]>;
}

export type CheckedRule = Omit<RuleDocument, 'id' | 'version' | 'suspended'> & {
  id?: number;
  version?: number;
  expected_version?: number;
};

/** What rules would do, and what they do not; nothing is changed. Work ends when `signal` is aborted. */
export interface RuleTrialsPort {
  /** Rejects with `E_CONFIG_INVALID` and `E_BODY_INVALID` (details.faults), `E_SEARCH_TOO_LONG`, `E_RULE_TRIALS_BUSY`. */
  test(request: RuleTestRequest, signal: AbortSignal): Promise<RuleTestReply>;
  /** One at a time; rejects with `E_BACKTEST_RUNNING`, and as `test`. */
  backtest(request: BacktestRequest, signal: AbortSignal): Promise<BacktestReply>;
  /** Rejects with `E_RULE_TRIALS_BUSY`. */
  coverage(page: CoveragePage, signal: AbortSignal): Promise<CoverageReading>;
  /** JSON Schema of a file of rules. */
  schema(): { $schema: string; title: string };
}

export interface CoveragePosition {
  /** The version of the rules it was a page of. */
  version: number;
  /** How many findings were before. */
  at: number;
}

export interface CoveragePage extends Page<CoveragePosition> {
  kind?: CoverageKind;
}

export interface CoverageReading extends Listed<CoverageReply['items'][number], CoveragePosition> {
  summary: Omit<CoverageReply, 'items' | 'next'>;
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

/** That nothing is sent to a destination for a while. */
export interface HoldWish {
  /** `pause`: alerts wait. `mute`: they end unsent. */
  kind: 'pause' | 'mute';
  /** ms since 1970; null: until somebody ends it. */
  untilMs: number | null;
  reason: string;
}
export interface DestinationsPort {
  /** By name. */
  page(page: Page<string>): Promise<Listed<DestinationDocument, string>>;
  get(name: string): Promise<DestinationDocument | undefined>;
  /** Rejects with `E_CONFIG_INVALID` (details.faults), `E_DESTINATION_INVALID`. */
  put(name: string, document: unknown, change: ItemChange): Promise<DestinationDocument>;
  /** Null ends it. Undefined when there is no such destination. Rejects with `E_PARAMETER_INVALID`. */
  hold(name: string, hold: HoldWish | null, change: Change): Promise<DestinationDocument | undefined>;
  remove(name: string, change: ItemChange): Promise<boolean>;
  /**
   * Sends one marked alert: to the stored destination, or to what `document` says, which is not stored. Undefined when
   * there is none of this name. Rejects with `E_DESTINATION_INVALID`, `E_DESTINATION_TESTS_BUSY`.
   */
  test(
    name: string,
    document: unknown,
    status: 'firing' | 'resolved',
  ): Promise<DestinationTestDocument | undefined>;
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

export interface EventsPort {
  /**
   * By the id of an event, an alert or a request. What is not known has the state `unknown`. Work ends when `signal` is
   * aborted.
   */
  trace(id: string, signal: AbortSignal): Promise<LineageDocument>;
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

/** All given criteria hold. */
export interface FailureQuestion extends Page<FailurePosition> {
  kind: FailureKind;
  /** Of rejects. */
  keyName?: string;
  sender?: string;
  /** Of rejects and dead letters. */
  code?: string;
  state?: RejectState | LetterState;
  /** Of dead letters. */
  destination?: string;
  team?: string;
  ruleId?: number;
  store?: string;
  /** Since when it failed, ms since 1970 UTC, this one included. */
  sinceMs?: number;
}

export interface AdoptionsPort {
  /** Those that were seen last first. Rejects with `E_SEARCH_TOO_LONG`. */
  stores(): Promise<StoreDocument[]>;
  /** What `adopt` would do. Undefined when there is no such store. Rejects with `E_STORE_ALIVE`. */
  preview(store: string): Promise<AdoptionDocument | undefined>;
  adopt(store: string, change: Change): Promise<AdoptionDocument | undefined>;
}

export interface ReplaysPort {
  /** What `begin` would do. Rejects with `E_SEARCH_TOO_LONG`. */
  preview(selection: LetterSelection): Promise<ReplayPreviewDocument>;
  /** Undefined when nothing is selected. */
  begin(replay: LetterReplay, change: Change): Promise<ReplayOperationDocument | undefined>;
  /** Newest first. */
  list(
    page: Page<Omit<FailurePosition, 'kind'>>,
  ): Promise<Listed<ReplayOperationDocument, Omit<FailurePosition, 'kind'>>>;
  get(id: string): Promise<ReplayOperationDocument | undefined>;
  /** False when none of it waits. */
  cancel(id: string, change: Change): Promise<boolean>;
}

/** Dead letters that wait; all given criteria hold. */
export interface LetterSelection {
  ids?: readonly string[];
  destination?: string;
  reason?: string;
  team?: string;
  ruleId?: number;
  /** Of the last failure, ms since 1970 UTC, this one included. */
  sinceMs?: number;
  lettersMax: number;
}

export interface LetterReplay extends LetterSelection {
  perSecond: number;
  edit?: AlertEdit;
}

export interface UnmatchedPort {
  /** The most events first. Rejects with `E_SEARCH_TOO_LONG`. */
  search(question: UnmatchedQuestion): Promise<Listed<UnmatchedDocument, UnmatchedPosition>>;
  get(fingerprint: string): Promise<UnmatchedDetailDocument | undefined>;
  /** The most events first. */
  hosts(
    fingerprint: string,
    page: Page<UnmatchedHostPosition>,
  ): Promise<Listed<UnmatchedHostDocument, UnmatchedHostPosition>>;
  /** Of one host, or of all. */
  forget(fingerprint: string, host: string | undefined, change: Change): Promise<boolean>;
}

export interface UnmatchedPosition {
  count: number;
  fingerprint: string;
}

export interface UnmatchedHostPosition {
  count: number;
  host: string;
}

/** All given criteria hold. */
export interface UnmatchedQuestion extends Page<UnmatchedPosition> {
  host?: string;
  /** Last seen, ms since 1970 UTC, this one included. */
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
  /** Of the stages of the way, over the last minutes. */
  latency(): Promise<LatencyDocument>;
  /** Over the last 24 hours. */
  slo(): Promise<SloDocument>;
}
