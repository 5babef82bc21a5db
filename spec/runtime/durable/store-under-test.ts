/** What the specs of this folder share: opening stores, and short ways to say what they do. */
import { createHash, randomBytes } from 'node:crypto';
import { Redis } from 'ioredis';
import type { Clock } from '../../../runtime/clock.ts';
import type {
  AppendRequest,
  AppendResult,
  Bounds,
  CommitRequest,
  DurableStore,
  Input,
  Mark,
  MarkWindow,
  Token,
} from '../../../runtime/durable/durable-store.ts';
import type { RedisStoreOptions } from '../../../runtime/durable/redis-store.ts';
import { createRedisStore, STORE_CONNECTION_OPTIONS } from '../../../runtime/durable/redis-store.ts';

export const WIDE: Bounds = { entriesMax: 100_000, bytesMax: 100_000_000 };
export const GROUP = 'work';
export const WINDOW: MarkWindow = { keysMax: 1_000, ageMsMax: 3_600_000 };

/** A mark of a message that is called `key` and says `content`. */
export function markOf(key: string, content = key): Mark {
  const digest = (text: string, bytes: number): Buffer =>
    createHash('sha256').update(text).digest().subarray(0, bytes);
  return { key: digest(key, 16), content: digest(content, 8) };
}

export interface OpenedStore {
  store: DurableStore;
  connection: Redis;
  close(): Promise<void>;
}

/** Connects with the options a store needs, and reconnects fast. */
export async function connect(url: string): Promise<Redis> {
  const connection = new Redis(url, {
    ...STORE_CONNECTION_OPTIONS,
    lazyConnect: true,
    retryStrategy: () => 20,
  });
  connection.on('error', () => {});
  await connection.connect();
  return connection;
}

export async function openRedisStore(
  url: string,
  options: Partial<Omit<RedisStoreOptions, 'connection'>> = {},
): Promise<OpenedStore> {
  const connection = await connect(url);
  const store = createRedisStore({ prefix: freshPrefix(), ...options, connection });
  return {
    store,
    connection,
    async close() {
      await store.close();
      connection.disconnect();
    },
  };
}

export function freshPrefix(): string {
  return `spec-${randomBytes(6).toString('hex')}`;
}

export function freshWriterId(): string {
  return randomBytes(16).toString('hex');
}

/** One append with sensible defaults. */
export async function appendOne(
  store: DurableStore,
  request: Partial<AppendRequest> & { writerId: string; sequence: number },
): Promise<AppendResult> {
  const [result] = await store.append([
    { partition: 0, lane: 'in', count: 1, payload: Buffer.from('x'), bounds: WIDE, ...request },
  ]);
  if (result === undefined) throw new Error('no result');
  return result;
}

export async function own(
  store: DurableStore,
  partition = 0,
  nonce = randomBytes(8).toString('hex'),
): Promise<Token> {
  const result = await store.acquire(partition, GROUP, nonce, 60_000);
  if (!('epoch' in result)) throw new Error(`held by ${result.heldBy}`);
  return { laneGroup: GROUP, nonce, epoch: result.epoch };
}

export function inputOf(entry: { lane: string; id: string; payload: Buffer }): Input {
  return { lane: entry.lane, id: entry.id, bytes: entry.payload.length };
}

/** Everything in a lane of partition 0. */
export function readAll(store: DurableStore, lane = 'in', partition = 0) {
  return store.read([{ partition, lane, afterId: '0-0' }], { entriesMax: 10_000, blockMs: 0 });
}

export function commitOf(token: Token, rest: Partial<CommitRequest> = {}): CommitRequest {
  return { partition: 0, token, ...rest };
}

/** A clock that moves only when told; due tasks run in order. */
export class ManualClock implements Clock {
  #nowMs = 1_000_000;
  #tasks: { atMs: number; task: () => void }[] = [];

  monotonicMs(): number {
    return this.#nowMs;
  }
  wallMs(): number {
    return this.#nowMs;
  }
  after(delayMs: number, task: () => void): () => void {
    const planned = { atMs: this.#nowMs + delayMs, task };
    this.#tasks.push(planned);
    return () => {
      this.#tasks = this.#tasks.filter((other) => other !== planned);
    };
  }
  /** Moves on, and lets promises settle after each task. */
  async advance(byMs: number): Promise<void> {
    const untilMs = this.#nowMs + byMs;
    for (;;) {
      await settled();
      const [next] = this.#tasks.filter(({ atMs }) => atMs <= untilMs).sort((a, b) => a.atMs - b.atMs);
      if (next === undefined) break;
      this.#tasks = this.#tasks.filter((other) => other !== next);
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      next.task();
    }
    this.#nowMs = untilMs;
    await settled();
  }
}

/** Lets everything that only waits for promises run. */
export function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

export function delay(delayMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, delayMs));
}

/** Waits until a condition holds. */
export async function until(condition: () => boolean | Promise<boolean>, timeoutMs = 10_000): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error('the condition did not come true');
    await delay(5);
  }
}

export async function rejectionOf(promise: Promise<unknown>): Promise<{ code: string; kind: string }> {
  try {
    await promise;
  } catch (thrown) {
    return thrown as { code: string; kind: string };
  }
  throw new Error('it did not reject');
}
