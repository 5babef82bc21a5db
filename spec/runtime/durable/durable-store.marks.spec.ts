/** The part of the store contract about marks: what has one is stored once, whoever sends it. */
import { expect } from 'chai';
import { describe, it } from 'mocha';
import type { AppendRequest, AppendResult, Mark } from '../../../runtime/durable/durable-store.ts';
import { describeEveryStore } from './every-store.ts';
import {
  appendOne,
  commitOf,
  freshWriterId,
  inputOf,
  markOf,
  own,
  readAll,
  until,
  WIDE,
  WINDOW,
} from './store-under-test.ts';

const QUESTION = { terminal: ['done'], inputLanes: ['in'] };

describeEveryStore('marks', (under) => {
  /** An append of another writer each time, as after the death of the one before. */
  const append = (marks: readonly Mark[], rest: Partial<AppendRequest> = {}): Promise<AppendResult> =>
    appendOne(under.store, {
      writerId: freshWriterId(),
      sequence: 1,
      marks,
      markWindow: WINDOW,
      ...rest,
    });
  const entries = async (): Promise<number> => (await readAll(under.store)).length;
  const marksHeld = async (): Promise<number> => (await under.store.ledger(0, QUESTION)).measured.marks;

  it('stores a message once, whoever sends it again, and says how many are accepted [S-186]', async () => {
    expect(await append([markOf('a')], { count: 3 })).to.deep.equal({
      status: 'stored',
      accepted: 3,
      position: '3-3',
    });
    await append([], { count: 2 });
    expect(await append([markOf('a')], { count: 3 })).to.deep.equal({
      status: 'duplicate',
      accepted: 5,
      duplicates: [0],
    });
    expect(await entries()).to.equal(2);
    expect(await under.store.ledger(0, QUESTION)).to.deep.include({ accepted: 5, balanced: true });
  });

  it('forgets none of them for an append that has none', async () => {
    const markWindow = { keysMax: 1, ageMsMax: 3_600_000 };
    await append([markOf('a'), markOf('b')], { markWindow });
    await append([markOf('c'), markOf('d')], { markWindow });
    await append([], { markWindow });
    expect(await append([markOf('a')], { markWindow })).to.include({ status: 'duplicate' });
  });

  it('knows it in every lane of its partition, and in no other partition', async () => {
    await append([markOf('a')]);
    expect(await append([markOf('a')], { lane: 'other' })).to.include({ status: 'duplicate' });
    expect(await append([markOf('a')], { partition: 1 })).to.include({ status: 'stored' });
  });

  it('knows it when it has been handled', async () => {
    await append([markOf('a')]);
    const token = await own(under.store);
    const inputs = (await readAll(under.store)).map(inputOf);
    await under.store.commit(commitOf(token, { inputs, counters: { done: 1 } }));
    expect(await append([markOf('a')])).to.include({ status: 'duplicate' });
    expect(await under.store.ledger(0, QUESTION)).to.deep.include({ accepted: 1, balanced: true });
  });

  it('refuses all of it and writes nothing when one of its marks is known', async () => {
    await append([markOf('a')]);
    expect(
      await append(
        ['b', 'a', 'c'].map((key) => markOf(key)),
        { count: 3 },
      ),
    ).to.deep.include({
      status: 'duplicate',
      duplicates: [1],
    });
    expect(await append([markOf('b'), markOf('c')], { count: 2 })).to.include({ status: 'stored' });
    expect(await marksHeld()).to.equal(3);
  });

  it('names a mark that comes twice in one append', async () => {
    expect(await append([markOf('a'), markOf('b'), markOf('a')], { count: 3 })).to.deep.include({
      status: 'duplicate',
      duplicates: [2],
    });
    expect(await entries()).to.equal(0);
  });

  it('takes the same key with another content for another message, and says so', async () => {
    await append([markOf('a', 'one')]);
    expect(await append([markOf('b'), markOf('a', 'two')], { count: 2 })).to.deep.include({
      status: 'stored',
      reused: [1],
    });
    expect(await append([markOf('a', 'one')])).to.not.have.property('reused');
    expect(await append([markOf('a', 'two')])).to.deep.include({
      status: 'duplicate',
      duplicates: [0],
      reused: [0],
    });
    expect(await marksHeld()).to.equal(2);
  });

  it('knows the newest four contents of a key', async () => {
    for (const content of ['1', '2', '3', '4', '5']) await append([markOf('a', content)]);
    for (const content of ['5', '4', '3', '2']) {
      expect(await append([markOf('a', content)])).to.include({ status: 'duplicate' });
    }
    expect(await append([markOf('a', '1')])).to.include({ status: 'stored' });
  });

  it('answers duplicate also when the lane is full, and full to what is new', async () => {
    const bounds = { ...WIDE, entriesMax: 1 };
    await append([markOf('a')], { bounds });
    expect(await append([markOf('b')], { bounds })).to.deep.equal({ status: 'full', reason: 'entries' });
    expect(await append([markOf('a')], { bounds })).to.include({ status: 'duplicate' });
    expect(await marksHeld()).to.equal(1);
  });

  it('answers repeat to a frame that it has, though its marks are known by it', async () => {
    const writerId = freshWriterId();
    await append([markOf('a', 'one')]);
    const frame = { writerId, sequence: 1 };
    expect(await append([markOf('a', 'two')], frame)).to.deep.include({ status: 'stored', reused: [0] });
    expect(await append([markOf('a', 'two')], frame)).to.deep.include({ status: 'repeat', reused: [0] });
    expect(await append([markOf('c')], { writerId, sequence: 3 })).to.deep.equal({ status: 'gap', last: 1 });
    expect(await marksHeld()).to.equal(1);
  });

  it('uses no number of the writer for what it refused', async () => {
    const writerId = freshWriterId();
    await append([markOf('a')]);
    await append([markOf('a')], { writerId, sequence: 1 });
    expect(await append([markOf('b')], { writerId, sequence: 1 })).to.include({ status: 'stored' });
  });

  it('knows the newest ones always, and at most twice as many [S-186]', async () => {
    const markWindow = { ...WINDOW, keysMax: 10 };
    for (let number = 1; number <= 100; number += 1) {
      await append([markOf(`k${number}`)], { markWindow });
      expect(await marksHeld()).to.be.at.most(20);
    }
    for (let number = 91; number <= 100; number += 1) {
      expect(await append([markOf(`k${number}`)], { markWindow })).to.include({ status: 'duplicate' });
    }
    expect(await append([markOf('k1')], { markWindow })).to.include({ status: 'stored' });
  });

  it('takes thousands of marks in one append', async () => {
    const marks = Array.from({ length: 10_000 }, (_, at) => markOf(`m${at}`));
    const markWindow = { ...WINDOW, keysMax: 20_000 };
    const count = marks.length;
    expect(await append(marks, { count, markWindow })).to.include({ status: 'stored' });
    expect(await marksHeld()).to.equal(10_000);
    const again = await append(marks, { count, markWindow });
    expect(again.status === 'duplicate' && again.duplicates.length).to.equal(10_000);
  });

  it('forgets them when their time is over', async () => {
    const markWindow = { keysMax: 10, ageMsMax: 150 };
    await append([markOf('a')], { markWindow });
    expect(await append([markOf('a')], { markWindow })).to.include({ status: 'duplicate' });
    await until(async () => (await marksHeld()) === 0);
    expect(await append([markOf('a')], { markWindow })).to.include({ status: 'stored' });
  });

  it('forgets old ones also while new ones come', async () => {
    const markWindow = { keysMax: 1_000, ageMsMax: 100 };
    await append([markOf('a')], { markWindow });
    let number = 0;
    await until(async () => {
      await append([markOf(`k${number++}`)], { markWindow });
      return (
        (await append([markOf('a')], { markWindow: WINDOW, bounds: { ...WIDE, entriesMax: 1 } })).status ===
        'full'
      );
    });
  });

  for (const [what, rest] of Object.entries<Partial<AppendRequest>>({
    'a key of another length': { marks: [{ ...markOf('a'), key: Buffer.alloc(15) }] },
    'a content of another length': { marks: [{ ...markOf('a'), content: Buffer.alloc(9) }] },
    'a window without room': { markWindow: { ...WINDOW, keysMax: 0 } },
  })) {
    it(`refuses ${what}`, async () => {
      const result = await append([markOf('a')], rest);
      expect(result.status === 'error' && result.error.code).to.equal('E_STORE_REQUEST');
      expect(await entries()).to.equal(0);
    });
  }

  describe('names', () => {
    for (const lane of ['marks', 'marks:old']) {
      it(`lets no lane be called ${lane}`, async () => {
        const result = await append([], { lane });
        expect(result.status === 'error' && result.error.code).to.equal('E_STORE_REQUEST');
      });
    }
  });
});
