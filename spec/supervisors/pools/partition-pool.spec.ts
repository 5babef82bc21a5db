/**
 * The threads of a role, under a real supervisor and with real leases: who has which partition at every moment of a
 * resize. What runs in the slots is scripted, so that it can refuse to start, be slow to stop and die at a bad moment.
 */
import { expect } from 'chai';
import { afterEach, beforeEach, describe, it } from 'mocha';
import type { Token } from '../../../runtime/durable/durable-store.ts';
import { createMemoryStore } from '../../../runtime/durable/memory-store.ts';
import { Vitals } from '../../../runtime/shared/vitals.ts';
import { systemClock } from '../../../runtime/clock.ts';
import type { StartChild } from '../../../runtime/placement.ts';
import { Supervisor } from '../../../runtime/supervision/supervisor.ts';
import type { ThreadSlot } from '../../../runtime/thread/thread-slot.ts';
import { PartitionLeases } from '../../../supervisors/partition-leases.ts';
import { LiveGroup } from '../../../supervisors/pools/live-group.ts';
import { PartitionPool } from '../../../supervisors/pools/partition-pool.ts';
import { rejectionOf } from '../../support/rejection.ts';
import { ScriptedChild } from '../../support/scripted-child.ts';

const PARTITIONS = 8;
const LOG = { debug: () => undefined, warn: () => undefined } as never;

/** A slot whose thread is a scripted child: its start takes tokens as a thread's does. */
class HandSlot {
  readonly id: string;
  readonly vitals = new Vitals();
  readonly thread: ScriptedChild;
  starts = 0;
  readonly start: StartChild;

  constructor(id: string, trace: string[], takeTokens: (slot: HandSlot) => Promise<void>) {
    this.id = id;
    this.thread = new ScriptedChild(id, trace, systemClock);
    this.start = async (request) => {
      await takeTokens(this);
      this.starts += 1;
      return this.thread.start(request);
    };
  }
}

describe('PartitionPool', () => {
  let trace: string[];
  let slots: Map<string, HandSlot>;
  let owners: Map<number, string>;
  let doubled: string[];
  let canStart: (id: string) => boolean;
  let group: LiveGroup;
  let leases: PartitionLeases;
  let pool: PartitionPool;
  let supervisor: Supervisor;
  let closed: string[];

  beforeEach(async () => {
    trace = [];
    slots = new Map();
    owners = new Map();
    doubled = [];
    closed = [];
    canStart = () => true;
    leases = new PartitionLeases({
      store: createMemoryStore(),
      laneGroup: 'match',
      nonce: 'node-a',
      ttlMs: 30_000,
      partitions: PARTITIONS,
      log: LOG,
    });
    await leases.start();
    group = new LiveGroup({
      id: 'match',
      strategy: 'oneForOne',
      intensity: { restartsMax: 5, windowMs: 10_000 },
    });
    pool = new PartitionPool({
      role: 'match',
      partitions: PARTITIONS,
      group,
      openSlot: (id) => {
        const slot = new HandSlot(id, trace, take);
        slots.set(id, slot);
        return slot as unknown as ThreadSlot;
      },
      closeSlot: ({ id }) => closed.push(id),
      child: (id, start) => ({ id, start, restart: 'permanent', shutdownDeadlineMs: 1_000 }),
    });
    supervisor = new Supervisor({
      id: 'node',
      strategy: 'oneForOne',
      intensity: { restartsMax: 5, windowMs: 10_000 },
      children: [{ id: 'match', start: group.start, restart: 'permanent', shutdownDeadlineMs: 2_000 }],
    });
  });

  afterEach(async () => {
    await supervisor.stop(5_000);
    await leases.stop();
    expect(doubled, 'partitions with two owners').to.deep.equal([]);
  });

  async function take(slot: HandSlot): Promise<void> {
    const tokens: [number, Token][] = await pool.tokensFor(slot.id);
    if (!canStart(slot.id)) throw new Error('planted');
    for (const partition of ownedBy(slot.id)) owners.delete(partition);
    for (const [partition] of tokens) {
      const owner = owners.get(partition);
      if (owner !== undefined && owner !== slot.id && slots.get(owner)?.thread.isRunning === true) {
        doubled.push(`${partition}: ${owner} and ${slot.id}`);
      }
      owners.set(partition, slot.id);
    }
  }

  const start = async (size: number): Promise<void> => {
    await pool.open(leases, size);
    await supervisor.start();
  };
  const startsOf = (id: string): number => slots.get(id)?.starts ?? 0;
  const ownedBy = (id: string): number[] =>
    [...owners].filter(([, owner]) => owner === id).map(([partition]) => partition);
  const everyOwner = (): string[] => [...new Set(owners.values())].sort();

  it('begins with the size and the shares it is given', async () => {
    await start(2);
    expect(pool.shares).to.deep.equal([
      { worker: 'match-0', partitions: [0, 2, 4, 6] },
      { worker: 'match-1', partitions: [1, 3, 5, 7] },
    ]);
    expect(owners.size).to.equal(PARTITIONS);
    expect(pool.isAt(2)).to.equal(true);
  });

  it('grows: the new one is started idle, takes its share from the others, and nobody else is disturbed', async () => {
    await start(2);
    await pool.approach(4);
    expect(pool.isAt(4)).to.equal(true);
    expect(everyOwner()).to.deep.equal(['match-0', 'match-1', 'match-2', 'match-3']);
    expect(['match-0', 'match-1', 'match-2', 'match-3'].map(startsOf)).to.deep.equal([2, 2, 2, 2]);
    expect(ownedBy('match-0')).to.deep.equal([0, 2]);
  });

  it('does not touch a slot whose share stays as it is', async () => {
    await start(8);
    await pool.approach(9);
    expect([...slots.keys()].map(startsOf)).to.deep.equal([1, 1, 1, 1, 1, 1, 1, 1, 1]);
    expect(pool.shares.filter(({ partitions }) => partitions.length > 0)).to.have.length(8);
  });

  it('shrinks: the last ones give up what they have, and only who gains is started again', async () => {
    await start(3);
    await pool.approach(2);
    expect(closed).to.deep.equal(['match-2']);
    expect(everyOwner()).to.deep.equal(['match-0', 'match-1']);
    expect(trace.lastIndexOf('stop match-2')).to.be.lessThan(trace.lastIndexOf('start match-0'));
    expect(slots.get('match-2')?.thread.isRunning).to.equal(false);
  });

  it('leaves everything as it was when a new one cannot start', async () => {
    await start(2);
    canStart = (id) => id !== 'match-2';
    const error = await rejectionOf(pool.approach(3));
    expect(error.code).to.equal('E_CHILD_START_FAILED');
    expect(pool.isAt(2)).to.equal(true);
    expect([startsOf('match-0'), startsOf('match-1')]).to.deep.equal([1, 1]);
    expect(everyOwner()).to.deep.equal(['match-0', 'match-1']);
    canStart = () => true;
    await pool.approach(3);
    expect(everyOwner()).to.deep.equal(['match-0', 'match-1', 'match-2']);
  });

  it('uses those that could start when the next one cannot', async () => {
    await start(1);
    canStart = (id) => id !== 'match-2';
    expect((await rejectionOf(pool.approach(3))).code).to.equal('E_CHILD_START_FAILED');
    expect(pool.isAt(2)).to.equal(true);
    expect(everyOwner()).to.deep.equal(['match-0', 'match-1']);
  });

  it('waits with a partition until a slot that was slow to stop is gone', async () => {
    await start(1);
    (slots.get('match-0') as HandSlot).thread.ignoresStop = true;
    await pool.approach(2);
    expect(trace).to.include('kill match-0');
    expect(everyOwner()).to.deep.equal(['match-0', 'match-1']);
  });

  it('gives a slot that dies in the middle of it its new share', async () => {
    await start(2);
    const resized = pool.approach(3);
    slots.get('match-1')?.thread.exit();
    await resized;
    expect(pool.isAt(3)).to.equal(true);
    expect(everyOwner()).to.deep.equal(['match-0', 'match-1', 'match-2']);
  });

  it('leaves no partition without an owner when the ground changes while it shrinks', async () => {
    await start(4);
    const resized = pool.approach(2);
    await pool.open(leases, 4);
    await resized;
    while (!pool.isAt(2)) await pool.approach(2);
    expect(pool.shares.flatMap(({ partitions }) => partitions)).to.have.length(PARTITIONS);
    expect(everyOwner()).to.deep.equal(['match-0', 'match-1']);
  });

  it('ends with each partition owned once, whatever sizes follow each other', async () => {
    await start(1);
    for (const size of [4, 2, 9, 3, 1, 8, 5]) {
      await pool.approach(size);
      expect(pool.isAt(size)).to.equal(true);
      for (const { worker, partitions } of pool.shares) {
        expect(ownedBy(worker).sort((a, b) => a - b)).to.deep.equal(partitions);
      }
    }
  });
});
