import { expect } from 'chai';
import { beforeEach, describe, it } from 'mocha';
import type { ActorContext, ActorFactory, ActorInstance } from '../../runtime/actor.ts';
import type { ActorRef } from '../../runtime/actor-ref.ts';
import { ActorSystem } from '../../runtime/actor-system.ts';
import { INSPECTION_BYTES_MAX } from '../../runtime/limits.ts';
import type { TreeEvent } from '../../runtime/supervision/tree-event.ts';
import { localChild } from '../../runtime/supervision/local-placement.ts';
import type { LocalChild, LocalChildOptions } from '../../runtime/supervision/local-placement.ts';
import { Supervisor } from '../../runtime/supervision/supervisor.ts';
import { FakeClock, settle } from '../support/fake-clock.ts';
import { rejectionOf, thrownBy } from '../support/rejection.ts';

describe('OperatedCell', () => {
  let clock: FakeClock;
  let system: ActorSystem;
  let got: string[];

  beforeEach(() => {
    clock = new FakeClock();
    system = new ActorSystem({ clock });
    got = [];
  });

  const recorder =
    (more: Partial<ActorInstance<string>> = {}): ActorFactory<string> =>
    (context) => ({
      handle(message) {
        if (message === 'fail') throw new Error('planted');
        got.push(`${context.epoch} ${message}`);
      },
      ...more,
    });
  async function supervised(
    factory: ActorFactory<string>,
    options?: LocalChildOptions,
  ): Promise<{ child: LocalChild<string>; supervisor: Supervisor; events: TreeEvent[] }> {
    const child = localChild(system, 'actor', factory, options);
    const events: TreeEvent[] = [];
    const supervisor = new Supervisor(
      {
        id: 'root',
        strategy: 'oneForOne',
        intensity: { restartsMax: 5, windowMs: 1_000 },
        children: [{ id: 'actor', start: child.start, restart: 'permanent', shutdownDeadlineMs: 100 }],
      },
      { clock, random: () => 0, onEvent: (event) => events.push(event) },
    );
    await supervisor.start();
    return { child, supervisor, events };
  }

  describe('a suspension', () => {
    it('holds messages back within the bounds, and lets them go in order [S-90]', async () => {
      const ref = system.spawn<string>(recorder(), { mailbox: { capacity: 2, overflow: 'refuse' } });
      ref.tell('a');
      await settle();
      await system.suspend(ref);
      expect([ref.tell('b'), ref.tell('c')]).to.deep.equal(['accepted', 'accepted']);
      expect(ref.tell('d')).to.deep.include({ refused: 'E_MAILBOX_FULL' });
      await settle();
      expect(got).to.deep.equal(['1 a']);
      expect(system.inspect(ref)).to.include({ status: 'suspended', waiting: 2 });
      await system.resume(ref);
      await settle();
      expect(got).to.deep.equal(['1 a', '1 b', '1 c']);
      expect(system.inspect(ref)).to.include({ status: 'running', waiting: 0 });
    });

    it('says since when', async () => {
      const ref = system.spawn<string>(recorder());
      await system.suspend(ref);
      const sinceMs = clock.wallMs();
      clock.advance(500);
      await system.suspend(ref);
      expect(system.inspect(ref).suspendedSinceMs).to.equal(sinceMs);
      await system.resume(ref);
      expect(system.inspect(ref)).to.not.have.property('suspendedSinceMs');
    });

    it('is in effect when the message in hand is done, and not before [S-90]', async () => {
      const gate = Promise.withResolvers<void>();
      const ref = system.spawn<string>(() => ({
        async handle(message) {
          got.push(`begin ${message}`);
          await gate.promise;
          got.push(`end ${message}`);
        },
      }));
      for (const message of ['a', 'b']) ref.tell(message);
      await settle();
      let isSuspended = false;
      const suspended = system.suspend(ref).then(() => (isSuspended = true));
      await settle();
      expect(isSuspended).to.equal(false);
      gate.resolve();
      await suspended;
      await settle();
      expect(got).to.deep.equal(['begin a', 'end a']);
    });

    it('begun by the actor itself takes effect after its own message [S-90]', async () => {
      const ref: ActorRef<string> = system.spawn<string>(() => ({
        handle(message) {
          got.push(message);
          void system.suspend(ref);
        },
      }));
      for (const message of ['a', 'b']) ref.tell(message);
      await settle();
      expect(got).to.deep.equal(['a']);
    });

    it('lets timers tick into the mailbox, and no message slip through a full turn [S-90]', async () => {
      const ref = system.spawn<string>((context) => {
        context.startTimer('tick', 'tick', { delayMs: 10, everyMs: 10 });
        return { handle: (message) => void got.push(message) };
      });
      await settle();
      await system.suspend(ref);
      for (const message of ['a', 'b', 'c']) ref.tell(message);
      await clock.pass(55);
      expect(got).to.deep.equal([]);
      expect(system.inspect(ref).waiting).to.equal(4);
      await system.resume(ref);
      await settle();
      expect(got).to.deep.equal(['a', 'b', 'c', 'tick']);
    });

    it('lets signals, a stop and a kill through [S-90]', async () => {
      const watched = system.spawn<string>(recorder());
      const ends: string[] = [];
      const spawn = (): ActorRef<string> => {
        const ref = system.spawn<string>((context) => {
          context.watch(watched);
          return {
            handle: (message) => void got.push(message),
            onSignal: ({ type }) => void got.push(type),
          };
        });
        ref.onTerminated(({ kind }) => ends.push(kind));
        return ref;
      };
      const [stopped, killed] = [spawn(), spawn()];
      await settle();
      for (const ref of [stopped, killed]) {
        await system.suspend(ref);
        ref.tell('held');
      }
      await system.stopActor(watched);
      await settle();
      expect(got).to.deep.equal(['terminated', 'terminated']);
      await system.stopActor(stopped);
      system.killActor(killed, 'the spec');
      expect(ends).to.deep.equal(['shutdown', 'killed']);
      expect(system.counts().deadLetters.left).to.equal(2);
    });

    it('is not drained by a stop: what waits stays with a kept actor, else it is dead letters [S-91]', async () => {
      const { child, supervisor } = await supervised(recorder(), { drainAtStop: true });
      await supervisor.suspend(['actor']);
      child.ref.tell('held');
      await supervisor.restartChild('actor');
      await settle();
      expect(got).to.deep.equal([]);
      await supervisor.resume(['actor']);
      await settle();
      expect(got).to.deep.equal(['2 held']);

      const ref = system.spawn<string>(recorder());
      await system.suspend(ref);
      ref.tell('left');
      await system.stopActor(ref, { drain: true });
      expect(system.counts().deadLetters.left).to.equal(1);
    });

    it('outlasts restarts: no message is handled by any incarnation until the resume [S-91]', async () => {
      const gate = Promise.withResolvers<void>();
      const { child, supervisor } = await supervised((context) => ({
        handle: async (message) => {
          if (message === 'fail') await gate.promise;
          got.push(`${context.epoch} ${message}`);
        },
        suspend: () => void got.push(`${context.epoch} suspend`),
        resume: () => void got.push(`${context.epoch} resume`),
      }));
      for (const message of ['fail', 'a']) child.ref.tell(message);
      await settle();
      const suspended = supervisor.suspend(['actor']);
      gate.reject(new Error('planted'));
      await suspended;
      await settle();
      expect(got).to.deep.equal(['2 suspend']);
      await supervisor.restartChild('actor');
      await clock.pass(100);
      expect(got).to.deep.equal(['2 suspend', '3 suspend']);
      expect(supervisor.describe().children[0]?.detail).to.include({ status: 'suspended', waiting: 1 });
      await supervisor.resume(['actor']);
      await settle();
      expect(got.slice(2)).to.deep.equal(['3 resume', '3 a']);
    });

    it('of an actor that is down holds for the next incarnation [S-91]', async () => {
      const child = localChild(system, 'actor', recorder());
      child.ref.tell('a');
      await system.suspend(child.ref);
      const running = await child.start({ epoch: 1, previousExit: undefined });
      await settle();
      expect(got).to.deep.equal([]);
      await running.resume?.();
      await settle();
      expect(got).to.deep.equal(['1 a']);
    });

    it('that a resume overtakes settles with it, and the actor goes on', async () => {
      const gate = Promise.withResolvers<void>();
      const ref = system.spawn<string>(() => ({
        async handle(message) {
          await gate.promise;
          got.push(message);
        },
      }));
      for (const message of ['a', 'b']) ref.tell(message);
      await settle();
      const both = Promise.all([system.suspend(ref), system.resume(ref)]);
      await settle();
      gate.resolve();
      await both;
      for (let turn = 0; turn < 4; turn++) await settle();
      expect(got).to.deep.equal(['a', 'b']);
    });

    it('is refused for an actor that is dead, drains, or is of another system', async () => {
      const gate = Promise.withResolvers<void>();
      const dead = system.spawn<string>(recorder());
      await system.stopActor(dead);
      const draining = system.spawn<string>(() => ({ handle: () => gate.promise }));
      for (const message of ['a', 'b']) draining.tell(message);
      await settle();
      const stop = system.stopActor(draining, { drain: true });
      gate.resolve();
      await settle();
      expect((await rejectionOf(system.suspend(dead))).code).to.equal('E_ACTOR_STOPPED');
      expect((await rejectionOf(system.suspend(draining))).code).to.equal('E_ACTOR_STOPPED');
      expect((await rejectionOf(new ActorSystem({ clock: new FakeClock() }).suspend(dead))).code).to.equal(
        'E_NOT_LOCAL',
      );
      expect((await rejectionOf(new ActorSystem({ clock: new FakeClock() }).resume(dead))).code).to.equal(
        'E_NOT_LOCAL',
      );
      await stop;
    });

    it('whose actor ends first is told so', async () => {
      const ref = system.spawn<string>(() => ({ handle: () => new Promise(() => undefined) }));
      ref.tell('a');
      await settle();
      const suspended = rejectionOf(system.suspend(ref));
      system.killActor(ref, 'the spec');
      expect((await suspended).code).to.equal('E_ACTOR_STOPPED');
    });
  });

  describe("the actor's own suspend and resume", () => {
    it('are waited for, and overlap no other callback [S-2] [S-90]', async () => {
      const gates = { suspend: Promise.withResolvers<void>(), resume: Promise.withResolvers<void>() };
      const ref = system.spawn<string>(
        recorder({ suspend: () => gates.suspend.promise, resume: () => gates.resume.promise }),
      );
      await settle();
      const done: string[] = [];
      const suspended = system.suspend(ref).then(() => done.push('suspended'));
      ref.tell('a');
      await settle();
      expect(done).to.deep.equal([]);
      gates.suspend.resolve();
      await suspended;
      const resumed = system.resume(ref).then(() => done.push('resumed'));
      await settle();
      expect([done, got]).to.deep.equal([['suspended'], []]);
      gates.resume.resolve();
      await resumed;
      await settle();
      expect(got).to.deep.equal(['1 a']);
    });

    const bad: Record<string, Partial<ActorInstance<string>>> = {
      'a suspend that throws': {
        suspend: () => {
          throw new Error('planted');
        },
      },
      'a suspend that rejects': { suspend: () => Promise.reject(new Error('planted')) },
      'a suspend that never settles': { suspend: () => new Promise(() => undefined) },
      'a resume that throws': {
        resume: () => {
          throw new Error('planted');
        },
      },
    };
    for (const [title, more] of Object.entries(bad)) {
      it(`${title} fails the incarnation, lifts the suspension and is told [S-92]`, async () => {
        const { child, supervisor } = await supervised(recorder(more), { handlerTimeoutMs: 50 });
        if (title.includes('resume')) await supervisor.suspend(['actor']);
        const failure = rejectionOf(
          title.includes('resume') ? supervisor.resume(['actor']) : supervisor.suspend(['actor']),
        );
        await clock.pass(60);
        expect(await failure).to.include({ code: 'E_SUSPEND_FAILED' });
        child.ref.tell('a');
        await settle();
        expect(got).to.deep.equal(['2 a']);
        expect(system.counts().failed).to.equal(1);
      });
    }
  });

  describe('inspect', () => {
    it('gives how the actor is and its state as plain data, also while a handler waits [S-93]', async () => {
      const ref = system.spawn<string>(
        () => ({
          handle: () => new Promise(() => undefined),
          inspect: () => ({ doors: [1, 2], at: new Date(0), skip: () => 1 }),
        }),
        { name: 'door' },
      );
      for (const message of ['a', 'b']) ref.tell(message);
      await settle();
      expect(system.inspect(ref)).to.deep.equal({
        path: '/door',
        status: 'running',
        epoch: 1,
        waiting: 1,
        stashed: 0,
        messagesHandled: 1,
        state: { doors: [1, 2], at: '1970-01-01T00:00:00.000Z' },
      });
    });

    it('has no state where the actor says none, and none of an actor that is down', async () => {
      const ref = system.spawn<string>(recorder());
      await settle();
      expect(system.inspect(ref)).to.not.have.property('state');
      const child = localChild(system, 'actor', recorder({ inspect: () => 1 }));
      expect(system.inspect(child.ref)).to.include({ status: 'unstarted' }).and.not.have.property('state');
    });

    const circle: Record<string, unknown> = {};
    circle['self'] = circle;
    const failing: [title: string, inspect: (context: ActorContext<string>) => unknown, code: string][] = [
      [
        'throws',
        () => {
          throw new Error('planted');
        },
        'E_INSPECT_FAILED',
      ],
      ['gives a promise', () => Promise.reject(new Error('planted')), 'E_INSPECT_FAILED'],
      ['gives a circle', () => circle, 'E_INSPECT_FAILED'],
      ['gives a bigint', () => 1n, 'E_INSPECT_FAILED'],
      ['gives too much', () => 'x'.repeat(INSPECTION_BYTES_MAX), 'E_STATE_TOO_LARGE'],
    ];
    for (const [title, inspect, code] of failing) {
      it(`that ${title} fails the question and nothing else: ${code} [S-93]`, async () => {
        const ref = system.spawn<string>((context) => ({
          ...(recorder()(context) as ActorInstance<string>),
          inspect: () => inspect(context),
        }));
        await settle();
        const error = thrownBy(() => system.inspect(ref));
        expect(error.code).to.equal(code);
        expect(error.mend).to.be.a('string');
        ref.tell('a');
        await settle();
        expect(got).to.deep.equal(['1 a']);
        expect(system.counts().failed).to.equal(0);
      });
    }

    it('is refused for the dead and for strangers', async () => {
      const ref = system.spawn<string>(recorder());
      await system.stopActor(ref);
      expect(thrownBy(() => system.inspect(ref)).code).to.equal('E_ACTOR_STOPPED');
      expect(thrownBy(() => new ActorSystem({ clock: new FakeClock() }).inspect(ref)).code).to.equal(
        'E_NOT_LOCAL',
      );
    });
  });

  describe('through supervisors', () => {
    it('reaches an actor by its path, and tells it as a tree event [S-94]', async () => {
      const { supervisor: inner, events, child } = await supervised(recorder({ inspect: () => 'here' }));
      const outer = new Supervisor(
        {
          id: 'outer',
          strategy: 'oneForOne',
          intensity: { restartsMax: 1, windowMs: 1_000 },
          children: [
            { id: 'inner', start: async () => inner, restart: 'permanent', shutdownDeadlineMs: 100 },
          ],
        },
        { clock },
      );
      await outer.start();
      await outer.suspend(['inner', 'actor']);
      child.ref.tell('a');
      await settle();
      expect(await outer.inspect(['inner', 'actor'])).to.include({ status: 'suspended', state: 'here' });
      await outer.resume(['inner', 'actor']);
      await settle();
      expect(got).to.deep.equal(['1 a']);
      expect(events.map(({ type }) => type).slice(-2)).to.deep.equal(['childSuspended', 'childResumed']);
    });

    it('refuses what is no actor, is not there, or is down [S-94]', async () => {
      const { supervisor } = await supervised(recorder());
      const mute = { epoch: 1, exited: new Promise<never>(() => undefined), kill: (): void => undefined };
      const outer = new Supervisor(
        {
          id: 'outer',
          strategy: 'oneForOne',
          intensity: { restartsMax: 1, windowMs: 1_000 },
          children: [
            { id: 'inner', start: async () => supervisor, restart: 'permanent', shutdownDeadlineMs: 100 },
            {
              id: 'mute',
              start: async () => ({ ...mute, stop: () => mute.exited }),
              restart: 'permanent',
              shutdownDeadlineMs: 'kill',
            },
          ],
        },
        { clock },
      );
      await outer.start();
      const codeOf = async (id: string): Promise<string> =>
        (await rejectionOf(outer.suspend(id.split('/')))).code;
      expect(await codeOf('inner')).to.equal('E_NOT_AN_ACTOR');
      expect(await codeOf('mute')).to.equal('E_NOT_AN_ACTOR');
      expect(await codeOf('inner/nobody')).to.equal('E_CHILD_UNKNOWN');
      expect(await codeOf('inner/actor/deeper')).to.equal('E_CHILD_UNKNOWN');
      expect(await codeOf('')).to.equal('E_CHILD_UNKNOWN');
      await supervisor.stop(100);
      expect(await codeOf('inner/actor')).to.equal('E_CHILD_DOWN');
    });
  });
});
