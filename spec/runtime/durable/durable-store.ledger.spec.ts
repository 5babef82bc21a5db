/** The part of the store contract about the ledger, and what happens to its numbers when the store came back older. */
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { describeEveryStore } from './every-store.ts';
import { appendOne, commitOf, GROUP, inputOf, own, readAll, rejectionOf, WIDE } from './store-under-test.ts';

const QUESTION = { terminal: ['done', 'dropped'], inputLanes: ['in'] };

describeEveryStore('books', (under) => {
  describe('ledger', () => {
    it('is balanced from the beginning', async () => {
      expect(await under.store.ledger(3, QUESTION)).to.deep.equal({
        accepted: 0,
        replayed: 0,
        offset: 0,
        counters: {},
        measured: {
          lanes: { in: { entries: 0, messages: 0, bytes: 0 } },
          groupsOpen: 0,
          delayed: {},
          marks: 0,
          divertedKeys: 0,
        },
        spilled: {},
        balanced: true,
        inFlight: 0,
        problems: [],
      });
    });

    it('balances what was accepted against what is measured and what has ended [S-68]', async () => {
      await appendOne(under.store, {
        writerId: under.writerId,
        sequence: 1,
        count: 5,
        payload: Buffer.alloc(50),
      });
      await appendOne(under.store, {
        writerId: under.writerId,
        sequence: 2,
        count: 3,
        payload: Buffer.alloc(30),
      });
      const token = await own(under.store);
      const [head] = await readAll(under.store);
      await under.store.commit(
        commitOf(token, {
          inputs: head === undefined ? [] : [inputOf(head)],
          counters: { done: 3, dropped: 1 },
          openGroups: [{ id: 'm', parts: 1 }],
          outputs: [{ lane: 'out', payload: Buffer.from('abc'), bounds: WIDE }],
        }),
      );
      expect(await under.store.partsLeft(0, 'm')).to.equal(1);
      expect(await under.store.partsLeft(0, 'another')).to.equal(0);
      expect(await under.store.partsLeft(1, 'm')).to.equal(0);
      const ledger = await under.store.ledger(0, QUESTION);
      expect(ledger).to.deep.include({ accepted: 8, balanced: true, inFlight: 4, problems: [] });
      expect(ledger.measured.lanes).to.deep.equal({
        in: { entries: 1, messages: 3, bytes: 30 },
        out: { entries: 1, messages: 1, bytes: 3 },
      });
    });

    it('does not balance when a commit forgets a message [S-68]', async () => {
      await appendOne(under.store, { writerId: under.writerId, sequence: 1, count: 5 });
      const token = await own(under.store);
      await under.store.commit(
        commitOf(token, { inputs: (await readAll(under.store)).map(inputOf), counters: { done: 4 } }),
      );
      const ledger = await under.store.ledger(0, QUESTION);
      expect(ledger.balanced).to.equal(false);
      expect(ledger.problems[0]).to.contain('accepted 5');
    });

    it('counts messages that a commit brings back into an input lane', async () => {
      await appendOne(under.store, { writerId: under.writerId, sequence: 1, count: 1 });
      const token = await own(under.store);
      await under.store.commit(
        commitOf(token, { inputs: (await readAll(under.store)).map(inputOf), counters: { done: 1 } }),
      );
      await under.store.commit(
        commitOf(token, {
          outputs: [{ lane: 'in', payload: Buffer.from('again'), count: 1, bounds: WIDE }],
          counters: { replayed: 1 },
        }),
      );
      expect(await under.store.ledger(0, QUESTION)).to.deep.include({
        accepted: 1,
        replayed: 1,
        inFlight: 1,
        balanced: true,
      });
    });
  });

  describe('raiseSequence', () => {
    it('does nothing when the store knows as much', async () => {
      await under.fill(3);
      expect(await under.store.raiseSequence(0, 3)).to.equal(3);
      expect((await under.store.ledger(0, QUESTION)).offset).to.equal(0);
    });

    it('never lets a number or an id come twice, and the ledger stays balanced [S-70]', async () => {
      await under.fill(3);
      expect(await under.store.raiseSequence(0, 10)).to.equal(3);
      expect(await under.store.raiseSequence(0, 10)).to.equal(10);
      expect(await appendOne(under.store, { writerId: under.writerId, sequence: 4, count: 2 })).to.deep.equal(
        {
          status: 'stored',
          accepted: 12,
          position: '1000000005-2',
        },
      );
      const ledger = await under.store.ledger(0, QUESTION);
      expect(ledger).to.deep.include({ accepted: 5, offset: 7, inFlight: 5, balanced: true });
      expect(ledger.measured.lanes['in']).to.deep.include({ entries: 4, messages: 5 });
    });

    it('lets lanes that the store has lost begin behind every id they may have used', async () => {
      await under.store.raiseSequence(0, 10);
      expect(await appendOne(under.store, { writerId: under.writerId, sequence: 1 })).to.deep.equal({
        status: 'stored',
        accepted: 11,
        position: '1000000001-1',
      });
      expect(await under.store.ledger(0, QUESTION)).to.deep.include({
        accepted: 1,
        offset: 10,
        balanced: true,
      });
    });
  });

  describe('after close', () => {
    it('refuses everything as away', async () => {
      await under.store.close();
      expect(await rejectionOf(readAll(under.store))).to.include({ code: 'E_STORE_AWAY' });
      expect(await rejectionOf(under.store.acquire(0, GROUP, 'a', 1_000))).to.include({
        code: 'E_STORE_AWAY',
      });
      expect(await appendOne(under.store, { writerId: under.writerId, sequence: 1 })).to.have.nested.property(
        'error.code',
        'E_STORE_AWAY',
      );
    });
  });
});
