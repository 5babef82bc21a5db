/**
 * The durable mailbox in a real master group: masters are killed, replaced and paused under writers and a consumer at
 * work, and what was acknowledged is looked for in the lanes.
 */
import { expect } from 'chai';
import type { Redis } from 'ioredis';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'mocha';
import { connectRedis, whenReady } from '../../../gateways/redis/connection.ts';
import { MARK_CONTENT_BYTES, MARK_KEY_BYTES, START } from '../../../runtime/durable/durable-store.ts';
import type { DurableStore } from '../../../runtime/durable/durable-store.ts';
import { createRedisStore } from '../../../runtime/durable/redis-store.ts';
import type { AckLevel } from '../../../runtime/durable/store-safety.ts';
import { openWitness } from '../../../runtime/durable/witness.ts';
import type { LostRange, Witness } from '../../../runtime/durable/witness.ts';
import { createWriter } from '../../../runtime/durable/writer.ts';
import { codeOf, messageOf } from '../../../runtime/errors.ts';
import { openStore } from '../../../supervisors/threads/store.ts';
import { freePorts } from '../../../supervisors/embedded/free-ports.ts';
import { rejectionOf } from '../../support/rejection.ts';
import { SentinelGroup } from '../../support/sentinel-group.ts';
import type { GroupServer } from '../../support/sentinel-group.ts';
import { specDirectory } from '../../support/servers.ts';
import { expectMoved, moveTexts, PARTITIONS } from './moved-texts.ts';
import { appendOne, delay, freshPrefix, freshWriterId, readAll, until, WIDE } from './store-under-test.ts';

const PATIENCE_MS = 30_000;

describe('The durable mailbox in a master group', function () {
  this.timeout(60_000);
  let group: SentinelGroup;
  const clean: (() => Promise<unknown>)[] = [];

  beforeEach(async () => {
    group = await SentinelGroup.start();
    clean.push(() => group.close());
  });
  afterEach(async () => {
    for (const step of clean.splice(0).reverse()) await step();
  });

  const open = async (keyPrefix: string, ackLevel?: AckLevel): Promise<DurableStore> => {
    const safety = ackLevel === undefined ? undefined : { ackLevel, boundsBytes: 1_000_000 };
    const { store, close } = await openStore({ redisUrl: group.url, keyPrefix }, 'spec', safety);
    clean.push(close);
    return store;
  };
  const connect = async (url: string): Promise<Redis> => {
    const redis = connectRedis({ url, name: 'spec' });
    clean.push(async () => redis.disconnect());
    await whenReady(redis, PATIENCE_MS);
    return redis;
  };
  const changesOf = async ({ redis }: GroupServer): Promise<number> =>
    Number(/rdb_changes_since_last_save:(\d+)/.exec(await redis.info('persistence'))?.[1]);
  const urlOf = ({ port, password }: GroupServer): string => `redis://:${password}@127.0.0.1:${port}/0`;
  const openOwnWitness = async (): Promise<Witness> => {
    const file = join(specDirectory('witness'), 'witness.json');
    const witness = await openWitness({ file, learns: false });
    clean.push(() => witness.stop());
    return witness;
  };

  /** Submits numbered texts without a pause until told to stop. */
  function produce(store: DurableStore, witness: Witness) {
    const lost: LostRange[] = [];
    const writer = createWriter<Buffer, undefined>({
      store,
      bounds: () => WIDE,
      cut: (submissions) => ({ payload: Buffer.concat(submissions.map(({ part }) => part)), tag: undefined }),
      onAccepted: (partition, accepted) => witness.note(partition, accepted),
      witnessed: (partition) => witness.highest(partition),
      onStoreOlder: async (partition) => {
        lost.push(...(await witness.reconcile(store, [partition])));
      },
      deadlineMs: 8_000,
    });
    const acknowledged: string[] = [];
    const unknown: string[] = [];
    const refusals = new Set<string>();
    let number = 0;
    let isOn = true;
    const submit = async (): Promise<void> => {
      while (isOn) {
        const text = `<${number++}>`;
        try {
          await writer.submit(number % PARTITIONS.length, 'in', 1, Buffer.from(text));
          acknowledged.push(text);
        } catch (thrown) {
          refusals.add(codeOf(thrown));
          const { details } = thrown as { details: Record<string, unknown> };
          if (details['stored'] !== 'no') unknown.push(text);
          await delay(5);
        }
      }
    };
    const lanes = Array.from({ length: 20 }, submit);
    return {
      acknowledged,
      unknown,
      lost,
      refusals,
      /** Waits until so many more have been acknowledged. */
      async goesOn(more = 200) {
        const before = acknowledged.length;
        await until(() => acknowledged.length > before + more, PATIENCE_MS);
      },
      async stop() {
        isOn = false;
        await Promise.all(lanes);
        await writer.close();
      },
    };
  }

  async function settle(
    store: DurableStore,
    producer: ReturnType<typeof produce>,
    consumer: Awaited<ReturnType<typeof moveTexts>>,
  ): Promise<void> {
    await expectMoved(store, producer, consumer, PATIENCE_MS);
    expect(producer.lost, 'nothing acknowledged was reported lost').to.deep.equal([]);
  }

  it('loses and doubles nothing when the master is killed, and its successor too [S-79]', async () => {
    const prefix = freshPrefix();
    const consumerStore = await open(prefix);
    const consumer = await moveTexts(consumerStore);
    const producer = produce(await open(prefix, 'replicated'), await openOwnWitness());
    for (let round = 0; round < 2; round += 1) {
      await producer.goesOn();
      const master = await group.master();
      master.kill('SIGKILL');
      await group.whenPromoted(group.other(master));
      await master.start();
      await producer.goesOn();
    }
    await settle(consumerStore, producer, consumer);
  });

  it('acknowledges nothing on a master that wakes up beside its successor [S-79]', async () => {
    const prefix = freshPrefix();
    const consumerStore = await open(prefix);
    const consumer = await moveTexts(consumerStore);
    const producer = produce(await open(prefix, 'replicated'), await openOwnWitness());
    await producer.goesOn();
    const master = await group.master();
    const successor = group.other(master);
    // Long enough that it is replaced, and too short for the connections to be given up: they still speak to it.
    master.kill('SIGSTOP');
    await group.whenPromoted(successor);
    const acknowledged = producer.acknowledged.length;
    master.kill('SIGCONT');
    await until(async () => {
      const refusal = await master.redis.set('split-brain', 'x').then(() => '', messageOf);
      return /^(NOREPLICAS|READONLY)/.test(refusal);
    }, PATIENCE_MS);
    await producer.goesOn();
    expect(producer.acknowledged.length).to.be.above(acknowledged);
    expect(await successor.role()).to.equal('master');
    await settle(consumerStore, producer, consumer);
  });

  it('takes nothing without a replica, says so, and stores what was resent once it is back [S-79]', async () => {
    const store = await open(freshPrefix(), 'replicated');
    const writerId = freshWriterId();
    expect(await appendOne(store, { writerId, sequence: 1 })).to.include({ status: 'stored' });
    const master = await group.master();
    const replica = group.other(master);

    // The replica does not answer, and the server has not noticed yet: what it has may be lost.
    replica.kill('SIGSTOP');
    const silent = await appendOne(store, { writerId, sequence: 2 });
    expect(silent).to.have.nested.property('error.code', 'E_STORE_UNCONFIRMED');
    expect(silent).to.have.nested.property('error.kind', 'transient');
    expect(silent).to.have.nested.property('error.details.stored', 'unknown');
    // It is in the lane, and still no repeat of it counts.
    expect(await readAll(store)).to.have.length(2);
    expect(await appendOne(store, { writerId, sequence: 2 })).to.have.nested.property(
      'error.code',
      'E_STORE_UNCONFIRMED',
    );
    replica.kill('SIGCONT');
    await until(
      async () => (await appendOne(store, { writerId, sequence: 2 })).status === 'repeat',
      PATIENCE_MS,
    );
    expect(await readAll(store)).to.have.length(2);

    replica.kill('SIGKILL');
    await until(async () => {
      const refused = await appendOne(store, { writerId, sequence: 3 });
      if (refused.status !== 'error' || refused.error.code !== 'E_STORE_UNAVAILABLE') return false;
      expect(refused.error)
        .to.include({ kind: 'transient' })
        .and.to.have.nested.property('details.stored', 'no');
      return refused.error.message.includes('NOREPLICAS');
    }, PATIENCE_MS);
  });

  it('has repeats and duplicates confirmed over a connection on which nothing else was written [S-79]', async () => {
    const prefix = freshPrefix();
    const writerId = freshWriterId();
    const marks = [{ key: Buffer.alloc(MARK_KEY_BYTES, 1), content: Buffer.alloc(MARK_CONTENT_BYTES, 1) }];
    const marked = { marks, markWindow: { keysMax: 10, ageMsMax: 60_000 } };
    const first = await open(prefix, 'replicated');
    expect((await appendOne(first, { writerId, sequence: 1, ...marked })).status).to.equal('stored');
    const second = await open(prefix, 'replicated');
    const again = [
      { writerId, sequence: 1, ...marked },
      { writerId: freshWriterId(), sequence: 1, ...marked },
    ];
    const master = await group.master();
    for (const [index, status] of (['repeat', 'duplicate'] as const).entries()) {
      const before = await changesOf(master);
      expect((await appendOne(second, again[index] as (typeof again)[0])).status).to.equal(status);
      // A wait covers no more than what was written before it, and some servers count no command that writes nothing.
      expect(await changesOf(master), status).to.be.above(before);
    }
    group.other(master).kill('SIGSTOP');
    for (const request of again) {
      const unconfirmed = await appendOne(second, request);
      expect(unconfirmed).to.have.nested.property('error.code', 'E_STORE_UNCONFIRMED');
    }
  });

  it('reports by range what a replica that lagged behind never had, below replicated [S-70]', async () => {
    for (const { redis } of group.servers) await redis.config('SET', 'min-replicas-to-write', '0');
    const prefix = freshPrefix();
    const store = await open(prefix, 'fsynced');
    const witness = await openOwnWitness();
    const lost: LostRange[] = [];
    const writer = createWriter<Buffer, undefined>({
      store,
      bounds: () => WIDE,
      cut: (submissions) => ({ payload: Buffer.concat(submissions.map(({ part }) => part)), tag: undefined }),
      onAccepted: (partition, accepted) => witness.note(partition, accepted),
      witnessed: (partition) => witness.highest(partition),
      onStoreOlder: async (partition) => {
        lost.push(...(await witness.reconcile(store, [partition])));
      },
      deadlineMs: 30_000,
      writerTtlMs: 120_000,
    });
    const submit = (text: string) => writer.submit(0, 'in', 1, Buffer.from(text));
    for (const text of ['<1>', '<2>', '<3>']) await submit(text);
    const master = await group.master();
    const replica = group.other(master);
    const [deadPort = 0] = await freePorts(1);
    await until(async () => (await replica.redis.xlen(`${prefix}:{0}:in`)) === 3);
    await replica.redis.replicaof('127.0.0.1', deadPort);
    for (const text of ['<4>', '<5>']) await submit(text);
    master.kill('SIGKILL');
    await group.whenPromoted(replica);
    expect(await submit('<6>')).to.include({ accepted: 6 });
    expect(lost).to.deep.equal([{ partition: 0, from: 4, to: 5 }]);
    await writer.close();
  });

  it('hands out nothing that another server than the one it writes to has', async () => {
    const prefix = freshPrefix();
    const master = await group.master();
    const replica = group.other(master);
    const store = createRedisStore({
      connection: await connect(urlOf(master)),
      connectReader: () => connectRedis({ url: urlOf(replica), name: 'spec-reader' }),
      prefix,
    });
    clean.push(() => store.close());
    expect(await appendOne(store, { writerId: freshWriterId(), sequence: 1 })).to.include({
      status: 'stored',
    });
    await until(async () => (await replica.redis.xlen(`${prefix}:{0}:in`)) === 1);
    const { generation } = store;
    const waiting = store.read([{ partition: 0, lane: 'in', afterId: START }], {
      entriesMax: 1,
      blockMs: 50,
    });
    expect(await rejectionOf(waiting)).to.include({ code: 'E_STORE_AWAY', kind: 'transient' });
    await until(() => store.generation > generation);
  });

  it('refuses a group whose master would go on alone, and names what is missing [S-72]', async () => {
    const master = await group.master();
    await master.redis.config('SET', 'min-replicas-to-write', '0');
    await master.redis.config('SET', 'min-replicas-max-lag', '0');
    const refusal = await rejectionOf(open(freshPrefix(), 'replicated'));
    expect(refusal).to.include({ code: 'E_STORE_MIN_REPLICAS', kind: 'permanent' });
    expect(refusal.details?.['problems']).to.deep.equal(['E_STORE_MIN_REPLICAS', 'E_STORE_REPLICA_LAG']);
  });
});
