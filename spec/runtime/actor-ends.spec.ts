import { expect } from 'chai';
import { describe, it } from 'mocha';
import type { ActorContext, ActorInstance } from '../../runtime/actor.ts';
import type { ActorRef } from '../../runtime/actor-ref.ts';
import { ActorSystem } from '../../runtime/actor-system.ts';
import type { CodedError } from '../../runtime/errors.ts';
import type { ExitReason } from '../../runtime/exit-reason.ts';
import { localChild } from '../../runtime/supervision/local-placement.ts';
import { FakeClock, settle } from '../support/fake-clock.ts';
import { rejectionOf } from '../support/rejection.ts';

const never = (): Promise<void> => new Promise(() => undefined);

function endOf(ref: ActorRef<never> | ActorRef<string>): { reason: ExitReason | undefined } {
  const end: { reason: ExitReason | undefined } = { reason: undefined };
  ref.onTerminated((reason) => {
    end.reason = reason;
  });
  return end;
}

describe('The end of an actor', () => {
  describe('stop and kill', () => {
    it('stops after the message in hand; what waits goes to the dead letters [S-19]', async () => {
      const system = new ActorSystem({ clock: new FakeClock() });
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
      const system = new ActorSystem({ clock: new FakeClock() });
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

    it('begins an actor that has not begun, and drains it, but only for what waits [S-19]', async () => {
      const system = new ActorSystem({ clock: new FakeClock() });
      const got: string[] = [];
      const spawn = (): ActorRef<string> =>
        system.spawn<string>(async () => {
          got.push('begun');
          await settle();
          return { handle: (message) => void got.push(message) };
        });
      const idle = spawn();
      expect(await system.stopActor(idle, { drain: true })).to.deep.equal({ kind: 'shutdown' });
      expect(got).to.deep.equal([]);
      const ref = spawn();
      for (const message of ['a', 'b']) ref.tell(message);
      const stopped = system.stopActor(ref, { drain: true });
      await new Promise(setImmediate);
      expect(ref.tell('late')).to.deep.equal({ refused: 'E_ACTOR_STOPPED', message: 'late' });
      expect(await stopped).to.deep.equal({ kind: 'shutdown' });
      expect(got).to.deep.equal(['begun', 'a', 'b']);
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
      const system = new ActorSystem({ clock: new FakeClock() });
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
      const system = new ActorSystem({ clock: new FakeClock() });
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
      const system = new ActorSystem({ clock: new FakeClock() });
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
        const system = new ActorSystem({ clock: new FakeClock() });
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
      const system = new ActorSystem({ clock: new FakeClock() });
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

    it('may be 512 levels deep, which end on one stack however they end, and no deeper [S-22]', async () => {
      for (const end of ['stop', 'kill', 'fail'] as const) {
        const system = new ActorSystem({ clock: new FakeClock() });
        const refused: string[] = [];
        const level = (context: ActorContext<string>): ActorInstance<string> => {
          try {
            context.spawn<string>(level);
          } catch (thrown) {
            refused.push((thrown as CodedError).code);
          }
          return {
            handle() {
              throw new Error('planted');
            },
            terminate: () => undefined,
          };
        };
        const ref = system.spawn<string>(level);
        await settle();
        expect(system.counts().actors).to.equal(512);
        expect(refused).to.deep.equal(['E_ACTORS_TOO_DEEP']);
        const ended = endOf(ref);
        if (end === 'stop') await system.stopActor(ref);
        else if (end === 'kill') system.killActor(ref, 'a spec');
        else ref.tell('fail');
        await settle();
        expect(ended.reason?.kind).to.equal({ stop: 'shutdown', kill: 'killed', fail: 'failed' }[end]);
        expect(system.counts()).to.include({ actors: 0, ended: 512 });
      }
    });

    it('are not stopped through the context of an incarnation that has ended [S-17]', async () => {
      const clock = new FakeClock();
      const system = new ActorSystem({ clock });
      const contexts: ActorContext<string>[] = [];
      const child = localChild<string>(system, 'parent', (context) => {
        contexts.push(context);
        context.spawn<string>(() => ({ handle: () => undefined }), { name: 'child' });
        return {
          handle() {
            throw new Error('planted');
          },
        };
      });
      const first = await child.start({ epoch: 1, previousExit: undefined });
      child.ref.tell('fail');
      await first.exited;
      await child.start({ epoch: 2, previousExit: undefined });
      const present = system.whereis<string>('child') as ActorRef<string>;
      const stopped = rejectionOf(contexts[0]?.stopChild(present) as Promise<unknown>);
      expect((await stopped).code).to.equal('E_ACTOR_STOPPED');
      await settle();
      expect(present.tell('still there')).to.equal('accepted');
      await contexts[1]?.stopChild(present);
      expect(system.whereis('child')).to.equal(undefined);
    });

    it('can be stopped by their parent and by no other actor', async () => {
      const system = new ActorSystem({ clock: new FakeClock() });
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
});
