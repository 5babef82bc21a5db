/**
 * The durable mailbox alone, on a private Redis: appends in frames, the writer's group commit, and draining, beside
 * plain XADD pipelines and XRANGE with XDEL of the same frames in the same run.
 */
import { randomFillSync } from 'node:crypto';
import type { Redis } from 'ioredis';
import { encodeFrame } from '../actors/ingest/frame.ts';
import type { FrameInput } from '../actors/ingest/frame.ts';
import { RECORD_JSON } from '../actors/ingest/split-records.ts';
import { uuidV7Maker } from '../actors/ingest/uuid-v7.ts';
import { connectRedis, whenReady } from '../gateways/redis/connection.ts';
import { systemClock } from '../runtime/clock.ts';
import { createConsumer } from '../runtime/durable/consumer.ts';
import type { Bounds, DurableStore, Token } from '../runtime/durable/durable-store.ts';
import { createRedisStore } from '../runtime/durable/redis-store.ts';
import { createWriter } from '../runtime/durable/writer.ts';
import { startOwnRedis } from '../spec/support/servers.ts';
import { alternately, rateOf } from './support/bench.ts';
import type { BenchRun, Rate } from './support/bench.ts';
import { makeCorpus } from './support/corpus.ts';

const PARTITIONS = 8;
const LANE = 'bench';
const PREFIX = 'durable';
const BARE = 'bare';
const BOUNDS: Bounds = { entriesMax: 10_000_000, bytesMax: 10 * 1024 ** 3 };
const LEASE_MS = 600_000;
/** Small submissions that wait for their receipts at once: as many as a busy gateway has requests. */
const SUBMITTED_AT_ONCE = 512;

export default async function durable(run: BenchRun): Promise<void> {
  const corpus = makeCorpus();
  run.note(
    `corpus: seed ${corpus.seed}, sha256 ${corpus.sha256}, ${Math.round(corpus.bytesMean)} B an event`,
  );
  const repetitions = run.parameter('repetitions', 1, 5);
  for (const appendFsync of ['always', 'everysec'] as const) {
    const server = await startOwnRedis({ appendFsync });
    const redis = connectRedis({ url: server.url, name: 'bench' });
    await whenReady(redis, 5_000);
    const store = createRedisStore({ connection: redis, prefix: PREFIX });
    try {
      const bench = new DurableBench(run, redis, store, appendFsync, corpus.events, repetitions);
      for (const events of [1, 100]) await bench.appendAndDrain(events);
      await bench.writer();
      if (appendFsync === 'always') await bench.memory();
    } finally {
      await store.close();
      redis.disconnect();
      await server.stop();
    }
  }
}

class DurableBench {
  readonly #run: BenchRun;
  readonly #redis: Redis;
  readonly #store: DurableStore;
  readonly #fsync: string;
  readonly #events: readonly Buffer[];
  readonly #repetitions: number;
  readonly #newId = uuidV7Maker(systemClock, (bytes) => randomFillSync(bytes));
  /** Rises with every writer, so that each is a new one to the store. */
  #writers = 0;

  constructor(
    run: BenchRun,
    redis: Redis,
    store: DurableStore,
    fsync: string,
    events: readonly Buffer[],
    repetitions: number,
  ) {
    this.#run = run;
    this.#redis = redis;
    this.#store = store;
    this.#fsync = fsync;
    this.#events = events;
    this.#repetitions = repetitions;
  }

  /** Rounds of one frame to each partition, one round after the other, as an ingest thread makes them; then all out. */
  async appendAndDrain(eventsPerFrame: number): Promise<void> {
    const rounds = this.#run.parameter(`rounds.${eventsPerFrame}`, 20, 500);
    const frames = this.#frames(eventsPerFrame);
    const total = rounds * PARTITIONS * eventsPerFrame;
    const rates = await alternately(this.#repetitions, {
      append: () => rateOf(total, () => this.#append(rounds, frames, eventsPerFrame)),
      drain: () => rateOf(total, () => this.#drain(total)),
      xadd: () => rateOf(total, () => this.#bareAppend(rounds, frames)),
      xdel: () => rateOf(total, () => this.#bareDrain()),
    });
    const shape = `${eventsPerFrame === 1 ? '1 event' : `${eventsPerFrame} events`} a frame, ${this.#fsync}`;
    this.#report(`append, ${shape}`, rates.append, 'plain XADD', rates.xadd, eventsPerFrame);
    this.#report(`consume and commit, ${shape}`, rates.drain, 'XRANGE and XDEL', rates.xdel, eventsPerFrame);
  }

  /** Many small submissions at once: the writer makes the frames. */
  async writer(): Promise<void> {
    const events = this.#run.parameter('writer.events', 4_000, 100_000);
    const rates = await alternately(this.#repetitions, {
      writer: () => rateOf(events, () => this.#submitAll(events)),
      xadd: () => rateOf(events, () => this.#bareGroupCommit(events)),
    });
    await this.#drain(events * (this.#repetitions + 1));
    await this.#bareDrain();
    this.#report(
      `writer, single events, ${this.#fsync}`,
      rates.writer,
      'XADD pipelines of the same',
      rates.xadd,
      1,
    );
  }

  /** What Redis needs for an event in full frames, its own overhead included. */
  async memory(): Promise<void> {
    const rounds = this.#run.parameter('memory.rounds', 20, 500);
    const frames = this.#frames(100);
    const before = await this.#usedMemory();
    await this.#append(rounds, frames, 100);
    const events = rounds * PARTITIONS * 100;
    const bytes = (await this.#usedMemory()) - before;
    const payloadBytes = frames.reduce((sum, { length }) => sum + length, 0) / frames.length / 100;
    await this.#drain(events);
    this.#run.report({
      what: 'Redis memory per queued event, full frames',
      value: bytes / events,
      unit: 'B',
      details: { 'of it payload': payloadBytes, events },
    });
  }

  #report(what: string, rate: Rate, baseline: string, bare: Rate, eventsPerFrame: number): void {
    this.#run.report({
      what,
      value: rate.perSecond,
      unit: 'events/s',
      baseline: { what: baseline, value: bare.perSecond },
      details: {
        ...(eventsPerFrame > 1 ? { 'frames/s': rate.perSecond / eventsPerFrame } : {}),
        'client CPU µs/event': rate.cpuUs,
        'of the baseline': bare.cpuUs,
      },
    });
  }

  #frames(eventsPerFrame: number): Buffer[] {
    return Array.from({ length: 100 }, (_, at) => this.#frame(at * eventsPerFrame, eventsPerFrame));
  }

  #frame(from: number, count: number): Buffer {
    const records = Array.from({ length: count }, (_, index): FrameInput => {
      const body = this.#events[(from + index) % this.#events.length] as Buffer;
      return { kind: RECORD_JSON, correlationId: '', body, start: 0, end: body.length };
    });
    return encodeFrame(this.#newId(), systemClock.wallMs(), records);
  }

  async #append(rounds: number, frames: readonly Buffer[], count: number): Promise<void> {
    const writerId = (++this.#writers).toString(16).padStart(32, '0');
    for (let sequence = 1; sequence <= rounds; sequence++) {
      const results = await this.#store.append(
        Array.from({ length: PARTITIONS }, (_, partition) => ({
          partition,
          lane: LANE,
          writerId,
          sequence,
          count,
          payload: frames[(sequence * PARTITIONS + partition) % frames.length] as Buffer,
          bounds: BOUNDS,
        })),
      );
      for (const result of results) {
        if (result.status !== 'stored')
          throw new Error(`An append was not stored: ${JSON.stringify(result)}`);
      }
    }
  }

  /** Everything in the lanes, through a consumer whose handler does nothing. */
  async #drain(events: number): Promise<void> {
    let left = events;
    const done = Promise.withResolvers<void>();
    const consumer = createConsumer({
      store: this.#store,
      lane: LANE,
      handle: async () => ({ counters: { handled: 0 } }),
      quarantine: async () => ({}),
      onCommitted: (_partition, entries) => {
        left -= entries.reduce((sum, { count }) => sum + count, 0);
        if (left <= 0) done.resolve();
      },
    });
    for (let partition = 0; partition < PARTITIONS; partition++) {
      consumer.assign(partition, await this.#own(partition));
    }
    const ended = consumer.run();
    await Promise.race([done.promise, ended]);
    await consumer.stop();
    await ended;
  }

  async #own(partition: number): Promise<Token> {
    const nonce = 'bench';
    const acquired = await this.#store.acquire(partition, LANE, nonce, LEASE_MS);
    if (!('epoch' in acquired)) throw new Error('The partition is owned by somebody else.');
    return { laneGroup: LANE, nonce, epoch: acquired.epoch };
  }

  async #bareAppend(rounds: number, frames: readonly Buffer[]): Promise<void> {
    for (let round = 1; round <= rounds; round++) {
      const pipeline = this.#redis.pipeline();
      for (let partition = 0; partition < PARTITIONS; partition++) {
        const payload = frames[(round * PARTITIONS + partition) % frames.length] as Buffer;
        pipeline.xadd(`${BARE}:{${partition}}`, '*', 'p', payload);
      }
      await pipeline.exec();
    }
  }

  async #bareDrain(): Promise<void> {
    await Promise.all(
      Array.from({ length: PARTITIONS }, async (_, partition) => {
        const key = `${BARE}:{${partition}}`;
        for (;;) {
          const entries = await this.#redis.xrangeBuffer(key, '-', '+', 'COUNT', 32);
          if (entries.length === 0) return;
          await this.#redis.xdel(key, ...entries.map(([id]) => id));
        }
      }),
    );
  }

  async #submitAll(events: number): Promise<void> {
    const writer = createWriter<{ byteLength: number; body: Buffer }, undefined>({
      store: this.#store,
      bounds: () => BOUNDS,
      cut: (submissions) => ({
        payload: encodeFrame(
          this.#newId(),
          systemClock.wallMs(),
          submissions.map(({ part: { body } }) => ({
            kind: RECORD_JSON,
            correlationId: '',
            body,
            start: 0,
            end: body.length,
          })),
        ),
        tag: undefined,
      }),
      onStoreOlder: async () => undefined,
    });
    let next = 0;
    const submitter = async (): Promise<void> => {
      for (let at = next++; at < events; at = next++) {
        const body = this.#events[at % this.#events.length] as Buffer;
        await writer.submit(at % PARTITIONS, LANE, 1, { byteLength: body.length, body });
      }
    };
    await Promise.all(Array.from({ length: SUBMITTED_AT_ONCE }, submitter));
    await writer.close();
  }

  /** The same events in the same frames by plain XADD: as many a round as are submitted at once. */
  async #bareGroupCommit(events: number): Promise<void> {
    const perFrame = SUBMITTED_AT_ONCE / PARTITIONS;
    for (let at = 0; at < events; at += SUBMITTED_AT_ONCE) {
      const pipeline = this.#redis.pipeline();
      for (let partition = 0; partition < PARTITIONS; partition++) {
        pipeline.xadd(`${BARE}:{${partition}}`, '*', 'p', this.#frame(at + partition * perFrame, perFrame));
      }
      await pipeline.exec();
    }
  }

  async #usedMemory(): Promise<number> {
    return Number(/used_memory:(\d+)/.exec(await this.#redis.info('memory'))?.[1]);
  }
}
