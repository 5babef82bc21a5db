import { expect } from 'chai';
import { Redis } from 'ioredis';
import { afterEach, beforeEach, describe, it } from 'mocha';
import { START } from '../../../runtime/durable/durable-store.ts';
import { createRedisStore, STORE_CONNECTION_OPTIONS } from '../../../runtime/durable/redis-store.ts';
import { specRedisUrl, startOwnRedis } from '../../support/servers.ts';
import type { OpenedStore } from './store-under-test.ts';
import {
  appendOne,
  commitOf,
  connect,
  delay,
  freshPrefix,
  freshWriterId,
  inputOf,
  openRedisStore,
  own,
  readAll,
  rejectionOf,
  until,
  WIDE,
} from './store-under-test.ts';

/** What only the Redis store has to prove; everything else is in the contract. */
describe('RedisStore', () => {
  let opened: OpenedStore;
  let prefix: string;

  beforeEach(async () => {
    prefix = freshPrefix();
    opened = await openRedisStore(await specRedisUrl(), { prefix });
  });
  afterEach(() => opened.close());

  for (const name of Object.keys(STORE_CONNECTION_OPTIONS)) {
    it(`refuses a connection without its ${name}`, () => {
      const connection = new Redis({ ...STORE_CONNECTION_OPTIONS, [name]: undefined, lazyConnect: true });
      expect(() => createRedisStore({ connection, prefix }))
        .to.throw(name)
        .with.property('code', 'E_STORE_CONNECTION');
    });
  }

  it('sends commits that are asked for in one turn together, and answers each for itself', async () => {
    const { store, connection } = opened;
    const tokens = [await own(store, 0), await own(store, 1)];
    // The server knows the script from here on.
    await store.commit({ partition: 0, token: tokens[0] as (typeof tokens)[number] });
    const pipeline = connection.pipeline.bind(connection);
    let pipelines = 0;
    connection.pipeline = (...given) => {
      pipelines += 1;
      return pipeline(...given);
    };
    const stale = { ...(tokens[1] as (typeof tokens)[number]), nonce: 'stranger' };
    const results = await Promise.all([
      store.commit({ partition: 0, token: tokens[0] as (typeof tokens)[number], counters: { done: 1 } }),
      store.commit({ partition: 1, token: stale, counters: { done: 1 } }),
    ]);
    expect(results.map(({ status }) => status)).to.deep.equal(['committed', 'fenced']);
    expect(pipelines).to.equal(1);
  });

  it('keeps everything of a partition under one hash tag', async () => {
    const { store, connection } = opened;
    const writerId = freshWriterId();
    await appendOne(store, { partition: 3, writerId, sequence: 1 });
    const token = await own(store, 3);
    await store.addStrike(3, 'in', '1-1', { lo: 0, hi: 1, reason: 'E_X', message: 'm', atMs: 1 });
    await store.commit({
      partition: 3,
      token,
      outputs: [{ lane: 'out:x', payload: Buffer.from('a'), bounds: WIDE }],
      delayed: [{ set: 'later:x', payload: Buffer.from('a'), delayMs: 1, bounds: WIDE }],
      openGroups: [{ id: 'g', parts: 1 }],
    });
    const names = ['groups', 'in', 'later:x', 'ledger', 'out:x', 'owner', 'strikes', `writer:${writerId}`];
    expect((await connection.keys(`${prefix}:*`)).sort()).to.deep.equal(
      names.map((name) => `${prefix}:{3}:${name}`),
    );
    expect(await connection.pttl(`${prefix}:{3}:writer:${writerId}`)).to.be.greaterThan(0);
  });

  it('gives the waiting connection back at once when a read is given up', async () => {
    const { store } = opened;
    for (let round = 0; round < 40; round += 1) {
      const stop = new AbortController();
      const reading = store.read([{ partition: 0, lane: 'in', afterId: START }], {
        entriesMax: 1,
        blockMs: 60_000,
        signal: stop.signal,
      });
      await delay(2);
      stop.abort();
      expect(await reading).to.deep.equal([]);
    }
  });

  it('refuses more waiting reads than it has connections for', async () => {
    const read = () =>
      opened.store.read([{ partition: 0, lane: 'in', afterId: START }], { entriesMax: 1, blockMs: 300 });
    const outcomes = await Promise.allSettled(Array.from({ length: 17 }, read));
    const refused = outcomes.filter((outcome) => outcome.status === 'rejected');
    expect(refused.map(({ reason }) => (reason as { code: string }).code)).to.deep.equal(['E_STORE_READERS']);
  });

  it('refuses before writing anything when the ledger of a lane is gone', async () => {
    const { store, connection } = opened;
    const writerId = freshWriterId();
    await appendOne(store, { writerId, sequence: 1 });
    await appendOne(store, { writerId, sequence: 1, lane: 'other' });
    const token = await own(store);
    await connection.del(`${prefix}:{0}:ledger`);
    expect(await appendOne(store, { writerId, sequence: 2 })).to.have.nested.property(
      'error.code',
      'E_STORE_TAMPERED',
    );
    const error = await rejectionOf(
      store.commit(
        commitOf(token, {
          inputs: (await readAll(store, 'other')).map(inputOf),
          outputs: [{ lane: 'in', payload: Buffer.from('a'), bounds: WIDE }],
        }),
      ),
    );
    expect(error).to.include({ code: 'E_STORE_TAMPERED', kind: 'permanent' });
    expect(await readAll(store)).to.have.length(1);
    expect(await readAll(store, 'other')).to.have.length(1);
  });

  for (const name of ['out', 'later', 'groups', 'strikes']) {
    it(`refuses before writing anything when ${name} is of another type`, async () => {
      const { store, connection } = opened;
      await appendOne(store, { writerId: freshWriterId(), sequence: 1 });
      const token = await own(store);
      await connection.set(`${prefix}:{0}:${name}`, 'something else');
      const request = commitOf(token, {
        inputs: (await readAll(store)).map(inputOf),
        outputs: [{ lane: 'out', payload: Buffer.from('a'), bounds: WIDE }],
        delayed: [{ set: 'later', payload: Buffer.from('a'), delayMs: 0, bounds: WIDE }],
        openGroups: [{ id: 'g', parts: 1 }],
      });
      expect(await rejectionOf(store.commit(request))).to.include({ code: 'E_STORE_TAMPERED' });
      expect(await readAll(store)).to.have.length(1);
    });
  }

  it('says when entries went missing behind its back', async () => {
    const { store, connection } = opened;
    const writerId = freshWriterId();
    for (const sequence of [1, 2, 3]) await appendOne(store, { writerId, sequence });
    await connection.xdel(`${prefix}:{0}:in`, '3-1');
    const ledger = await store.ledger(0, { terminal: ['done'], inputLanes: ['in'] });
    expect(ledger.balanced).to.equal(false);
    expect(ledger.problems.join()).to.contain('holds 2 entries where 3 are booked');
  });

  it('says that it is denied, and does not call it a defect', async () => {
    const { connection } = opened;
    await connection.call('ACL', 'SETUSER', prefix, 'on', '>pw', '~*', '+@all', '-evalsha', '-eval');
    const url = new URL(await specRedisUrl());
    url.username = prefix;
    url.password = 'pw';
    const denied = await openRedisStore(url.href, { prefix });
    try {
      expect(await rejectionOf(denied.store.acquire(0, 'work', 'n', 1_000))).to.include({
        code: 'E_STORE_DENIED',
        kind: 'permanent',
      });
    } finally {
      await denied.close();
      await connection.call('ACL', 'DELUSER', prefix);
    }
  });

  it('does not wait for a server that hangs, and comes back by itself', async function () {
    this.timeout(10_000);
    const server = await startOwnRedis();
    const hung = await openRedisStore(server.url, { prefix, replyTimeoutMs: 150 });
    try {
      const { store } = hung;
      const { generation } = store;
      await store.acquire(0, 'work', 'n', 60_000);
      server.kill('SIGSTOP');
      const waiting = store.read([{ partition: 0, lane: 'in', afterId: START }], {
        entriesMax: 1,
        blockMs: 10,
      });
      expect(await rejectionOf(store.acquire(0, 'work', 'n', 60_000))).to.include({
        code: 'E_STORE_TIMEOUT',
        kind: 'transient',
      });
      expect(await rejectionOf(waiting)).to.have.property('kind', 'transient');
      expect(await appendOne(store, { writerId: freshWriterId(), sequence: 1 })).to.have.nested.property(
        'error.details.stored',
        'no',
      );
      server.kill('SIGCONT');
      const isBack = (): Promise<boolean> =>
        store.acquire(0, 'work', 'n', 60_000).then(
          () => true,
          () => false,
        );
      await until(isBack);
      expect(store.generation).to.be.greaterThan(generation);
    } finally {
      await hung.close();
      await server.stop();
    }
  });

  it('leaves the connection that it was given open', async () => {
    const connection = await connect(await specRedisUrl());
    await createRedisStore({ connection, prefix }).close();
    expect(await connection.ping()).to.equal('PONG');
    connection.disconnect();
  });
});
