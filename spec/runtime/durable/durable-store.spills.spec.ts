/** The part of the store contract about messages that wait outside. */
import { expect } from 'chai';
import { it } from 'mocha';
import type {
  CommitRequest,
  DurableStore,
  SpillLook,
  Token,
} from '../../../runtime/durable/durable-store.ts';
import { describeEveryStore } from './every-store.ts';
import { commitOf, inputOf, own, readAll, rejectionOf, WIDE } from './store-under-test.ts';

const QUESTION = { terminal: ['done'], inputLanes: ['in'] };
const BACK = { lane: 'out', after: 0, count: 2, missing: 0, bytes: 2 };

describeEveryStore('what waits outside', (under) => {
  async function look(
    token: Token,
    isAttempt = false,
    store: DurableStore = under.store,
  ): Promise<SpillLook> {
    const found = await store.lookAtSpills(0, token, ['out', 'other'], { isAttempt });
    if (found.status === 'fenced') throw new Error('fenced');
    return found;
  }
  const outputs = (...texts: string[]) =>
    texts.map((text) => ({ lane: 'out', payload: Buffer.from(text), bounds: { ...WIDE, entriesMax: 2 } }));

  /** Consumes the next input, and books `count` messages of the lane `out` outside. */
  async function spilling(
    token: Token,
    count: number,
    changes: Partial<CommitRequest> = {},
  ): Promise<CommitRequest> {
    const { attempt, lanes } = await look(token, true);
    const [next] = await readAll(under.store);
    return commitOf(token, {
      inputs: next === undefined ? [] : [inputOf(next)],
      spills: { attempt, lanes: [{ lane: 'out', after: lanes['out']?.last ?? -1, count, bytes: count }] },
      ...changes,
    });
  }

  it('books it, and lets nothing overtake it until it is back', async () => {
    await under.fill(3);
    const token = await own(under.store);
    const first = await spilling(token, 2, { counters: { done: 1 } });
    expect(await under.store.commit(first)).to.deep.equal({ status: 'committed' });
    expect(await look(token)).to.deep.include({
      waiting: { messages: 2, bytes: 2 },
      lanes: {
        out: { last: 2, taken: 0, bytes: 2, entries: 0, entryBytes: 0 },
        other: { last: 0, taken: 0, bytes: 0, entries: 0, entryBytes: 0 },
      },
    });
    const ledger = await under.store.ledger(0, QUESTION);
    expect(ledger.spilled).to.deep.equal({ out: { messages: 2, bytes: 2, taken: 0, last: 2 } });
    expect(ledger.problems).to.deep.equal([]);

    const [next] = (await readAll(under.store)).map(inputOf);
    const direct = commitOf(token, { inputs: next === undefined ? [] : [next], outputs: outputs('z') });
    expect(await under.store.commit(direct)).to.deep.equal({ status: 'full', lane: 'out' });
    const back = commitOf(token, { outputs: outputs('a', 'b'), refill: BACK });
    expect(await under.store.commit(back)).to.deep.equal({ status: 'committed' });
    expect(await under.store.commit(back)).to.deep.equal({ status: 'repeat' });
    expect((await under.store.ledger(0, QUESTION)).spilled['out']).to.include({
      messages: 0,
      bytes: 0,
      taken: 2,
    });
    expect((await readAll(under.store, 'out')).map(({ payload }) => payload.toString())).to.deep.equal([
      'a',
      'b',
    ]);
    expect(
      await under.store.commit({ ...direct, outputs: [{ ...outputs('z')[0]!, bounds: WIDE }] }),
    ).to.deep.equal({
      status: 'committed',
    });
  });

  it('takes only the newest attempt, and only numbers that go on', async () => {
    await under.fill(2);
    const token = await own(under.store);
    const late = await spilling(token, 1);
    const other = { lane: 'out', after: 7, count: 1, bytes: 1 };
    const newest = await spilling(token, 1);
    expect(newest.spills?.attempt).to.be.above(late.spills?.attempt ?? Infinity);
    expect(await under.store.commit(late)).to.deep.equal({ status: 'repeat' });
    const gap = { ...newest, spills: { attempt: newest.spills?.attempt ?? 0, lanes: [other] } };
    expect(await under.store.commit(gap)).to.deep.equal({ status: 'repeat' });
    expect(await readAll(under.store)).to.have.length(2);
    expect(await under.store.commit(newest)).to.deep.equal({ status: 'committed' });
    expect(await under.store.commit(newest)).to.deep.equal({ status: 'repeat' });
    expect((await under.store.ledger(0, QUESTION)).spilled['out']).to.include({ messages: 1 });
  });

  it('is fenced', async () => {
    const stale = await own(under.store, 0, 'host');
    const present = await own(under.store, 0, 'host');
    expect(await under.store.lookAtSpills(0, stale, ['out'], { isAttempt: true })).to.deep.equal({
      status: 'fenced',
      current: `host:${present.epoch}`,
    });
    expect((await look(present)).attempt).to.equal(0);
  });

  it('bounds what comes back as anything else, and notes what is missing', async () => {
    await under.fill(2);
    const token = await own(under.store);
    const [first] = await readAll(under.store);
    const inputs = first === undefined ? [] : [inputOf(first)];
    await under.store.commit(commitOf(token, { inputs, outputs: outputs('x') }));
    await under.store.commit(await spilling(token, 3));
    const back = (texts: string[], missing: number): CommitRequest =>
      commitOf(token, {
        outputs: outputs(...texts),
        refill: { lane: 'out', after: 0, count: texts.length + missing, missing, bytes: texts.length },
      });
    expect(await under.store.commit(back(['a', 'b'], 0))).to.deep.equal({ status: 'full', lane: 'out' });
    expect(await under.store.commit(back(['a'], 2))).to.deep.equal({ status: 'committed' });
    const ledger = await under.store.ledger(0, QUESTION);
    expect(ledger.spilled['out']).to.deep.equal({ messages: 0, bytes: 0, taken: 3, last: 3 });
    expect((await look(token)).waiting).to.deep.equal({ messages: 0, bytes: 0 });
    expect(ledger.problems.join()).to.include('2 commits named something that was not there');
  });

  it('refuses what contradicts itself', async () => {
    await under.fill(1);
    const token = await own(under.store);
    const good = await spilling(token, 1);
    const back = { outputs: outputs('a', 'b'), refill: BACK };
    for (const bad of [
      { ...good, inputs: [] },
      { ...good, outputs: outputs('a') },
      { ...good, ...back, spills: { attempt: 1, lanes: [] } },
      commitOf(token, { ...back, inputs: good.inputs ?? [] }),
      commitOf(token, { ...back, outputs: outputs('a') }),
      commitOf(token, { ...back, refill: { ...BACK, lane: 'other' } }),
    ]) {
      expect(await rejectionOf(under.store.commit(bad))).to.include({ code: 'E_STORE_REQUEST' });
    }
  });
});
