/**
 * A start that takes longer than its child may take to stop, on every placement: it is given up, and the next one must
 * find its place free.
 */
import { fileURLToPath } from 'node:url';
import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'chai';
import { after, describe, it } from 'mocha';
import { ActorSystem } from '../../../runtime/actor-system.ts';
import type { RunningChild, StartChild } from '../../../runtime/placement.ts';
import { ProcessSlot } from '../../../runtime/process/process-slot.ts';
import { CounterCollector } from '../../../runtime/shared/counters.ts';
import { localChild } from '../../../runtime/supervision/local-placement.ts';
import { supervisorChild } from '../../../runtime/supervision/supervisor-child.ts';
import { Supervisor } from '../../../runtime/supervision/supervisor.ts';
import type { TreeEvent } from '../../../runtime/supervision/tree-event.ts';
import { ThreadPool } from '../../../runtime/thread/thread-pool.ts';
import { ThreadSlot } from '../../../runtime/thread/thread-slot.ts';

const breakableUrl = new URL('../../fixtures/faults/breakable-thread.ts', import.meta.url).href;
const processEntry = fileURLToPath(new URL('../../fixtures/runtime/process-child.ts', import.meta.url));
const GIVE_UP_AFTER_MS = 60;
const START_TIMEOUT_MS = 15_000;

describe('A start that was given up', function () {
  this.timeout(30_000);
  const pool = new ThreadPool({ spareThreads: 1, threadsMax: 2, heapMbMax: 48 });
  after(() => pool.close());

  /** Adds the child, restarts it while its first start takes for ever, and gives what happened and what runs. */
  async function restartedEarly(start: StartChild): Promise<{ events: string[]; running: RunningChild[] }> {
    const events: string[] = [];
    const running: RunningChild[] = [];
    const note = (event: TreeEvent): void => {
      if (event.supervisor === 'root') events.push(event.type);
    };
    const intensity = { restartsMax: 2, windowMs: 60_000 };
    const supervisor = new Supervisor(
      { id: 'root', strategy: 'oneForOne', intensity, children: [] },
      { onEvent: note },
    );
    await supervisor.start();
    const noted: StartChild = async (request) => {
      const child = await start(request);
      running.push(child);
      return child;
    };
    const spec = {
      id: 'slow',
      start: noted,
      restart: 'permanent',
      shutdownDeadlineMs: GIVE_UP_AFTER_MS,
    } as const;
    const added = supervisor.addChild(spec).catch(() => undefined);
    await delay(GIVE_UP_AFTER_MS);
    await supervisor.restartChild('slow');
    await added;
    expect(supervisor.status).to.equal('running');
    expect(supervisor.listChildren()[0]?.status).to.equal('running');
    await supervisor.stop(5_000);
    return { events, running };
  }

  const ONE_RUNS = ['supervisorStarted', 'childAdded', 'childStarted', 'childExited', 'supervisorExited'];

  it('is ended on this thread, so that the next one runs [S-37]', async () => {
    const system = new ActorSystem();
    let starts = 0;
    let late = 0;
    const first = Promise.withResolvers<void>();
    const actor = localChild<string>(system, 'actor', async () => {
      starts += 1;
      if (starts === 1) await first.promise;
      return { handle: () => undefined, terminate: () => void (late += starts === 1 ? 1 : 0) };
    });
    const { events, running } = await restartedEarly(actor.start);
    expect([starts, running.length]).to.deep.equal([2, 1]);
    expect(events).to.deep.equal(ONE_RUNS);
    first.resolve();
    await delay(1);
    expect(late).to.equal(0);
    expect(system.counts().staleSettles, 'what its factory made at last is disposed of').to.equal(1);
  });

  it('is ended with all below it, so that the next supervisor has its children [S-37]', async () => {
    const system = new ActorSystem();
    let starts = 0;
    const actor = localChild<string>(system, 'actor', async () => {
      starts += 1;
      if (starts === 1) await new Promise(() => undefined);
      return { handle: () => undefined };
    });
    const inner = supervisorChild({
      id: 'inner',
      strategy: 'oneForOne',
      intensity: { restartsMax: 0, windowMs: 60_000 },
      children: [{ id: 'actor', start: actor.start, restart: 'permanent', shutdownDeadlineMs: 10_000 }],
    });
    const { events, running } = await restartedEarly(inner);
    expect([starts, running.length]).to.deep.equal([2, 1]);
    expect(events).to.deep.equal(ONE_RUNS);
  });

  it('ends its thread, and the next one begins when that is gone [S-37]', async () => {
    let starts = 0;
    const slot = new ThreadSlot({
      id: 'slot',
      pool,
      moduleUrl: breakableUrl,
      params: async () => ({ start: ++starts === 1 ? 'loop' : undefined }),
      counterLayout: [{ name: 'messages_total', kind: 'counter', help: 'Messages seen.' }],
      hangAfterMs: 10_000,
      startTimeoutMs: START_TIMEOUT_MS,
    });
    const { events, running } = await restartedEarly(slot.start);
    expect([starts, running.length]).to.deep.equal([2, 1]);
    expect(events).to.deep.equal(ONE_RUNS);
  });

  it('ends its process, and the next one begins when that is gone [S-37]', async () => {
    const starts: (number | undefined)[] = [];
    const slot: ProcessSlot = new ProcessSlot({
      id: 'child',
      entry: processEntry,
      params: () => {
        starts.push(slot.pid);
        return { start: starts.length === 1 ? 'never' : undefined };
      },
      collector: new CounterCollector(),
      hangAfterMs: 10_000,
      startTimeoutMs: START_TIMEOUT_MS,
    });
    const { events, running } = await restartedEarly(slot.start);
    expect(running.length).to.equal(1);
    expect(starts, 'none is there when one begins').to.deep.equal([undefined, undefined]);
    expect(events).to.deep.equal(ONE_RUNS);
  });
});
