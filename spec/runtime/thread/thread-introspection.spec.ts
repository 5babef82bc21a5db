/**
 * What the supervising side sees of the inside of a thread: its tree, its actors, and what happens there.
 */
import { expect } from 'chai';
import { after, afterEach, beforeEach, describe, it } from 'mocha';
import { firstValueFrom, takeWhile, toArray } from 'rxjs';
import { treeEvents } from '../../../runtime/observe.ts';
import { Supervisor } from '../../../runtime/supervision/supervisor.ts';
import { limitTreeEvents } from '../../../runtime/supervision/tree-event-limit.ts';
import type { TreeEvent } from '../../../runtime/supervision/tree-event.ts';
import type { SystemView } from '../../../runtime/system-view.ts';
import { ThreadPool } from '../../../runtime/thread/thread-pool.ts';
import { ThreadSlot } from '../../../runtime/thread/thread-slot.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { until } from '../durable/store-under-test.ts';

const moduleUrl = new URL('../../fixtures/faults/breakable-thread.ts', import.meta.url).href;

describe('the inside of a thread', function () {
  this.timeout(30_000);
  const pool = new ThreadPool({ spareThreads: 1, threadsMax: 2, heapMbMax: 48 });
  let slot: ThreadSlot;
  let supervisor: Supervisor;
  let answers: number;

  beforeEach(async () => {
    answers = 0;
    slot = new ThreadSlot({
      id: 'slot',
      pool,
      moduleUrl,
      params: async () => ({}),
      counterLayout: [{ name: 'messages_total', kind: 'counter', help: 'Messages seen.' }],
      hangAfterMs: 5_000,
      startTimeoutMs: 20_000,
      onMessage: () => (answers += 1),
    });
    supervisor = new Supervisor({
      id: 'root',
      strategy: 'oneForOne',
      intensity: { restartsMax: 3, windowMs: 60_000 },
      children: [{ id: 'place', start: slot.start, restart: 'permanent', shutdownDeadlineMs: 5_000 }],
    });
  });
  afterEach(() => supervisor.stop(5_000));
  after(() => pool.close());

  it('is asked for what holds now: its tree and its actors [S-172]', async () => {
    await supervisor.start();
    for (let message = 0; message < 3; message++) slot.post({ what: 'hello' });
    await until(() => answers === 3, 10_000);
    const view = await supervisor.survey(5_000);
    const detail = view.children[0]?.detail as { tree: { children: unknown[] }; actors: SystemView };
    expect(detail.actors.actors[0]).to.deep.include({
      path: '/breaker',
      status: 'running',
      epoch: 1,
      messagesHandled: 3,
      waiting: 0,
    });
    expect(detail.tree.children[0]).to.deep.include({ id: 'breaker', status: 'running' });
    expect(detail).not.to.have.property('isStale');
    expect(structuredClone(view)).to.deep.equal(view);
  });

  it('that does not answer is shown as it was, and holds nobody up [S-172]', async () => {
    await supervisor.start();
    slot.post({ what: 'loop' });
    await until(() => slot.vitals.doing === 'loop', 10_000);
    const begunAtMs = performance.now();
    const view = await supervisor.survey(50);
    expect(performance.now() - begunAtMs).to.be.below(2_000);
    expect(view.children[0]?.detail).to.deep.include({ placement: 'thread', doing: 'loop', isStale: true });
    expect(view.children[0]?.detail).not.to.have.property('actors');
    supervisor.kill('the spec is over');
    await supervisor.exited;
  });

  it('that ends while it is asked answers no more, and nobody waits [S-172]', async () => {
    await supervisor.start();
    slot.post({ what: 'exit' });
    const view = await supervisor.survey(20_000);
    expect(view.children[0]?.id).to.equal('place');
  });

  it('tells its events to the tree above, with the path of its place [S-173]', async () => {
    const seen = firstValueFrom(
      treeEvents(supervisor).pipe(
        takeWhile((event) => !('child' in event && event.type === 'childStarted' && event.epoch === 2), true),
        toArray(),
      ),
    );
    await supervisor.start();
    slot.post({ what: 'throw' });
    expect((await seen).map(({ type, supervisor: path }) => `${path} ${type}`)).to.deep.equal([
      'root/place childStarted',
      'root/place supervisorStarted',
      'root childStarted',
      'root supervisorStarted',
      'root/place childExited',
      'root/place childRestarting',
      'root/place childStarted',
    ]);
  });
});

describe('limitTreeEvents', () => {
  it('lets a burst of 100 through, then 10 a second, and says how many were left out [S-173]', () => {
    const clock = new FakeClock();
    const sent: TreeEvent[] = [];
    const tell = limitTreeEvents((event) => sent.push(event), clock);
    const event = (epoch: number): TreeEvent => ({
      type: 'childStarted',
      supervisor: 'root',
      child: 'x',
      epoch,
      atMs: epoch,
    });
    for (let epoch = 0; epoch < 150; epoch++) tell(event(epoch));
    expect(sent.length).to.equal(100);
    clock.advance(100);
    tell(event(150));
    tell(event(151));
    expect(sent.slice(100)).to.deep.equal([
      { type: 'eventsLeftOut', supervisor: 'root', atMs: 150, count: 50 },
      event(150),
    ]);
  });
});
