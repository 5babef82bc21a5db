/** How long what was lost is away: an actor in its thread, a thread with and without a spare, a process. */
import type { ReplyTo } from '../../runtime/actor-ref.ts';
import { ActorSystem } from '../../runtime/actor-system.ts';
import type { ChildSpec } from '../../runtime/supervision/child-spec.ts';
import { localChild } from '../../runtime/supervision/local-placement.ts';
import { Supervisor } from '../../runtime/supervision/supervisor.ts';
import { ThreadPool } from '../../runtime/thread/thread-pool.ts';
import { median, percentile } from '../support/bench.ts';
import type { BenchRun } from '../support/bench.ts';
import { HEAP_MB_MAX, processSlot, THREAD_MODULE, threadSlot } from './slots.ts';

const INTENSITY = { restartsMax: 1_000, windowMs: 60_000 };

export async function restarts(run: BenchRun): Promise<void> {
  const actorRestarts = run.parameter('restarts.actor', 20, 500);
  const hostRestarts = run.parameter('restarts.host', 1, 25);
  reportTimes(
    run,
    'restart of an actor in its thread',
    await actorRestartTimes(actorRestarts),
    'failure → next message handled',
  );
  for (const spareThreads of [1, 0]) {
    const pool = new ThreadPool({
      spareThreads,
      preload: [THREAD_MODULE],
      threadsMax: 1,
      heapMbMax: HEAP_MB_MAX,
    });
    const slot = threadSlot(pool);
    const times = await killTimes(
      { id: 'thread', start: slot.start, restart: 'permanent', shutdownDeadlineMs: 2_000 },
      hostRestarts,
      (child) => child.kill(),
    );
    await pool.close();
    const what = `restart of a thread, ${spareThreads === 0 ? 'no spare' : 'one spare'}`;
    reportTimes(run, what, times, 'terminated → ready');
  }
  const slot = processSlot(10_000);
  const times = await killTimes(
    { id: 'process', start: slot.start, restart: 'permanent', shutdownDeadlineMs: 2_000 },
    hostRestarts,
    () => {
      // Never without a pid: 0 would be this process's own group.
      if (slot.pid !== undefined) process.kill(slot.pid, 'SIGKILL');
    },
  );
  reportTimes(run, 'restart of a process', times, 'SIGKILL → ready');
}

function reportTimes(run: BenchRun, what: string, timesMs: readonly number[], between: string): void {
  run.report({
    what: `${what}, p50`,
    value: median(timesMs),
    unit: 'ms',
    details: { 'p99 ms': percentile(timesMs, 0.99), between },
  });
}

async function actorRestartTimes(restartsWanted: number): Promise<number[]> {
  type Message = { replyTo: ReplyTo<number> } | 'fail';
  const system = new ActorSystem();
  const child = localChild<Message>(system, 'failing', () => ({
    handle: (message) => {
      if (message === 'fail') throw new Error('asked to');
      message.replyTo.tell(performance.now());
    },
  }));
  const supervisor = new Supervisor({
    id: 'bench',
    strategy: 'oneForOne',
    intensity: { ...INTENSITY, restartsMax: restartsWanted + 1 },
    children: [{ id: 'failing', start: child.start, restart: 'permanent', shutdownDeadlineMs: 1_000 }],
  });
  await supervisor.start();
  const timesMs: number[] = [];
  for (let restart = 0; restart < restartsWanted; restart++) {
    const startedMs = performance.now();
    child.ref.tell('fail');
    const handledMs = await child.ref.ask<number>((replyTo) => ({ replyTo }), { timeoutMs: 5_000 });
    timesMs.push(handledMs - startedMs);
  }
  await supervisor.stop(1_000);
  await system.stop(1_000);
  return timesMs;
}

/** From the death of a supervised child to the readiness of the next incarnation. */
async function killTimes(
  spec: ChildSpec,
  times: number,
  kill: (child: { kill(): void }) => void,
): Promise<number[]> {
  let started: (() => void) | undefined;
  let present = { kill: (): void => undefined };
  const child: ChildSpec = {
    ...spec,
    start: async (request) => {
      const running = await spec.start(request);
      present = { kill: () => running.kill('the benchmark') };
      started?.();
      return running;
    },
  };
  const supervisor = new Supervisor({
    id: 'bench',
    strategy: 'oneForOne',
    intensity: { ...INTENSITY, restartsMax: times + 1 },
    children: [child],
  });
  await supervisor.start();
  const timesMs: number[] = [];
  for (let time = 0; time < times; time++) {
    // Long enough for a spare thread to have been made again.
    await new Promise((resolve) => setTimeout(resolve, 400));
    const isBack = new Promise<void>((resolve) => (started = resolve));
    const startedMs = performance.now();
    kill(present);
    await isBack;
    timesMs.push(performance.now() - startedMs);
  }
  await supervisor.stop(5_000);
  return timesMs;
}
