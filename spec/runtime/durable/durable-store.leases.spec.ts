/** The part of the store contract about leases and strikes. */
import { expect } from 'chai';
import { describe, it } from 'mocha';
import type { Strike } from '../../../runtime/durable/durable-store.ts';
import { describeEveryStore } from './every-store.ts';
import { appendOne, commitOf, delay, GROUP, inputOf, own, readAll } from './store-under-test.ts';

const STRIKE: Strike = { lo: 0, hi: 1, reason: 'E_BOOM', message: 'it broke', atMs: 5 };

describeEveryStore('leases and strikes', (under) => {
  describe('leases', () => {
    it('gives a partition to one, and tells the other who and how long [S-66]', async () => {
      expect(await under.store.acquire(0, GROUP, 'a', 5_000)).to.deep.equal({ epoch: 1 });
      const other = await under.store.acquire(0, GROUP, 'b', 5_000);
      expect(other).to.have.property('heldBy', 'a');
      expect(other).to.have.property('remainingMs').within(4_000, 5_000);
      expect(await under.store.acquire(0, 'another-group', 'b', 5_000)).to.deep.equal({ epoch: 1 });
      expect(await under.store.acquire(1, GROUP, 'b', 5_000)).to.deep.equal({ epoch: 1 });
    });

    it('raises the epoch at each acquiring, also by the same holder, after expiry and after release', async () => {
      expect(await under.store.acquire(0, GROUP, 'a', 20)).to.deep.equal({ epoch: 1 });
      expect(await under.store.acquire(0, GROUP, 'a', 20)).to.deep.equal({ epoch: 2 });
      await delay(30);
      expect(await under.store.acquire(0, GROUP, 'b', 5_000)).to.deep.equal({ epoch: 3 });
      await under.store.release([0], GROUP, 'a');
      expect(await under.store.acquire(0, GROUP, 'c', 5_000)).to.have.property('heldBy', 'b');
      await under.store.release([0], GROUP, 'b');
      expect(await under.store.acquire(0, GROUP, 'c', 5_000)).to.deep.equal({ epoch: 4 });
    });

    it('renews many in one call, also one that expired but was not taken, and tells which are lost', async () => {
      await under.store.acquire(0, GROUP, 'a', 20);
      await under.store.acquire(1, GROUP, 'a', 20);
      await delay(30);
      await under.store.acquire(1, GROUP, 'b', 5_000);
      expect(await under.store.renew([0, 1, 2], GROUP, 'a', 5_000)).to.deep.equal([
        { partition: 0, epoch: 1 },
        { partition: 1, lostTo: 'b' },
        { partition: 2, lostTo: '-' },
      ]);
      expect(await under.store.acquire(0, GROUP, 'b', 5_000)).to.have.property('heldBy', 'a');
    });

    it('fences a holder that released', async () => {
      const token = await own(under.store, 0, 'a');
      await under.store.release([0], GROUP, 'a');
      expect(await under.store.commit(commitOf(token, { counters: { done: 1 } }))).to.have.property(
        'status',
        'fenced',
      );
    });
  });

  describe('strikes', () => {
    it('are kept with the entry until it is committed [S-69]', async () => {
      await under.fill(1);
      const token = await own(under.store);
      const [entry] = await readAll(under.store);
      if (entry === undefined) throw new Error('no entry');
      await under.store.addStrike(0, 'in', entry.id, STRIKE);
      const record = await under.store.addStrike(0, 'in', entry.id, {
        ...STRIKE,
        atMs: 6,
        message: 'again'.repeat(200),
      });
      expect(record).to.deep.include({ total: 2, ranges: { '0-1': 2 } });
      expect(record?.latest.map(({ atMs, message }) => [atMs, message.length])).to.deep.equal([
        [5, 8],
        [6, 300],
      ]);
      expect(await under.store.strikesOf(0, 'in', entry.id)).to.deep.equal(record);
      expect([...(await under.store.strikes(0, 'in')).keys()]).to.deep.equal([entry.id]);
      await under.store.commit(commitOf(token, { inputs: [inputOf(entry)] }));
      expect(await under.store.strikesOf(0, 'in', entry.id)).to.equal(undefined);
      expect((await under.store.strikes(0, 'in')).size).to.equal(0);
    });

    it('are not charged to an entry that is gone', async () => {
      expect(await under.store.addStrike(0, 'in', '7-1', STRIKE)).to.equal(undefined);
      expect(await under.store.strikesOf(0, 'in', '7-1')).to.equal(undefined);
    });

    it('keep the latest and every range', async () => {
      await appendOne(under.store, { writerId: under.writerId, sequence: 1, count: 20 });
      for (let lo = 0; lo < 20; lo += 1) {
        await under.store.addStrike(0, 'in', '20-20', { ...STRIKE, lo, hi: lo + 1, atMs: lo });
      }
      const record = await under.store.strikesOf(0, 'in', '20-20');
      expect(record?.total).to.equal(20);
      expect(Object.keys(record?.ranges ?? {})).to.have.length(20);
      expect(record?.latest.map(({ atMs }) => atMs)).to.deep.equal([12, 13, 14, 15, 16, 17, 18, 19]);
    });
  });
});
