import { expect } from 'chai';
import fc from 'fast-check';
import { beforeEach, describe, it } from 'mocha';
import type { ActorContext, ActorFactory } from '../../runtime/actor.ts';
import type { ActorRef, ReplyTo } from '../../runtime/actor-ref.ts';
import { ActorSystem } from '../../runtime/actor-system.ts';
import { localChild } from '../../runtime/supervision/local-placement.ts';
import { Supervisor } from '../../runtime/supervision/supervisor.ts';
import { FakeClock, settle } from '../support/fake-clock.ts';
import { rejectionOf, thrownBy } from '../support/rejection.ts';

describe('the stash of an actor', () => {
  let clock: FakeClock;
  let system: ActorSystem;
  let got: string[];

  beforeEach(() => {
    clock = new FakeClock();
    system = new ActorSystem({ clock });
    got = [];
  });

  /** A door: what comes while it is closed is stashed. */
  const door =
    (isAsync = false): ActorFactory<string> =>
    (context) => {
      let isOpen = false;
      const handle = (message: string): void => {
        if (message === 'open') {
          isOpen = true;
          context.unstashAll();
        } else if (message === 'close') isOpen = false;
        else if (message === 'fail') throw new Error('planted');
        else if (!isOpen) {
          context.stash();
          return;
        }
        got.push(`${context.epoch} ${message}`);
      };
      if (!isAsync) return { handle };
      return {
        async handle(message) {
          await Promise.resolve();
          handle(message);
        },
      };
    };

  for (const isAsync of [false, true]) {
    it(`gives messages back before all that wait, in order (${isAsync ? 'async' : 'sync'}) [S-96]`, async () => {
      const ref = system.spawn<string>(door(isAsync));
      for (const message of ['a', 'b', 'open', 'c', 'close', 'd', 'open']) ref.tell(message);
      for (let turn = 0; turn < 4; turn++) await settle();
      expect(got).to.deep.equal(
        ['open', 'a', 'b', 'c', 'close', 'open', 'd'].map((message) => `1 ${message}`),
      );
      expect(system.counts().deadLetters.failed).to.equal(0);
    });
  }

  it('is counted in the inspection, apart from what waits', async () => {
    const ref = system.spawn<string>(door());
    for (const message of ['a', 'b']) ref.tell(message);
    await settle();
    expect(system.inspect(ref)).to.include({ waiting: 0, stashed: 2 });
  });

  it('gives back the message in hand too when it was stashed first [S-96]', async () => {
    let isFirst = true;
    const ref = system.spawn<string>((context) => ({
      handle(message) {
        got.push(message);
        if (!isFirst) return;
        isFirst = false;
        context.stash();
        context.unstashAll();
      },
    }));
    for (const message of ['a', 'b']) ref.tell(message);
    await settle();
    expect(got).to.deep.equal(['a', 'a', 'b']);
  });

  it('may be opened from outside a handler, and wakes the actor', async () => {
    let context: ActorContext<string> | undefined;
    const ref = system.spawn<string>((given) => {
      context = given;
      let isFirst = true;
      return {
        handle(message) {
          if (isFirst) given.stash();
          else got.push(message);
          isFirst = false;
        },
      };
    });
    ref.tell('a');
    await settle();
    context?.unstashAll();
    await settle();
    expect(got).to.deep.equal(['a']);
  });

  it('lets an ask wait on for its answer, to its own deadline [S-96]', async () => {
    type Question = { replyTo: ReplyTo<string> } | 'open';
    const ref = system.spawn<Question>((context) => {
      let isOpen = false;
      return {
        handle(message) {
          if (message === 'open') {
            isOpen = true;
            context.unstashAll();
          } else if (isOpen) message.replyTo.tell('here');
          else context.stash();
        },
      };
    });
    const ask = (timeoutMs: number): Promise<string> => ref.ask((replyTo) => ({ replyTo }), { timeoutMs });
    const [short, long] = [rejectionOf(ask(10)), ask(1_000)];
    await clock.pass(20);
    ref.tell('open');
    expect((await short).code).to.equal('E_ASK_TIMEOUT');
    expect(await long).to.equal('here');
  });

  describe('when the incarnation ends', () => {
    async function supervised(): Promise<{ ref: ActorRef<string>; supervisor: Supervisor }> {
      const child = localChild(system, 'door', door());
      const supervisor = new Supervisor(
        {
          id: 'root',
          strategy: 'oneForOne',
          intensity: { restartsMax: 5, windowMs: 1_000 },
          children: [{ id: 'door', start: child.start, restart: 'permanent', shutdownDeadlineMs: 100 }],
        },
        { clock },
      );
      await supervisor.start();
      return { ref: child.ref, supervisor };
    }

    it('by a failure or a stop, a kept actor has its messages next, before all that wait [S-97]', async () => {
      const { ref, supervisor } = await supervised();
      for (const message of ['a', 'b', 'fail', 'c']) ref.tell(message);
      await settle();
      expect(system.inspect(ref)).to.include({ epoch: 2, stashed: 3 });
      await supervisor.restartChild('door');
      ref.tell('open');
      await settle();
      expect(got).to.deep.equal(['3 open', '3 a', '3 b', '3 c']);
    });

    it('by a kill, the same [S-97]', async () => {
      const { ref } = await supervised();
      ref.tell('a');
      await settle();
      system.killActor(ref, 'the spec');
      await settle();
      ref.tell('open');
      await settle();
      expect(got).to.deep.equal(['2 open', '2 a']);
    });

    it('for good, they are dead letters, and their asks end at once [S-97]', async () => {
      const { ref, supervisor } = await supervised();
      const asked = rejectionOf(ref.ask(() => 'a', { timeoutMs: 1_000 }));
      ref.tell('b');
      await settle();
      await supervisor.stop(100);
      expect((await asked).code).to.equal('E_ACTOR_STOPPED');
      expect(system.counts().deadLetters.left).to.equal(2);

      const alone = system.spawn<string>(door());
      alone.tell('c');
      await settle();
      await system.stopActor(alone, { drain: true });
      expect(system.counts().deadLetters.left).to.equal(3);
    });

    it('by the very message that was to be stashed, this one is a failed message [S-98]', async () => {
      const ref = system.spawn<string>((context) => ({
        handle() {
          context.stash();
          throw new Error('planted');
        },
      }));
      const asked = rejectionOf(ref.ask(() => 'a', { timeoutMs: 1_000 }));
      expect((await asked).code).to.equal('E_ASK_FAILED');
      expect(system.counts().deadLetters).to.include({ failed: 1, left: 0 });
    });
  });

  it('is bounded: one too many is E_STASH_FULL, and fails its message if it is not caught [S-98]', async () => {
    const codes: string[] = [];
    const ref = system.spawn<string>(
      (context) => ({
        handle(message) {
          if (message === 'last') context.stash();
          try {
            context.stash();
          } catch (thrown) {
            codes.push((thrown as { code: string }).code);
          }
        },
      }),
      { stashCapacity: 2 },
    );
    for (const message of ['a', 'b', 'c']) ref.tell(message);
    await settle();
    expect(codes).to.deep.equal(['E_STASH_FULL']);
    const end = new Promise((resolve) => ref.onTerminated(resolve));
    ref.tell('last');
    expect(await end).to.have.nested.property('error.code', 'E_STASH_FULL');
    expect(system.counts().deadLetters).to.include({ failed: 1, left: 2 });
  });

  it('takes nothing but the message in hand, once [S-98]', async () => {
    const codes: string[] = [];
    const attempt = (what: string, act: () => void): void => {
      try {
        act();
        codes.push(`${what} ok`);
      } catch (thrown) {
        codes.push(`${what} ${(thrown as { code: string }).code}`);
      }
    };
    let context: ActorContext<string> | undefined;
    const other = system.spawn<string>(() => ({ handle: () => undefined }));
    const ref = system.spawn<string>((given) => {
      context = given;
      attempt('factory', () => given.stash());
      given.watch(other);
      return {
        handle() {
          attempt('first', () => given.stash());
          attempt('second', () => given.stash());
        },
        onSignal: () => attempt('signal', () => given.stash()),
        suspend: () => attempt('suspend', () => given.stash()),
        terminate: () => attempt('terminate', () => given.stash()),
      };
    });
    ref.tell('a');
    await settle();
    attempt('idle', () => context?.stash());
    await system.stopActor(other);
    await settle();
    await system.suspend(ref);
    await system.stopActor(ref);
    attempt('stale', () => context?.stash());
    expect(codes).to.deep.equal([
      'factory E_NOTHING_TO_STASH',
      'first ok',
      'second E_NOTHING_TO_STASH',
      'idle E_NOTHING_TO_STASH',
      'signal E_NOTHING_TO_STASH',
      'suspend E_NOTHING_TO_STASH',
      'terminate E_NOTHING_TO_STASH',
      'stale ok',
    ]);
  });

  it('may have a size from 1 to its bound', () => {
    for (const stashCapacity of [0, 1.5, 65_537]) {
      const spawn = (): unknown => system.spawn<string>(door(), { stashCapacity });
      expect(thrownBy(spawn).message).to.contain('stashCapacity');
    }
  });

  it('loses, doubles and reorders nothing, whatever the actor does [S-96] [S-97]', async () => {
    // What the actor is told to do with each message when it comes: a number for each time it is handled.
    const script = fc.array(
      fc.record({
        stashesTimes: fc.integer({ min: 0, max: 2 }),
        opens: fc.boolean(),
        fails: fc.boolean(),
        isAsync: fc.boolean(),
        gap: fc.boolean(),
      }),
      { maxLength: 30 },
    );
    await fc.assert(
      fc.asyncProperty(script, async (steps) => {
        const clockNow = new FakeClock();
        const own = new ActorSystem({ clock: clockNow });
        const seen = new Map<number, number>();
        const handled: number[] = [];
        const failed: number[] = [];
        // A list model: what waits, what is stashed.
        const expected: number[] = [];
        let waiting: number[] = [];
        let stashed: number[] = [];
        const modelSeen = new Map<number, number>();
        const modelTurn = (n: number): void => {
          const step = steps[n];
          if (step === undefined) return;
          const times = modelSeen.get(n) ?? 0;
          modelSeen.set(n, times + 1);
          if (times < step.stashesTimes) stashed.push(n);
          else if (step.fails) [waiting, stashed] = [[...stashed, ...waiting], []];
          else {
            expected.push(n);
            if (step.opens) [waiting, stashed] = [[...stashed, ...waiting], []];
          }
        };
        const modelRun = (): void => {
          for (let n = waiting.shift(); n !== undefined; n = waiting.shift()) modelTurn(n);
        };
        const child = localChild<number>(own, 'actor', (context) => {
          const handle = (n: number): void => {
            const step = steps[n];
            if (step === undefined) return;
            const times = seen.get(n) ?? 0;
            seen.set(n, times + 1);
            if (times < step.stashesTimes) {
              context.stash();
              return;
            }
            if (step.fails) {
              failed.push(n);
              throw new Error('planted');
            }
            handled.push(n);
            if (step.opens) context.unstashAll();
          };
          return {
            handle: (n) => (steps[n]?.isAsync === true ? Promise.resolve().then(() => handle(n)) : handle(n)),
          };
        });
        const supervisor = new Supervisor(
          {
            id: 'root',
            strategy: 'oneForOne',
            intensity: { restartsMax: 100, windowMs: 1_000 },
            children: [{ id: 'actor', start: child.start, restart: 'permanent', shutdownDeadlineMs: 100 }],
          },
          { clock: clockNow },
        );
        await supervisor.start();
        for (const [n, { gap }] of steps.entries()) {
          child.ref.tell(n);
          waiting.push(n);
          if (!gap) continue;
          for (let turn = 0; turn < 3; turn++) await settle();
          modelRun();
        }
        for (let turn = 0; turn < 5; turn++) await settle();
        modelRun();
        expect(handled).to.deep.equal(expected);
        expect(own.inspect(child.ref)).to.include({ waiting: 0, stashed: stashed.length });
        await supervisor.stop(100);
        const { deadLetters } = own.counts();
        expect(deadLetters).to.include({ left: stashed.length, failed: failed.length });
        expect(handled.length + failed.length + stashed.length).to.equal(steps.length);
      }),
      { numRuns: 60 },
    );
  });
});
