import { expect } from 'chai';
import { describe, it } from 'mocha';
import type { ActorContext } from '../../runtime/actor.ts';
import type { ActorSignal } from '../../runtime/actor-signal.ts';
import type { ActorRef } from '../../runtime/actor-ref.ts';
import { ActorSystem } from '../../runtime/actor-system.ts';
import type { ExitReason } from '../../runtime/exit-reason.ts';
import { FakeClock, settle } from '../support/fake-clock.ts';
import { thrownBy } from '../support/rejection.ts';

function endOf(ref: ActorRef<never> | ActorRef<string>): { reason: ExitReason | undefined } {
  const end: { reason: ExitReason | undefined } = { reason: undefined };
  ref.onTerminated((reason) => {
    end.reason = reason;
  });
  return end;
}

describe('ActorCell', () => {
  describe('handling', () => {
    it('begins no message before the one before has settled [S-2]', async () => {
      const system = new ActorSystem({ clock: new FakeClock() });
      const trace: string[] = [];
      const ref = system.spawn<string>(() => ({
        async handle(message) {
          trace.push(`begin ${message}`);
          await settle();
          trace.push(`end ${message}`);
        },
      }));
      for (const message of ['a', 'b']) ref.tell(message);
      for (let turn = 0; turn < 6; turn++) await settle();
      expect(trace).to.deep.equal(['begin a', 'end a', 'begin b', 'end b']);
    });

    it('keeps messages told during an async start for afterwards [S-2]', async () => {
      const system = new ActorSystem({ clock: new FakeClock() });
      const got: string[] = [];
      const ref = system.spawn<string>(async () => {
        await settle();
        return {
          handle(message) {
            got.push(message);
          },
        };
      });
      ref.tell('early');
      await settle();
      await settle();
      expect(got).to.deep.equal(['early']);
    });

    it('takes any thenable for a promise', async () => {
      const system = new ActorSystem({ clock: new FakeClock() });
      const ref = system.spawn<string>(() => ({
        handle: () =>
          ({
            then: (_resolve: () => void, reject: (error: Error) => void) => reject(new Error('planted')),
          }) as unknown as Promise<void>,
      }));
      const end = endOf(ref);
      ref.tell('go');
      await settle();
      expect(end.reason?.kind).to.equal('failed');
    });

    it('gives every ready actor its turn after at most 64 messages [S-6]', async () => {
      const system = new ActorSystem({ clock: new FakeClock() });
      const order: string[] = [];
      const spawn = (name: string): ActorRef<number> =>
        system.spawn<number>(
          () => ({
            handle() {
              order.push(name);
            },
          }),
          { mailbox: { capacity: 1_000, overflow: 'refuse' } },
        );
      const refs = [spawn('a'), spawn('b')];
      await settle();
      for (let message = 0; message < 500; message++) for (const ref of refs) ref.tell(message);
      await settle();
      expect(order.length).to.equal(1_000);
      let run = 0;
      const runs = order.map((name, index) => (run = name === order[index - 1] ? run + 1 : 1));
      expect(Math.max(...runs)).to.be.at.most(64);
    });
  });

  describe('a handler past its deadline', () => {
    it('changes nothing any more when it comes back: result, context and failure are ignored [S-17]', async () => {
      const clock = new FakeClock();
      const system = new ActorSystem({ clock });
      let comeBack: (error?: Error) => void = () => undefined;
      let stale: ActorContext<string> | undefined;
      const ref = system.spawn<string>(
        (context) => {
          stale = context;
          return {
            handle: () =>
              new Promise((resolve, reject) => {
                comeBack = (error) => (error === undefined ? resolve() : reject(error));
              }),
          };
        },
        { handlerTimeoutMs: 100 },
      );
      const end = endOf(ref);
      ref.tell('go');
      await clock.pass(100);
      expect(end.reason?.kind).to.equal('hung');
      comeBack(new Error('late'));
      await settle();
      expect(system.counts()).to.include({ staleSettles: 1, failed: 1, actors: 0 });
      expect(thrownBy(() => stale?.spawn(() => ({ handle: () => undefined }))).code).to.equal(
        'E_ACTOR_STOPPED',
      );
      stale?.startTimer('late', 'x', { delayMs: 1 });
      stale?.stop();
      expect(clock.pending).to.equal(0);
      expect(stale?.signal.aborted).to.equal(true);
    });

    it('is measured for each message alone, however many there are', async () => {
      const clock = new FakeClock();
      const system = new ActorSystem({ clock });
      const done: (() => void)[] = [];
      const ref = system.spawn<string>(
        () => ({ handle: () => new Promise<void>((resolve) => done.push(resolve)) }),
        {
          handlerTimeoutMs: 100,
        },
      );
      const end = endOf(ref);
      for (const message of ['a', 'b', 'c', 'd']) ref.tell(message);
      for (let message = 0; message < 3; message++) {
        await clock.pass(80);
        done.shift()?.();
        await settle();
      }
      expect(end.reason).to.equal(undefined);
      await clock.pass(99);
      expect(end.reason).to.equal(undefined);
      await clock.pass(1);
      expect(end.reason).to.deep.include({ kind: 'hung', silentMs: 100 });
    });

    it('whose start comes late has its instance terminated, since nobody else will', async () => {
      const clock = new FakeClock();
      const system = new ActorSystem({ clock });
      const reasons: ExitReason[] = [];
      let ready: () => void = () => undefined;
      system.spawn<string>(
        async () => {
          await new Promise<void>((resolve) => {
            ready = resolve;
          });
          return { handle: () => undefined, terminate: (reason) => void reasons.push(reason) };
        },
        { startTimeoutMs: 50 },
      );
      await clock.pass(50);
      ready();
      await settle();
      expect(reasons).to.deep.equal([{ kind: 'killed', by: 'its start had been given up' }]);
    });
  });

  describe('death watch', () => {
    interface Watching {
      system: ActorSystem;
      watched: ActorRef<string>;
      signals: ActorSignal[];
      context: ActorContext<string>;
    }

    async function watching(): Promise<Watching> {
      const system = new ActorSystem({ clock: new FakeClock() });
      const signals: ActorSignal[] = [];
      const watched = system.spawn<string>(() => ({ handle: () => undefined }));
      let context: ActorContext<string> | undefined;
      system.spawn<string>((given) => {
        context = given;
        given.watch(watched);
        given.watch(watched);
        return { handle: () => undefined, onSignal: (signal) => void signals.push(signal) };
      });
      await settle();
      return { system, watched, signals, context: context as ActorContext<string> };
    }

    it('signals the end once, with its reason, however often it was asked for [S-23]', async () => {
      const { system, watched, signals } = await watching();
      system.killActor(watched, 'a spec');
      await settle();
      expect(signals).to.deep.equal([
        { type: 'terminated', ref: watched, reason: { kind: 'killed', by: 'a spec' } },
      ]);
    });

    it('signals at once when the watched actor is dead already [S-23]', async () => {
      const { system, watched, signals, context } = await watching();
      await system.stopActor(watched);
      await settle();
      context.watch(watched);
      await settle();
      expect(signals.length).to.equal(2);
    });

    it('brings no signal after unwatch, not even one on its way [S-23]', async () => {
      const { system, watched, signals, context } = await watching();
      system.killActor(watched, 'a spec');
      context.unwatch(watched);
      await settle();
      expect(signals).to.deep.equal([]);
    });

    it('hands signals over before messages that were told earlier [S-5]', async () => {
      const system = new ActorSystem({ clock: new FakeClock() });
      const trace: string[] = [];
      const watched = system.spawn<string>(() => ({ handle: () => undefined }));
      const ref = system.spawn<string>((context) => {
        context.watch(watched);
        return {
          handle: (message) => void trace.push(message),
          onSignal: (signal) => void trace.push(signal.type),
        };
      });
      await settle();
      ref.tell('message');
      system.killActor(watched, 'a spec');
      await settle();
      expect(trace).to.deep.equal(['terminated', 'message']);
    });

    it('lets a listener that throws hurt nobody', async () => {
      const logged: string[] = [];
      const system = new ActorSystem({ clock: new FakeClock(), log: ({ text }) => logged.push(text) });
      const ref = system.spawn<string>(() => ({ handle: () => undefined }));
      let calls = 0;
      ref.onTerminated(() => {
        throw new Error('planted');
      });
      ref.onTerminated(() => calls++);
      ref.onTerminated(() => calls++)();
      await system.stopActor(ref);
      expect(calls).to.equal(1);
      expect(logged).to.deep.equal(['a termination listener threw']);
    });
  });
});
