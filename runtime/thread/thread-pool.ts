/**
 * Worker threads of one role, from piscina: one endless task per thread.
 *
 * Not a job queue: `run` settles only when the thread's work has ended for good. Piscina keeps threads warm and
 * replaces dead ones; what runs on them, and what happens after a death, is the slots' and their supervisor's affair.
 *
 * Invariants: a `run` that failed settles after its thread is gone; one thread's death never touches another's task. A
 * worker that fails while it boots poisons piscina's pool for ever, so that pool takes nothing new, its running tasks go
 * on to their ends, and the next `run` has a fresh one.
 */
import { Piscina } from 'piscina';
import type { Transferable, Worker } from 'node:worker_threads';
import { sleep, systemClock } from '../clock.ts';
import { CodedError } from '../errors.ts';
import { numberFault, optionsInvalid } from '../option-faults.ts';
import type { ThreadData } from './protocol.ts';

export interface ThreadPoolOptions {
  /** Threads kept ready beyond those at work: a replacement then waits for no thread to start (see performance.md). */
  spareThreads: number;
  /** Modules that a thread loads before a slot asks for them. What does not load fails the start that needs it. */
  preload?: readonly string[];
  /** Upper bound of threads at once. */
  threadsMax: number;
  /** Heap limit per thread; at it the thread dies alone with `outOfMemory`. */
  heapMbMax: number;
}

function checkOptions({ spareThreads, threadsMax, heapMbMax }: ThreadPoolOptions): void {
  const faults = [
    numberFault('spareThreads', spareThreads, { min: 0, max: THREADS_PER_POOL_MAX }),
    numberFault('threadsMax', threadsMax, { min: 1, max: THREADS_PER_POOL_MAX }),
    numberFault('heapMbMax', heapMbMax, HEAP_MB),
  ].filter((fault) => fault !== undefined);
  if (faults.length > 0) throw optionsInvalid('thread pool', faults);
}

/** Below it a thread does not even load its modules. */
const HEAP_MB = { min: 16, max: 65_536 };
const THREADS_PER_POOL_MAX = 1_024;

/** A thread that has been idle this long goes, down to the spare ones. */
const IDLE_TIMEOUT_MS = 2_000;

/**
 * How long a terminated thread is waited for. JavaScript ends at once; only native code that does not return can take
 * longer, and nothing ends that. What it may still write is refused by its epoch.
 */
const TERMINATION_MS_MAX = 2_000;

/**
 * Piscina loads the entry by `require` where that takes ES modules, else by `import`. A thread that is terminated in the
 * middle of the first aborts the whole process (Node 22: v8::Module::IsGraphAsync of a module not instantiated).
 */
const THREAD_OPTIONS = ['--no-experimental-require-module'];
const entryUrl = new URL(`./entry.${import.meta.url.endsWith('.ts') ? 'ts' : 'js'}`, import.meta.url).href;

/** One pool of piscina's and what it does not tell. */
interface Generation {
  pool: Piscina;
  running: number;
  /** Every thread that is not gone yet, terminated ones included, and the promise of its end. */
  threads: Map<Worker, Promise<void>>;
}

export class ThreadPool {
  readonly #options: ThreadPoolOptions;
  #present: Generation | undefined;
  /** Poisoned: they take nothing new and only let their tasks end. */
  readonly #retired = new Set<Generation>();
  #isClosed = false;

  /** Errors: `E_OPTIONS_INVALID` (kind defect). */
  constructor(options: ThreadPoolOptions) {
    checkOptions(options);
    this.#options = options;
  }

  /** As many tasks as it may have threads: a further one waits for the end of one. */
  get isFull(): boolean {
    return (this.#present?.running ?? 0) > this.#options.threadsMax;
  }

  /** Threads that exist: at work, spare, booting. */
  get threadCount(): number {
    return this.#generations().reduce((sum, { pool }) => sum + pool.threads.length, 0);
  }

  /** Runs the task on a thread of its own. Aborting the signal terminates that thread, and nothing else. */
  async run(task: unknown, transferList: Transferable[], signal: AbortSignal): Promise<unknown> {
    const generation = this.#current();
    generation.running += 1;
    this.#bound(generation);
    const result = generation.pool.run(task, { transferList: transferList as never, signal });
    this.#keepSpare(generation);
    try {
      return (await result) as unknown;
    } catch (thrown) {
      await terminated(generation);
      throw thrown;
    } finally {
      generation.running -= 1;
      if (generation.pool.threads.length === 0) this.#retire(generation);
      else if (generation === this.#present) this.#keepSpare(generation);
      else this.#endWhenIdle(generation);
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    const generations = this.#generations();
    this.#present = undefined;
    this.#retired.clear();
    await Promise.all(
      generations.map(async (generation) => {
        await generation.pool.destroy();
        await terminated(generation);
      }),
    );
  }

  #generations(): Generation[] {
    return this.#present === undefined ? [...this.#retired] : [this.#present, ...this.#retired];
  }

  #current(): Generation {
    if (this.#isClosed) throw new CodedError('E_POOL_CLOSED', 'the thread pool is closed');
    if (this.#present !== undefined) return this.#present;
    const { spareThreads, threadsMax, heapMbMax, preload = [] } = this.#options;
    const workerData: ThreadData = { preload };
    const pool = new Piscina({
      filename: entryUrl,
      minThreads: Math.max(1, spareThreads),
      // Both bounds follow the tasks (see #bound).
      maxThreads: Math.max(1, Math.min(1, threadsMax) + spareThreads),
      idleTimeout: IDLE_TIMEOUT_MS,
      concurrentTasksPerWorker: 1,
      loadBalancer: readyFirst,

      workerData,
      // The default waits on an atomic between tasks and freezes the thread's timers and I/O meanwhile.
      atomics: 'disabled',
      recordTiming: false,
      resourceLimits: { maxOldGenerationSizeMb: heapMbMax },
      execArgv: THREAD_OPTIONS,
    });
    const generation: Generation = { pool, running: 0, threads: new Map() };
    pool.on('workerCreate', () => noteThreads(generation));
    // Every failure of a task reaches its `run`; an error without a task means that a worker could not boot, or that
    // an idle one died. They cannot be told apart, and the first one poisons.
    pool.on('error', () => this.#retire(generation));
    this.#present = generation;
    return generation;
  }

  /**
   * Piscina has one lower and one upper bound of threads, busy ones included. While a task waits it starts threads up to
   * the upper one all at once, so both follow the tasks: there are never more threads than tasks and spare ones.
   */
  #bound({ pool, running }: Generation): number {
    const { spareThreads, threadsMax } = this.#options;
    const wanted = Math.max(1, Math.min(running, threadsMax) + spareThreads);
    pool.options.minThreads = wanted;
    pool.options.maxThreads = wanted;
    return wanted;
  }

  /**
   * Piscina looks at its bounds only when a thread dies or falls idle. So empty tasks make it look: one that finds no
   * idle thread starts one, and an idle thread too many begins its time-out after one.
   */
  #keepSpare(generation: Generation): void {
    const { pool } = generation;
    const { spareThreads } = this.#options;
    const wanted = this.#bound(generation);
    const excess = pool.threads.length - wanted;
    for (let looks = excess < 0 ? spareThreads : excess; looks > 0; looks -= 1) {
      pool.run(undefined, { name: 'doNothing' }).catch(() => undefined);
    }
    noteThreads(generation);
  }

  #retire(generation: Generation): void {
    if (generation === this.#present) {
      this.#present = undefined;
      this.#retired.add(generation);
    }
    this.#endWhenIdle(generation);
  }

  /** Without a thread, a task that waits for one would wait for ever: it fails now. */
  #endWhenIdle(generation: Generation): void {
    if (generation.running > 0 && generation.pool.threads.length > 0) return;
    this.#retired.delete(generation);
    // Nothing can be done about a pool that does not even close.
    generation.pool.destroy().catch(() => undefined);
  }
}

/**
 * An idle thread that is ready, else one that still starts. Piscina lists those that start first, and its own choice is the
 * first idle one: the replacement of a dead thread would wait for a start beside a spare thread.
 */
function readyFirst<Thread extends { currentUsage: number }>(
  _task: unknown,
  threads: readonly Thread[],
): Thread | null {
  return threads.findLast(({ currentUsage }) => currentUsage === 0) ?? null;
}

function noteThreads({ pool, threads }: Generation): void {
  for (const thread of pool.threads) {
    if (threads.has(thread)) continue;
    const gone = new Promise<void>((resolve) => {
      thread.once('exit', () => {
        threads.delete(thread);
        resolve();
      });
    });
    threads.set(thread, gone);
  }
}

/** Piscina reports a task's end before the thread's: waits for the threads it has let go of. */
async function terminated({ pool, threads }: Generation): Promise<void> {
  const kept = new Set(pool.threads);
  const going = [...threads].filter(([thread]) => !kept.has(thread)).map(([, gone]) => gone);
  if (going.length === 0) return;
  const patience = new AbortController();
  await Promise.race([Promise.all(going), sleep(systemClock, TERMINATION_MS_MAX, patience.signal)]);
  patience.abort();
}
