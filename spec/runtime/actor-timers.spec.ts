import { expect } from 'chai';
import { describe, it } from 'mocha';
import type { ActorContext } from '../../runtime/actor.ts';
import { ActorSystem } from '../../runtime/actor-system.ts';
import { TIMERS_PER_ACTOR_MAX } from '../../runtime/limits.ts';
import { FakeClock, settle } from '../support/fake-clock.ts';
import { thrownBy } from '../support/rejection.ts';

interface Bed {
  clock: FakeClock;
  system: ActorSystem;
  context: ActorContext<string>;
  got: string[];
}

async function bed(handle?: (message: string) => void | Promise<void>): Promise<Bed> {
  const clock = new FakeClock();
  const system = new ActorSystem({ clock });
  const got: string[] = [];
  let context: ActorContext<string> | undefined;
  system.spawn<string>(
    (given) => {
      context = given;
      return {
        handle(message) {
          got.push(message);
          return handle?.(message);
        },
      };
    },
    { mailbox: { capacity: 1, overflow: 'refuse' } },
  );
  await settle();
  return { clock, system, got, context: context as ActorContext<string> };
}

describe('ActorTimers', () => {
  it('bring their message once, at their time [S-24]', async () => {
    const { clock, context, got } = await bed();
    context.startTimer('tick', 'tick', { delayMs: 100 });
    await clock.pass(99);
    expect(got).to.deep.equal([]);
    await clock.pass(1_000);
    expect(got).to.deep.equal(['tick']);
    expect(clock.pending).to.equal(0);
  });

  it('repeat without drifting', async () => {
    const { clock, context, got } = await bed();
    context.startTimer('tick', 'tick', { delayMs: 50, everyMs: 100 });
    await clock.pass(549);
    expect(got.length).to.equal(5);
    await clock.pass(1);
    expect(got.length).to.equal(6);
  });

  it('never bring the message of a cancelled timer, even one that waits in the mailbox [S-24]', async () => {
    const { clock, context, got } = await bed();
    context.startTimer('tick', 'tick', { delayMs: 100 });
    context.startTimer('tock', 'tock', { delayMs: 100 });
    clock.advance(100);
    context.cancelTimer('tick');
    await settle();
    expect(got).to.deep.equal(['tock']);
  });

  it('are replaced by a timer with the same key [S-24]', async () => {
    const { clock, context, got } = await bed();
    context.startTimer('tick', 'first', { delayMs: 100 });
    context.startTimer('tick', 'second', { delayMs: 200 });
    await clock.pass(300);
    expect(got).to.deep.equal(['second']);
  });

  it('have at most one message waiting; the ticks left out are counted [S-24]', async () => {
    let release: () => void = () => undefined;
    const { clock, system, context, got } = await bed(
      () =>
        new Promise<void>((resolve) => {
          release = resolve;
        }),
    );
    context.self.tell('slow');
    await settle();
    context.startTimer('tick', 'tick', { delayMs: 10, everyMs: 10 });
    await clock.pass(100);
    context.cancelTimer('tick');
    release();
    await settle();
    expect(got).to.deep.equal(['slow']);
    context.stop();
    await settle();
    expect(system.counts().timerTicksLeftOut).to.equal(9);
  });

  it('reach a mailbox that is full', async () => {
    let release: () => void = () => undefined;
    const { clock, context, got } = await bed((message) =>
      message === 'slow'
        ? new Promise<void>((resolve) => {
            release = resolve;
          })
        : undefined,
    );
    context.self.tell('slow');
    await settle();
    context.self.tell('waits');
    expect(context.self.tell('too many')).to.deep.include({ refused: 'E_MAILBOX_FULL' });
    context.startTimer('tick', 'tick', { delayMs: 10 });
    await clock.pass(10);
    release();
    await settle();
    expect(got).to.deep.equal(['slow', 'waits', 'tick']);
  });

  it('end with the actor [S-24]', async () => {
    const { clock, context, got } = await bed();
    context.startTimer('tick', 'tick', { delayMs: 10, everyMs: 10 });
    context.stop();
    await clock.pass(100);
    expect(got).to.deep.equal([]);
    expect(clock.pending).to.equal(0);
  });

  it('are bounded, and refuse times that cannot be timed', async () => {
    const { context } = await bed();
    for (const options of [
      { delayMs: -1 },
      { delayMs: Number.NaN },
      { delayMs: 1, everyMs: 0 },
      { delayMs: 2 ** 31 },
    ]) {
      expect(thrownBy(() => context.startTimer('tick', 'tick', options)).code).to.equal('E_TIMER_INVALID');
    }
    for (let timer = 0; timer < TIMERS_PER_ACTOR_MAX; timer++) {
      context.startTimer(`timer ${timer}`, 'tick', { delayMs: 10 });
    }
    context.startTimer('timer 0', 'again', { delayMs: 10 });
    expect(thrownBy(() => context.startTimer('one more', 'tick', { delayMs: 10 })).code).to.equal(
      'E_TIMERS_FULL',
    );
  });
});
