import { expect } from 'chai';
import { beforeEach, describe, it } from 'mocha';
import { Settlements } from '../../../actors/forward/settlements.ts';
import type { Settlement } from '../../../actors/forward/settlements.ts';
import type { Clock } from '../../../runtime/clock.ts';
import { systemClock } from '../../../runtime/clock.ts';
import type { Bounds, CommitRequest, Entry, Token } from '../../../runtime/durable/durable-store.ts';
import { createMemoryStore } from '../../../runtime/durable/memory-store.ts';
import type { CodedError } from '../../../runtime/errors.ts';
import { createFaultyStore } from '../../runtime/durable/faulty-store.ts';
import type { FaultyStore } from '../../runtime/durable/faulty-store.ts';
import {
  ManualClock,
  WIDE,
  appendOne,
  commitOf,
  delay,
  freshWriterId,
  inputOf,
  own,
  readAll,
  until,
} from '../../runtime/durable/store-under-test.ts';

describe('Settlements', () => {
  let store: FaultyStore;
  let token: Token;
  let commits: CommitRequest[];
  let tokens: Map<number, Token>;
  let stop: AbortController;
  let fatal: CodedError[];
  let settlements: Settlements;
  /** What was told to be stuck, in order. */
  let stuckTold: Record<string, string>[];
  let done: [id: string, isCommitted: boolean][];

  beforeEach(async () => {
    store = createFaultyStore(createMemoryStore());
    token = await own(store);
    tokens = new Map([[0, token]]);
    commits = [];
    done = [];
    fatal = [];
    stuckTold = [];
    stop = new AbortController();
    const commit = store.commit.bind(store);
    store.commit = (request) => {
      commits.push(request);
      return commit(request);
    };
    open(systemClock);
  });
  const open = (clock: Clock): void => {
    settlements = new Settlements({
      store,
      clock,
      tokens,
      signal: stop.signal,
      onStuck: (_partition, stuck) => stuckTold.push(Object.fromEntries(stuck)),
      onFatal: (error) => fatal.push(error),
    });
  };
  const put = async (count: number): Promise<Entry[]> => {
    const writerId = freshWriterId();
    for (let sequence = 1; sequence <= count; sequence++) await appendOne(store, { writerId, sequence });
    return readAll(store);
  };
  const settlementOf = (entry: Entry, rest: Partial<Settlement> = {}): Settlement => ({
    inputs: [inputOf(entry)],
    generation: store.generation,
    plan: { counters: { out: 1 } },
    done: (isCommitted) => done.push([entry.id, isCommitted]),
    ...rest,
  });
  const outTo = (lane: string, bounds: Bounds = WIDE): Pick<Settlement, 'plan'> => ({
    plan: { outputs: [{ lane, payload: Buffer.from('x'), bounds }] },
  });
  const left = async (lane?: string): Promise<number> => (await readAll(store, lane)).length;

  it('writes all of one turn in one commit, and what comes meanwhile in the next', async () => {
    const entries = await put(5);
    for (const entry of entries.slice(0, 3)) settlements.add(0, settlementOf(entry));
    await until(() => commits.length > 0);
    for (const entry of entries.slice(3)) settlements.add(0, settlementOf(entry));
    await settlements.idle();
    expect(commits.map(({ inputs }) => inputs?.length)).to.deep.equal([3, 2]);
    expect(commits.map(({ counters }) => counters?.out)).to.deep.equal([3, 2]);
    expect(done.map(([, isCommitted]) => isCommitted)).to.deep.equal(Array(5).fill(true));
    expect(await left()).to.equal(0);
  });

  describe('of what nobody waits for', () => {
    let clock: ManualClock;
    let entries: Entry[];
    beforeEach(async () => {
      clock = new ManualClock();
      open(clock);
      entries = await put(5);
      settlements.add(0, settlementOf(entries[0] as Entry, { mayWait: true }));
      await until(() => done.length === 1);
      for (const entry of entries.slice(1, 4)) settlements.add(0, settlementOf(entry, { mayWait: true }));
      await delay(5);
      expect(commits).to.have.length(1);
    });

    it('writes all of a moment together', async () => {
      await clock.advance(10);
      await until(() => done.length === 4);
      expect(commits.map(({ inputs }) => inputs?.length)).to.deep.equal([1, 3]);
    });

    it('writes it with the first that somebody waits for', async () => {
      settlements.add(0, settlementOf(entries[4] as Entry));
      await until(() => done.length === 5);
      expect(commits.map(({ inputs }) => inputs?.length)).to.deep.equal([1, 4]);
    });

    it('writes it at the end', async () => {
      await settlements.idle();
      expect(done).to.have.length(4);
    });
  });

  it('begins the commits of all partitions in one turn', async () => {
    const other = await own(store, 1);
    tokens.set(1, other);
    await appendOne(store, { writerId: freshWriterId(), sequence: 1, partition: 1 });
    const [here] = (await put(1)) as [Entry];
    const [there] = (await readAll(store, 'in', 1)) as [Entry];
    const turns: number[] = [];
    let turn = 0;
    const commit = store.commit.bind(store);
    store.commit = (request) => {
      turns.push(turn);
      return commit(request);
    };
    settlements.add(0, settlementOf(here));
    settlements.add(1, settlementOf(there));
    setImmediate(() => (turn += 1));
    await settlements.idle();
    expect(turns).to.deep.equal([0, 0]);
    expect(done).to.have.length(2);
  });

  it('never writes more than 256 at once', async () => {
    for (const entry of await put(300)) settlements.add(0, settlementOf(entry));
    await settlements.idle();
    expect(commits.map(({ inputs }) => inputs?.length)).to.deep.equal([256, 44]);
  });

  it('is idle when there is nothing', async () => {
    await settlements.idle();
    expect(commits).to.deep.equal([]);
  });

  it('gives back what was read before the connection was lost', async () => {
    const [old, fresh] = (await put(2)) as [Entry, Entry];
    settlements.add(0, settlementOf(old));
    store.loseConnection();
    settlements.add(0, settlementOf(fresh));
    await settlements.idle();
    expect(done).to.deep.equal([
      [old.id, false],
      [fresh.id, true],
    ]);
    expect((await readAll(store)).map(({ id }) => id)).to.deep.equal([old.id]);
  });

  it('tries again, unchanged, while the store is away', async () => {
    const [entry] = (await put(1)) as [Entry];
    const commit = store.commit.bind(store);
    let failures = 3;
    store.commit = async (request) => {
      if (failures-- > 0) throw Object.assign(new Error('away'), { code: 'E_STORE_AWAY', kind: 'transient' });
      return commit(request);
    };
    settlements.add(0, settlementOf(entry));
    await settlements.idle();
    expect(done).to.deep.equal([[entry.id, true]]);
  });

  it('takes a commit that was done already for done', async () => {
    const [entry] = (await put(1)) as [Entry];
    await store.commit(commitOf(token, { inputs: [inputOf(entry)], counters: { out: 1 } }));
    settlements.add(0, settlementOf(entry));
    await settlements.idle();
    expect(done).to.deep.equal([[entry.id, true]]);
    expect((await store.ledger(0, { terminal: [], inputLanes: [] })).counters).to.deep.equal({ out: 1 });
  });

  it('writes what shares a commit with one that was done already', async () => {
    const entries = (await put(3)) as [Entry, ...Entry[]];
    await store.commit(commitOf(token, { inputs: [inputOf(entries[0])], counters: { out: 1 } }));
    for (const entry of entries) settlements.add(0, settlementOf(entry));
    await settlements.idle();
    expect(done).to.deep.equal(entries.map(({ id }) => [id, true]));
    expect(await left()).to.equal(0);
    expect((await store.ledger(0, { terminal: [], inputLanes: [] })).counters).to.deep.equal({ out: 3 });
  });

  it('ends with the error when another owns the partition, and settles nothing', async () => {
    const [entry] = (await put(1)) as [Entry];
    await store.acquire(0, token.laneGroup, token.nonce, 60_000);
    settlements.add(0, settlementOf(entry));
    await settlements.idle();
    expect(fatal.map(({ code }) => code)).to.deep.equal(['E_FENCED']);
    expect(done).to.deep.equal([]);
    expect(await left()).to.equal(1);
  });

  it('ends when it has no token for the partition', async () => {
    const [entry] = (await put(1)) as [Entry];
    settlements.add(7, settlementOf(entry));
    await settlements.idle();
    expect(fatal.map(({ code }) => code)).to.deep.equal(['E_NOT_OWNER']);
  });

  describe('when a lane is full', () => {
    const TIGHT: Bounds = { ...WIDE, entriesMax: 1 };

    it('writes everything that does not go there, and the rest when there is room', async () => {
      await store.commit(commitOf(token, outTo('dead').plan));
      const entries = await put(6);
      entries.forEach((entry, index) =>
        settlements.add(0, settlementOf(entry, index % 2 === 0 ? outTo('dead', TIGHT) : {})),
      );
      await until(() => done.length === 3);
      expect(done.map(([id]) => id)).to.deep.equal([1, 3, 5].map((index) => entries[index]?.id));
      expect(await left('dead')).to.equal(1);
      await store.commit(commitOf(token, { inputs: (await readAll(store, 'dead')).map(inputOf) }));
      await settlements.idle();
      expect(done).to.have.length(6);
      expect(await left()).to.equal(0);
      expect(await left('dead')).to.equal(3);
    });

    it('tells whose outcomes wait for which lane, and when none does any more', async () => {
      await store.commit(commitOf(token, outTo('dead').plan));
      const writerId = freshWriterId();
      await appendOne(store, { writerId, sequence: 1, lane: 'alert:noc' });
      await appendOne(store, { writerId, sequence: 1, lane: 'alert:other' });
      const [noc] = (await readAll(store, 'alert:noc')) as [Entry];
      const [other] = (await readAll(store, 'alert:other')) as [Entry];
      const from = (entry: Entry): Pick<Settlement, 'inputs'> => ({
        inputs: [{ ...inputOf(entry), lane: entry.lane }],
      });
      settlements.add(0, settlementOf(noc, { ...from(noc), ...outTo('dead', TIGHT) }));
      settlements.add(0, settlementOf(other, from(other)));
      await until(() => stuckTold.length > 0);
      expect(stuckTold[0]).to.deep.equal({ noc: 'dead' });
      await store.commit(commitOf(token, { inputs: (await readAll(store, 'dead')).map(inputOf) }));
      await settlements.idle();
      expect(stuckTold.at(-1)).to.deep.equal({});
    });

    it('still takes what comes later', async () => {
      await store.commit(commitOf(token, outTo('dead').plan));
      const [stuck, ...rest] = (await put(4)) as [Entry, ...Entry[]];
      settlements.add(0, settlementOf(stuck, outTo('dead', TIGHT)));
      await delay(30);
      for (const entry of rest) settlements.add(0, settlementOf(entry));
      await until(() => done.length === 3);
      expect(done.some(([id]) => id === stuck.id)).to.equal(false);
      stop.abort();
      await settlements.idle();
      expect(fatal.map(({ code }) => code)).to.deep.equal(['E_STOPPED']);
    });

    it('knows a full delayed set, too', async () => {
      const delayed = (payload: string): Settlement['plan'] => ({
        delayed: [{ set: 'retry', payload: Buffer.from(payload), delayMs: 1, bounds: TIGHT }],
      });
      await store.commit(commitOf(token, delayed('first')));
      const [stuck, free] = (await put(2)) as [Entry, Entry];
      settlements.add(0, settlementOf(stuck, { plan: delayed('second') }));
      settlements.add(0, settlementOf(free));
      await until(() => done.length === 1);
      expect(done).to.deep.equal([[free.id, true]]);
      stop.abort();
      await settlements.idle();
    });
  });
});
