import { expect } from 'chai';
import { describe, it } from 'mocha';
import type { ActorFactory } from '../../runtime/actor.ts';
import type { ReplyTo } from '../../runtime/actor-ref.ts';
import { ActorSystem } from '../../runtime/actor-system.ts';
import type { OverflowPolicy } from '../../runtime/mailbox.ts';
import { FakeClock, settle } from '../support/fake-clock.ts';
import { rejectionOf } from '../support/rejection.ts';

interface Question {
  type: 'question';
  replyTo: ReplyTo<number>;
}

const ask = (replyTo: ReplyTo<number>): Question => ({ type: 'question', replyTo });

function collecting(into: number[]): ActorFactory<number> {
  return () => ({
    handle(message) {
      into.push(message);
    },
  });
}

describe('ActorRef', () => {
  describe('tell', () => {
    it('delivers the messages of one sender in the order told [S-1]', async () => {
      const system = new ActorSystem({ clock: new FakeClock() });
      const got: number[] = [];
      const ref = system.spawn(collecting(got), { mailbox: { capacity: 1_000, overflow: 'refuse' } });
      const sent = Array.from({ length: 1_000 }, (_, index) => index);
      for (const message of sent) expect(ref.tell(message)).to.equal('accepted');
      await settle();
      expect(got).to.deep.equal(sent);
    });

    it('gives the message back to the sender of a dead actor, and notes a dead letter [S-4] [S-12]', async () => {
      const system = new ActorSystem({ clock: new FakeClock() });
      const ref = system.spawn(collecting([]));
      await system.stopActor(ref);
      expect(ref.tell(7)).to.deep.equal({ refused: 'E_ACTOR_STOPPED', message: 7 });
      expect(await ref.tellWhenAccepted(8)).to.deep.equal({ refused: 'E_ACTOR_STOPPED', message: 8 });
      expect(system.deadLetters.list().map(({ messageType, reason }) => [messageType, reason])).to.deep.equal(
        [
          ['number', 'stopped'],
          ['number', 'stopped'],
        ],
      );
    });
  });

  describe('when full', () => {
    const tellThree = async (
      overflow: OverflowPolicy,
    ): Promise<{ results: unknown[]; got: number[]; system: ActorSystem }> => {
      const system = new ActorSystem({ clock: new FakeClock() });
      const got: number[] = [];
      const ref = system.spawn(collecting(got), { mailbox: { capacity: 2, overflow } });
      const results = [1, 2, 3].map((message) => ref.tell(message));
      await settle();
      return { results, got, system };
    };

    it('gives the refused message back under refuse [S-4] [S-8]', async () => {
      const { results, got, system } = await tellThree('refuse');
      expect(results).to.deep.equal(['accepted', 'accepted', { refused: 'E_MAILBOX_FULL', message: 3 }]);
      expect(got).to.deep.equal([1, 2]);
      expect(system.counts().refused).to.equal(1);
      expect(system.deadLetters.list()).to.deep.equal([]);
    });

    it('drops and counts the longest waiting under dropOldest [S-9]', async () => {
      const { results, got, system } = await tellThree('dropOldest');
      expect(results).to.deep.equal(['accepted', 'accepted', 'accepted']);
      expect(got).to.deep.equal([2, 3]);
      expect(system.counts().deadLetters.dropped).to.equal(1);
    });

    it('drops and counts the new one under dropNewest [S-10]', async () => {
      const { results, got, system } = await tellThree('dropNewest');
      expect(results).to.deep.equal(['accepted', 'accepted', 'dropped']);
      expect(got).to.deep.equal([1, 2]);
      expect(system.counts().deadLetters.dropped).to.equal(1);
    });

    it('refuses tell and lets tellWhenAccepted wait under block [S-11]', async () => {
      const { results } = await tellThree('block');
      expect(results[2]).to.deep.equal({ refused: 'E_MAILBOX_FULL', message: 3 });
      const system = new ActorSystem({ clock: new FakeClock() });
      const got: number[] = [];
      const ref = system.spawn(collecting(got), { mailbox: { capacity: 2, overflow: 'block' } });
      const all = await Promise.all([1, 2, 3, 4, 5, 6].map((message) => ref.tellWhenAccepted(message)));
      await settle();
      expect(new Set(all)).to.deep.equal(new Set(['accepted']));
      expect(got).to.deep.equal([1, 2, 3, 4, 5, 6]);
    });

    it('gives waiting senders their messages back when the actor dies', async () => {
      const system = new ActorSystem({ clock: new FakeClock() });
      const ref = system.spawn<number>(() => ({ handle: () => new Promise<void>(() => undefined) }), {
        mailbox: { capacity: 1, overflow: 'block' },
      });
      ref.tell(1);
      await settle();
      ref.tell(2);
      const waiting = ref.tellWhenAccepted(3);
      await settle();
      system.killActor(ref, 'a spec');
      expect(await waiting).to.deep.equal({ refused: 'E_ACTOR_STOPPED', message: 3 });
    });
  });

  describe('ask', () => {
    it('resolves with the answer and leaves no deadline behind [S-13]', async () => {
      const clock = new FakeClock();
      const system = new ActorSystem({ clock });
      const ref = system.spawn<Question>(() => ({
        handle({ replyTo }) {
          replyTo.tell(42);
        },
      }));
      expect(await ref.ask(ask, { timeoutMs: 100 })).to.equal(42);
      expect(clock.pending).to.equal(0);
    });

    it('rejects at the deadline, then drops and counts the late answer [S-13]', async () => {
      const clock = new FakeClock();
      const system = new ActorSystem({ clock });
      let kept: ReplyTo<number> | undefined;
      const ref = system.spawn<Question>(() => ({
        handle({ replyTo }) {
          kept = replyTo;
        },
      }));
      const answer = rejectionOf(ref.ask(ask, { timeoutMs: 100 }));
      await clock.pass(99);
      expect(kept).to.not.equal(undefined);
      await clock.pass(1);
      expect((await answer).code).to.equal('E_ASK_TIMEOUT');
      expect(kept?.tell(1)).to.deep.equal({ refused: 'E_REPLY_LATE', message: 1 });
      expect(system.counts().deadLetters.late).to.equal(1);
    });

    it('takes the first of two answers and counts the second as late', async () => {
      const system = new ActorSystem({ clock: new FakeClock() });
      const ref = system.spawn<Question>(() => ({
        handle({ replyTo }) {
          replyTo.tell(1);
          replyTo.tell(2);
        },
      }));
      expect(await ref.ask(ask, { timeoutMs: 100 })).to.equal(1);
      expect(system.counts().deadLetters.late).to.equal(1);
    });

    it('rejects at once when the actor dies or is dead already [S-14]', async () => {
      const clock = new FakeClock();
      const system = new ActorSystem({ clock });
      const ref = system.spawn<Question>(() => ({ handle: () => undefined }));
      const waiting = rejectionOf(ref.ask(ask, { timeoutMs: 10_000 }));
      await settle();
      await system.stopActor(ref);
      expect((await waiting).code).to.equal('E_ACTOR_STOPPED');
      expect((await rejectionOf(ref.ask(ask, { timeoutMs: 10_000 }))).code).to.equal('E_ACTOR_STOPPED');
      expect(clock.pending).to.equal(0);
    });

    it('rejects at once, with the cause, when handling this very message fails [S-15]', async () => {
      const system = new ActorSystem({ clock: new FakeClock() });
      const ref = system.spawn<Question>(() => ({
        handle() {
          throw new Error('broken');
        },
      }));
      const error = await rejectionOf(ref.ask(ask, { timeoutMs: 10_000 }));
      expect(error.code).to.equal('E_ASK_FAILED');
      expect((error.cause as Error).message).to.equal('broken');
    });

    it('rejects when the message is refused, or dropped later to make room', async () => {
      const system = new ActorSystem({ clock: new FakeClock() });
      const never = (): ActorFactory<Question> => () => ({
        handle: () => new Promise<void>(() => undefined),
      });
      const refusing = system.spawn(never(), { mailbox: { capacity: 1, overflow: 'refuse' } });
      const dropping = system.spawn(never(), { mailbox: { capacity: 1, overflow: 'dropOldest' } });
      for (const ref of [refusing, dropping]) {
        void ref.ask(ask, { timeoutMs: 10_000 }).catch(() => undefined);
        await settle();
      }
      void refusing.ask(ask, { timeoutMs: 10_000 }).catch(() => undefined);
      expect((await rejectionOf(refusing.ask(ask, { timeoutMs: 10_000 }))).code).to.equal('E_MAILBOX_FULL');
      const displaced = rejectionOf(dropping.ask(ask, { timeoutMs: 10_000 }));
      void dropping.ask(ask, { timeoutMs: 10_000 }).catch(() => undefined);
      expect((await displaced).code).to.equal('E_MAILBOX_FULL');
    });

    it('waits for room at a block mailbox, and no longer than its deadline', async () => {
      const clock = new FakeClock();
      const system = new ActorSystem({ clock });
      let release: () => void = () => undefined;
      const ref = system.spawn<Question>(
        () => ({
          handle: ({ replyTo }) =>
            new Promise<void>((resolve) => {
              release = () => {
                replyTo.tell(5);
                resolve();
              };
            }),
        }),
        { mailbox: { capacity: 1, overflow: 'block' } },
      );
      const first = ref.ask(ask, { timeoutMs: 1_000 });
      await settle();
      const second = ref.ask(ask, { timeoutMs: 1_000 });
      const third = ref.ask(ask, { timeoutMs: 1_000 });
      const tooLate = rejectionOf(ref.ask(ask, { timeoutMs: 10 }));
      await clock.pass(10);
      expect((await tooLate).code).to.equal('E_ASK_TIMEOUT');
      for (const answer of [first, second, third]) {
        release();
        await settle();
        expect(await answer).to.equal(5);
      }
      expect(system.counts().messagesHandled).to.equal(3);
    });

    it('passes on what building the message throws', async () => {
      const ref = new ActorSystem({ clock: new FakeClock() }).spawn<Question>(() => ({
        handle: () => undefined,
      }));
      const asked = ref.ask(
        () => {
          throw new Error('no message');
        },
        { timeoutMs: 100 },
      );
      let message = '';
      await asked.catch((thrown: Error) => {
        message = thrown.message;
      });
      expect(message).to.equal('no message');
    });
  });

  it('prints as its path', () => {
    const ref = new ActorSystem({ clock: new FakeClock() }).spawn<number>(
      () => ({ handle: () => undefined }),
      { name: 'printer' },
    );
    expect(JSON.stringify({ ref })).to.equal('{"ref":"/printer"}');
  });
});
