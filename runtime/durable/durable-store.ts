/**
 * The durable mailbox as an interface: partitioned, bounded, fenced. Two implementations behave alike and pass one
 * contract suite: `redis-store.ts` (real) and `memory-store.ts` (one process, for specs and trials).
 *
 * A *partition* is a number; a *lane* is one ordered queue in it, named by the caller; an *entry* is one stored payload
 * that carries `count` messages; a *delayed set* holds payloads until they are due. Everything one commit touches lies
 * in one partition.
 *
 * Invariant: an entry leaves a lane only by a commit of the partition's present owner, and that same commit stores
 * everything that follows from it. Nothing is ever trimmed.
 */
import type { CodedError } from '../errors.ts';

/**
 * What a lane may hold. A bound refuses only when the lane already holds something: an empty lane takes any one append
 * or commit, so that a large piece never blocks for ever. Memory needed in the worst case is therefore `bytesMax` plus
 * one such piece.
 */
export interface Bounds {
  entriesMax: number;
  /** Sum of payload bytes; the store's own overhead is on top (about 100 B an entry). */
  bytesMax: number;
  messagesMax?: number;
  /** The oldest entry's age by the store's clock. */
  ageMsMax?: number;
}

/**
 * Names a message for as long as its partition's window: the store takes it once, whoever sends it again. The same key
 * with another content is another message.
 */
export interface Mark {
  /** `MARK_KEY_BYTES` of a digest. */
  key: Buffer;
  /** `MARK_CONTENT_BYTES` of a digest of what the message says. */
  content: Buffer;
}

export const MARK_KEY_BYTES = 16;
export const MARK_CONTENT_BYTES = 8;
/** Contents that are known of one key, the newest ones. */
export const MARK_CONTENTS_MAX = 4;
/** What a mark costs the store at most, everything included. */
export const MARK_BYTES_MAX = 128;

/** A mark is known at least as long as it is among the newest `keysMax` of its partition and no older than `ageMsMax`. */
export interface MarkWindow {
  /** Twice as many are held at most, or those of one append if they are more. */
  keysMax: number;
  /** None is held twice as long after the last one of its partition. */
  ageMsMax: number;
}

export interface AppendRequest {
  partition: number;
  lane: string;
  /** 32 hex digits, random per writer incarnation. */
  writerId: string;
  /** Starts at 1, plus 1 each. One (writer, partition, lane, sequence) names one content for ever. */
  sequence: number;
  /** Messages in the payload, at least 1. */
  count: number;
  payload: Buffer;
  bounds: Bounds;
  /** The highest `accepted` this process has ever been told for the partition: the store refuses when it is older. */
  witnessed?: number;
  /** Of its messages; with `markWindow`. A known one refuses all of it as `duplicate`, else they are stored with it. */
  marks?: readonly Mark[];
  markWindow?: MarkWindow;
  /** Of a lane that is kept short by diverting keys, and of the lane that they are diverted to. */
  diversion?: ExpressAppend | OverflowAppend;
}

/**
 * Messages by key. The messages of one key keep their order; a partition's *diverted* keys go to its overflow lane, all
 * others to its express lane.
 */
export type KeyCounts = ReadonlyMap<number, number>;

/** It holds no message of a diverted key, as far as the writer knows. */
export interface ExpressAppend {
  /** Of the diverted keys that the writer knows, 0 of none: refused with `rerouted` under any other. */
  version: number;
  /**
   * When the lane would hold more messages, those of `keys` are diverted that have brought at least the mean of all keys
   * told lately, and the append is `rerouted`. 0: none ever.
   */
  fairMessages: number;
  /** Of the payload. To be told from half the fair number on, so that it is known by then who brought the rest. */
  keys?: KeyCounts;
}

/** Every key of the payload is diverted from here on, until its last message has left the overflow lane. */
export interface OverflowAppend {
  expressLane: string;
  keys: KeyCounts;
}

export type FullReason = 'entries' | 'bytes' | 'messages' | 'age';

/**
 * `stored` and `repeat`: it is in the lane (or was, and is committed), exactly once. `gap`: earlier appends of this
 * writer are missing, nothing was written. `full`: a bound is reached, nothing was written. `older`: the store came
 * back older than `witnessed`, nothing was written. `duplicate`: these of its marks (by position) are known with this
 * content, or come twice in it; nothing was written. `reused` are those whose key came before with another content.
 * `rerouted`: these keys are diverted, nothing was written, and this very append never will be. `error`: nothing was
 * written when `error.details.stored` is `no`; it may or may not have been when it is `unknown`.
 */
export type AppendResult =
  | {
      status: 'stored';
      accepted: number;
      position: string;
      reused?: readonly number[];
      /** Messages in the lane, this append's included; of an express lane. */
      waiting?: number;
    }
  | { status: 'repeat'; accepted: number; position?: string; reused?: readonly number[] }
  | { status: 'duplicate'; accepted: number; duplicates: readonly number[]; reused?: readonly number[] }
  | { status: 'gap'; last: number }
  | { status: 'full'; reason: FullReason }
  | { status: 'older'; accepted: number }
  | { status: 'rerouted'; version: number; keys: number[] }
  | { status: 'error'; error: CodedError };

export interface LanePosition {
  partition: number;
  lane: string;
  /** Read behind this id; `START` reads from the head. */
  afterId: string;
}

/** Before the first entry of any lane. */
export const START = '0-0';

export interface ReadOptions {
  /** Per lane. */
  entriesMax: number;
  /** Over all lanes; at least one entry comes when there is one. The rest is read again by the next call. */
  bytesMax?: number;
  /** How long to wait when there is nothing, ms; 0 does not wait. */
  blockMs: number;
  /** Ends the waiting at once with what is there: nothing. */
  signal?: AbortSignal;
}

export interface Entry {
  partition: number;
  lane: string;
  /** `<messages of the lane up to and with this entry>-<count>`: grows in the order of appending. */
  id: string;
  count: number;
  payload: Buffer;
  /** When the store took it, wall ms by the store's clock. */
  storedAtMs: number;
  /** Of an entry of an overflow lane. */
  overflow?: OverflowNote;
}

/** What an overflow lane's entry says beside its payload. */
export interface OverflowNote {
  /** Messages by key, as `encodeKeyCounts` writes them. */
  keys: string;
  /** It must not be handled before everything of the express lane with an id up to this number is committed. */
  after: number;
}

/** Who may commit: valid while the owner's nonce and epoch are exactly these. */
export interface Token {
  laneGroup: string;
  nonce: string;
  epoch: number;
}

/** An entry that a commit consumes. */
export interface Input {
  lane: string;
  id: string;
  /** Of its payload, and of its `keys`. */
  bytes: number;
  /** Of an entry of an overflow lane: a key whose last message leaves with it is diverted no longer. */
  keys?: string;
}

export interface Output {
  lane: string;
  payload: Buffer;
  /** Messages in it; 1 when not given. */
  count?: number;
  /** The first output of a lane in a commit decides. Read at every attempt, so it may change while a commit waits. */
  bounds: Bounds;
  /** What it is worth beside others when there is no room for all (spill.ts); the store does not look at it. */
  worth?: number;
}

export interface DelayedOutput {
  set: string;
  /** Unique within the set: adding an equal payload moves its due time. */
  payload: Buffer;
  /** Due this long after the commit, by the store's clock. */
  delayMs: number;
  bounds: Pick<Bounds, 'entriesMax' | 'bytesMax'>;
}

/**
 * Messages of a lane that wait outside the store, behind everything in the lane (spill.ts). They are numbered in their
 * order, from 1 on; those up to `taken` are in the lane or have left it, those up to `last` are outside.
 */
export interface Spill {
  lane: string;
  /** Refused unless it is the lane's `last`. */
  after: number;
  count: number;
  /** Of their payloads. */
  bytes: number;
}

/** Messages that come back from outside: the commit's outputs, which are all of this lane. */
export interface Refill extends Spill {
  /** Refused unless it is the lane's `taken`. */
  after: number;
  /** Of `count`, those that are not outside any more, nobody knows why: an anomaly of the books. */
  missing: number;
}

export interface LaneSpill {
  taken: number;
  last: number;
  /** Of the payloads between. */
  bytes: number;
  /** What the lane itself holds. */
  entries: number;
  entryBytes: number;
}

export interface SpillLook {
  status: 'looked';
  /** The newest one that was begun. */
  attempt: number;
  /** Outside, of all lanes of the partition. */
  waiting: { messages: number; bytes: number };
  lanes: Record<string, LaneSpill>;
}

/** What follows from handling inputs: everything a commit writes besides deleting them. */
export interface CommitPlan {
  outputs?: readonly Output[];
  delayed?: readonly DelayedOutput[];
  /** Ledger counters to advance, by name. `replayed` counts messages that outputs bring back into an input lane. */
  counters?: Readonly<Record<string, number>>;
  /** A message that goes on as several parts: it is in flight until each part is settled. */
  openGroups?: readonly { id: string; parts: number }[];
  /** At the last part the group is closed and `counter` advances by 1. */
  settleGroups?: readonly { id: string; counter: string; parts?: number }[];
}

export interface CommitRequest extends CommitPlan {
  partition: number;
  token: Token;
  /** In the order they were read. When the first is gone, this commit was done before. */
  inputs?: readonly Input[];
  removeDelayed?: readonly { set: string; payload: Buffer }[];
  /** Only with inputs. Refused unless the attempt is the newest one; a lane that spills has no outputs. */
  spills?: { attempt: number; lanes: readonly Spill[] };
  /** Without inputs. The one way to append to a lane that has messages outside: any other is `full`. */
  refill?: Refill;
  /** `DurableStore.generation` at the time the inputs were read; refused with E_STORE_GENERATION when it changed. */
  generation?: number;
}

/**
 * `repeat`: the first input (or, without inputs, the first delayed member) is gone, nothing was written: an earlier
 * try of this commit succeeded and its reply was lost. A commit with neither cannot be recognised as a repeat. So it is
 * with numbers of a spill or refill that do not go on from the lane's: whoever gets it looks again at what there is.
 * `fenced`: another incarnation owns the partition, nothing was written; `current` is its `nonce:epoch`.
 * `full`: an output lane or delayed set is at its bound, or the lane has messages outside; nothing was written.
 */
export type CommitResult =
  | { status: 'committed' }
  | { status: 'repeat' }
  | { status: 'fenced'; current: string }
  | { status: 'full'; lane: string };

export interface DueMembers {
  members: { payload: Buffer; dueAtMs: number }[];
  /** Until the next member that is not due yet; undefined when there is none. */
  nextDueInMs: number | undefined;
}

export type AcquireResult = { epoch: number } | { heldBy: string; remainingMs: number };
export type RenewResult =
  | { partition: number; epoch: number }
  | { partition: number; lostTo: string }
  | { partition: number; error: CodedError };

/** One failed attempt at messages [lo, hi) of an entry. */
export interface Strike {
  lo: number;
  hi: number;
  /** A stable error code or exit reason. */
  reason: string;
  /** One line for a person; cut at 300 characters. */
  message: string;
  atMs: number;
}

export interface StrikeRecord {
  /** All strikes ever charged to the entry. */
  total: number;
  /** How often each range `lo-hi` failed. */
  ranges: Record<string, number>;
  /** The latest, oldest first, at most `STRIKES_KEPT`. */
  latest: Strike[];
}

export const STRIKES_KEPT = 8;
export const STRIKE_MESSAGE_LENGTH_MAX = 300;

export interface LedgerQuestion {
  /** Counters that are terminal states: their sum is what has left. */
  terminal: readonly string[];
  /** Lanes that accepted messages wait in. */
  inputLanes: readonly string[];
}

export interface LaneMeasure {
  /** Entries really in the lane. */
  entries: number;
  /** Messages in it, measured from its first and last id; exact for lanes consumed from the head. */
  messages: number;
  bytes: number;
}

/** Numbers `taken + 1` to `last` are outside. */
export interface SpilledMeasure {
  messages: number;
  bytes: number;
  taken: number;
  last: number;
}

export interface Ledger {
  /** Messages ever accepted by appends, as this store knows. `accepted + offset` is what appends report. */
  accepted: number;
  replayed: number;
  /** Messages the store once acknowledged and lost by coming back older (see witness.ts). */
  offset: number;
  counters: Record<string, number>;
  measured: {
    lanes: Record<string, LaneMeasure>;
    groupsOpen: number;
    /** Members per delayed set. */
    delayed: Record<string, number>;
    /** Keys that are diverted to an overflow lane. */
    divertedKeys: number;
    marks: number;
  };
  /** What waits outside, by lane: booked here, measured by whoever keeps it. */
  spilled: Record<string, SpilledMeasure>;
  /** accepted + replayed = sum of terminal counters + messages in the input lanes + open groups; and no problem. */
  balanced: boolean;
  /** Accepted and not terminal: measured, not counted. */
  inFlight: number;
  /** What does not fit, for a person; empty when balanced. */
  problems: string[];
}

export interface DurableStore {
  /**
   * Grows whenever a connection to the store was lost. What was read under another generation may no longer be there
   * under the same id (a store restored from an older copy), so it must be read again and not committed.
   */
  readonly generation: number;
  /** One round trip for all. Never rejects: each request has its own result, in order. */
  append(requests: readonly AppendRequest[]): Promise<AppendResult[]>;
  /** Entries behind the given positions, in order within each lane. Rejects with kind `transient` when away. */
  read(positions: readonly LanePosition[], options: ReadOptions): Promise<Entry[]>;
  /** Atomic and fenced. Rejects with kind `transient` when the outcome is not known; `permanent` for a bad request. */
  commit(request: CommitRequest): Promise<CommitResult>;
  /** Members that are due, earliest first; they stay until a commit removes them. */
  takeDue(partition: number, set: string, limit: number): Promise<DueMembers>;
  /** Members of a delayed set whether due or not, earliest first, `limit` of them after the first `skip`. */
  listDelayed(partition: number, set: string, skip: number, limit: number): Promise<Buffer[]>;
  /** Takes a free, expired or own lease. The epoch grows by each acquiring, so that an older incarnation is fenced. */
  acquire(partition: number, laneGroup: string, nonce: string, ttlMs: number): Promise<AcquireResult>;
  /** Prolongs own leases, also expired ones that nobody took. One round trip; one result per partition, in order. */
  renew(
    partitions: readonly number[],
    laneGroup: string,
    nonce: string,
    ttlMs: number,
  ): Promise<RenewResult[]>;
  /** Gives own leases up, so that another need not wait for their expiry. */
  release(partitions: readonly number[], laneGroup: string, nonce: string): Promise<void>;
  /** Charges a strike; returns the record, or undefined when the entry is gone. Cleared when the entry is committed. */
  addStrike(
    partition: number,
    lane: string,
    entryId: string,
    strike: Strike,
  ): Promise<StrikeRecord | undefined>;
  strikesOf(partition: number, lane: string, entryId: string): Promise<StrikeRecord | undefined>;
  /** All entries of the lane with strikes, by entry id. */
  strikes(partition: number, lane: string): Promise<Map<string, StrikeRecord>>;
  /**
   * What of these lanes is outside. With `isAttempt` a new attempt to spill begins, which ends every earlier one: its
   * commit, should it still be on its way, does nothing. Fenced as a commit.
   */
  lookAtSpills(
    partition: number,
    token: Token,
    lanes: readonly string[],
    options?: { isAttempt?: boolean },
  ): Promise<SpillLook | { status: 'fenced'; current: string }>;
  /** Parts of an open group that are not settled yet; 0 when there is no such group, or none any more. */
  partsLeft(partition: number, groupId: string): Promise<number>;
  ledger(partition: number, question: LedgerQuestion): Promise<Ledger>;
  /**
   * Makes sure that appends never again report a number up to `sequence`: raises the ledger's offset when the store is
   * behind. Returns what the store knew before; lower than `sequence` means that messages are lost.
   */
  raiseSequence(partition: number, sequence: number): Promise<number>;
  close(): Promise<void>;
}
