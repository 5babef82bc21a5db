/**
 * Random handlers, kills and restarts against the one account that must add up.
 */
import { expect } from 'chai';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import { ActorSystem } from '../../runtime/actor-system.ts';
import type { OverflowPolicy } from '../../runtime/mailbox.ts';
import { localChild } from '../../runtime/supervision/local-placement.ts';
import { Supervisor } from '../../runtime/supervision/supervisor.ts';
import { breakDown } from '../support/break-down.ts';
import { FakeClock, settle } from '../support/fake-clock.ts';

const HANDLER_TIMEOUT_MS = 500;

describe('redelivery, whatever handlers do', () => {
  const way = fc.constantFrom('ok', 'slow', 'throw', 'reject', 'hang', 'stop');
  const step = fc.oneof(
    { weight: 6, arbitrary: fc.record({ tell: fc.array(way, { minLength: 1, maxLength: 4 }) }) },
    { weight: 2, arbitrary: fc.record({ passMs: fc.constantFrom(0, 50, HANDLER_TIMEOUT_MS) }) },
    { weight: 1, arbitrary: fc.constantFrom('kill' as const, 'restart' as const) },
  );
  const scenario = fc.record({
    steps: fc.array(step, { maxLength: 25 }),
    attemptsMax: fc.integer({ min: 1, max: 3 }),
    overflow: fc.constantFrom<OverflowPolicy>('refuse', 'dropOldest', 'dropNewest', 'block'),
    capacity: fc.integer({ min: 1, max: 6 }),
    drainAtStop: fc.boolean(),
    waits: fc.boolean(),
  });

  interface Scripted {
    type: string;
    order: number;
    /** What the handler does at the first attempt, the second and so on; then it is well. */
    ways: string[];
  }

  /** Plays the scenario to its end; throws where an account does not add up. */
  async function play(given: typeof scenario extends fc.Arbitrary<infer S> ? S : never): Promise<void> {
    const { steps, attemptsMax, overflow, capacity, drainAtStop, waits } = given;
    const clock = new FakeClock();
    const system = new ActorSystem({ clock });
    const delivered: number[] = [];
    const handled: string[] = [];
    const accepted = new Set<string>();
    const backoff = { initialMs: 20, maxMs: 20, jitter: 'none' as const, resetAfterMs: 60_000 };
    const child = localChild<Scripted>(
      system,
      'actor',
      (context) => ({
        handle({ type, order, ways }) {
          delivered.push(order);
          const next = ways.shift() ?? 'ok';
          if (next === 'throw' || next === 'reject' || next === 'hang') return breakDown(next);
          if (next === 'stop') context.stop();
          if (next !== 'slow') {
            handled.push(type);
            return undefined;
          }
          return new Promise((resolve) => {
            clock.after(30, () => {
              if (!context.signal.aborted) handled.push(type);
              resolve();
            });
          });
        },
      }),
      {
        handlerTimeoutMs: HANDLER_TIMEOUT_MS,
        mailbox: { capacity, overflow },
        drainAtStop,
        redelivery: { attemptsMax, ...(waits ? { backoff } : {}) },
      },
    );
    const supervisor = new Supervisor(
      {
        id: 'root',
        strategy: 'oneForOne',
        intensity: { restartsMax: 10_000, windowMs: 60_000 },
        children: [{ id: 'actor', start: child.start, restart: 'permanent', shutdownDeadlineMs: 1_000 }],
      },
      { clock },
    );
    await supervisor.start();
    let order = 0;
    for (const action of steps) {
      if (action === 'kill') system.killActor(child.ref, 'a spec');
      else if (action === 'restart') {
        const restarted = supervisor.restartChild('actor');
        await clock.pass(1_100);
        await restarted;
      } else if ('passMs' in action) await clock.pass(action.passMs);
      else {
        const message: Scripted = { type: `m${order}`, order: order++, ways: [...action.tell] };
        if (child.ref.tell(message) === 'accepted') accepted.add(message.type);
      }
    }
    await settle();
    const deadOf = (): string[] => system.deadLetters.list().map(({ messageType }) => messageType);
    const inHand = 1;
    const detail = supervisor.describe().children[0]?.detail as { waiting: number } | undefined;
    const gone = handled.length + system.quarantine.counts().quarantined;
    const dead = deadOf().filter((type) => accepted.has(type)).length;
    const missing = accepted.size - gone - dead - (detail?.waiting ?? 0);
    if (detail !== undefined) expect(missing, 'at most the one in hand').to.be.within(0, inHand);

    const stopped = supervisor.stop(60_000);
    await clock.pass(60_000);
    await stopped;
    const ends = [
      ...handled,
      ...system.quarantine.list().map(({ messageType }) => messageType),
      ...deadOf().filter((type) => accepted.has(type)),
    ];
    expect(ends.toSorted()).to.deep.equal([...accepted].toSorted());
    expect(delivered, 'in order, again or not').to.deep.equal(delivered.toSorted((a, b) => a - b));
    expect(clock.pending).to.equal(0);
  }

  it('makes of every accepted message exactly one of handled, quarantined, waiting and dead letter, in order [S-84]', async () => {
    await fc.assert(fc.asyncProperty(scenario, play), { numRuns: 300 });
  });
});
