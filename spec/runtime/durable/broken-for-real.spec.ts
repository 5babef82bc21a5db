/**
 * The durable mailbox against a real Redis that is killed, stopped, emptied of scripts, filled and restored from an
 * older copy, under writers and consumers at work.
 */
import { expect } from 'chai';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, it } from 'mocha';
import type { DurableStore } from '../../../runtime/durable/durable-store.ts';
import type { LostRange } from '../../../runtime/durable/witness.ts';
import { openWitness } from '../../../runtime/durable/witness.ts';
import type { Writer } from '../../../runtime/durable/writer.ts';
import { createWriter } from '../../../runtime/durable/writer.ts';
import type { PrivateServer } from '../../../supervisors/embedded/private-server.ts';
import { specDirectory, specRedisUrl, startOwnRedis } from '../../support/servers.ts';
import { expectMoved, moveTexts, PARTITIONS, textsIn } from './moved-texts.ts';
import type { OpenedStore } from './store-under-test.ts';
import {
  appendOne,
  commitOf,
  delay,
  freshPrefix,
  freshWriterId,
  GROUP,
  inputOf,
  openRedisStore,
  own,
  readAll,
  rejectionOf,
  until,
  WIDE,
} from './store-under-test.ts';

const QUESTION = { terminal: ['done'], inputLanes: ['in'] };

describe('The durable mailbox, broken for real', function () {
  this.timeout(30_000);
  const clean: (() => Promise<unknown>)[] = [];

  afterEach(async () => {
    for (const step of clean.splice(0).reverse()) await step();
  });

  const openStore = async (url: string, prefix: string, replyTimeoutMs = 5_000): Promise<OpenedStore> => {
    const opened = await openRedisStore(url, { prefix, replyTimeoutMs });
    clean.push(() => opened.close());
    return opened;
  };
  const startServer = async (options: Parameters<typeof startOwnRedis>[0]): Promise<PrivateServer> => {
    const server = await startOwnRedis(options);
    clean.push(() => server.stop());
    return server;
  };

  /** Submits numbered texts without a pause until told to stop; keeps what was acknowledged and what is unknown. */
  function produce(store: DurableStore, deadlineMs = 10_000) {
    const writer: Writer<Buffer, undefined> = createWriter<Buffer, undefined>({
      store,
      bounds: () => WIDE,
      cut: (submissions) => ({
        payload: Buffer.concat(submissions.map(({ part }) => part)),
        tag: undefined,
      }),
      onStoreOlder: () => Promise.reject(new Error('the store came back older')),
      deadlineMs,
    });
    const acknowledged: string[] = [];
    const unknown: string[] = [];
    let number = 0;
    let isOn = true;
    const lane = async (): Promise<void> => {
      while (isOn) {
        const text = `<${number++}>`;
        try {
          await writer.submit(number % PARTITIONS.length, 'in', 1, Buffer.from(text));
          acknowledged.push(text);
        } catch (thrown) {
          const { details } = thrown as { details: Record<string, unknown> };
          if (details['stored'] !== 'no') unknown.push(text);
          await delay(5);
        }
      }
    };
    const lanes = Array.from({ length: 20 }, lane);
    return {
      acknowledged,
      unknown,
      async stop() {
        isOn = false;
        await Promise.all(lanes);
        await writer.close();
      },
    };
  }

  it('loses and doubles nothing when Redis is killed and restarted, twice [S-60]', async () => {
    const dir = specDirectory('killed');
    let server = await startServer({ dir });
    const { store } = await openStore(server.url, freshPrefix());
    const consumer = await moveTexts(store);
    const producer = produce(store);
    for (let round = 0; round < 2; round += 1) {
      const before = producer.acknowledged.length;
      await until(() => producer.acknowledged.length > before + 200);
      server.kill('SIGKILL');
      await server.exited;
      server = await startServer({ dir, port: server.port });
    }
    const before = producer.acknowledged.length;
    await until(() => producer.acknowledged.length > before + 200);
    await expectMoved(store, producer, consumer);
  });

  it('loses and doubles nothing when Redis is stopped longer than deadlines and time-outs, and goes on [S-60]', async () => {
    const server = await startServer({});
    const { store } = await openStore(server.url, freshPrefix(), 300);
    const consumer = await moveTexts(store);
    const producer = produce(store, 200);
    await until(() => producer.acknowledged.length > 200);
    server.kill('SIGSTOP');
    await delay(1_000);
    server.kill('SIGCONT');
    const before = producer.acknowledged.length;
    await until(() => producer.acknowledged.length > before + 200);
    await expectMoved(store, producer, consumer);
  });

  it('does not notice when its scripts are flushed at any moment', async () => {
    const server = await startServer({});
    const { store, connection } = await openStore(server.url, freshPrefix());
    const other = connection.duplicate();
    clean.push(async () => other.disconnect());
    const consumer = await moveTexts(store);
    const producer = produce(store, 2_000);
    for (let flush = 0; flush < 50; flush += 1) {
      await connection.script('FLUSH');
      await delay(2);
    }
    await expectMoved(store, producer, consumer);
    expect(producer.unknown).to.deep.equal([]);
  });

  it('refuses appends at maxmemory, but leases move and everything drains [S-73]', async () => {
    const server = await startServer({ maxMemoryBytes: 24 * 1024 ** 2 });
    const { store, connection } = await openStore(server.url, freshPrefix());
    const writerId = freshWriterId();
    const payload = Buffer.alloc(100_000, 1);
    let token = await own(store);
    await store.commit(
      commitOf(token, {
        delayed: [{ set: 'later', payload: Buffer.from('d'), delayMs: 0, bounds: WIDE }],
      }),
    );
    let sequence = 1;
    for (;;) {
      const result = await appendOne(store, { writerId, sequence, count: 3, payload });
      if (result.status === 'error') {
        expect(result.error).to.include({ code: 'E_STORE_MEMORY', kind: 'transient' });
        expect(result.error.details['stored']).to.equal('no');
        break;
      }
      sequence += 1;
    }
    // Far over the limit, so that no small write fits either.
    const [, used = '0'] = /used_memory:(\d+)/.exec(await connection.info('memory')) ?? [];
    await connection.config('SET', 'maxmemory', Number(used) - 2 * 1024 ** 2);
    expect(await rejectionOf(connection.set('other', 'x')))
      .to.have.property('message')
      .that.matches(/^OOM/);

    const successor = await store.acquire(0, 'second-group', 'someone', 60_000);
    expect(successor).to.deep.equal({ epoch: 1 });
    token = await own(store, 0, token.nonce);
    expect(await store.renew([0], GROUP, token.nonce, 60_000)).to.deep.equal([{ partition: 0, epoch: 2 }]);
    const entries = await readAll(store);
    const [first] = entries;
    if (first === undefined) throw new Error('nothing stored');
    const strike = { lo: 0, hi: 3, reason: 'E_X', message: 'm', atMs: 1 };
    expect(await store.addStrike(0, 'in', first.id, strike)).to.have.property('total', 1);
    // Neither an input nor a delayed member is deleted here, and still it goes through.
    expect(await store.commit(commitOf(token, { openGroups: [{ id: 'g', parts: 1 }] }))).to.deep.equal({
      status: 'committed',
    });
    expect(
      await store.commit(commitOf(token, { settleGroups: [{ id: 'g', counter: 'extra' }] })),
    ).to.deep.equal({
      status: 'committed',
    });
    const due = await store.takeDue(0, 'later', 1);
    expect(
      await store.commit(
        commitOf(token, {
          removeDelayed: due.members.map((member) => ({ set: 'later', payload: member.payload })),
        }),
      ),
    ).to.deep.equal({ status: 'committed' });
    expect(await store.raiseSequence(1, 5)).to.equal(0);
    // Outputs as large as the input: memory does not shrink, and the store still takes them.
    for (const entry of entries.slice(0, 5)) {
      expect(
        await store.commit(
          commitOf(token, {
            inputs: [inputOf(entry)],
            outputs: [{ lane: 'out', payload: entry.payload, count: 3, bounds: WIDE }],
            counters: { done: 3 },
          }),
        ),
      ).to.deep.equal({ status: 'committed' });
    }
    for (const entry of entries.slice(5)) {
      await store.commit(commitOf(token, { inputs: [inputOf(entry)], counters: { done: 3 } }));
    }
    expect((await appendOne(store, { writerId, sequence, payload })).status).to.equal('stored');
    expect((await store.ledger(0, QUESTION)).problems).to.deep.equal([]);
  });

  it('fences a stopped process that wakes up after another took over [S-66]', async () => {
    const url = await specRedisUrl();
    const prefix = freshPrefix();
    const { store } = await openStore(url, prefix);
    const writerId = freshWriterId();
    await appendOne(store, { writerId, sequence: 1 });
    await appendOne(store, { writerId, sequence: 2 });
    const child = fork(new URL('./stale-owner-child.ts', import.meta.url), [url, prefix, GROUP, '150']);
    clean.push(async () => child.kill('SIGKILL'));
    expect((await once(child, 'message'))[0]).to.deep.equal({ read: 2 });
    child.kill('SIGSTOP');
    await until(async () => 'epoch' in (await store.acquire(0, GROUP, 'successor', 60_000)));
    const token = { laneGroup: GROUP, nonce: 'successor', epoch: 2 };
    const [head] = await readAll(store);
    if (head === undefined) throw new Error('nothing stored');
    await store.commit(commitOf(token, { inputs: [inputOf(head)], counters: { done: 1 } }));
    child.send('commit');
    child.kill('SIGCONT');
    expect((await once(child, 'message'))[0]).to.deep.equal({ status: 'fenced', current: 'successor:2' });
    expect(await readAll(store)).to.have.length(1);
    expect(await store.ledger(0, QUESTION)).to.deep.include({ balanced: true, counters: { done: 1 } });
  });

  it('finds out what is gone when Redis comes back older, and never repeats a number [S-70]', async () => {
    const dir = specDirectory('older');
    const copy = join(specDirectory('copy'), 'data');
    let server = await startServer({ dir });
    const { store } = await openStore(server.url, freshPrefix());
    const witness = await openWitness({ file: join(specDirectory('witness'), 'witness.json') });
    clean.push(() => witness.stop());
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
      deadlineMs: 10_000,
    });
    const submit = (text: string) => writer.submit(0, 'in', 1, Buffer.from(text));
    for (const text of ['<1>', '<2>', '<3>']) await submit(text);
    await server.stop();
    cpSync(join(dir, 'data'), copy, { recursive: true });
    server = await startServer({ dir, port: server.port });
    for (const text of ['<4>', '<5>']) expect(await submit(text)).to.include({ firstIndex: 0 });
    const idsBefore = (await readAll(store)).map(({ id }) => id);

    server.kill('SIGKILL');
    await server.exited;
    rmSync(join(dir, 'data'), { recursive: true });
    cpSync(copy, join(dir, 'data'), { recursive: true, preserveTimestamps: true });
    server = await startServer({ dir, port: server.port });

    expect(await submit('<6>')).to.include({ accepted: 6 });
    expect(lost).to.deep.equal([{ partition: 0, from: 4, to: 5 }]);
    expect(await textsIn(store, 'in')).to.deep.equal(['<1>', '<2>', '<3>', '<6>']);
    const ids = (await readAll(store)).map(({ id }) => id);
    expect(idsBefore.slice(3)).to.not.include(ids.at(-1));
    expect(await store.ledger(0, QUESTION)).to.deep.include({ accepted: 4, offset: 2, balanced: true });
    await writer.close();
  });
});
