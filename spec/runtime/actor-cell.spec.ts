import { expect } from 'chai';
import { describe, it } from 'mocha';
import type { ActorContext } from '../../runtime/actor.ts';
import type { ActorSignal } from '../../runtime/actor-signal.ts';
import type { ActorRef } from '../../runtime/actor-ref.ts';
import { ActorSystem } from '../../runtime/actor-system.ts';
import type { ExitReason } from '../../runtime/exit-reason.ts';
import { FakeClock, settle } from '../support/fake-clock.ts';
import { rejectionOf, thrownBy } from '../support/rejection.ts';

const never = (): Promise<void> => new Promise(() => undefined);

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
      const system = new ActorSystem();
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
      const system = new ActorSystem();
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
      const system = new ActorSystem();
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

  describe('stop and kill', () => {
    it('stops after the message in hand; what waits goes to the dead letters [S-19]', async () => {
      const system = new ActorSystem();
      const got: string[] = [];
      const ref = system.spawn<string>(() => ({
        async handle(message) {
          await settle();
          got.push(message);
        },
      }));
      for (const message of ['a', 'b', 'c']) ref.tell(message);
      await new Promise(setImmediate);
      expect(await system.stopActor(ref)).to.deep.equal({ kind: 'shutdown' });
      expect(got).to.deep.equal(['a']);
      expect(system.counts().deadLetters.left).to.equal(2);
    });

    it('handles what waits, and takes nothing new, when it is to drain [S-19]', async () => {
      const system = new ActorSystem();
      const got: string[] = [];
      const ref = system.spawn<string>(() => ({
        async handle(message) {
          await settle();
          got.push(message);
        },
      }));
      for (const message of ['a', 'b', 'c']) ref.tell(message);
      await new Promise(setImmediate);
      const stopped = system.stopActor(ref, { drain: true });
      for (let turn = 0; turn < 3; turn++) await settle();
      expect(ref.tell('late')).to.deep.equal({ refused: 'E_ACTOR_STOPPED', message: 'late' });
      expect(await stopped).to.deep.equal({ kind: 'shutdown' });
      expect(got).to.deep.equal(['a', 'b', 'c']);
    });

    it('kills at the deadline what does not stop, and loses the message in hand [S-20] [S-21]', async () => {
      const clock = new FakeClock();
      const system = new ActorSystem({ clock });
      let wasTerminated = false;
      const ref = system.spawn<string>(() => ({
        handle: never,
        terminate: () => void (wasTerminated = true),
      }));
      ref.tell('go');
      await settle();
      const stopped = system.stopActor(ref, { deadlineMs: 300 });
      await clock.pass(300);
      expect(await stopped).to.deep.equal({ kind: 'killed', by: 'it did not stop within 300 ms' });
      expect(wasTerminated).to.equal(false);
      expect(system.counts().deadLetters.killed).to.equal(1);
      expect(clock.pending).to.equal(0);
    });

    it('kills at once, without terminate, and aborts the signal [S-18] [S-21]', async () => {
      const system = new ActorSystem();
      let wasTerminated = false;
      let signal: AbortSignal | undefined;
      const ref = system.spawn<string>((context) => {
        signal = context.signal;
        return { handle: never, terminate: () => void (wasTerminated = true) };
      });
      const end = endOf(ref);
      ref.tell('go');
      await settle();
      system.killActor(ref, 'a spec');
      expect(end.reason).to.deep.equal({ kind: 'killed', by: 'a spec' });
      expect(signal?.aborted).to.equal(true);
      expect(wasTerminated).to.equal(false);
    });

    it('serves a kill before a stop, and both before messages [S-5]', async () => {
      const system = new ActorSystem();
      const got: string[] = [];
      const ref = system.spawn<string>((context) => ({
        handle(message) {
          got.push(message);
          context.stop();
          system.killActor(context.self, 'itself');
        },
      }));
      const end = endOf(ref);
      for (const message of ['a', 'b']) ref.tell(message);
      await settle();
      expect(got).to.deep.equal(['a']);
      expect(end.reason).to.deep.equal({ kind: 'killed', by: 'itself' });
    });

    it('ends as normal when it stops itself, and is terminated with that reason [S-18]', async () => {
      const system = new ActorSystem();
      const reasons: ExitReason[] = [];
      const ref = system.spawn<string>((context) => ({
        handle: () => context.stop(),
        terminate: (reason) => void reasons.push(reason),
      }));
      const end = endOf(ref);
      ref.tell('go');
      await settle();
      expect([end.reason, ...reasons]).to.deep.equal([{ kind: 'normal' }, { kind: 'normal' }]);
    });

    it('may be stopped while it starts, and before it has begun', async () => {
      const clock = new FakeClock();
      const system = new ActorSystem({ clock });
      let begun = 0;
      const unbegun = system.spawn<string>(() => {
        begun++;
        return { handle: () => undefined };
      });
      expect(await system.stopActor(unbegun)).to.deep.equal({ kind: 'shutdown' });
      expect(begun).to.equal(0);
      const starting = system.spawn<string>(() => new Promise(() => undefined));
      await settle();
      const stopped = system.stopActor(starting, { deadlineMs: 100 });
      await clock.pass(100);
      expect((await stopped).kind).to.equal('killed');
    });

    it('keeps the deadline of a stop that was asked for during the start', async () => {
      const clock = new FakeClock();
      const system = new ActorSystem({ clock });
      let ready: () => void = () => undefined;
      const ref = system.spawn<string>(async () => {
        await new Promise<void>((resolve) => {
          ready = resolve;
        });
        return { handle: () => undefined, terminate: never };
      });
      await settle();
      const stopped = system.stopActor(ref, { deadlineMs: 100 });
      ready();
      await clock.pass(100);
      expect((await stopped).kind).to.equal('killed');
    });
  });

  describe('children', () => {
    function family(system: ActorSystem, ended: string[]): ActorRef<string> {
      return system.spawn<string>(
        (context) => {
          for (const name of ['eldest', 'middle', 'youngest']) {
            context.spawn<string>(
              () => ({ handle: () => undefined, terminate: () => void ended.push(name) }),
              { name },
            );
          }
          return {
            handle() {
              throw new Error('planted');
            },
            terminate: () => void ended.push('parent'),
          };
        },
        { name: 'parent' },
      );
    }

    it('end before their parent, the youngest first, when it stops or fails [S-22]', async () => {
      for (const end of ['stop', 'fail'] as const) {
        const system = new ActorSystem();
        const ended: string[] = [];
        const ref = family(system, ended);
        await settle();
        expect(system.whereis('middle')?.path).to.equal('/parent/middle');
        if (end === 'stop') await system.stopActor(ref);
        else ref.tell('fail');
        await settle();
        expect(ended).to.deep.equal(['youngest', 'middle', 'eldest', 'parent']);
        expect(system.counts().actors).to.equal(0);
      }
    });

    it('are killed with their parent [S-22]', async () => {
      const system = new ActorSystem();
      const ended: string[] = [];
      const ref = family(system, ended);
      await settle();
      const child = endOf(system.whereis<string>('middle') as ActorRef<string>);
      system.killActor(ref, 'a spec');
      expect(child.reason).to.deep.equal({ kind: 'killed', by: 'its parent was killed: a spec' });
      expect(ended).to.deep.equal([]);
      expect(system.counts().actors).to.equal(0);
    });

    it('outlast the deadline of a stop: all are killed, none is terminated, each ends once [S-18] [S-20]', async () => {
      const clock = new FakeClock();
      const system = new ActorSystem({ clock });
      const trace: string[] = [];
      const endless = (name: string) => () => ({
        handle: () => undefined,
        terminate: () => {
          trace.push(`terminate ${name}`);
          return name === 'parent' ? undefined : never();
        },
      });
      const parent = system.spawn<string>((context) => {
        context.spawn(endless('elder'));
        context.spawn(endless('younger'));
        return endless('parent')();
      });
      parent.onTerminated(({ kind }) => trace.push(kind));
      await settle();
      const stopped = system.stopActor(parent, { deadlineMs: 100 });
      await clock.pass(100);
      expect((await stopped).kind).to.equal('killed');
      expect(trace).to.deep.equal(['terminate younger', 'killed']);
      expect(system.counts()).to.include({ actors: 0, ended: 3, killed: 3 });
      expect(clock.pending).to.equal(0);
    });

    it('can be stopped by their parent and by no other actor', async () => {
      const system = new ActorSystem();
      const stranger = system.spawn<string>(() => ({ handle: () => undefined }));
      let context: ActorContext<string> | undefined;
      system.spawn<string>((given) => {
        context = given;
        return { handle: () => undefined };
      });
      await settle();
      const child = context?.spawn<string>(() => ({ handle: () => undefined })) as ActorRef<string>;
      expect(await context?.stopChild(child)).to.deep.equal({ kind: 'shutdown' });
      expect((await rejectionOf(context?.stopChild(stranger) as Promise<unknown>)).code).to.equal(
        'E_NOT_A_CHILD',
      );
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
      const system = new ActorSystem();
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
      const system = new ActorSystem();
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
      const system = new ActorSystem({ log: ({ text }) => logged.push(text) });
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
