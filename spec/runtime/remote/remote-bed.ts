/** Slots with an exchange, a supervisor over them, and the list of what their actors say they have handled. */
import { setTimeout as delay } from 'node:timers/promises';
import { ActorSystem } from '../../../runtime/actor-system.ts';
import type { RunningChild, StartChild } from '../../../runtime/placement.ts';
import { Exchange } from '../../../runtime/remote/exchange.ts';
import type { RingOptions } from '../../../runtime/ring/ring-layout.ts';
import { Supervisor } from '../../../runtime/supervision/supervisor.ts';
import { ThreadPool } from '../../../runtime/thread/thread-pool.ts';
import { ThreadSlot } from '../../../runtime/thread/thread-slot.ts';
import type { RemoteParams } from '../../fixtures/remote/remote-thread.ts';
import { reports } from '../../fixtures/remote/messages.ts';
import type { Seen } from '../../fixtures/remote/messages.ts';

const moduleUrl = new URL('../../fixtures/remote/remote-thread.ts', import.meta.url).href;
const HANG_AFTER_MS = 600;

export async function until(
  condition: () => boolean,
  what = 'the condition',
  timeoutMs = 20_000,
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`${what} did not come true`);
    await delay(2);
  }
}

/** One pool for all beds: threads take long to begin. */
let shared: ThreadPool | undefined;
export function pool(): ThreadPool {
  return (shared ??= new ThreadPool({ spareThreads: 1, threadsMax: 4, heapMbMax: 48 }));
}
export async function closePool(): Promise<void> {
  await shared?.close();
  shared = undefined;
}

export class RemoteBed {
  readonly system = new ActorSystem();
  readonly exchange: Exchange;
  readonly seen: Seen[] = [];
  readonly running = new Map<string, RunningChild>();
  supervisor: Supervisor | undefined;
  private readonly slots: ThreadSlot[] = [];

  constructor(ring?: RingOptions, deathsMax = 3) {
    this.exchange = new Exchange({ system: this.system, deathsMax, ...(ring === undefined ? {} : { ring }) });
    const sink = this.system.spawn<Seen>(() => ({ handle: (seen) => void this.seen.push(seen) }));
    this.exchange.endpoint.expose('reports', sink, reports);
  }

  slot(id: string, params: RemoteParams = {}): ThreadSlot {
    const slot = new ThreadSlot({
      id,
      pool: pool(),
      moduleUrl,
      params: async () => params,
      counterLayout: [],
      hangAfterMs: HANG_AFTER_MS,
      startTimeoutMs: 10_000,
      exchange: this.exchange,
    });
    this.slots.push(slot);
    return slot;
  }

  /** Under a supervisor, so that what dies comes back. */
  async start(restart: 'permanent' | 'temporary' = 'permanent'): Promise<void> {
    const children = this.slots.map(({ id, start }) => {
      const watched: StartChild = async (request) => {
        const child = await start(request);
        this.running.set(id, child);
        return child;
      };
      watched.abandon = (reason) => start.abandon?.(reason);
      return { id, start: watched, restart, shutdownDeadlineMs: 2_000 };
    });
    const intensity = { restartsMax: 20, windowMs: 60_000 };
    this.supervisor = new Supervisor({ id: 'bed', strategy: 'oneForOne', intensity, children });
    await this.supervisor.start();
  }

  numbers(by = 'worker'): number[] {
    return this.seen.filter((seen) => seen.by === by).map(({ n }) => n);
  }

  async stop(): Promise<void> {
    await this.supervisor?.stop(2_000);
    this.exchange.close();
    await this.system.stop();
  }
}
