/** The thread and the process that the runtime benchmark starts, kills and lets hang. */
import { fileURLToPath } from 'node:url';
import { ProcessSlot } from '../../runtime/process/process-slot.ts';
import { CounterCollector } from '../../runtime/shared/counters.ts';
import type { ThreadPool } from '../../runtime/thread/thread-pool.ts';
import { ThreadSlot } from '../../runtime/thread/thread-slot.ts';

export const HEAP_MB_MAX = 256;
export const THREAD_MODULE = new URL('../support/thread-under-test.ts', import.meta.url).href;

export function threadSlot(
  pool: ThreadPool,
  options: { hangAfterMs?: number; onMessage?: (payload: unknown) => void } = {},
): ThreadSlot {
  return new ThreadSlot({
    id: 'bench',
    pool,
    moduleUrl: THREAD_MODULE,
    params: async () => undefined,
    counterLayout: [],
    hangAfterMs: 10_000,
    startTimeoutMs: 10_000,
    ...options,
  });
}

export function processSlot(hangAfterMs: number): ProcessSlot {
  return new ProcessSlot({
    id: 'bench',
    entry: fileURLToPath(new URL('../support/process-under-test.ts', import.meta.url)),
    params: () => undefined,
    collector: new CounterCollector(),
    hangAfterMs,
    startTimeoutMs: 10_000,
  });
}
