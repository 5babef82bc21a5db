/**
 * One thread for tasks that end: heavy work now and then, off the thread that asks for it.
 *
 * The thread is started for the first task and goes when there was none for some time; its heap and the time of each task
 * are bounded. Its module's default export is called with each task, and what it gives back is the result. Invariant: a
 * task that throws, hangs, ends its thread or exhausts its memory takes nothing else with it; the next one has a fresh
 * thread.
 */
import { Piscina } from 'piscina';
import { CodedError, codeOf, messageOf } from '../errors.ts';
import { TIMER_DELAY_MS_MAX } from '../limits.ts';
import { numberFault, optionsInvalid } from '../option-faults.ts';

export interface TaskThreadOptions {
  moduleUrl: string;
  /** Of the old generation; at it the thread dies alone. */
  heapMbMax: number;
  /** Of one task; a thread that takes longer is ended. */
  taskMsMax: number;
  /** Without a task for so long, the thread goes. */
  idleMs: number;
}

/** See thread-pool.ts: a thread that is ended while it loads by `require` takes the process with it. */
const THREAD_OPTIONS = ['--no-experimental-require-module'];

export class TaskThread {
  readonly #options: TaskThreadOptions;
  #pool: Piscina | undefined;
  #isClosed = false;

  /** Errors: `E_OPTIONS_INVALID` (kind defect). */
  constructor(options: TaskThreadOptions) {
    checkOptions(options);
    this.#options = options;
  }

  /** Whether the thread exists just now. */
  get isThere(): boolean {
    return (this.#pool?.threads.length ?? 0) > 0;
  }

  /**
   * Tasks run one after the other. Aborting `signal` ends the thread, and with it every task that waits for it. Errors:
   * `E_TASK_ABORTED`, `E_TASK_TIMEOUT`, `E_TASK_MEMORY`, `E_TASK_FAILED` (it threw, or its thread
   * died), `E_POOL_CLOSED`; all but the last kind transient.
   */
  async run(task: unknown, signal?: AbortSignal): Promise<unknown> {
    if (this.#isClosed) throw new CodedError('E_POOL_CLOSED', 'the task thread is closed');
    const pool = this.#present();
    const { taskMsMax, heapMbMax } = this.#options;
    const overtime = new AbortController();
    const timer = setTimeout(() => overtime.abort(), taskMsMax);
    // A worker that cannot boot is told by an event; its task would wait for ever.
    const broken = Promise.withResolvers<never>();
    broken.promise.catch(() => undefined);
    pool.once('error', broken.reject);
    try {
      const ending = signal === undefined ? overtime.signal : AbortSignal.any([overtime.signal, signal]);
      return await Promise.race([pool.run(task, { signal: ending }), broken.promise]);
    } catch (thrown) {
      await this.#drop(pool);
      if (signal?.aborted === true) throw unfinished('E_TASK_ABORTED', 'nobody waits for it any more');
      if (overtime.signal.aborted) throw unfinished('E_TASK_TIMEOUT', `it took longer than ${taskMsMax} ms`);
      if (codeOf(thrown) === 'ERR_WORKER_OUT_OF_MEMORY') {
        throw unfinished('E_TASK_MEMORY', `it needed more than ${heapMbMax} MiB`);
      }
      throw unfinished('E_TASK_FAILED', messageOf(thrown), thrown);
    } finally {
      clearTimeout(timer);
      pool.off('error', broken.reject);
    }
  }

  /** Ends the thread, whatever it does; its task rejects. */
  async close(): Promise<void> {
    this.#isClosed = true;
    if (this.#pool !== undefined) await this.#drop(this.#pool);
  }

  #present(): Piscina {
    const { moduleUrl, heapMbMax, idleMs } = this.#options;
    this.#pool ??= new Piscina({
      filename: moduleUrl,
      minThreads: 0,
      maxThreads: 1,
      idleTimeout: idleMs,
      concurrentTasksPerWorker: 1,
      atomics: 'disabled',
      recordTiming: false,
      resourceLimits: { maxOldGenerationSizeMb: heapMbMax },
      execArgv: THREAD_OPTIONS,
    }).on('error', () => undefined);
    return this.#pool;
  }

  async #drop(pool: Piscina): Promise<void> {
    if (this.#pool === pool) this.#pool = undefined;
    // Nothing can be done about a thread that does not even end; the next task does not depend on it.
    await pool.destroy().catch(() => undefined);
  }
}

function checkOptions({ heapMbMax, taskMsMax, idleMs }: TaskThreadOptions): void {
  const faults = [
    numberFault('heapMbMax', heapMbMax, { min: 16, max: 65_536 }),
    numberFault('taskMsMax', taskMsMax, { min: 1, max: TIMER_DELAY_MS_MAX, unit: ' ms' }),
    numberFault('idleMs', idleMs, { min: 0, max: TIMER_DELAY_MS_MAX, unit: ' ms' }),
  ].filter((fault) => fault !== undefined);
  if (faults.length > 0) throw optionsInvalid('task thread', faults);
}

function unfinished(code: string, why: string, cause?: unknown): CodedError {
  return new CodedError(code, `the task was not done: ${why}`, { kind: 'transient', cause });
}
