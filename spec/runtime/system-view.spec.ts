/**
 * A system as plain data: everything alive is in it or counted, and it is clonable and bounded whatever the system is.
 */
import { expect } from 'chai';
import { describe, it } from 'mocha';
import type { ActorContext } from '../../runtime/actor.ts';
import type { ReplyTo } from '../../runtime/actor-ref.ts';
import { ActorSystem } from '../../runtime/actor-system.ts';
import { ACTORS_SHOWN_MAX } from '../../runtime/limits.ts';
import { localChild } from '../../runtime/supervision/local-placement.ts';
import type { ActorView } from '../../runtime/system-view.ts';
import { FakeClock, settle } from '../support/fake-clock.ts';
import { thrownBy } from '../support/rejection.ts';

const idle = (): { handle(): void } => ({ handle: () => undefined });

function countOf(views: readonly ActorView[]): number {
  return views.reduce((sum, { children }) => sum + 1 + countOf(children), 0);
}

function leftOutIn(views: readonly ActorView[]): number {
  return views.reduce((sum, { children, childrenLeftOut }) => sum + childrenLeftOut + leftOutIn(children), 0);
}

describe('ActorSystem.describe', () => {
  it('says of each actor what it has, does and waits for [S-133]', async () => {
    const clock = new FakeClock();
    const system = new ActorSystem({ clock });
    const watched = system.spawn<string>(idle, { name: 'watched' });
    const gate = Promise.withResolvers<void>();
    type Message = { type: 'work' } | { type: 'question'; replyTo: ReplyTo<number> };
    const busy = system.spawn<Message>(
      (context) => {
        context.watch(watched);
        context.startTimer('later', { type: 'work' }, { delayMs: 5_000 });
        context.spawn<string>(idle, { name: 'below' });
        return { handle: (message) => (message.type === 'work' ? gate.promise : undefined) };
      },
      { name: 'busy', mailbox: { capacity: 7, overflow: 'block' }, handlerTimeoutMs: 10_000 },
    );
    await settle();
    busy.tell({ type: 'work' });
    await settle();
    await clock.pass(250);
    const asked = busy.ask<number>((replyTo) => ({ type: 'question', replyTo }), { timeoutMs: 9_000 });
    asked.catch(() => undefined);
    const view = system.describe();
    expect(view.actors.map(({ path }) => path)).to.deep.equal(['/watched', '/busy']);
    expect(view.actors[0]).to.deep.include({ watchers: 1, watches: 0, capacity: 1_024, overflow: 'refuse' });
    const { children, ...facts } = view.actors[1] as ActorView;
    expect(facts).to.deep.equal({
      path: '/busy',
      status: 'running',
      epoch: 1,
      messagesHandled: 1,
      waiting: 1,
      capacity: 7,
      overflow: 'block',
      waitingSenders: 0,
      current: { messageType: 'work', sinceMs: clock.wallMs() - 250 },
      watches: 1,
      watchers: 0,
      timers: 1,
      asks: 1,
      childrenLeftOut: 0,
    });
    expect(children.map(({ path }) => path)).to.deep.equal(['/busy/below']);
    expect(view).to.deep.include({ atMs: clock.wallMs(), truncated: 0 });
    expect(view.counts.actors).to.equal(3);
    gate.resolve();
    await settle();
    await system.stop();
  });

  it('tells how a supervised actor ended last, and shows it between two incarnations', async () => {
    const system = new ActorSystem({ clock: new FakeClock() });
    const child = localChild<string>(system, 'kept', () => ({
      handle: () => {
        throw new Error('planted');
      },
    }));
    const running = await child.start({ epoch: 7, previousExit: undefined });
    expect(running.describe?.()).to.deep.include({ placement: 'local', path: '/kept', epoch: 7 });
    child.ref.tell('x');
    await running.exited;
    const [kept] = system.describe().actors;
    expect(kept).to.deep.include({ path: '/kept', epoch: 7, previousExit: 'failed: E_UNKNOWN: planted' });
    child.start.abandon?.({ kind: 'shutdown' });
    expect(system.describe().actors).to.deep.equal([]);
  });

  it('holds dead letters and no message, and is plain data [S-133]', async () => {
    const system = new ActorSystem({ clock: new FakeClock() });
    const never = new Promise<void>(() => undefined);
    const secretive = system.spawn<unknown>(() => ({ handle: () => never }));
    secretive.tell({ type: 'login', password: 'hunter2', method: () => 1 });
    await settle();
    const dead = system.spawn<unknown>(idle);
    await system.stopActor(dead);
    dead.tell({ type: 'late', password: 'hunter2' });
    const view = system.describe();
    expect(view.actors[0]?.current).to.deep.equal({ messageType: 'login' });
    expect(view.deadLetters.map(({ messageType }) => messageType)).to.deep.equal(['late']);
    expect(structuredClone(view)).to.deep.equal(view);
    expect(JSON.stringify(view)).not.to.include('hunter2');
    system.killActor(secretive, 'the spec is over');
  });

  it('is bounded: the eldest of each level are shown, all others counted once [S-133]', async () => {
    const system = new ActorSystem({ clock: new FakeClock() });
    const family = (context: ActorContext<string>): { handle(): void } => {
      for (let child = 0; child < 10; child++) context.spawn<string>(idle);
      return idle();
    };
    for (let parent = 0; parent < 20; parent++) system.spawn<string>(family, { name: `parent-${parent}` });
    await settle();
    for (const actorsMax of [0, 1, 20, 25, 220, 1_000]) {
      const view = system.describe({ actorsMax });
      const shown = countOf(view.actors);
      expect(shown).to.equal(Math.min(actorsMax, 220));
      expect(view.truncated).to.equal(220 - shown);
      const topLevelLeftOut = 20 - view.actors.length;
      expect(leftOutIn(view.actors) + topLevelLeftOut * 11).to.equal(view.truncated);
    }
    const names = system.describe({ actorsMax: 3 }).actors.map(({ path }) => path);
    expect(names).to.deep.equal(['/parent-0', '/parent-1', '/parent-2']);
    await system.stop();
  });

  it('goes no deeper than an ordinary stack bears [S-133]', async () => {
    const system = new ActorSystem({ clock: new FakeClock() });
    let depth = 0;
    const deeper = (context: ActorContext<string>): { handle(): void } => {
      if (++depth < 500) context.spawn<string>(deeper);
      return idle();
    };
    system.spawn<string>(deeper);
    while (depth < 500) await settle();
    const view = system.describe({ actorsMax: ACTORS_SHOWN_MAX });
    expect(countOf(view.actors) + view.truncated).to.equal(500);
    expect(view.truncated).to.equal(400);
    JSON.stringify(structuredClone(view));
    await system.stop();
  });

  it('costs as much as it shows, not as much as there is [S-133]', () => {
    const system = new ActorSystem({ clock: new FakeClock() });
    for (let actor = 0; actor < 200_000; actor++) system.spawn<string>(idle);
    const begunAtMs = performance.now();
    const view = system.describe({ actorsMax: 100 });
    const tookMs = performance.now() - begunAtMs;
    expect([view.actors.length, view.truncated]).to.deep.equal([100, 199_900]);
    expect(view.actors[0]?.path).to.equal('/$1');
    expect(tookMs).to.be.below(50);
  });

  it('keeps its order when the eldest, the youngest and one between have gone', async () => {
    const system = new ActorSystem({ clock: new FakeClock() });
    const refs = ['a', 'b', 'c', 'd', 'e'].map((name) => system.spawn<string>(idle, { name }));
    for (const index of [0, 2, 4]) await system.stopActor(refs[index] as (typeof refs)[number]);
    expect(system.describe().actors.map(({ path }) => path)).to.deep.equal(['/b', '/d']);
    await system.stop();
    expect(system.describe()).to.deep.include({ actors: [], truncated: 0 });
    expect(system.hasEnded).to.equal(true);
  });

  it('names a bound that is none', () => {
    const system = new ActorSystem({ clock: new FakeClock() });
    for (const actorsMax of [-1, 1.5, ACTORS_SHOWN_MAX + 1]) {
      const error = thrownBy(() => system.describe({ actorsMax }));
      expect(error.code).to.equal('E_OPTIONS_INVALID');
      expect(error.mend).to.include(String(ACTORS_SHOWN_MAX));
    }
  });
});
