/** How soon a thread and a process that do not come back from an endless loop are found and ended. */
import { ThreadPool } from '../../runtime/thread/thread-pool.ts';
import { median } from '../support/bench.ts';
import type { BenchRun } from '../support/bench.ts';
import type { ToThreadUnderTest } from '../support/thread-under-test.ts';
import { HEAP_MB_MAX, processSlot, threadSlot } from './slots.ts';

/** From the beginning of an endless loop to the end of the hung thread or process. */
export async function hangs(run: BenchRun): Promise<void> {
  const times = run.parameter('hangs', 1, 5);
  const hangAfterMs = run.parameter('hangAfterMs', 1_500, 2_000);
  const pool = new ThreadPool({ spareThreads: 1, threadsMax: 1, heapMbMax: HEAP_MB_MAX });
  const thread = threadSlot(pool, { hangAfterMs });
  const child = processSlot(hangAfterMs);
  for (const [what, slot, hang] of [
    ['a thread', thread, () => thread.post({ what: 'hang' } satisfies ToThreadUnderTest)],
    ['a process', child, () => child.post('hang')],
  ] as const) {
    const timesMs: number[] = [];
    for (let time = 1; time <= times; time++) {
      const running = await slot.start({ epoch: time, previousExit: undefined });
      const startedMs = performance.now();
      hang();
      const reason = await running.exited;
      if (reason.kind !== 'hung') throw new Error(`${what} ended as ${reason.kind}, not as hung.`);
      timesMs.push(performance.now() - startedMs);
    }
    run.report({
      what: `hang of ${what}, begun → ended, p50`,
      value: median(timesMs),
      unit: 'ms',
      details: { 'max ms': Math.max(...timesMs), hangAfterMs },
    });
  }
  await pool.close();
}
