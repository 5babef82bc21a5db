/**
 * A supervisor under random failures, failed starts, ignored stops, explicit restarts and leaps of time.
 *
 * Whatever happened: once it is quiet, either every child runs or the supervisor has exited and none does; a stop always
 * ends; no timer is left behind.
 */
import { expect } from 'chai';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import { RESTART_STRATEGIES } from '../../../runtime/supervision/restart-strategy.ts';
import { Supervisor } from '../../../runtime/supervision/supervisor.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { ScriptedChild } from '../../support/scripted-child.ts';

const IDS = ['a', 'b', 'c', 'd'];
const BACKOFF = { initialMs: 10, maxMs: 100, resetAfterMs: 200 };

const step = fc.record({
  child: fc.nat(IDS.length - 1),
  does: fc.oneof(
    { weight: 4, arbitrary: fc.constant('exit' as const) },
    {
      weight: 4,
      arbitrary: fc.constantFrom('failStarts' as const, 'ignoreStop' as const, 'restart' as const),
    },
  ),
  amount: fc.nat(3),
  thenTicks: fc.nat(8),
  thenMs: fc.oneof(fc.constant(0), fc.nat(60)),
});

describe('Supervisor under random trouble', () => {
  it('ends up with all children running or none, and always stops', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...RESTART_STRATEGIES),
        fc.constantFrom(3, 9_000),
        fc.array(fc.boolean(), { minLength: 4, maxLength: 4 }),
        fc.array(step, { maxLength: 40 }),
        async (strategy, restartsMax, waits, script) => {
          const clock = new FakeClock();
          const children = IDS.map((id) => new ScriptedChild(id, [], clock));
          const supervisor = new Supervisor(
            {
              id: 'root',
              strategy,
              intensity: { restartsMax, windowMs: 1_000 },
              children: children.map(({ start }, index) => ({
                id: IDS[index] as string,
                start,
                restart: 'permanent' as const,
                shutdownDeadlineMs: 50,
                ...(waits[index] === true ? { backoff: BACKOFF } : {}),
              })),
            },
            { clock, random: () => 0.5 },
          );
          let hasExited = false;
          void supervisor.exited.then(() => {
            hasExited = true;
          });
          await supervisor.start();
          const restarts: Promise<unknown>[] = [];
          for (const { child: index, does, amount, thenTicks, thenMs } of script) {
            const child = children[index] as ScriptedChild;
            if (does === 'exit') child.exit();
            else if (does === 'failStarts') child.startsToFail = amount;
            else if (does === 'ignoreStop') child.ignoresStop = !child.ignoresStop;
            else restarts.push(supervisor.restartChild(IDS[index] as string).catch(() => undefined));
            for (let tick = 0; tick < thenTicks; tick++) await Promise.resolve();
            if (thenMs > 0) await clock.pass(thenMs);
          }
          for (const child of children) child.startsToFail = 0;
          for (let round = 0; round < 10; round++) await clock.pass(200);
          expect(children.map(({ isRunning }) => isRunning)).to.deep.equal(IDS.map(() => !hasExited));
          void supervisor.stop(1_000);
          for (let round = 0; round < 10; round++) await clock.pass(100);
          await supervisor.exited;
          await Promise.all(restarts);
          expect(children.some(({ isRunning }) => isRunning)).to.equal(false);
          expect(clock.pending).to.equal(0);
        },
      ),
      { numRuns: 150 },
    );
  });
});
