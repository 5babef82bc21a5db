/**
 * The durable mailbox over Redis 6.2 or newer (Valkey 7.2 or newer), through an injected ioredis connection.
 *
 * Keys are `<prefix>:{<partition>}:<lane>` for lanes (streams) and delayed sets (sorted sets), and `:owner`, `:ledger`,
 * `:strikes`, `:groups`, `:marks`, `:marks:old`, `:diverted`, `:arrivals`, `:writer:<id>` beside them: one hash tag per
 * partition. All of one store's reads go to one server (alone or the master of a Sentinel group). Every write is one atomic
 * script.
 *
 * Invariant: no command is ever sent twice by the connection itself. A resend is decided here or above, by those who
 * know whether it is safe, so the connection must have the `STORE_CONNECTION_OPTIONS`.
 */
import type { Redis } from 'ioredis';
import type { Clock } from '../clock.ts';
import { systemClock } from '../clock.ts';
import { CodedError } from '../errors.ts';
import { encodeCommit } from './commit-plan.ts';
import type {
  AcquireResult,
  AppendRequest,
  AppendResult,
  CommitRequest,
  CommitResult,
  DueMembers,
  DurableStore,
  Entry,
  LanePosition,
  Ledger,
  LedgerQuestion,
  ReadOptions,
  RenewResult,
  Strike,
  StrikeRecord,
} from './durable-store.ts';
import { STRIKES_KEPT } from './durable-store.ts';
import { lanesIn, readLedger, setsIn } from './ledger.ts';
import { createLaneReader } from './lane-reader.ts';
import { checkReconnects } from './reconnect-check.ts';
import { inTime } from './reply-deadline.ts';
import type { ReplicaWait, ScriptCall } from './script-loader.ts';
import { runScripts } from './script-loader.ts';
import {
  appendCall,
  appendResult,
  commitResult,
  pairs,
  renewResult,
  spillLook,
  text,
} from './script-wire.ts';
import {
  generationChanged,
  storeAway,
  storeError,
  storeTimeout,
  storeUnconfirmed,
  storeUntrusted,
} from './store-errors.ts';
import {
  checkAppend,
  checkCommit,
  checkEntryId,
  checkLane,
  checkLease,
  checkPartition,
  cutStrike,
  ID_JUMP,
  strikeField,
  WRITER_TTL_MS,
} from './store-names.ts';

/** What ioredis must be told, Sentinel or not: fail at once when the server is away, and never resend by itself. */
export const STORE_CONNECTION_OPTIONS = {
  enableOfflineQueue: false,
  autoResendUnfulfilledCommands: false,
  maxRetriesPerRequest: 0,
} as const;

export interface RedisStoreOptions {
  /** For everything but waiting reads. The caller owns it and ends it after `close`. */
  connection: Redis;
  /** Makes a connection for waiting reads, with the same options; `connection.duplicate()` when not given. */
  connectReader?: () => Redis;
  /** Begins every key. */
  prefix: string;
  clock?: Clock;
  /** A server that does not answer for so long is treated as away, and the connection is made anew. */
  replyTimeoutMs?: number;
  writerTtlMs?: number;
  /** Replicas that must have an append before it counts as stored; asked at each. 0, the default: none need to. */
  replicas?: () => number;
  /**
   * Asked after every reconnect: resolves when the server may be trusted. Until then appends are refused, since their
   * acknowledgement could be a lie. What is stored already is handled in any case.
   */
  recheck?: () => Promise<void>;
}

export const REPLY_TIMEOUT_MS = 5_000;
/** Well within the time for a reply, so that a slow replica is not taken for a server that is away. */
const REPLICA_WAIT_SHARE = 0.2;

const COMMIT_KEYS_FIRST = 6;
const MEASURE_ATTEMPTS_MAX = 5;

/** Opens the store. Throws E_STORE_CONNECTION when the connection would resend or queue by itself. */
export function createRedisStore(options: RedisStoreOptions): DurableStore {
  const { connection, prefix } = options;
  const clock = options.clock ?? systemClock;
  const replyTimeoutMs = options.replyTimeoutMs ?? REPLY_TIMEOUT_MS;
  const replicaWaitMs = Math.ceil(replyTimeoutMs * REPLICA_WAIT_SHARE);
  const writerTtlMs = options.writerTtlMs ?? WRITER_TTL_MS;
  checkConnection(connection);

  let generation = 1;
  let isClosed = false;
  const loseGeneration = (): void => {
    generation += 1;
  };
  // A rejected command tells its own story; without a listener ioredis would print to the console.
  const ignore = (): void => {};
  connection.on('close', loseGeneration).on('error', ignore);

  const { recheck } = options;
  const reconnects = recheck === undefined ? undefined : checkReconnects(connection, recheck, clock);

  const keyOf = (partition: number, name: string): string => `${prefix}:{${partition}}:${name}`;
  const reader = createLaneReader({
    connection,
    connectReader: options.connectReader ?? (() => connection.duplicate()),
    keyOf,
    clock,
    replyTimeoutMs,
    onConnectionLost: loseGeneration,
  });

  /** One pipeline, with a deadline after which the connection is made anew. */
  async function call(
    calls: readonly ScriptCall[],
    wait?: ReplicaWait,
  ): Promise<({ reply: unknown; isConfirmed: boolean } | { error: CodedError })[]> {
    if (isClosed) return calls.map(() => ({ error: storeAway('it is closed', 'no') }));
    const outcomes = await inTime(clock, replyTimeoutMs, runScripts(connection, calls, wait));
    if (outcomes === 'late') {
      connection.disconnect(true);
      return calls.map(() => ({ error: storeTimeout(replyTimeoutMs) }));
    }
    return outcomes.map((outcome) => ('error' in outcome ? { error: storeError(outcome.error) } : outcome));
  }

  async function callOne(scriptCall: ScriptCall): Promise<unknown> {
    const [outcome] = await call([scriptCall]);
    return replyOf(outcome);
  }

  /** Commits that are asked for in one turn, of several partitions say, travel together. */
  let together: { calls: ScriptCall[]; outcomes: ReturnType<typeof call> } | undefined;
  async function callTogether(scriptCall: ScriptCall): Promise<unknown> {
    if (together === undefined) {
      const calls: ScriptCall[] = [];
      const outcomes = Promise.resolve().then(() => {
        together = undefined;
        return call(calls);
      });
      together = { calls, outcomes };
    }
    const index = together.calls.push(scriptCall) - 1;
    return replyOf((await together.outcomes)[index]);
  }

  /** A plain command, with the same deadline and errors. */
  async function command(name: string, ...args: (string | number)[]): Promise<unknown> {
    if (isClosed) throw storeAway('it is closed', 'no');
    const reply = await inTime(
      clock,
      replyTimeoutMs,
      connection.callBuffer(name, args).catch((thrown: unknown) => {
        throw storeError(thrown);
      }),
    );
    if (reply === 'late') {
      connection.disconnect(true);
      throw storeTimeout(replyTimeoutMs);
    }
    return reply;
  }

  async function hash(key: string): Promise<Map<string, string>> {
    return pairs(await command('HGETALL', key));
  }

  return {
    get generation() {
      return generation;
    },

    async append(requests) {
      if (reconnects?.isTrusted === false) {
        return requests.map(() => ({ status: 'error', error: storeUntrusted() }));
      }
      const results: (AppendResult | undefined)[] = requests.map(refusal);
      const sent = [...requests.keys()].filter((index) => results[index] === undefined);
      if (sent.length > 0) {
        const replicas = options.replicas?.() ?? 0;
        const outcomes = await call(
          sent.map((index) => appendCall(requests[index] as AppendRequest, keyOf, writerTtlMs)),
          replicas === 0 ? undefined : { replicas, timeoutMs: replicaWaitMs },
        );
        for (const [position, index] of sent.entries()) {
          const outcome = outcomes[position];
          if (outcome === undefined || 'error' in outcome) {
            results[index] = { status: 'error', error: outcome?.error ?? storeAway('no reply', 'unknown') };
          } else {
            const result = appendResult(outcome.reply);
            results[index] = outcome.isConfirmed ? result : unconfirmed(result, replicas);
          }
        }
      }
      return results as AppendResult[];
    },

    read: (positions: readonly LanePosition[], readOptions: ReadOptions): Promise<Entry[]> =>
      reader.read(positions, readOptions),

    /**
     * Never waits for replicas: what a fail-over takes back of a commit is done again from the entries that come back
     * with it, by a handler that is idempotent. Only what someone outside was told cannot be taken back.
     */
    async commit(request: CommitRequest): Promise<CommitResult> {
      checkCommit(request);
      if (request.generation !== undefined && request.generation !== generation) throw generationChanged();
      const { names, plan, payloads } = encodeCommit(request, COMMIT_KEYS_FIRST);
      const keys = ['owner', 'ledger', 'strikes', 'groups', 'diverted', ...names].map((name) =>
        keyOf(request.partition, name),
      );
      return commitResult(await callTogether({ script: 'commit', keys, args: [plan, ...payloads] }));
    },

    async lookAtSpills(partition, token, lanes, { isAttempt = false } = {}) {
      checkPartition(partition);
      checkLease(token.laneGroup, token.nonce);
      lanes.forEach(checkLane);
      const keys = ['owner', 'ledger', ...lanes].map((name) => keyOf(partition, name));
      const { laneGroup, nonce, epoch } = token;
      const args = [laneGroup, `${nonce}:${epoch}`, isAttempt ? '1' : '0', ...lanes];
      return spillLook(await callOne({ script: 'spill', keys, args }), lanes);
    },

    async takeDue(partition, set, limit): Promise<DueMembers> {
      checkPartition(partition);
      checkLane(set);
      const reply = await callOne({ script: 'due', keys: [keyOf(partition, set)], args: [limit] });
      const [next, ...rest] = reply as [number, ...Buffer[]];
      const members: DueMembers['members'] = [];
      for (let index = 0; index < rest.length; index += 2) {
        members.push({ payload: rest[index] as Buffer, dueAtMs: Number(text(rest[index + 1])) });
      }
      return { members, nextDueInMs: next < 0 ? undefined : next };
    },

    async listDelayed(partition, set, skip, limit): Promise<Buffer[]> {
      checkPartition(partition);
      checkLane(set);
      return (await command('ZRANGE', keyOf(partition, set), skip, skip + limit - 1)) as Buffer[];
    },

    async acquire(partition, laneGroup, nonce, ttlMs): Promise<AcquireResult> {
      checkPartition(partition);
      checkLease(laneGroup, nonce, ttlMs);
      const keys = [keyOf(partition, 'owner')];
      const reply = await callOne({ script: 'acquire', keys, args: [laneGroup, nonce, ttlMs] });
      const [what, first, remainingMs] = reply as [Buffer, number | Buffer, number];
      if (text(what) === 'taken') return { epoch: Number(first) };
      return { heldBy: text(first), remainingMs };
    },

    async renew(partitions, laneGroup, nonce, ttlMs): Promise<RenewResult[]> {
      partitions.forEach(checkPartition);
      checkLease(laneGroup, nonce, ttlMs);
      if (partitions.length === 0) return [];
      const outcomes = await call(
        partitions.map((partition) => ({
          script: 'renew',
          keys: [keyOf(partition, 'owner')],
          args: [laneGroup, nonce, ttlMs],
        })),
      );
      return partitions.map((partition, index) => {
        const outcome = outcomes[index];
        if (outcome === undefined || 'error' in outcome) {
          return { partition, error: outcome?.error ?? storeAway('no reply', 'unknown') };
        }
        return renewResult(partition, outcome.reply);
      });
    },

    async release(partitions, laneGroup, nonce) {
      partitions.forEach(checkPartition);
      checkLease(laneGroup, nonce);
      if (partitions.length === 0) return;
      const outcomes = await call(
        partitions.map((partition) => ({
          script: 'release',
          keys: [keyOf(partition, 'owner')],
          args: [laneGroup, nonce],
        })),
      );
      for (const outcome of outcomes) if ('error' in outcome) throw outcome.error;
    },

    async addStrike(partition, lane, entryId, strike: Strike): Promise<StrikeRecord | undefined> {
      checkPartition(partition);
      checkLane(lane);
      checkEntryId(entryId);
      const reply = await callOne({
        script: 'strike',
        keys: [keyOf(partition, lane), keyOf(partition, 'strikes')],
        args: [entryId, strikeField(lane, entryId), JSON.stringify(cutStrike(strike)), STRIKES_KEPT],
      });
      return reply === null ? undefined : (JSON.parse(text(reply)) as StrikeRecord);
    },

    async strikesOf(partition, lane, entryId) {
      checkPartition(partition);
      checkLane(lane);
      checkEntryId(entryId);
      const value = await command('HGET', keyOf(partition, 'strikes'), strikeField(lane, entryId));
      return value === null ? undefined : (JSON.parse(text(value)) as StrikeRecord);
    },

    async partsLeft(partition, groupId) {
      checkPartition(partition);
      const value = await command('HGET', keyOf(partition, 'groups'), groupId);
      return value === null ? 0 : Number(text(value));
    },

    async strikes(partition, lane) {
      checkPartition(partition);
      checkLane(lane);
      const records = new Map<string, StrikeRecord>();
      for (const [field, json] of await hash(keyOf(partition, 'strikes'))) {
        const [ofLane, entryId] = field.split(' ');
        if (ofLane === lane && entryId !== undefined) records.set(entryId, JSON.parse(json) as StrikeRecord);
      }
      return records;
    },

    async ledger(partition, question: LedgerQuestion): Promise<Ledger> {
      checkPartition(partition);
      question.inputLanes.forEach(checkLane);
      let fields = await hash(keyOf(partition, 'ledger'));
      for (let attempt = 1; ; attempt += 1) {
        const lanes = [...new Set([...lanesIn(fields), ...question.inputLanes])];
        const sets = setsIn(fields);
        const reply = await callOne({
          script: 'measure',
          keys: ['ledger', 'groups', 'marks', 'marks:old', 'diverted', ...lanes, ...sets].map((name) =>
            keyOf(partition, name),
          ),
          args: [lanes.length],
        });
        const [flat, groupsOpen, streams, delayed, marks, divertedKeys] = reply as [
          unknown,
          number,
          [number, Buffer, Buffer][],
          number[],
          number,
          number,
        ];
        fields = pairs(flat);
        // A lane that appeared between the two looks was not measured: look again.
        const isComplete =
          lanesIn(fields).every((lane) => lanes.includes(lane)) &&
          setsIn(fields).every((set) => sets.includes(set));
        if (!isComplete && attempt < MEASURE_ATTEMPTS_MAX) continue;
        return readLedger(
          {
            fields,
            groupsOpen,
            divertedKeys,
            marks,
            streams: lanes.map((lane, index) => {
              const [entries, first, last] = streams[index] as [number, Buffer, Buffer];
              if (first.length === 0) return { lane, entries };
              return { lane, entries, firstId: text(first), lastId: text(last) };
            }),
            delayed: new Map(sets.map((set, index) => [set, delayed[index] ?? 0])),
          },
          question,
        );
      }
    },

    async raiseSequence(partition, sequence) {
      checkPartition(partition);
      const keys = [keyOf(partition, 'ledger')];
      return Number(await callOne({ script: 'raise', keys, args: [sequence, ID_JUMP] }));
    },

    async close() {
      isClosed = true;
      reconnects?.stop();
      connection.off('close', loseGeneration);
      reader.close();
    },
  };
}

function replyOf(outcome: { reply: unknown } | { error: CodedError } | undefined): unknown {
  if (outcome === undefined) throw storeAway('no reply', 'unknown');
  if ('error' in outcome) throw outcome.error;
  return outcome.reply;
}

function checkConnection(connection: Redis): void {
  const { options } = connection;
  for (const [name, wanted] of Object.entries(STORE_CONNECTION_OPTIONS)) {
    if (options[name as keyof typeof STORE_CONNECTION_OPTIONS] !== wanted) {
      throw new CodedError('E_STORE_CONNECTION', `the store's connection needs ${name}: ${String(wanted)}`, {
        mend: 'Open it with STORE_CONNECTION_OPTIONS: a connection that queues or resends by itself can write twice.',
      });
    }
  }
}

/** A refusal wrote nothing, so there is nothing in it to confirm. */
function unconfirmed(result: AppendResult, replicas: number): AppendResult {
  const { status } = result;
  const isClaimed = status === 'stored' || status === 'repeat' || status === 'duplicate';
  return isClaimed ? { status: 'error', error: storeUnconfirmed(replicas) } : result;
}

function refusal(request: AppendRequest): AppendResult | undefined {
  try {
    checkAppend(request);
    return undefined;
  } catch (thrown) {
    return { status: 'error', error: thrown as CodedError };
  }
}
