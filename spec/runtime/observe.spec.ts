/**
 * The streams: what subscribers get, when it ends, what a slow one misses, and that nothing is left behind.
 */
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { firstValueFrom, toArray } from 'rxjs';
import { ActorSystem } from '../../runtime/actor-system.ts';
import { CodedError } from '../../runtime/errors.ts';
import { deadLetters, snapshots, treeEvents } from '../../runtime/observe.ts';
import type { SnapshotSource } from '../../runtime/observe.ts';
import type { SupervisorSpec } from '../../runtime/supervision/child-spec.ts';
import { Supervisor } from '../../runtime/supervision/supervisor.ts';
import { supervisorChild } from '../../runtime/supervision/supervisor-child.ts';
import type { TreeEvent } from '../../runtime/supervision/tree-event.ts';
import type { SupervisorView } from '../../runtime/supervision/tree-view.ts';
import { FakeClock, settle } from '../support/fake-clock.ts';
import { rejectionOf, thrownBy } from '../support/rejection.ts';
import { ScriptedChild } from '../support/scripted-child.ts';
import { bed, started } from '../support/supervisor-bed.ts';

const idle = (): { handle(): void } => ({ handle: () => undefined });

/** Listeners that a supervisor or dead letters hold at present. */
function listenersOf(watched: object): number {
  const { events = watched } = watched as { events?: object };
  return (events as { listeners?: Set<unknown> }).listeners?.size ?? 0;
}

describe('treeEvents', () => {
  it('tells what a listener hears, in order, and completes after the end [S-134]', async () => {
    const made = bed({ ids: ['a', 'b'] });
    const seen = firstValueFrom(treeEvents(made.supervisor).pipe(toArray()));
    await made.supervisor.start();
    made.child('a').exit();
    await settle();
    await made.supervisor.stop(100);
    expect(await seen).to.deep.equal(made.events);
    expect(made.events.at(-1)?.type).to.equal('supervisorExited');
    expect(await firstValueFrom(treeEvents(made.supervisor).pipe(toArray()))).to.deep.equal([]);
  });

  it('tells what happens in supervisors below, with their paths, and does not end with theirs [S-134]', async () => {
    const clock = new FakeClock();
    const worker = new ScriptedChild('worker', [], clock);
    const inner: SupervisorSpec = {
      id: 'any',
      strategy: 'oneForOne',
      intensity: { restartsMax: 0, windowMs: 1_000 },
      children: [{ id: 'worker', start: worker.start, restart: 'permanent', shutdownDeadlineMs: 100 }],
    };
    const root = new Supervisor(
      {
        id: 'root',
        strategy: 'oneForOne',
        intensity: { restartsMax: 3, windowMs: 1_000 },
        children: [
          {
            id: 'inner',
            start: supervisorChild(inner, { clock }),
            restart: 'permanent',
            shutdownDeadlineMs: 100,
          },
        ],
      },
      { clock },
    );
    const seen = firstValueFrom(treeEvents(root).pipe(toArray()));
    await root.start();
    worker.exit();
    await settle();
    await root.stop(1_000);
    expect((await seen).map(({ type, supervisor }) => `${supervisor} ${type}`)).to.deep.equal([
      'root/inner childStarted',
      'root/inner supervisorStarted',
      'root childStarted',
      'root supervisorStarted',
      'root/inner childExited',
      'root/inner childGaveUp',
      'root/inner supervisorExited',
      'root childExited',
      'root childRestarting',
      'root/inner childStarted',
      'root/inner supervisorStarted',
      'root childStarted',
      'root/inner childExited',
      'root/inner supervisorExited',
      'root childExited',
      'root supervisorExited',
    ]);
  });

  it('tells nobody inside the step in which it happens: a slow subscriber holds no supervisor up [S-170]', async () => {
    const made = await started({ ids: ['a'], restartsMax: 100 });
    let told = 0;
    const subscription = treeEvents(made.supervisor).subscribe(() => (told += 1));
    await made.supervisor.restartChild('a');
    expect(told).to.equal(0);
    await settle();
    expect(told).to.equal(2);
    subscription.unsubscribe();
  });

  it('drops the oldest of what waits for a slow subscriber, and tells it how many [S-170]', async () => {
    const made = await started({ ids: ['a'], restartsMax: 1_000 });
    const slow: TreeEvent[] = [];
    const quick: TreeEvent[] = [];
    treeEvents(made.supervisor, { waitingMax: 4 }).subscribe((event) => slow.push(event));
    treeEvents(made.supervisor).subscribe((event) => quick.push(event));
    // No turn of the event loop passes meanwhile.
    for (let restart = 0; restart < 50; restart++) await made.supervisor.restartChild('a');
    await settle();
    expect(quick.length).to.equal(100);
    expect(slow[0]).to.deep.include({ type: 'eventsLeftOut', supervisor: 'root', count: 96 });
    expect(slow.slice(1)).to.deep.equal(quick.slice(-4));
    await made.supervisor.stop(100);
  });

  it('takes its listener away when it is unsubscribed, also by the subscriber itself, and when it completes [S-134]', async () => {
    const made = await started({ ids: ['a'] });
    const before = listenersOf(made.supervisor);
    let told = 0;
    const one = treeEvents(made.supervisor).subscribe(() => {
      told += 1;
      one.unsubscribe();
    });
    const other = treeEvents(made.supervisor).subscribe(() => (told += 100));
    expect(listenersOf(made.supervisor)).to.equal(before + 2);
    await made.supervisor.restartChild('a');
    other.unsubscribe();
    await settle();
    expect(told).to.equal(1);
    expect(listenersOf(made.supervisor)).to.equal(before);
    treeEvents(made.supervisor).subscribe();
    await made.supervisor.stop(100);
    await settle();
    expect(listenersOf(made.supervisor)).to.equal(before);
  });

  it('names a bound that is none', async () => {
    const { supervisor } = bed();
    for (const waitingMax of [0, 1.5, 1e9]) {
      expect(thrownBy(() => treeEvents(supervisor, { waitingMax })).code).to.equal('E_OPTIONS_INVALID');
    }
  });
});

describe('deadLetters', () => {
  it('tells each message that nobody handles, and completes with the system [S-134]', async () => {
    const system = new ActorSystem({ clock: new FakeClock() });
    const seen = firstValueFrom(deadLetters(system).pipe(toArray()));
    const actor = system.spawn<{ type: string }>(idle, { name: 'x' });
    await system.stopActor(actor);
    actor.tell({ type: 'one' });
    actor.tell({ type: 'two' });
    await system.stop();
    actor.tell({ type: 'after the end' });
    expect(
      (await seen).map((letter) => 'to' in letter && `${letter.to} ${letter.messageType}`),
    ).to.deep.equal(['/x one', '/x two']);
    expect(system.deadLetters.counts().stopped).to.equal(3);
    expect(await firstValueFrom(deadLetters(system).pipe(toArray()))).to.deep.equal([]);
  });

  it('drops the oldest for a slow subscriber, and leaves no listener [S-134] [S-170]', async () => {
    const system = new ActorSystem({ clock: new FakeClock() });
    const seen: unknown[] = [];
    const subscription = deadLetters(system, { waitingMax: 2 }).subscribe((letter) => seen.push(letter));
    const actor = system.spawn<number>(idle);
    await system.stopActor(actor);
    for (let message = 0; message < 10; message++) actor.tell(message);
    await settle();
    expect(seen.length).to.equal(3);
    expect(seen[0]).to.deep.equal({ leftOut: 8 });
    subscription.unsubscribe();
    expect(listenersOf(system.deadLetters)).to.equal(0);
    await system.stop();
  });

  it('never make telling throw, whatever a listener does', async () => {
    const system = new ActorSystem({ clock: new FakeClock() });
    system.deadLetters.observe({
      letter: () => {
        throw new Error('planted');
      },
      ended: () => undefined,
    });
    const actor = system.spawn<number>(idle);
    await system.stopActor(actor);
    expect(actor.tell(1)).to.deep.equal({ refused: 'E_ACTOR_STOPPED', message: 1 });
    await system.stop();
  });
});

describe('snapshots', () => {
  it('come at once and then in time, each subscriber on its own, until after the end [S-171]', async () => {
    const made = await started({ ids: ['a'] });
    const views: SupervisorView[] = [];
    let isComplete = false;
    snapshots<SupervisorView>(made.supervisor, 100, made.clock).subscribe({
      next: (view) => views.push(view),
      complete: () => {
        isComplete = true;
      },
    });
    await settle();
    expect(views.length).to.equal(1);
    await made.clock.pass(250);
    expect(views.length).to.equal(3);
    await made.supervisor.stop(100);
    await made.clock.pass(100);
    expect(views.map(({ status }) => status)).to.deep.equal(['running', 'running', 'running', 'ended']);
    expect(isComplete).to.equal(true);
    expect(made.clock.pending).to.equal(0);
  });

  it('do not pile up behind a source that is slow, and leave no timer when unsubscribed [S-171]', async () => {
    const clock = new FakeClock();
    let asked = 0;
    const answer = Promise.withResolvers<number>();
    const source: SnapshotSource<number> = {
      hasEnded: false,
      describe: () => {
        asked += 1;
        return answer.promise;
      },
    };
    const seen: number[] = [];
    const subscription = snapshots(source, 10, clock).subscribe((view) => seen.push(view));
    await clock.pass(1_000);
    expect(asked).to.equal(1);
    answer.resolve(5);
    await clock.pass(10);
    expect([asked, seen]).to.deep.equal([2, [5, 5]]);
    subscription.unsubscribe();
    expect(clock.pending).to.equal(0);
    await clock.pass(1_000);
    expect(asked).to.equal(2);
  });

  it('fail as their source fails', async () => {
    const clock = new FakeClock();
    for (const describe of [
      () => {
        throw new CodedError('E_PLANTED', 'planted');
      },
      () => Promise.reject(new CodedError('E_PLANTED', 'planted')),
    ]) {
      const error = await rejectionOf(firstValueFrom(snapshots({ describe, hasEnded: false }, 10, clock)));
      expect(error.code).to.equal('E_PLANTED');
    }
    expect(clock.pending).to.equal(0);
  });

  it('show an actor system, too', async () => {
    const system = new ActorSystem({ clock: new FakeClock() });
    system.spawn<string>(idle, { name: 'x' });
    const all = firstValueFrom(snapshots(system, 1).pipe(toArray()));
    await settle();
    await system.stop();
    const views = await all;
    expect(views[0]?.actors.map(({ path }) => path)).to.deep.equal(['/x']);
    expect(views.at(-1)?.actors).to.deep.equal([]);
  });

  it('name a period that is none', () => {
    const source = { describe: () => 1, hasEnded: false };
    for (const everyMs of [0, Number.NaN, 1e12]) {
      expect(thrownBy(() => snapshots(source, everyMs)).code).to.equal('E_OPTIONS_INVALID');
    }
  });
});
