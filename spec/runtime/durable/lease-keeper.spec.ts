import { expect } from 'chai';
import { afterEach, beforeEach, describe, it } from 'mocha';
import type { DurableStore } from '../../../runtime/durable/durable-store.ts';
import type { LeaseKeeper, LeaseKeeperOptions } from '../../../runtime/durable/lease-keeper.ts';
import { createLeaseKeeper } from '../../../runtime/durable/lease-keeper.ts';
import { createMemoryStore } from '../../../runtime/durable/memory-store.ts';
import { storeAway } from '../../../runtime/durable/store-errors.ts';
import { commitOf, GROUP, ManualClock, rejectionOf } from './store-under-test.ts';

const TTL_MS = 3_000;

describe('LeaseKeeper', () => {
  let clock: ManualClock;
  let store: DurableStore;
  let keepers: LeaseKeeper[];
  let isAway: boolean;

  beforeEach(() => {
    clock = new ManualClock();
    store = createMemoryStore({ clock });
    keepers = [];
    isAway = false;
  });
  afterEach(() => Promise.all(keepers.map((keeper) => keeper.stop())));

  const open = (
    nonce: string,
    scale: Pick<LeaseKeeperOptions, 'hrtimeMs'> = { hrtimeMs: () => clock.monotonicMs() },
  ) => {
    const events: string[] = [];
    const keeper = createLeaseKeeper({
      store: {
        acquire: (...args) => (isAway ? Promise.reject(storeAway('gone', 'no')) : store.acquire(...args)),
        renew: (...args) => (isAway ? Promise.reject(storeAway('gone', 'no')) : store.renew(...args)),
        release: (...args) => (isAway ? Promise.reject(storeAway('gone', 'no')) : store.release(...args)),
      },
      laneGroup: GROUP,
      nonce,
      ttlMs: TTL_MS,
      clock,
      ...scale,
      onHeld: ({ partition, token }) => events.push(`held ${partition} ${token.epoch}`),
      onLost: (partition, loss) => events.push(`lost ${partition} ${loss}`),
    });
    keepers.push(keeper);
    return { keeper, events };
  };

  it('acquires what is wanted and publishes a validity that ends before the store’s expiry', async () => {
    const { keeper, events } = open('a');
    await keeper.want([0, 1]);
    expect(events).to.deep.equal(['held 0 1', 'held 1 1']);
    const [lease] = keeper.held();
    expect((lease?.validUntilMs ?? 0) - clock.monotonicMs()).to.be.within(TTL_MS * 0.9, TTL_MS - 1);
    expect(await store.acquire(0, GROUP, 'b', 1)).to.have.property('heldBy', 'a');
  });

  it('renews for as long as it lives', async () => {
    const { keeper } = open('a');
    await keeper.want([0]);
    await clock.advance(TTL_MS * 10);
    expect(await store.acquire(0, GROUP, 'b', 1)).to.have.property('heldBy', 'a');
    expect(keeper.held()[0]?.validUntilMs).to.be.greaterThan(clock.monotonicMs());
  });

  it('takes over when another dies, soon after its lease has expired', async () => {
    await store.acquire(0, GROUP, 'dead', TTL_MS);
    const { keeper, events } = open('b');
    await keeper.want([0]);
    expect(events).to.deep.equal([]);
    await clock.advance(TTL_MS + 1);
    expect(events).to.deep.equal(['held 0 2']);
  });

  it('gives up what is not wanted any more, so that another has it at once', async () => {
    const { keeper, events } = open('a');
    await keeper.want([0, 1]);
    await keeper.want([1]);
    expect(events).to.deep.equal(['held 0 1', 'held 1 1', 'lost 0 released']);
    expect(await store.acquire(0, GROUP, 'b', 1_000)).to.deep.equal({ epoch: 2 });
  });

  it('advances the epoch of what it holds, which fences the one before', async () => {
    const { keeper } = open('a');
    await keeper.want([0]);
    const before = keeper.held()[0]?.token;
    const after = await keeper.advance(0);
    expect(after.token.epoch).to.equal(2);
    if (before === undefined) throw new Error('nothing held');
    expect(await store.commit(commitOf(before))).to.have.property('status', 'fenced');
    expect(await store.commit(commitOf(after.token))).to.have.property('status', 'committed');
  });

  it('says when a lease has expired, and again when it got it back', async () => {
    const { keeper, events } = open('a');
    await keeper.want([0]);
    isAway = true;
    await clock.advance(TTL_MS * 3);
    expect(events).to.deep.equal(['held 0 1', 'lost 0 expired']);
    isAway = false;
    await clock.advance(TTL_MS);
    expect(events.slice(2)).to.include('held 0 1');
  });

  it('says when another took it, and does not take it back [S-66]', async () => {
    const { keeper, events } = open('a');
    await keeper.want([0]);
    isAway = true;
    await clock.advance(TTL_MS * 2);
    await store.acquire(0, GROUP, 'b', TTL_MS * 100);
    isAway = false;
    await clock.advance(TTL_MS);
    expect(events).to.deep.equal(['held 0 1', 'lost 0 expired', 'lost 0 taken']);
    expect(keeper.held()).to.deep.equal([]);
    expect(await rejectionOf(keeper.advance(0))).to.include({ code: 'E_LEASE_TAKEN' });
  });

  it('learns of its loss before anything else after a pause of the whole process', async () => {
    const { keeper, events } = open('a');
    await keeper.want([0]);
    // No timer ran while the process was stopped, but time went on.
    const stopped = clock.monotonicMs.bind(clock);
    clock.monotonicMs = () => stopped() + TTL_MS * 5;
    await store.acquire(0, GROUP, 'a', 1);
    await clock.advance(TTL_MS / 3 + 1);
    expect(events[1]).to.equal('lost 0 expired');
  });

  it('gives everything up at stop', async () => {
    const { keeper, events } = open('a');
    await keeper.want([0]);
    await keeper.stop();
    expect(events).to.deep.equal(['held 0 1', 'lost 0 released']);
    expect(await store.acquire(0, GROUP, 'b', 1_000)).to.deep.equal({ epoch: 2 });
  });

  it('measures on a scale that other threads share', async () => {
    const { keeper } = open('a', {});
    const readMs = (): number => Number(process.hrtime.bigint()) / 1e6;
    const beforeMs = readMs();
    await keeper.want([0]);
    const heldMs = (keeper.held()[0]?.validUntilMs ?? 0) - TTL_MS * 0.98;
    expect(heldMs).to.be.within(beforeMs, readMs());
  });
});
