/**
 * The rows of the runtime benchmark about actors on other threads: rings of shared memory beside a bare MessagePort, measured
 * in turn in the same run; what a full ring does; and the same ref over a durable mailbox on a private Redis.
 */
import { Worker } from 'node:worker_threads';
import { ActorSystem } from '../../runtime/actor-system.ts';
import { connectRedis, whenReady } from '../../gateways/redis/connection.ts';
import { systemClock } from '../../runtime/clock.ts';
import { createConsumer } from '../../runtime/durable/consumer.ts';
import type { DurableStore } from '../../runtime/durable/durable-store.ts';
import { createRedisStore } from '../../runtime/durable/redis-store.ts';
import { createWriter } from '../../runtime/durable/writer.ts';
import { bytesCodec } from '../../runtime/remote/codec.ts';
import { decodeMessages, DurableRef, encodeMessages } from '../../runtime/remote/durable-ref.ts';
import { Exchange } from '../../runtime/remote/exchange.ts';
import type { ThreadRef } from '../../runtime/remote/thread-ref.ts';
import { ThreadPool } from '../../runtime/thread/thread-pool.ts';
import { ThreadSlot } from '../../runtime/thread/thread-slot.ts';
import { startOwnRedis } from '../../spec/support/servers.ts';
import { alternately, percentile, rateOf } from '../support/bench.ts';
import type { BenchRun, Rate } from '../support/bench.ts';
import type { ToThreadUnderTest } from '../support/thread-under-test.ts';

/** The size of an event. */
const PAYLOAD = new Uint8Array(325);
/** Messages on their way to a bare port at once; it has no bound of its own. */
const PORT_WINDOW = 5_000;
const ASK = { timeoutMs: 30_000 };
const SUBMITTED_AT_ONCE = 512;
const LANE = 'bench';
const LEASE_MS = 600_000;

export async function rings(run: BenchRun, repetitions: number): Promise<void> {
  const system = new ActorSystem();
  const exchange = new Exchange({ system });
  const pool = new ThreadPool({ spareThreads: 0, threadsMax: 1, heapMbMax: 256 });
  const slot = new ThreadSlot({
    id: 'ring',
    pool,
    moduleUrl: new URL('../support/ring-thread-under-test.ts', import.meta.url).href,
    params: async () => undefined,
    counterLayout: [],
    hangAfterMs: 10_000,
    startTimeoutMs: 10_000,
    exchange,
  });
  const running = await slot.start({ epoch: 1, previousExit: undefined });
  const ref = slot.ref('count', bytesCodec);
  await ref.ready;
  const bare = new Worker(new URL('../support/bare-thread.ts', import.meta.url));
  try {
    await throughput(run, repetitions, ref, bare);
    await latency(run, repetitions, ref, bare);
    await whenFull(run, ref);
  } finally {
    await running.stop(5_000);
    await bare.terminate();
    await pool.close();
    exchange.close();
    await system.stop(1_000);
  }
  await durable(run);
}

async function throughput(
  run: BenchRun,
  repetitions: number,
  ref: ThreadRef<Uint8Array>,
  bare: Worker,
): Promise<void> {
  const messages = run.parameter('ringMessages', 20_000, 2_000_000);
  const portMessages = run.parameter('ringPortMessages', 5_000, 200_000);
  const rates = await alternately(repetitions, {
    ring: () => rateOf(messages, () => tellAll(ref, messages)),
    port: () => rateOf(portMessages, () => postAll(bare, portMessages)),
  });
  run.report({
    what: 'tell over a ring, 325 B',
    value: rates.ring.perSecond,
    unit: '/s',
    baseline: { what: 'a bare MessagePort', value: rates.port.perSecond },
    details: { 'CPU µs': rates.ring.cpuUs, 'CPU µs of the baseline': rates.port.cpuUs },
  });
}

/** Tells while there is credit and waits for more; the last one is asked, so that all have been handled by then. */
async function tellAll(ref: ThreadRef<Uint8Array>, messages: number): Promise<void> {
  for (let told = 0; told < messages - 1; told++) {
    if (ref.tell(PAYLOAD) !== 'accepted') await ref.tellWhenAccepted(PAYLOAD);
  }
  await ref.ask(() => PAYLOAD, ASK);
}

async function postAll(bare: Worker, messages: number): Promise<void> {
  for (let left = messages; left > 0; left -= PORT_WINDOW) {
    const until = Math.min(PORT_WINDOW, left);
    const counted = new Promise((resolve) => bare.once('message', resolve));
    for (let sent = 0; sent < until; sent++) {
      bare.postMessage({ what: 'count', until, payload: PAYLOAD } satisfies ToThreadUnderTest);
    }
    await counted;
  }
}

async function latency(
  run: BenchRun,
  repetitions: number,
  ref: ThreadRef<Uint8Array>,
  bare: Worker,
): Promise<void> {
  const rounds = run.parameter('ringRounds', 500, 20_000);
  const latencies: { ring: number[]; port: number[] } = { ring: [], port: [] };
  const inTurn = (into: number[], once: () => Promise<unknown>): Promise<Rate> =>
    rateOf(rounds, async () => {
      for (let round = 0; round < rounds; round++) {
        const startedMs = performance.now();
        await once();
        into.push((performance.now() - startedMs) * 1_000);
      }
    });
  const rates = await alternately(repetitions, {
    ring: () => inTurn(latencies.ring, () => ref.ask(() => PAYLOAD, ASK)),
    port: () =>
      inTurn(latencies.port, () => {
        const answered = new Promise((resolve) => bare.once('message', resolve));
        bare.postMessage({ what: 'echo', payload: PAYLOAD } satisfies ToThreadUnderTest);
        return answered;
      }),
  });
  run.report({
    what: 'ask over a ring, p50',
    value: percentile(latencies.ring, 0.5),
    unit: 'µs',
    baseline: { what: 'a bare MessagePort', value: percentile(latencies.port, 0.5) },
    details: {
      'p99 µs': percentile(latencies.ring, 0.99),
      'p99 µs of the baseline': percentile(latencies.port, 0.99),
      'CPU µs': rates.ring.cpuUs,
      'CPU µs of the baseline': rates.port.cpuUs,
    },
  });
}

/** A sender that never waits, against a receiver that cannot keep up: what is refused costs little, and nothing is lost. */
async function whenFull(run: BenchRun, ref: ThreadRef<Uint8Array>): Promise<void> {
  const tries = run.parameter('ringTries', 50_000, 2_000_000);
  const handledBefore = await counted(ref);
  let refused = 0;
  const rate = await rateOf(tries, () => {
    for (let one = 0; one < tries; one++) if (ref.tell(PAYLOAD) !== 'accepted') refused += 1;
  });
  // Its answer waits behind everything that was accepted.
  const handled = (await counted(ref)) - handledBefore - 1;
  run.report({
    what: 'a full ring: tells without waiting',
    value: rate.perSecond,
    unit: '/s',
    details: { refused, accepted: tries - refused, 'accepted and lost': tries - refused - handled },
  });
}

async function counted(ref: ThreadRef<Uint8Array>): Promise<number> {
  return (await ref.ask<Buffer>(() => PAYLOAD, ASK)).readDoubleLE();
}

async function durable(run: BenchRun): Promise<void> {
  const messages = run.parameter('durableMessages', 2_000, 100_000);
  const server = await startOwnRedis({ appendFsync: 'everysec' });
  const redis = connectRedis({ url: server.url, name: 'bench' });
  await whenReady(redis, 5_000);
  const store = createRedisStore({ connection: redis, prefix: 'ref' });
  const writer = createWriter<Uint8Array, undefined>({
    store,
    bounds: () => ({ entriesMax: 1_000_000, bytesMax: 1024 ** 3 }),
    cut: (submissions) => ({ payload: encodeMessages(submissions), tag: undefined }),
    onStoreOlder: () => Promise.reject(new Error('the private Redis came back older')),
  });
  const ref = new DurableRef<Uint8Array>({
    path: '/bench',
    writer,
    codec: bytesCodec,
    placeOf: () => ({ partition: 0, lane: LANE }),
    deadLetters: new ActorSystem().deadLetters,
    clock: systemClock,
  });
  try {
    const append = await rateOf(messages, async () => {
      for (let at = 0; at < messages; at += SUBMITTED_AT_ONCE) {
        const inOne = Math.min(SUBMITTED_AT_ONCE, messages - at);
        await Promise.all(Array.from({ length: inOne }, () => ref.tellWhenAccepted(PAYLOAD)));
      }
    });
    await writer.close();
    const drain = await rateOf(messages, () => drainAll(store, messages));
    for (const [what, rate] of [
      ['durable ref, stored', append],
      ['durable ref, drained', drain],
    ] as const) {
      run.report({
        what: `${what}, everysec, 325 B`,
        value: rate.perSecond,
        unit: '/s',
        details: { 'CPU µs': rate.cpuUs },
      });
    }
  } finally {
    await store.close();
    redis.disconnect();
    await server.stop();
  }
}

async function drainAll(store: DurableStore, messages: number): Promise<void> {
  const acquired = await store.acquire(0, LANE, 'bench', LEASE_MS);
  if (!('epoch' in acquired)) throw new Error('The partition is owned by somebody else.');
  const done = Promise.withResolvers<void>();
  let drained = 0;
  let left = messages;
  const consumer = createConsumer({
    store,
    lane: LANE,
    handle: async ({ pieces }) => {
      for (const { payload } of pieces.map(({ entry }) => entry))
        drained += decodeMessages(payload, bytesCodec).length;
      return { counters: { handled: 0 } };
    },
    quarantine: async () => ({}),
    onCommitted: (_partition, entries) => {
      left -= entries.reduce((sum, { count }) => sum + count, 0);
      if (left <= 0) done.resolve();
    },
  });
  consumer.assign(0, { laneGroup: LANE, nonce: 'bench', epoch: acquired.epoch });
  const ended = consumer.run();
  await Promise.race([done.promise, ended]);
  await consumer.stop();
  await ended;
  if (drained !== messages) throw new Error(`${messages} messages were stored and ${drained} drained.`);
}
