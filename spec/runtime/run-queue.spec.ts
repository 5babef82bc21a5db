import { expect } from 'chai';
import { describe, it } from 'mocha';
import { ActorSystem } from '../../runtime/actor-system.ts';
import { systemClock } from '../../runtime/clock.ts';
import { MESSAGES_PER_SLICE_MAX } from '../../runtime/limits.ts';
import { RunQueue } from '../../runtime/run-queue.ts';
import { FakeClock, settle } from '../support/fake-clock.ts';

describe('RunQueue', () => {
  it('runs each push once, in order, before the next turn of the event loop', async () => {
    const queue = new RunQueue(systemClock);
    const trace: string[] = [];
    const immediate = new Promise<void>((resolve) => {
      setImmediate(() => {
        trace.push('immediate');
        resolve();
      });
    });
    for (const name of ['a', 'b', 'a']) queue.push({ run: () => trace.push(name) });
    await immediate;
    expect(trace).to.deep.equal(['a', 'b', 'a', 'immediate']);
  });

  it('lets the event loop turn when a slice is used up, and goes on afterwards [S-7]', async () => {
    const clock = new FakeClock();
    const queue = new RunQueue(clock);
    let turns = 0;
    let work = 0;
    const busy = {
      run(budget: number) {
        clock.advance(1);
        work++;
        if (work < 100) queue.push(busy);
        return budget;
      },
    };
    queue.push(busy);
    while (work < 100) {
      await new Promise(setImmediate);
      turns++;
    }
    expect(turns).to.be.at.least(20);
  });

  it('yields after a number of messages even if the clock stands still [S-7]', async () => {
    const queue = new RunQueue(new FakeClock());
    let work = 0;
    const endless = {
      run(budget: number) {
        work += budget;
        if (work < 10 * MESSAGES_PER_SLICE_MAX) queue.push(endless);
        return budget;
      },
    };
    queue.push(endless);
    await new Promise(setImmediate);
    expect(work).to.be.at.least(MESSAGES_PER_SLICE_MAX - 64);
    expect(work).to.be.below(2 * MESSAGES_PER_SLICE_MAX);
    while (queue.length > 0) await settle();
  });

  it('does not starve timers under two async actors that call each other without end [S-7]', async () => {
    const system = new ActorSystem({ clock: new FakeClock() });
    const refs: { tell(message: number): unknown }[] = [];
    for (const other of [1, 0]) {
      refs.push(
        system.spawn<number>(() => ({
          async handle(message) {
            await Promise.resolve();
            refs[other]?.tell(message);
          },
        })),
      );
    }
    refs[0]?.tell(1);
    let ticks = 0;
    await new Promise<void>((resolve) => {
      const timer = setInterval(() => {
        if (++ticks < 5) return;
        clearInterval(timer);
        resolve();
      }, 2);
    });
    expect(ticks).to.equal(5);
    await system.stop();
  });
});
