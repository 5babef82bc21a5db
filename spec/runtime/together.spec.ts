/**
 * What each has specs of its own, together in one actor: stash, redelivery, envelopes, timers, a black box, a suspension.
 */
import { expect } from 'chai';
import { beforeEach, describe, it } from 'mocha';
import type { ActorCell } from '../../runtime/actor-cell.ts';
import type { ActorContext } from '../../runtime/actor.ts';
import { ActorSystem } from '../../runtime/actor-system.ts';
import { Envelope } from '../../runtime/envelope.ts';
import type { Outcome } from '../../runtime/envelope.ts';
import { BlackBox, BlackBoxWriter } from '../../runtime/shared/black-box.ts';
import { localChild } from '../../runtime/supervision/local-placement.ts';
import type { LocalChild, LocalChildOptions } from '../../runtime/supervision/local-placement.ts';
import { Supervisor } from '../../runtime/supervision/supervisor.ts';
import { FakeClock, settle } from '../support/fake-clock.ts';

class Letter extends Envelope {
  readonly message: string;
  readonly outcomes: Outcome[] = [];

  constructor(message: string) {
    super();
    this.message = message;
  }

  override open(): boolean {
    return true;
  }

  override settled(outcome: Outcome): void {
    this.outcomes.push(outcome);
  }
}

async function rest(): Promise<void> {
  for (let turn = 0; turn < 6; turn++) await settle();
}

describe('the abilities of an actor, together', () => {
  let clock: FakeClock;
  let got: string[];

  beforeEach(() => {
    clock = new FakeClock();
    got = [];
  });

  /** Stashes `later …`, unstashes at `now`, fails once for each `fails` that is left. */
  async function start(options: LocalChildOptions, isAsync: boolean, fails = 0): Promise<LocalChild<string>> {
    const system = new ActorSystem({ clock, blackBox: new BlackBoxWriter(new BlackBox(), clock) });
    let failsLeft = fails;
    let isNow = false;
    const handle = (message: string, context: ActorContext<string>): void => {
      if (message.startsWith('later') && !isNow) {
        context.stash();
        return;
      }
      if (message === 'breaks' && failsLeft-- > 0) throw new Error('planted');
      if (message === 'timer') context.startTimer('own', 'later timer', { delayMs: 10 });
      got.push(`${context.epoch} ${message}`);
      if (message !== 'now') return;
      isNow = true;
      context.unstashAll();
    };
    const child = localChild<string>(
      system,
      'actor',
      (context) =>
        isAsync
          ? { handle: (message) => Promise.resolve().then(() => handle(message, context)) }
          : { handle: (message) => handle(message, context) },
      options,
    );
    const supervisor = new Supervisor(
      {
        id: 'root',
        strategy: 'oneForOne',
        intensity: { restartsMax: 10, windowMs: 1_000 },
        children: [{ id: 'actor', start: child.start, restart: 'permanent', shutdownDeadlineMs: 1_000 }],
      },
      { clock },
    );
    await supervisor.start();
    return child;
  }

  for (const isAsync of [false, true]) {
    describe(isAsync ? 'an async handler' : 'a sync handler', () => {
      const redelivery = { redelivery: { attemptsMax: 3 } };

      it('what is stashed is given back once, in order, also where messages are redelivered [S-80] [S-96]', async () => {
        const { ref } = await start(redelivery, isAsync);
        for (const message of ['later a', 'later b', 'c', 'now', 'd']) ref.tell(message);
        await rest();
        expect(got).to.deep.equal(['1 c', '1 now', '1 later a', '1 later b', '1 d']);
      });

      it('a message that failed comes before what was stashed, and that before what waits [S-80] [S-97]', async () => {
        const { ref } = await start(redelivery, isAsync, 1);
        for (const message of ['later a', 'breaks', 'now', 'd']) ref.tell(message);
        await rest();
        expect(got).to.deep.equal(['2 breaks', '2 now', '2 later a', '2 d']);
      });

      it('a stashed message that came in an envelope is settled when it has been handled, once [S-84] [S-96]', async () => {
        const { ref } = await start(redelivery, isAsync);
        const letter = new Letter('later letter');
        (ref as ActorCell<string>).deliver(letter);
        await rest();
        expect(letter.outcomes).to.deep.equal([]);
        ref.tell('now');
        await rest();
        expect(got).to.deep.equal(['1 now', '1 later letter']);
        expect(letter.outcomes).to.deep.equal(['handled']);
      });

      it('a stashed message of a timer is given back [S-24] [S-96]', async () => {
        const { ref } = await start({}, isAsync);
        ref.tell('timer');
        await rest();
        await clock.pass(20);
        await rest();
        expect(got).to.deep.equal(['1 timer']);
        ref.tell('now');
        await rest();
        expect(got).to.deep.equal(['1 timer', '1 now', '1 later timer']);
      });

      it('a message held for its next attempt waits while the actor is suspended [S-80] [S-90]', async () => {
        const { ref } = await start(
          {
            redelivery: {
              attemptsMax: 3,
              backoff: { initialMs: 100, maxMs: 100, resetAfterMs: 1_000, jitter: 'none' },
            },
          },
          isAsync,
          1,
        );
        const cell = ref as ActorCell<string>;
        for (const message of ['breaks', 'd']) ref.tell(message);
        await rest();
        const suspended = cell.hold(true);
        await rest();
        await suspended;
        await clock.pass(500);
        await rest();
        expect(got).to.deep.equal([]);
        expect(cell.inspect()).to.include({ status: 'suspended', waiting: 2 });
        await cell.hold(false);
        await rest();
        expect(got).to.deep.equal(['2 breaks', '2 d']);
      });
    });
  }
});
