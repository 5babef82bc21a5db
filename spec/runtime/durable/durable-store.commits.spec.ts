/** The part of the store contract about commits. */
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { describeEveryStore } from './every-store.ts';
import { appendOne, commitOf, delay, inputOf, own, readAll, rejectionOf, WIDE } from './store-under-test.ts';

const QUESTION = { terminal: ['done', 'dropped'], inputLanes: ['in'] };

describeEveryStore('commits', (under) => {
  describe('commit', () => {
    it('deletes the inputs and stores what follows, in order [S-64]', async () => {
      await under.fill(2);
      const token = await own(under.store);
      const result = await under.store.commit(
        commitOf(token, {
          inputs: (await readAll(under.store)).map(inputOf),
          outputs: ['a', 'b', 'c'].map((text, index) => ({
            lane: index === 1 ? 'out:two' : 'out:one',
            payload: Buffer.from(text),
            bounds: WIDE,
          })),
          counters: { done: 2 },
        }),
      );
      expect(result).to.deep.equal({ status: 'committed' });
      expect(await readAll(under.store)).to.deep.equal([]);
      expect(
        (await readAll(under.store, 'out:one')).map(({ id, payload }) => `${id} ${payload.toString()}`),
      ).to.deep.equal(['1-1 a', '2-1 c']);
      expect((await readAll(under.store, 'out:two')).map(({ payload }) => payload.toString())).to.deep.equal([
        'b',
      ]);
    });

    it('is a repeat when the first input is gone, and writes nothing [S-65]', async () => {
      await under.fill(1);
      const token = await own(under.store);
      const request = commitOf(token, {
        inputs: (await readAll(under.store)).map(inputOf),
        outputs: [{ lane: 'out', payload: Buffer.from('a'), bounds: WIDE }],
        counters: { done: 1 },
      });
      await under.store.commit(request);
      expect(await under.store.commit(request)).to.deep.equal({ status: 'repeat' });
      expect(await readAll(under.store, 'out')).to.have.length(1);
      expect((await under.store.ledger(0, QUESTION)).counters).to.deep.equal({ done: 1 });
    });

    it('fences everyone but the present owner, and writes nothing [S-66]', async () => {
      await under.fill(1);
      const stale = await own(under.store, 0, 'host');
      const present = await own(under.store, 0, 'host');
      const inputs = (await readAll(under.store)).map(inputOf);
      expect(await under.store.commit(commitOf(stale, { inputs, counters: { done: 1 } }))).to.deep.equal({
        status: 'fenced',
        current: `host:${present.epoch}`,
      });
      expect(
        await under.store.commit(commitOf({ ...present, nonce: 'stranger' }, { inputs })),
      ).to.have.property('status', 'fenced');
      expect(
        await under.store.commit(commitOf({ ...present, laneGroup: 'other' }, { inputs })),
      ).to.deep.equal({
        status: 'fenced',
        current: '',
      });
      expect(await readAll(under.store)).to.have.length(1);
      expect(await under.store.commit(commitOf(present, { inputs }))).to.deep.equal({ status: 'committed' });
    });

    it('refuses a full output lane and writes nothing [S-63]', async () => {
      await under.fill(3);
      const token = await own(under.store);
      const [first, second] = (await readAll(under.store)).map(inputOf);
      const bounds = { ...WIDE, entriesMax: 2 };
      const outputs = [1, 2].map(() => ({ lane: 'out', payload: Buffer.from('a'), bounds }));
      await under.store.commit(commitOf(token, { inputs: first === undefined ? [] : [first], outputs }));
      expect(
        await under.store.commit(
          commitOf(token, { inputs: second === undefined ? [] : [second], outputs, counters: { done: 1 } }),
        ),
      ).to.deep.equal({ status: 'full', lane: 'out' });
      expect(await readAll(under.store)).to.have.length(2);
      expect((await under.store.ledger(0, QUESTION)).counters).to.deep.equal({});
    });

    it('counts what it takes out of a lane before what it puts in', async () => {
      const bounds = { ...WIDE, entriesMax: 2, bytesMax: 2 };
      await appendOne(under.store, { writerId: under.writerId, sequence: 1, bounds });
      await appendOne(under.store, { writerId: under.writerId, sequence: 2, bounds });
      const token = await own(under.store);
      const [head] = await readAll(under.store);
      expect(
        await under.store.commit(
          commitOf(token, {
            inputs: head === undefined ? [] : [inputOf(head)],
            outputs: [{ lane: 'in', payload: Buffer.from('y'), bounds }],
          }),
        ),
      ).to.deep.equal({ status: 'committed' });
      expect((await readAll(under.store)).map(({ payload }) => payload.toString())).to.deep.equal(['x', 'y']);
    });

    it('moves delayed members: due by the store’s clock, removed by the commit that handles them [S-67]', async () => {
      const token = await own(under.store);
      const add = (text: string, delayMs: number) => ({
        set: 'later',
        payload: Buffer.from([255, 0, ...Buffer.from(text)]),
        delayMs,
        bounds: { entriesMax: 10, bytesMax: 1_000 },
      });
      await under.store.commit(commitOf(token, { delayed: [add('b', 20), add('a', 0), add('z', 60_000)] }));
      await delay(30);
      const due = await under.store.takeDue(0, 'later', 10);
      expect(due.members.map(({ payload }) => payload.subarray(2).toString())).to.deep.equal(['a', 'b']);
      expect(due.nextDueInMs).to.be.within(50_000, 60_000);
      expect((await under.store.takeDue(0, 'later', 1)).members).to.have.length(1);

      const removeDelayed = due.members.map(({ payload }) => ({ set: 'later', payload }));
      const outputs = [{ lane: 'out', payload: Buffer.from('a'), bounds: WIDE }];
      expect(await under.store.commit(commitOf(token, { removeDelayed, outputs }))).to.deep.equal({
        status: 'committed',
      });
      expect(await under.store.commit(commitOf(token, { removeDelayed, outputs }))).to.deep.equal({
        status: 'repeat',
      });
      expect(await readAll(under.store, 'out')).to.have.length(1);
      expect((await under.store.ledger(0, QUESTION)).measured.delayed).to.deep.equal({ later: 1 });
    });

    it('lists delayed members whether they are due or not, the earliest first, in pages', async () => {
      const token = await own(under.store);
      const add = (text: string, delayMs: number) => ({
        set: 'later',
        payload: Buffer.from(text),
        delayMs,
        bounds: { entriesMax: 10, bytesMax: 1_000 },
      });
      const list = async (skip: number, limit: number): Promise<string[]> =>
        (await under.store.listDelayed(0, 'later', skip, limit)).map(String);
      expect(await list(0, 10)).to.deep.equal([]);
      const delayed = [add('c', 60_000), add('a', 0), add('b', 30_000)];
      await under.store.commit(commitOf(token, { delayed }));
      expect(await list(0, 10)).to.deep.equal(['a', 'b', 'c']);
      expect(await list(1, 1)).to.deep.equal(['b']);
      expect(await list(3, 10)).to.deep.equal([]);
    });

    it('bounds delayed sets, and takes a member back under a later time at the bound [S-63]', async () => {
      const token = await own(under.store);
      const bounds = { entriesMax: 2, bytesMax: 4 };
      const member = (text: string) => ({ set: 'later', payload: Buffer.from(text), delayMs: 0, bounds });
      await under.store.commit(commitOf(token, { delayed: [member('aa'), member('bb')] }));
      expect(await under.store.commit(commitOf(token, { delayed: [member('c')] }))).to.deep.equal({
        status: 'full',
        lane: 'later',
      });
      expect(
        await under.store.commit(
          commitOf(token, {
            removeDelayed: [{ set: 'later', payload: Buffer.from('aa') }],
            delayed: [{ ...member('aa'), delayMs: 60_000 }],
          }),
        ),
      ).to.deep.equal({ status: 'committed' });
      expect(
        (await under.store.takeDue(0, 'later', 9)).members.map(({ payload }) => payload.toString()),
      ).to.deep.equal(['bb']);
    });

    it('keeps a message in flight until each of its parts is settled [S-68]', async () => {
      await under.fill(1);
      const token = await own(under.store);
      const inputs = (await readAll(under.store)).map(inputOf);
      await under.store.commit(commitOf(token, { inputs, openGroups: [{ id: 'm1', parts: 2 }] }));
      expect(await under.store.ledger(0, QUESTION)).to.deep.include({
        balanced: true,
        inFlight: 1,
        counters: {},
      });
      await under.store.commit(commitOf(token, { settleGroups: [{ id: 'm1', counter: 'dropped' }] }));
      expect(await under.store.ledger(0, QUESTION)).to.deep.include({
        balanced: true,
        inFlight: 1,
        counters: {},
      });
      await under.store.commit(commitOf(token, { settleGroups: [{ id: 'm1', counter: 'done' }] }));
      expect(await under.store.ledger(0, QUESTION)).to.deep.include({
        balanced: true,
        inFlight: 0,
        counters: { done: 1 },
      });
    });

    it('reports a settled group that was never opened', async () => {
      const token = await own(under.store);
      await under.store.commit(commitOf(token, { settleGroups: [{ id: 'ghost', counter: 'done' }] }));
      const ledger = await under.store.ledger(0, QUESTION);
      expect(ledger.balanced).to.equal(false);
      expect(ledger.problems[0]).to.contain('named something that was not there');
      expect(ledger.counters).to.deep.equal({});
    });

    it('refuses inputs read before the store was away', async () => {
      await under.fill(1);
      const token = await own(under.store);
      const inputs = (await readAll(under.store)).map(inputOf);
      const error = await rejectionOf(
        under.store.commit(commitOf(token, { inputs, generation: under.store.generation - 1 })),
      );
      expect(error).to.include({ code: 'E_STORE_GENERATION', kind: 'transient' });
      expect(
        await under.store.commit(commitOf(token, { inputs, generation: under.store.generation })),
      ).to.deep.equal({
        status: 'committed',
      });
    });

    it('refuses a request that a script could stumble over', async () => {
      const token = await own(under.store);
      for (const request of [
        { counters: { done: 0.5 } },
        { counters: { 'no spaces': 1 } },
        { inputs: [{ lane: 'in', id: 'nonsense', bytes: 1 }] },
        { outputs: [{ lane: 'groups', payload: Buffer.from('a'), bounds: WIDE }] },
        { outputs: [{ lane: 'out', payload: Buffer.from('a'), count: 0, bounds: WIDE }] },
        { openGroups: [{ id: 'm', parts: 0 }] },
        { delayed: [{ set: 'later', payload: Buffer.from('a'), delayMs: -1, bounds: WIDE }] },
      ]) {
        expect(await rejectionOf(under.store.commit(commitOf(token, request)))).to.include({
          code: 'E_STORE_REQUEST',
        });
      }
    });
  });
});
