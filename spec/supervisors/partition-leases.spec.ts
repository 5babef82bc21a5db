import { expect } from 'chai';
import { afterEach, beforeEach, describe, it } from 'mocha';
import type { DurableStore } from '../../runtime/durable/durable-store.ts';
import { createMemoryStore } from '../../runtime/durable/memory-store.ts';
import { Vitals, processMs } from '../../runtime/shared/vitals.ts';
import { PartitionLeases } from '../../supervisors/partition-leases.ts';
import { commitOf, until } from '../runtime/durable/store-under-test.ts';
import { rejectionOf } from '../support/rejection.ts';

const TTL_MS = 300;

describe('PartitionLeases', () => {
  let store: DurableStore;
  let vitals: Vitals[];
  let opened: PartitionLeases[];
  beforeEach(() => {
    store = createMemoryStore();
    vitals = [new Vitals(), new Vitals()];
    opened = [];
  });
  afterEach(() => Promise.all(opened.map((leases) => leases.stop())));

  function open(nonce = 'node-a'): PartitionLeases {
    const leases = new PartitionLeases({
      store,
      laneGroup: 'match',
      nonce,
      ttlMs: TTL_MS,
      partitions: 4,
      log: { debug: () => undefined, warn: () => undefined } as never,
    });
    deal(leases, [0, 2], [1, 3]);
    opened.push(leases);
    return leases;
  }
  const deal = (leases: PartitionLeases, ...shares: number[][]): void =>
    leases.deal(
      shares.map((partitions, index) => ({
        slot: `match-${index}`,
        partitions,
        vitals: vitals[index] as Vitals,
      })),
    );
  const leftMs = (slot: number): number => (vitals[slot] as Vitals).get('leaseUntilMs') - processMs();

  it('gives a slot the tokens of its partitions, and lets it act while they hold', async () => {
    const leases = open();
    await leases.start();
    const tokens = await leases.tokensFor('match-1');
    expect(tokens.map(([partition]) => partition)).to.deep.equal([1, 3]);
    for (const [partition, token] of tokens) {
      expect(await store.commit({ ...commitOf(token, { counters: { a: 1 } }), partition })).to.deep.equal({
        status: 'committed',
      });
    }
    expect(leftMs(1)).to.be.within(1, TTL_MS);
    await new Promise((resolve) => setTimeout(resolve, TTL_MS * 1.5));
    expect(leftMs(1), 'renewed').to.be.within(1, TTL_MS);
  });

  it('says who works on a partition, and for how much longer it may', async () => {
    const leases = open();
    expect(leases.custodyOf(1)).to.include({ slot: undefined });
    expect(leases.custodyOf(1).leaseLeftMs).to.be.lessThan(0);
    await leases.start();
    await leases.tokensFor('match-1');
    expect(leases.custodyOf(1)).to.include({ slot: 'match-1' });
    expect(leases.custodyOf(1).leaseLeftMs).to.be.within(1, TTL_MS);
    await store.release([1], 'match', 'node-a');
    await store.acquire(1, 'match', 'node-b', 60_000);
    await until(() => leases.custodyOf(1).leaseLeftMs <= 0, 2_000);
    expect(leases.custodyOf(3).leaseLeftMs, 'the slot may not act at all').to.be.at.most(0);
    expect(leases.custodyOf(0).leaseLeftMs).to.be.greaterThan(0);
    leases.givenUp('match-1');
    expect(leases.custodyOf(1)).to.include({ slot: undefined });
  });

  it('fences the last incarnation of a slot when the next one gets its tokens', async () => {
    const leases = open();
    await leases.start();
    const [[partition, old] = [0, undefined]] = await leases.tokensFor('match-0');
    await leases.tokensFor('match-0');
    if (old === undefined) throw new Error('no token');
    expect(await store.commit({ ...commitOf(old), partition })).to.include({ status: 'fenced' });
  });

  it('lets a slot act no more when one of its partitions is lost, and other slots go on', async () => {
    const leases = open();
    await leases.start();
    await leases.tokensFor('match-0');
    await leases.tokensFor('match-1');
    await store.release([2], 'match', 'node-a');
    await store.acquire(2, 'match', 'node-b', 60_000);
    await until(() => leftMs(0) < 0, 2_000);
    expect(leftMs(1)).to.be.greaterThan(0);
  });

  it('has no tokens for a partition that another node holds, for the moment', async () => {
    await store.acquire(1, 'match', 'node-b', 60_000);
    const leases = open();
    await leases.start();
    expect(await rejectionOf(leases.tokensFor('match-1'))).to.include({
      code: 'E_LEASE_TAKEN',
      kind: 'transient',
    });
    expect(leftMs(1)).to.be.lessThan(0);
    expect(await leases.tokensFor('match-0')).to.have.length(2);
  });

  it('gives everything up at its stop', async () => {
    const leases = open();
    await leases.start();
    await leases.tokensFor('match-0');
    await leases.tokensFor('match-1');
    await leases.stop();
    expect([leftMs(0), leftMs(1)].every((ms) => ms < 0)).to.equal(true);
    expect(await store.acquire(0, 'match', 'node-b', 1_000)).to.have.property('epoch');
  });

  it('has no tokens for a slot that is not there', async () => {
    expect(await open().tokensFor('match-7')).to.deep.equal([]);
  });

  describe('when partitions are dealt out again', () => {
    it('knows which slot works with another share than it has now', async () => {
      const leases = open();
      await leases.start();
      await leases.tokensFor('match-0');
      deal(leases, [0], [1, 2, 3]);
      expect([leases.isBehind('match-0'), leases.isBehind('match-1')]).to.deep.equal([true, false]);
      leases.givenUp('match-0');
      expect(leases.isBehind('match-0')).to.equal(false);
    });

    it('keeps a partition back until its old owner is gone, and lets that one act until then', async () => {
      const leases = open();
      await leases.start();
      await leases.tokensFor('match-0');
      await leases.tokensFor('match-1');
      deal(leases, [0], [1, 2, 3]);
      leases.givenUp('match-1');
      let tokens: [number, unknown][] | undefined;
      const taking = leases.tokensFor('match-1').then((found) => (tokens = found));
      await new Promise((resolve) => setTimeout(resolve, TTL_MS * 1.2));
      expect(tokens).to.equal(undefined);
      expect(leftMs(0), 'the old owner may act').to.be.within(1, TTL_MS);
      leases.givenUp('match-0');
      await taking;
      expect(tokens?.map(([partition]) => partition)).to.deep.equal([1, 2, 3]);
    });

    it('gives tokens of the present share to who has waited', async () => {
      const leases = open();
      await leases.start();
      await leases.tokensFor('match-0');
      deal(leases, [0], [1, 2, 3]);
      const taking = leases.tokensFor('match-1');
      deal(leases, [], [0, 1, 2, 3]);
      leases.givenUp('match-0');
      expect((await taking).map(([partition]) => partition)).to.deep.equal([0, 1, 2, 3]);
    });

    it('gives no tokens to a start that is over when it is its turn', async () => {
      const leases = open();
      await leases.start();
      await leases.tokensFor('match-0');
      deal(leases, [0], [1, 2, 3]);
      const taking = rejectionOf(leases.tokensFor('match-1'));
      leases.givenUp('match-1');
      leases.givenUp('match-0');
      expect(await taking).to.include({ code: 'E_START_ABORTED', kind: 'transient' });
      expect(leases.isBehind('match-1')).to.equal(false);
      expect(await leases.tokensFor('match-1')).to.have.length(3);
    });

    it('takes nothing from its successor when a start is given up between two tokens', async () => {
      const leases = open();
      await leases.start();
      const late = rejectionOf(leases.tokensFor('match-1'));
      leases.givenUp('match-1');
      const tokens = await leases.tokensFor('match-1');
      expect(await late).to.include({ code: 'E_START_ABORTED', kind: 'transient' });
      for (const [partition, token] of tokens) {
        const commit = { ...commitOf(token, { counters: { a: 1 } }), partition };
        expect(await store.commit(commit), `partition ${partition}`).to.deep.equal({ status: 'committed' });
      }
    });
  });
});
