/**
 * Reads lanes by XREAD. Waiting reads have connections of their own, because a blocked connection delays every other
 * command on it; reads that do not wait use the store's connection.
 *
 * Invariants: within a lane, entries come in order and without a hole. What is read comes from the very server that the
 * store's connection writes to: during a fail-over the old master may go on for a while with entries of its own, and
 * one of those must never be taken for the entry of the same id that the new master has.
 */
import type { Redis } from 'ioredis';
import type { Clock } from '../clock.ts';
import { CodedError } from '../errors.ts';
import type { Entry, LanePosition, ReadOptions } from './durable-store.ts';
import { inTime } from './reply-deadline.ts';
import { storeAway, storeError, storeTimeout } from './store-errors.ts';
import { checkEntryId, checkLane, checkPartition, countOf } from './store-names.ts';

export interface LaneReaderOptions {
  connection: Redis;
  connectReader: () => Redis;
  keyOf: (partition: number, name: string) => string;
  clock: Clock;
  replyTimeoutMs: number;
  onConnectionLost: () => void;
}

export interface LaneReader {
  read(positions: readonly LanePosition[], options: ReadOptions): Promise<Entry[]>;
  close(): void;
}

/** Waiting reads at the same time in one store. */
export const READERS_MAX = 16;

const CONNECT_WAIT_MS = 1_000;

type RawEntry = [id: Buffer, fields: Buffer[]];

/** A connection for waiting reads, with the number by which the server knows it, and which server that is. */
interface ReadingConnection {
  redis: Redis;
  clientId: Promise<number | undefined>;
  runId: Promise<string | undefined>;
}

export function createLaneReader(options: LaneReaderOptions): LaneReader {
  const { clock } = options;
  const idle: ReadingConnection[] = [];
  const all = new Set<Redis>();
  let isClosed = false;
  /** Of the server behind the store's connection; undefined while there is none. */
  let mainRunId = options.connection.status === 'ready' ? runIdOf(options.connection) : undefined;
  const arrive = (): void => {
    mainRunId = runIdOf(options.connection);
  };
  /** Its server may have been replaced, so that the waiting reads have to look for the new one too. */
  const leave = (): void => {
    mainRunId = undefined;
    for (const redis of all) if (redis.status === 'ready') redis.disconnect(true);
  };
  options.connection.on('ready', arrive).on('close', leave);

  function open(): ReadingConnection {
    if (all.size >= READERS_MAX) {
      throw new CodedError('E_STORE_READERS', `${READERS_MAX} reads are already waiting`, {
        kind: 'transient',
        mend: 'Read many lanes in one call instead of one call per lane.',
      });
    }
    const redis = options.connectReader();
    const connection: ReadingConnection = {
      redis,
      clientId: Promise.resolve(undefined),
      runId: Promise.resolve(undefined),
    };
    redis.on('error', () => {});
    redis.on('close', options.onConnectionLost);
    const ask = (): void => {
      connection.clientId = redis.client('ID').catch(() => undefined);
      connection.runId = runIdOf(redis);
    };
    redis.on('ready', ask);
    if (redis.status === 'ready') ask();
    all.add(redis);
    return connection;
  }

  async function borrow(): Promise<ReadingConnection> {
    const connection = idle.pop() ?? open();
    try {
      await whenReady(connection.redis, clock);
      await requireSameServer(connection);
      return connection;
    } catch (thrown) {
      idle.push(connection);
      throw thrown;
    }
  }

  /** A server that does not tell its run id is taken at its word. */
  async function requireSameServer({ redis, runId }: ReadingConnection): Promise<void> {
    if (mainRunId === undefined) throw storeAway('the connection for writing is not up', 'no');
    const ids = await inTime(clock, options.replyTimeoutMs, Promise.all([runId, mainRunId]));
    const [own, main] = ids === 'late' ? [] : ids;
    if (ids !== 'late' && (own === undefined || main === undefined || own === main)) return;
    if (redis.status === 'ready') redis.disconnect(true);
    throw storeAway('the reading connection is not on the server that is written to', 'no');
  }

  /** Ends the server's waiting, so that the connection can be used again. Without the permission it ends by itself. */
  async function unblock(connection: ReadingConnection): Promise<void> {
    const clientId = await connection.clientId;
    if (clientId !== undefined) await options.connection.client('UNBLOCK', clientId).catch(() => {});
  }

  /** The connection goes back when its read has ended, which may be later than the caller's interest in it. */
  async function readWaiting(args: (string | number)[], { blockMs, signal }: ReadOptions): Promise<unknown> {
    const connection = await borrow();
    if (isClosed) throw storeAway('it is closed', 'no');
    if (signal?.aborted === true) {
      idle.push(connection);
      return null;
    }
    const reply = connection.redis
      .callBuffer('XREAD', ['BLOCK', blockMs, ...args])
      .catch((thrown: unknown) => {
        throw storeError(thrown);
      });
    const giveBack = (): void => {
      idle.push(connection);
    };
    reply.then(giveBack, giveBack);
    const waitMs = blockMs + options.replyTimeoutMs;
    return new Promise((resolve, reject) => {
      const settle = (outcome: () => void): void => {
        cancel();
        signal?.removeEventListener('abort', stop);
        outcome();
      };
      const stop = (): void => {
        void unblock(connection);
        settle(() => resolve(null));
      };
      const cancel = clock.after(waitMs, () => {
        connection.redis.disconnect(true);
        settle(() => reject(storeTimeout(waitMs)));
      });
      signal?.addEventListener('abort', stop);
      reply.then(
        (value) => settle(() => resolve(value)),
        (error: CodedError) => settle(() => reject(error)),
      );
    });
  }

  async function readNow(args: (string | number)[]): Promise<unknown> {
    const reply = await inTime(
      clock,
      options.replyTimeoutMs,
      options.connection.callBuffer('XREAD', args).catch((thrown: unknown) => {
        throw storeError(thrown);
      }),
    );
    if (reply !== 'late') return reply;
    options.connection.disconnect(true);
    throw storeTimeout(options.replyTimeoutMs);
  }

  return {
    async read(positions, readOptions) {
      if (isClosed) throw storeAway('it is closed', 'no');
      if (positions.length === 0 || readOptions.signal?.aborted === true) return [];
      const byKey = new Map<string, LanePosition>();
      for (const position of positions) {
        checkPartition(position.partition);
        checkLane(position.lane);
        checkEntryId(position.afterId);
        byKey.set(options.keyOf(position.partition, position.lane), position);
      }
      const places = [...byKey.values()].map(({ afterId }) => afterId);
      const args = ['COUNT', readOptions.entriesMax, 'STREAMS', ...byKey.keys(), ...places];
      const reply = readOptions.blockMs > 0 ? await readWaiting(args, readOptions) : await readNow(args);
      const lanes = streamsIn(reply).map(([key, raw]) => {
        const { partition, lane } = byKey.get(key) as LanePosition;
        return raw.map((entry) => toEntry(partition, lane, entry));
      });
      return fairShare(lanes, readOptions.bytesMax ?? Infinity);
    },

    close() {
      isClosed = true;
      options.connection.off('ready', arrive).off('close', leave);
      for (const connection of all) {
        connection.removeListener('close', options.onConnectionLost);
        connection.disconnect();
      }
    },
  };
}

/** Random at each start of a server. */
async function runIdOf(redis: Redis): Promise<string | undefined> {
  try {
    return /^run_id:(\w+)/m.exec(await redis.info('server'))?.[1];
  } catch {
    // Not allowed to ask; or the connection broke, and whoever uses it will hear of that.
    return undefined;
  }
}

/** RESP3 replies a flat map, RESP2 a list of pairs. */
function streamsIn(reply: unknown): [string, RawEntry[]][] {
  if (!Array.isArray(reply)) return [];
  const streams: [string, RawEntry[]][] = [];
  if (Array.isArray(reply[0])) {
    for (const [key, entries] of reply as [Buffer, RawEntry[]][]) streams.push([key.toString(), entries]);
  } else {
    for (let index = 0; index < reply.length; index += 2) {
      streams.push([String(reply[index]), reply[index + 1] as RawEntry[]]);
    }
  }
  return streams;
}

function toEntry(partition: number, lane: string, [rawId, fields]: RawEntry): Entry {
  const id = rawId.toString('latin1');
  return {
    partition,
    lane,
    id,
    count: countOf(id),
    payload: fields[1] as Buffer,
    storedAtMs: Number(fields[3]?.toString('latin1')),
    ...(fields.length > 4
      ? { overflow: { keys: String(fields[5]), after: Number(fields[7]?.toString('latin1')) } }
      : {}),
  };
}

/** Cuts at the byte limit, the lanes taking turns: a full lane must not keep the others from being read. */
export function fairShare(lanes: readonly (readonly Entry[])[], bytesMax: number): Entry[] {
  const taken: Entry[] = [];
  let bytes = 0;
  const longest = lanes.reduce((most, lane) => Math.max(most, lane.length), 0);
  for (let turn = 0; turn < longest; turn += 1) {
    for (const lane of lanes) {
      const entry = lane[turn];
      if (entry === undefined) continue;
      if (taken.length > 0 && bytes + entry.payload.length > bytesMax) return taken;
      bytes += entry.payload.length;
      taken.push(entry);
    }
  }
  return taken;
}

function whenReady(connection: Redis, clock: Clock): Promise<void> {
  if (connection.status === 'ready') return Promise.resolve();
  if (connection.status === 'end') return Promise.reject(storeAway('the reading connection has ended', 'no'));
  if (connection.status === 'wait') connection.connect().catch(() => {});
  return new Promise((resolve, reject) => {
    const ready = (): void => {
      cancel();
      resolve();
    };
    const cancel = clock.after(CONNECT_WAIT_MS, () => {
      connection.removeListener('ready', ready);
      reject(storeAway('the reading connection is not up', 'no'));
    });
    connection.once('ready', ready);
  });
}
