/**
 * A keyed pool under random sends, resizes, slow handlers, failures and kills.
 *
 * Whatever happened, once it is quiet: every accepted message was handled once or is a dead letter, and never both; the
 * messages of a key were handled in the order in which they were told, one at a time; every shard has a member; and no
 * timer is left.
 */
import { expect } from 'chai';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import type { OverflowPolicy } from '../../../runtime/mailbox.ts';
import type { RestartType } from '../../../runtime/supervision/child-spec.ts';
import { poolBed, task } from './pool-bed.ts';
import type { PoolBed } from './pool-bed.ts';

const POLICIES: readonly OverflowPolicy[] = ['refuse', 'block', 'dropOldest', 'dropNewest'];
const KEYS = ['a', 'b', 'c', 'd', 'e', 'f'];

const key = fc.nat(KEYS.length - 1);
const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      does: fc.constantFrom('tell' as const, 'wait' as const, 'ask' as const),
      key,
      count: fc.integer({ min: 1, max: 6 }),
      tookMs: fc.oneof(fc.constant(undefined), fc.nat(20)),
      fails: fc.oneof(
        { weight: 9, arbitrary: fc.constant(false) },
        { weight: 1, arbitrary: fc.constant(true) },
      ),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ does: fc.constant('resize' as const), members: fc.integer({ min: 1, max: 4 }) }),
  },
  { weight: 1, arbitrary: fc.record({ does: fc.constant('kill' as const), member: fc.nat(3) }) },
  { weight: 1, arbitrary: fc.record({ does: fc.constant('hang' as const), key }) },
  { weight: 5, arbitrary: fc.record({ does: fc.constant('pass' as const), ms: fc.nat(25) }) },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** A handler that never ends, for a pool whose drain deadline is far below that. */
const FOR_EVER_MS = 4_000;

class Run {
  readonly told = new Map<string, number>();
  readonly accepted = new Set<string>();
  readonly refused = new Set<string>();
  private readonly pending: Promise<unknown>[] = [];
  private readonly bed: PoolBed;

  constructor(bed: PoolBed) {
    this.bed = bed;
  }

  async take(step: Step): Promise<void> {
    const { pool, system, clock } = this.bed;
    switch (step.does) {
      case 'resize':
        this.pending.push(Promise.allSettled([pool.resize(step.members)]).then(([outcome]) => outcome));
        break;
      case 'kill': {
        const ref = system.whereis(`pool-${step.member}`);
        if (ref !== undefined) system.killActor(ref, 'the spec');
        break;
      }
      case 'hang':
        this.send('tell', step.key, { tookMs: FOR_EVER_MS });
        break;
      case 'pass':
        await clock.pass(step.ms);
        break;
      default:
        for (let left = step.count; left > 0; left--) {
          this.send(step.does, step.key, {
            ...(step.tookMs === undefined ? {} : { tookMs: step.tookMs }),
            fails: step.fails && left === 1,
          });
        }
    }
  }

  /** Everything asked for has settled; a resize fails only when a member was killed while it started. */
  async settled(): Promise<void> {
    const outcomes = (await Promise.all(this.pending)) as (PromiseSettledResult<unknown> | undefined)[];
    for (const outcome of outcomes) {
      if (outcome?.status === 'rejected') expect(outcome.reason).to.have.property('code', 'E_START_FAILED');
    }
  }

  private send(
    how: 'tell' | 'wait' | 'ask',
    index: number,
    options: { tookMs?: number; fails?: boolean },
  ): void {
    const { pool } = this.bed;
    const key = KEYS[index] as string;
    const number = (this.told.get(key) ?? 0) + 1;
    this.told.set(key, number);
    const message = task(key, number, options);
    const heard = (result: unknown): void => {
      (typeof result === 'object' ? this.refused : this.accepted).add(message.type);
    };
    if (how === 'tell') heard(pool.tell(message));
    else if (how === 'wait') this.pending.push(pool.tellWhenAccepted(message).then(heard));
    else {
      // An ask that fails may have been handled or not; it is only not handled twice or out of order.
      const asked = pool.ask<string>((replyTo) => ({ ...message, replyTo }), { timeoutMs: 200 });
      this.pending.push(
        asked.then(
          () => void this.accepted.add(message.type),
          () => undefined,
        ),
      );
    }
  }
}

interface Kind {
  overflow: OverflowPolicy;
  capacity: number;
  /** Temporary ones are dead for good when they fail. */
  restart: RestartType;
}

async function check(script: readonly Step[], { overflow, capacity, restart }: Kind): Promise<void> {
  const bed = await poolBed({
    mailbox: { capacity, overflow },
    pool: { held: { capacity: 4, overflow }, drainDeadlineMs: 60 },
    members: { child: { restart, shutdownDeadlineMs: 30 } },
  });
  const { pool, clock, got, letters, overlaps } = bed;
  await pool.resize(2);
  const run = new Run(bed);
  for (const taken of script) await run.take(taken);
  const hangs = script.filter(({ does }) => does === 'hang').length;
  await clock.pass(FOR_EVER_MS * (hangs + 1));
  await run.settled();
  // Whoever has died meanwhile is replaced, and what is still held finds its way.
  const last = pool.resize(2);
  await clock.pass(FOR_EVER_MS);
  await last;

  expect(overlaps, 'two handlers of one key at once').to.deep.equal([]);
  const types = got.map((line) => line.split(' ')[1] as string);
  for (const key of KEYS) {
    const numbers = types.filter((type) => type.startsWith(key)).map((type) => Number(type.slice(2)));
    expect(numbers, `key ${key}: order, and once each`).to.deep.equal(
      [...new Set(numbers)].sort((x, y) => x - y),
    );
  }
  // What was told to a dead actor is noted, and given back as well.
  const dead = letters.filter(({ reason }) => reason !== 'stopped').map(({ messageType }) => messageType);
  const handled = new Set(types);
  for (const type of run.accepted) {
    const letterCount = dead.filter((other) => other === type).length;
    expect(letterCount + (handled.has(type) ? 1 : 0), `${type}: handled or a dead letter`).to.equal(1);
  }
  for (const type of run.refused) expect(handled.has(type), `${type} was given back`).to.equal(false);
  const { shardsMoving, members } = pool.describe();
  expect(shardsMoving).to.equal(0);
  expect(members.reduce((sum, { shards }) => sum + shards, 0)).to.equal(1_024);
  await pool.stop();
  expect(clock.pending).to.equal(0);
}

describe('KeyedPool under random trouble', function () {
  this.timeout(60_000);

  for (const overflow of POLICIES) {
    it(`handles what it accepted once, in order per key, or accounts for it: ${overflow} [S-155] [S-156]`, async () => {
      const kind = fc.record({
        overflow: fc.constant(overflow),
        capacity: fc.constantFrom(1, 2, 64),
        restart: fc.constantFrom<RestartType[]>('permanent', 'temporary'),
      });
      await fc.assert(
        fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 80, size: 'max' }), kind, check),
        { numRuns: 25 },
      );
    });
  }
});
