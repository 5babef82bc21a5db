import { expect } from 'chai';
import { afterEach, beforeEach, describe, it } from 'mocha';
import type { DurableStore } from '../../runtime/durable/durable-store.ts';
import { createMemoryStore } from '../../runtime/durable/memory-store.ts';
import { Vitals, processMs } from '../../runtime/shared/vitals.ts';
import { PartitionLeases, partitionsOfSlot } from '../../supervisors/partition-leases.ts';
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
      shares: vitals.map((each, slot) => ({ partitions: partitionsOfSlot(slot, 2, 4), vitals: each })),
      log: { debug: () => undefined, warn: () => undefined } as never,
    });
    opened.push(leases);
    return leases;
  }
  const leftMs = (slot: number): number => (vitals[slot] as Vitals).get('leaseUntilMs') - processMs();

  it('gives a slot the tokens of its partitions, and lets it act while they hold', async () => {
    const leases = open();
    await leases.start();
    const tokens = await leases.tokensFor(1);
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

  it('fences the last incarnation of a slot when the next one gets its tokens', async () => {
    const leases = open();
    await leases.start();
    const [[partition, old] = [0, undefined]] = await leases.tokensFor(0);
    await leases.tokensFor(0);
    if (old === undefined) throw new Error('no token');
    expect(await store.commit({ ...commitOf(old), partition })).to.include({ status: 'fenced' });
  });

  it('lets a slot act no more when one of its partitions is lost, and other slots go on', async () => {
    await open().start();
    await store.release([2], 'match', 'node-a');
    await store.acquire(2, 'match', 'node-b', 60_000);
    await until(() => leftMs(0) < 0, 2_000);
    expect(leftMs(1)).to.be.greaterThan(0);
  });

  it('has no tokens for a partition that another node holds, for the moment', async () => {
    await store.acquire(1, 'match', 'node-b', 60_000);
    const leases = open();
    await leases.start();
    expect(await rejectionOf(leases.tokensFor(1))).to.include({ code: 'E_LEASE_TAKEN', kind: 'transient' });
    expect(leftMs(1)).to.be.lessThan(0);
    expect(await leases.tokensFor(0)).to.have.length(2);
  });

  it('gives everything up at its stop', async () => {
    const leases = open();
    await leases.start();
    await leases.stop();
    expect([leftMs(0), leftMs(1)].every((ms) => ms < 0)).to.equal(true);
    expect(await store.acquire(0, 'match', 'node-b', 1_000)).to.have.property('epoch');
  });

  it('has no tokens for a slot that is not there', async () => {
    expect(await open().tokensFor(7)).to.deep.equal([]);
  });
});

describe('partitionsOfSlot', () => {
  it('deals every partition to one slot, evenly', () => {
    for (const slots of [1, 2, 3, 8, 11]) {
      const shares = Array.from({ length: slots }, (_, slot) => partitionsOfSlot(slot, slots, 8));
      expect(shares.flat().sort((a, b) => a - b)).to.deep.equal([0, 1, 2, 3, 4, 5, 6, 7]);
      const lengths = shares.map(({ length }) => length);
      expect(Math.max(...lengths) - Math.min(...lengths)).to.be.at.most(1);
    }
  });
});
