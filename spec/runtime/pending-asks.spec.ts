/** What an ask is known by, how it may not be begun and how it may not be answered: a local actor, and any message. */
import { expect } from 'chai';
import { describe, it } from 'mocha';
import type { ReplyTo } from '../../runtime/actor-ref.ts';
import { ActorSystem } from '../../runtime/actor-system.ts';
import type { CodedError } from '../../runtime/errors.ts';
import { ASKS_PER_ACTOR_MAX } from '../../runtime/limits.ts';
import { localChild } from '../../runtime/supervision/local-placement.ts';
import { Supervisor } from '../../runtime/supervision/supervisor.ts';
import { FakeClock, settle } from '../support/fake-clock.ts';
import { rejectionOf } from '../support/rejection.ts';

const SOON = { timeoutMs: 100 };

interface Question {
  replyTo: ReplyTo<unknown>;
}
const question = (replyTo: ReplyTo<unknown>): Question => ({ replyTo });

describe('An ask', () => {
  describe('is known by itself and not by its message', () => {
    it('so the same one asked twice is answered twice, each within its own deadline [S-180]', async () => {
      const clock = new FakeClock();
      const system = new ActorSystem({ clock });
      const addresses: ReplyTo<string>[] = [];
      const ref = system.spawn<string>(() => ({ handle: () => undefined }));
      const ask = (timeoutMs: number): Promise<string> =>
        ref.ask<string>(
          (replyTo) => {
            addresses.push(replyTo);
            return 'ping';
          },
          { timeoutMs },
        );
      const [first, second, third] = [ask(100), ask(100), rejectionOf(ask(10))];
      await clock.pass(10);
      expect((await third).code).to.equal('E_ASK_TIMEOUT');
      addresses[1]?.tell('second');
      addresses[0]?.tell('first');
      expect(await Promise.all([first, second])).to.deep.equal(['first', 'second']);
      expect(clock.pending).to.equal(0);
    });

    it('so both of two equal ones end when the actor dies [S-180] [S-14]', async () => {
      const system = new ActorSystem({ clock: new FakeClock() });
      const ref = system.spawn<string>(() => ({ handle: () => undefined }));
      const asked = [1, 2].map(() => rejectionOf(ref.ask(() => 'ping', SOON)));
      await settle();
      expect(system.describe().actors[0]).to.include({ asks: 2 });
      system.killActor(ref, 'a spec');
      expect((await Promise.all(asked)).map(({ code }) => code)).to.deep.equal([
        'E_ACTOR_STOPPED',
        'E_ACTOR_STOPPED',
      ]);
    });

    it('so an equal message that was only told does not end it by its failure or its loss [S-180] [S-15]', async () => {
      const clock = new FakeClock();
      const system = new ActorSystem({ clock });
      let handled = 0;
      let address: ReplyTo<string> | undefined;
      const child = localChild<string>(
        system,
        'child',
        () => ({
          handle() {
            if (++handled === 2) throw new Error('planted');
          },
        }),
        { mailbox: { capacity: 1, overflow: 'dropOldest' } },
      );
      const supervisor = new Supervisor(
        {
          id: 'root',
          strategy: 'oneForOne',
          intensity: { restartsMax: 5, windowMs: 1_000 },
          children: [{ id: 'child', start: child.start, restart: 'permanent', shutdownDeadlineMs: 100 }],
        },
        { clock },
      );
      await supervisor.start();
      const asked = child.ref.ask<string>((replyTo) => {
        address = replyTo;
        return 'ping';
      }, SOON);
      await settle();
      child.ref.tell('ping');
      await settle();
      expect(handled, 'the one that was told has failed').to.equal(2);
      child.ref.tell('ping');
      child.ref.tell('ping');
      expect(system.counts().deadLetters).to.include({ failed: 1, dropped: 1 });
      address?.tell('pong');
      expect(await asked).to.equal('pong');
      await supervisor.stop(100);
    });

    it('so the bound counts asks and not different messages [S-180]', async () => {
      const system = new ActorSystem();
      const ref = system.spawn<string>(() => ({ handle: () => undefined }), {
        mailbox: { capacity: ASKS_PER_ACTOR_MAX + 1, overflow: 'refuse' },
      });
      const ask = (): Promise<CodedError> => rejectionOf(ref.ask(() => 'ping', { timeoutMs: 10_000 }));
      const asked = Array.from({ length: ASKS_PER_ACTOR_MAX }, ask);
      expect((await ask()).code).to.equal('E_ASKS_FULL');
      await system.stop();
      expect((await Promise.all(asked)).every(({ code }) => code === 'E_ACTOR_STOPPED')).to.equal(true);
    });

    it('is handled also when nobody waits for the answer any more', async () => {
      const clock = new FakeClock();
      const system = new ActorSystem({ clock });
      const ref = system.spawn<Question>(async () => {
        await new Promise<void>((resolve) => clock.after(200, resolve));
        return { handle: ({ replyTo }) => void replyTo.tell(1) };
      });
      const asked = rejectionOf(ref.ask(question, SOON));
      await clock.pass(200);
      expect((await asked).code).to.equal('E_ASK_TIMEOUT');
      expect(system.counts()).to.deep.nested.include({ messagesHandled: 1, 'deadLetters.late': 1 });
    });
  });

  it('may be asked with its reply address as the message, and that passed on [S-180]', async () => {
    const system = new ActorSystem({ clock: new FakeClock() });
    const last = system.spawn<ReplyTo<string>>(() => ({
      handle: (replyTo) => void replyTo.tell('from the last'),
    }));
    const first = system.spawn<ReplyTo<string>>((context) => {
      context.startTimer('any', {} as ReplyTo<string>, { delayMs: 1_000 });
      return { handle: (replyTo) => void last.tell(replyTo) };
    });
    expect(await first.ask<string>((replyTo) => replyTo, SOON)).to.equal('from the last');
  });

  it('that is answered with a promise ends at once, and says that an await was forgotten [S-181]', async () => {
    const clock = new FakeClock();
    const system = new ActorSystem({ clock });
    const results: unknown[] = [];
    const answers = [
      new Promise(() => undefined),
      Promise.reject(new Error('nobody hears this one')),
      { then: () => undefined },
    ];
    const ref = system.spawn<Question>(() => ({
      handle: ({ replyTo }) => void results.push(replyTo.tell(answers[results.length])),
    }));
    for (const answer of answers) {
      const error = await rejectionOf(ref.ask(question, SOON));
      expect(error.code).to.equal('E_REPLY_PROMISED');
      expect(error.mend).to.contain('await');
      expect(results.at(-1)).to.deep.equal({ refused: 'E_REPLY_PROMISED', message: answer, error });
    }
    expect(clock.pending, 'no deadline is left').to.equal(0);
    await settle();
  });

  it('without a sound deadline is refused as a rejection that names it [S-13]', async () => {
    const system = new ActorSystem({ clock: new FakeClock() });
    const ref = system.spawn<Question>(() => ({ handle: () => undefined }));
    for (const timeoutMs of [0, -1, NaN, Infinity, 2 ** 31, '5', null, undefined] as number[]) {
      const error = await rejectionOf(ref.ask(question, { timeoutMs }));
      expect(error).to.include({ code: 'E_OPTIONS_INVALID', kind: 'defect' });
      expect(error.message).to.contain('timeoutMs');
    }
    const error = await rejectionOf(ref.ask(question, undefined as unknown as { timeoutMs: number }));
    expect(error.code).to.equal('E_OPTIONS_INVALID');
    expect(system.counts().deadLetters.left).to.equal(0);
  });
});
