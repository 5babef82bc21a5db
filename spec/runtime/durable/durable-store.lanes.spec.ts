/** The part of the store contract about appends, bounds and reads. */
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { START } from '../../../runtime/durable/durable-store.ts';
import { describeEveryStore } from './every-store.ts';
import {
  appendOne,
  commitOf,
  delay,
  freshWriterId,
  inputOf,
  own,
  readAll,
  WIDE,
} from './store-under-test.ts';

describeEveryStore('lanes', (under) => {
  describe('append', () => {
    it('stores entries in order, with the running sum of messages and the count in the id [S-62]', async () => {
      const first = await appendOne(under.store, { writerId: under.writerId, sequence: 1, count: 3 });
      const second = await appendOne(under.store, { writerId: under.writerId, sequence: 2, count: 2 });
      expect(first).to.deep.equal({ status: 'stored', accepted: 3, position: '3-3' });
      expect(second).to.deep.equal({ status: 'stored', accepted: 5, position: '5-2' });
      expect((await readAll(under.store)).map(({ id, count }) => ({ id, count }))).to.deep.equal([
        { id: '3-3', count: 3 },
        { id: '5-2', count: 2 },
      ]);
    });

    it('keeps every byte', async () => {
      const payload = Buffer.from(Array.from({ length: 512 }, (_, index) => index % 256));
      await appendOne(under.store, { writerId: under.writerId, sequence: 1, payload });
      const [entry] = await readAll(under.store);
      expect(entry?.payload.equals(payload)).to.equal(true);
    });

    it('answers a sequence it has with repeat and stores nothing [S-61]', async () => {
      await under.fill(2);
      expect(
        await appendOne(under.store, {
          writerId: under.writerId,
          sequence: 2,
          payload: Buffer.from('other'),
        }),
      ).to.deep.equal({
        status: 'repeat',
        accepted: 2,
        position: '2-1',
      });
      expect(await appendOne(under.store, { writerId: under.writerId, sequence: 1 })).to.deep.equal({
        status: 'repeat',
        accepted: 2,
      });
      expect((await readAll(under.store)).map(({ payload }) => payload.toString())).to.deep.equal(['x', 'x']);
    });

    it('answers repeat also when the entry is committed already [S-61]', async () => {
      await under.fill(1);
      const token = await own(under.store);
      await under.store.commit(commitOf(token, { inputs: (await readAll(under.store)).map(inputOf) }));
      expect((await appendOne(under.store, { writerId: under.writerId, sequence: 1 })).status).to.equal(
        'repeat',
      );
      expect(await readAll(under.store)).to.deep.equal([]);
    });

    it('answers a sequence beyond the next with gap and writes nothing [S-61]', async () => {
      await under.fill(1);
      expect(await appendOne(under.store, { writerId: under.writerId, sequence: 3 })).to.deep.equal({
        status: 'gap',
        last: 1,
      });
      expect(await readAll(under.store)).to.have.length(1);
      expect((await appendOne(under.store, { writerId: under.writerId, sequence: 2 })).status).to.equal(
        'stored',
      );
    });

    it('gives each request of a round its own result, in order', async () => {
      const bad = { partition: 0, lane: 'owner', writerId: under.writerId, sequence: 1, count: 1 };
      const results = await under.store.append([
        {
          partition: 0,
          lane: 'in',
          writerId: under.writerId,
          sequence: 1,
          count: 2,
          payload: Buffer.from('a'),
          bounds: WIDE,
        },
        { ...bad, payload: Buffer.from('b'), bounds: WIDE },
        {
          partition: 1,
          lane: 'in',
          writerId: under.writerId,
          sequence: 1,
          count: 4,
          payload: Buffer.from('c'),
          bounds: WIDE,
        },
        {
          partition: 0,
          lane: 'in',
          writerId: under.writerId,
          sequence: 2,
          count: 1,
          payload: Buffer.from('d'),
          bounds: WIDE,
        },
      ]);
      expect(results.map(({ status }) => status)).to.deep.equal(['stored', 'error', 'stored', 'stored']);
      expect(results[1]).to.have.nested.property('error.code', 'E_STORE_REQUEST');
      expect(results[2]).to.have.property('accepted', 4);
      expect(results[3]).to.have.property('accepted', 3);
    });

    it('keeps the sequences of partitions, lanes and writers apart', async () => {
      await under.fill(2);
      const first = async (other: {
        lane?: string;
        partition?: number;
        writerId?: string;
      }): Promise<string> =>
        (await appendOne(under.store, { writerId: under.writerId, sequence: 1, ...other })).status;
      expect(await first({})).to.equal('repeat');
      for (const other of [{ lane: 'other' }, { partition: 1 }, { writerId: freshWriterId() }]) {
        expect(await first(other), JSON.stringify(other)).to.equal('stored');
        expect(await first(other), JSON.stringify(other)).to.equal('repeat');
      }
    });

    it('forgets an idle writer after its time to live', async () => {
      await under.reopen({ writerTtlMs: 400 });
      const append = async (): Promise<string> =>
        (await appendOne(under.store, { writerId: under.writerId, sequence: 1 })).status;
      expect(await append()).to.equal('stored');
      expect(await append()).to.equal('repeat');
      await delay(450);
      expect(await append()).to.equal('stored');
    });

    it('refuses when it knows less than the writer was told, and writes nothing [S-70]', async () => {
      await under.fill(2);
      expect(
        await appendOne(under.store, { writerId: under.writerId, sequence: 3, witnessed: 5 }),
      ).to.deep.equal({
        status: 'older',
        accepted: 2,
      });
      expect(
        (await appendOne(under.store, { writerId: under.writerId, sequence: 3, witnessed: 2 })).status,
      ).to.equal('stored');
    });

    for (const [what, request] of Object.entries({
      'a lane name that is taken': { lane: 'ledger' },
      'a lane name with a brace': { lane: 'in{1}' },
      'a sequence of 0': { sequence: 0 },
      'a count of 0': { count: 0 },
      'a negative partition': { partition: -1 },
      'a short writer id': { writerId: 'abc' },
    })) {
      it(`refuses ${what}`, async () => {
        const result = await appendOne(under.store, { writerId: under.writerId, sequence: 1, ...request });
        expect(result).to.have.nested.property('error.code', 'E_STORE_REQUEST');
      });
    }
  });

  describe('when a lane is full', () => {
    it('refuses at the bound of entries and takes again after a commit [S-63]', async () => {
      const bounds = { ...WIDE, entriesMax: 2 };
      await appendOne(under.store, { writerId: under.writerId, sequence: 1, bounds });
      await appendOne(under.store, { writerId: under.writerId, sequence: 2, bounds });
      expect(await appendOne(under.store, { writerId: under.writerId, sequence: 3, bounds })).to.deep.equal({
        status: 'full',
        reason: 'entries',
      });
      const [head] = await readAll(under.store);
      await under.store.commit(
        commitOf(await own(under.store), { inputs: head === undefined ? [] : [inputOf(head)] }),
      );
      expect(
        (await appendOne(under.store, { writerId: under.writerId, sequence: 3, bounds })).status,
      ).to.equal('stored');
    });

    it('counts bytes exactly, through appends and commits [S-63]', async () => {
      const bounds = { ...WIDE, bytesMax: 10 };
      await appendOne(under.store, {
        writerId: under.writerId,
        sequence: 1,
        payload: Buffer.alloc(6),
        bounds,
      });
      await appendOne(under.store, {
        writerId: under.writerId,
        sequence: 2,
        payload: Buffer.alloc(4),
        bounds,
      });
      expect(
        await appendOne(under.store, {
          writerId: under.writerId,
          sequence: 3,
          payload: Buffer.alloc(1),
          bounds,
        }),
      ).to.deep.equal({ status: 'full', reason: 'bytes' });
      const [head] = await readAll(under.store);
      await under.store.commit(
        commitOf(await own(under.store), { inputs: head === undefined ? [] : [inputOf(head)] }),
      );
      expect(
        (
          await appendOne(under.store, {
            writerId: under.writerId,
            sequence: 3,
            payload: Buffer.alloc(7),
            bounds,
          })
        ).status,
      ).to.equal('full');
      expect(
        (
          await appendOne(under.store, {
            writerId: under.writerId,
            sequence: 3,
            payload: Buffer.alloc(6),
            bounds,
          })
        ).status,
      ).to.equal('stored');
    });

    it('refuses at the bound of messages [S-63]', async () => {
      const bounds = { ...WIDE, messagesMax: 10 };
      await appendOne(under.store, { writerId: under.writerId, sequence: 1, count: 7, bounds });
      expect(
        await appendOne(under.store, { writerId: under.writerId, sequence: 2, count: 4, bounds }),
      ).to.deep.equal({
        status: 'full',
        reason: 'messages',
      });
      expect(
        (await appendOne(under.store, { writerId: under.writerId, sequence: 2, count: 3, bounds })).status,
      ).to.equal('stored');
    });

    it('refuses when its oldest entry is too old, and looks at the real head [S-63]', async () => {
      await under.fill(1);
      await delay(200);
      await appendOne(under.store, { writerId: under.writerId, sequence: 2 });
      const [head] = await readAll(under.store);
      if (head === undefined) throw new Error('nothing stored');
      // Just below the first entry's age at this moment; the second is 200 ms younger.
      const append = () =>
        appendOne(under.store, {
          writerId: under.writerId,
          sequence: 3,
          bounds: { ...WIDE, ageMsMax: Date.now() - head.storedAtMs - 1 },
        });
      expect(await append()).to.deep.equal({ status: 'full', reason: 'age' });
      await under.store.commit(commitOf(await own(under.store), { inputs: [inputOf(head)] }));
      expect((await append()).status).to.equal('stored');
    });

    it('takes any one piece when it is empty, so that nothing blocks for ever [S-63]', async () => {
      const bounds = { entriesMax: 1, bytesMax: 1, messagesMax: 1 };
      expect(
        (
          await appendOne(under.store, {
            writerId: under.writerId,
            sequence: 1,
            count: 9,
            payload: Buffer.alloc(50),
            bounds,
          })
        ).status,
      ).to.equal('stored');
      const outputs = [1, 2, 3].map(() => ({ lane: 'out', payload: Buffer.alloc(50), bounds }));
      const token = await own(under.store);
      expect(
        await under.store.commit(
          commitOf(token, { inputs: (await readAll(under.store)).map(inputOf), outputs }),
        ),
      ).to.deep.equal({ status: 'committed' });
    });
  });

  describe('read', () => {
    it('reads on behind a position, many lanes in one call', async () => {
      await under.fill(3);
      await appendOne(under.store, {
        writerId: under.writerId,
        sequence: 1,
        partition: 1,
        payload: Buffer.from('other'),
      });
      const entries = await under.store.read(
        [
          { partition: 0, lane: 'in', afterId: '1-1' },
          { partition: 1, lane: 'in', afterId: START },
          { partition: 2, lane: 'in', afterId: START },
        ],
        { entriesMax: 10, blockMs: 0 },
      );
      expect(entries.map(({ partition, id }) => [partition, id]).sort()).to.deep.equal([
        [0, '2-1'],
        [0, '3-1'],
        [1, '1-1'],
      ]);
    });

    it('stops at the limits, but gives at least one entry, lanes taking turns', async () => {
      await under.fill(3, 'x'.repeat(100));
      await appendOne(under.store, {
        writerId: under.writerId,
        sequence: 1,
        partition: 1,
        payload: Buffer.alloc(100),
      });
      const positions = [0, 1].map((partition) => ({ partition, lane: 'in', afterId: START }));
      const ids = async (entriesMax: number, bytesMax: number): Promise<[number, string][]> =>
        (await under.store.read(positions, { entriesMax, bytesMax, blockMs: 0 })).map(({ partition, id }) => [
          partition,
          id,
        ]);
      expect(await ids(2, 10_000)).to.have.length(3);
      expect(await ids(10, 1)).to.have.length(1);
      expect((await ids(10, 200)).sort()).to.deep.equal([
        [0, '1-1'],
        [1, '1-1'],
      ]);
    });

    it('waits for the first entry, and no longer than told', async () => {
      const startedAt = performance.now();
      expect(
        await under.store.read([{ partition: 0, lane: 'in', afterId: START }], {
          entriesMax: 1,
          blockMs: 30,
        }),
      ).to.deep.equal([]);
      expect(performance.now() - startedAt).to.be.greaterThan(25);
      const reading = under.store.read([{ partition: 0, lane: 'in', afterId: START }], {
        entriesMax: 1,
        blockMs: 5_000,
      });
      await delay(20);
      await under.fill(1);
      expect(await reading).to.have.length(1);
    });

    it('stops waiting at once when told to', async () => {
      const stop = new AbortController();
      const reading = under.store.read([{ partition: 0, lane: 'in', afterId: START }], {
        entriesMax: 1,
        blockMs: 5_000,
        signal: stop.signal,
      });
      await delay(10);
      const stoppedAt = performance.now();
      stop.abort();
      expect(await reading).to.deep.equal([]);
      expect(performance.now() - stoppedAt).to.be.lessThan(2_500);
    });

    it('says when an entry was stored, by the store’s clock', async () => {
      await under.fill(1);
      const [entry] = await readAll(under.store);
      expect(entry?.storedAtMs).to.be.closeTo(Date.now(), 5_000);
    });
  });
});
