/**
 * Every callback, failing in every way: what its watcher hears, what the next message meets, what is left behind.
 *
 * Time is a fake clock's, so "never settles" is decided by deadlines and not by patience.
 */
import { expect } from 'chai';
import { describe, it } from 'mocha';
import type { ActorInstance, SpawnOptions } from '../../runtime/actor.ts';
import type { ActorSignal } from '../../runtime/actor-signal.ts';
import { ActorSystem } from '../../runtime/actor-system.ts';
import { CodedError } from '../../runtime/errors.ts';
import type { ExitReason } from '../../runtime/exit-reason.ts';
import { START_TIMEOUT_MS_DEFAULT, STOP_DEADLINE_MS_DEFAULT } from '../../runtime/limits.ts';
import { FakeClock, settle } from '../support/fake-clock.ts';

type Place = 'factory' | 'handle' | 'onSignal' | 'terminate';
type Way = 'throw' | 'reject' | 'never settle';

function fail(way: Way): Promise<void> {
  const error = new CodedError('E_PLANTED', 'planted');
  if (way === 'throw') throw error;
  return way === 'reject' ? Promise.reject(error) : new Promise<void>(() => undefined);
}

interface Outcome {
  exit: ExitReason | undefined;
  terminated: ExitReason[];
  clock: FakeClock;
  system: ActorSystem;
}

/** Spawns an actor that fails at one place in one way, brings it there, and lets `passMs` go by. */
async function provoke(place: Place, way: Way, passMs: number): Promise<Outcome> {
  const clock = new FakeClock();
  const system = new ActorSystem({ clock });
  const terminated: ExitReason[] = [];
  const watched = system.spawn<string>(() => ({ handle: () => undefined }));
  const options: SpawnOptions = { handlerTimeoutMs: 500 };
  const ref = system.spawn<string>((context) => {
    context.watch(watched);
    const instance: ActorInstance<string> = {
      handle: () => (place === 'handle' ? fail(way) : undefined),
      onSignal: (_signal: ActorSignal) => (place === 'onSignal' ? fail(way) : undefined),
      terminate: (reason) => {
        terminated.push(reason);
        return place === 'terminate' ? fail(way) : undefined;
      },
    };
    return place === 'factory' ? fail(way).then(() => instance) : instance;
  }, options);
  let exit: ExitReason | undefined;
  ref.onTerminated((reason) => {
    exit = reason;
  });
  await settle();
  if (place === 'handle') ref.tell('go');
  if (place === 'onSignal') void system.stopActor(watched);
  if (place === 'terminate') void system.stopActor(ref, { deadlineMs: 2_000 });
  await clock.pass(passMs);
  return { exit, terminated, clock, system };
}

describe('an actor that fails', () => {
  for (const place of ['factory', 'handle', 'onSignal'] as const) {
    for (const way of ['throw', 'reject'] as const) {
      it(`in ${place} by ${way} ends as failed with the coded error [S-16]`, async () => {
        const { exit, terminated, system } = await provoke(place, way, 0);
        expect(exit?.kind).to.equal('failed');
        expect(exit?.kind === 'failed' ? exit.error.code : undefined).to.equal('E_PLANTED');
        expect(system.counts().failed).to.equal(1);
        // Without an instance there is nothing to clean up.
        expect(terminated.map(({ kind }) => kind)).to.deep.equal(place === 'factory' ? [] : ['failed']);
      });
    }
  }

  it('in factory by never settling ends as hung at the start timeout [S-17]', async () => {
    expect((await provoke('factory', 'never settle', START_TIMEOUT_MS_DEFAULT - 1)).exit).to.equal(undefined);
    const { exit, clock } = await provoke('factory', 'never settle', START_TIMEOUT_MS_DEFAULT);
    expect(exit).to.deep.equal({ kind: 'hung', silentMs: START_TIMEOUT_MS_DEFAULT, doing: 'its start' });
    expect(clock.pending).to.equal(0);
  });

  for (const [place, doing] of [
    ['handle', 'string'],
    ['onSignal', 'a signal'],
  ] as const) {
    it(`in ${place} by never settling ends as hung at the handler deadline, without terminate [S-17] [S-18]`, async () => {
      expect((await provoke(place, 'never settle', 499)).exit).to.equal(undefined);
      const { exit, terminated, clock } = await provoke(place, 'never settle', 500);
      expect(exit).to.deep.equal({ kind: 'hung', silentMs: 500, doing });
      expect(terminated).to.deep.equal([]);
      expect(clock.pending).to.equal(0);
    });
  }

  for (const way of ['throw', 'reject'] as const) {
    it(`in terminate by ${way} ends with the reason it had, and the failure is counted [S-16]`, async () => {
      const { exit, system } = await provoke('terminate', way, 0);
      expect(exit).to.deep.equal({ kind: 'shutdown' });
      expect(system.counts().terminateFailures).to.equal(1);
    });
  }

  it('in terminate by never settling is killed at the stop deadline [S-20]', async () => {
    expect((await provoke('terminate', 'never settle', 1_999)).exit).to.equal(undefined);
    const { exit, clock } = await provoke('terminate', 'never settle', 2_000);
    expect(exit).to.deep.equal({ kind: 'killed', by: 'it did not stop within 2000 ms' });
    expect(clock.pending).to.equal(0);
  });

  it('and then hangs in terminate keeps its first reason when the clean-up is cut off [S-16]', async () => {
    const clock = new FakeClock();
    const system = new ActorSystem({ clock });
    const ref = system.spawn<string>(() => ({
      handle() {
        throw new CodedError('E_PLANTED', 'planted');
      },
      terminate: () => new Promise<void>(() => undefined),
    }));
    let exit: ExitReason | undefined;
    ref.onTerminated((reason) => {
      exit = reason;
    });
    ref.tell('go');
    await clock.pass(STOP_DEADLINE_MS_DEFAULT - 1);
    expect(exit).to.equal(undefined);
    await clock.pass(1);
    expect(exit?.kind).to.equal('failed');
    expect(system.counts().terminateFailures).to.equal(1);
  });

  it('by a factory that returns no handle function says so', async () => {
    const system = new ActorSystem({ clock: new FakeClock() });
    const ref = system.spawn<string>(() => ({}) as ActorInstance<string>);
    let exit: ExitReason | undefined;
    ref.onTerminated((reason) => {
      exit = reason;
    });
    await settle();
    expect(exit?.kind === 'failed' ? exit.error.code : undefined).to.equal('E_INSTANCE_INVALID');
  });

  it('loses the message in hand to the dead letters, and is not given it again [S-3]', async () => {
    const system = new ActorSystem({ clock: new FakeClock() });
    let handled = 0;
    const ref = system.spawn<{ type: string }>(() => ({
      handle() {
        handled++;
        throw new Error('planted');
      },
    }));
    ref.tell({ type: 'poison' });
    ref.tell({ type: 'innocent' });
    await settle();
    expect(handled).to.equal(1);
    expect(system.deadLetters.list().map(({ messageType, reason }) => [messageType, reason])).to.deep.equal([
      ['poison', 'failed'],
      ['innocent', 'left'],
    ]);
  });
});
