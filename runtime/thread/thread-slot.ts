/**
 * A thread slot: one place on a pool where a thread's actors run, incarnation after incarnation.
 *
 * The slot owns what must outlive a thread (counters, vital signs) and turns every way a thread can end into an exit
 * reason. It does not decide about restarts: a supervisor starts the next incarnation through `start`.
 *
 * Invariants: at most one incarnation at a time; a new one starts only after the old thread is gone; a thread that
 * hangs is terminated, since no message can reach it.
 */
import { MessageChannel, receiveMessageOnPort } from 'node:worker_threads';
import type { MessagePort, Transferable } from 'node:worker_threads';
import { CodedError, codeOf, messageOf, toWire } from '../errors.ts';
import { describeExit } from '../exit-reason.ts';
import type { ExitReason } from '../exit-reason.ts';
import type { RunningChild, StartChild } from '../placement.ts';
import { CounterBlock } from '../shared/counters.ts';
import type { CounterLayout } from '../shared/counters.ts';
import { Vitals, processMs, SilenceJudge } from '../shared/vitals.ts';
import type { FromThread, ThreadTask, ToThread } from './protocol.ts';
import type { ThreadLogEntry } from './thread-log.ts';
import type { ThreadPool } from './thread-pool.ts';

export interface ThreadSlotOptions {
  id: string;
  pool: ThreadPool;
  moduleUrl: string;
  /** Asked at every start, so that an incarnation begins with what holds now. A rejection is a failed start. */
  params: (start: { epoch: number; previousExit: ExitReason | undefined }) => Promise<unknown>;
  counterLayout: CounterLayout;
  /** Silence of the event loop after which the thread counts as hung. */
  hangAfterMs: number;
  /** Longest time from start to ready. */
  startTimeoutMs: number;
  /** Must not throw. */
  onMessage?: (payload: unknown) => void;
  /** What is logged in the thread; without it that goes nowhere. Must not throw. */
  onLog?: (entry: ThreadLogEntry) => void;
}

const TICK_MS = 250;

export class ThreadSlot {
  readonly id: string;
  readonly counters: CounterBlock;
  readonly vitals = new Vitals();
  readonly #options: ThreadSlotOptions;
  /** From the begin of a start to the end of what it started. */
  #isBusy = false;
  #port: MessagePort | undefined;
  #tree: unknown;

  constructor(options: ThreadSlotOptions) {
    this.id = options.id;
    this.#options = options;
    this.counters = new CounterBlock(options.counterLayout);
  }

  /** Sends to the present incarnation. False when there is none: the sender decides what that means. */
  post(payload: unknown, transferList: Transferable[] = []): boolean {
    if (this.#port === undefined) return false;
    const message: ToThread = { type: 'message', payload };
    this.#port.postMessage(message, transferList as never);
    return true;
  }

  readonly start: StartChild = async ({ epoch, previousExit }) => {
    if (this.#isBusy) {
      throw new CodedError('E_SLOT_BUSY', `slot ${this.id} already runs a thread`, { kind: 'defect' });
    }
    this.#isBusy = true;
    const { startTimeoutMs } = this.#options;
    const abort = new AbortController();
    let verdict: ExitReason | undefined;
    const end = (reason: ExitReason): void => {
      verdict ??= reason;
      abort.abort();
    };
    const startTimer = setTimeout(
      () => end({ kind: 'killed', by: `not ready within ${startTimeoutMs} ms` }),
      startTimeoutMs,
    );
    const ready = Promise.withResolvers<void>();
    const exited = this.#run({ epoch, previousExit }, abort.signal, end, () => ready.resolve()).then(
      (reason) => {
        this.#isBusy = false;
        return verdict ?? reason;
      },
    );
    const early = await Promise.race([ready.promise, exited]);
    clearTimeout(startTimer);
    if (early !== undefined) {
      throw new CodedError('E_START_FAILED', `slot ${this.id} could not start: ${describeExit(early)}`, {
        kind: 'transient',
        details: { reason: early },
        cause: early.kind === 'failed' ? early.error : undefined,
      });
    }
    return this.#running(epoch, exited, end);
  };

  /** One incarnation from its parameters to its end. Never rejects; nothing of it is left when it settles. */
  async #run(
    { epoch, previousExit }: Parameters<StartChild>[0],
    signal: AbortSignal,
    end: (reason: ExitReason) => void,
    onReady: () => void,
  ): Promise<ExitReason> {
    let params: unknown;
    try {
      params = await Promise.race([this.#options.params({ epoch, previousExit }), aborted(signal)]);
    } catch (thrown) {
      return { kind: 'failed', error: toWire(thrown) };
    }
    const { port1: port, port2: threadPort } = new MessageChannel();
    this.#port = port;
    this.#tree = undefined;
    this.vitals.begin(epoch);
    const task: ThreadTask = {
      slotId: this.id,
      epoch,
      moduleUrl: this.#options.moduleUrl,
      params,
      previousExit,
      vitals: this.vitals.buffer,
      counters: this.counters.buffer,
      counterLayout: this.#options.counterLayout,
      beatEveryMs: TICK_MS,
      port: threadPort,
    };
    let stopWatch = (): void => undefined;
    let lastWord: ExitReason | undefined;
    const receive = (message: FromThread): void => {
      switch (message.type) {
        case 'ready':
          // Until then the start time-out judges it: a thread that has not begun yet cannot beat.
          stopWatch = this.#watch(end);
          onReady();
          break;
        case 'message':
          this.#options.onMessage?.(message.payload);
          break;
        case 'tree':
          this.#tree = message.tree;
          break;
        case 'log':
          this.#options.onLog?.(message.entry);
          break;
        case 'exit':
          lastWord = message.reason;
          break;
      }
    };
    port.on('message', receive);

    let thrown: unknown;
    try {
      await this.#options.pool.run(task, [threadPort], signal);
    } catch (error) {
      thrown = error;
    }
    // The task's end overtakes what the thread had posted before it: verdicts, its readiness, its last word.
    for (let left = receiveMessageOnPort(port); left !== undefined; left = receiveMessageOnPort(port)) {
      receive(left.message as FromThread);
    }
    stopWatch();
    port.close();
    this.#port = undefined;
    return lastWord ?? this.#reasonOf(thrown);
  }

  #running(epoch: number, exited: Promise<ExitReason>, end: (reason: ExitReason) => void): RunningChild {
    // Its own, and not the slot's of that moment: a handle kept too long must not stop the next incarnation.
    const port = this.#port;
    return {
      epoch,
      exited,
      stop: async (deadlineMs) => {
        const message: ToThread = { type: 'stop', deadlineMs };
        port?.postMessage(message);
        const timer = setTimeout(
          () => end({ kind: 'killed', by: `did not stop within ${deadlineMs} ms` }),
          deadlineMs,
        );
        const reason = await exited;
        clearTimeout(timer);
        return reason;
      },
      kill: (by) => end({ kind: 'killed', by }),
      describe: () => ({
        placement: 'thread',
        heapUsedBytes: this.vitals.get('heapUsedBytes'),
        doing: this.vitals.doing,
        tree: this.#tree,
      }),
    };
  }

  #watch(end: (reason: ExitReason) => void): () => void {
    const judge = new SilenceJudge({ hangAfterMs: this.#options.hangAfterMs, tickMs: TICK_MS }, processMs());
    const timer = setInterval(() => {
      const nowMs = processMs();
      if (!judge.tick(nowMs)) return;
      const silentMs = judge.silentMs(
        this.vitals.get('heartbeatAtMs'),
        this.vitals.get('deadlineAtMs'),
        nowMs,
      );
      if (silentMs !== undefined) end({ kind: 'hung', silentMs, ...this.#doing() });
    }, TICK_MS);
    timer.unref();
    return () => clearInterval(timer);
  }

  #doing(): { doing?: string } {
    const { doing } = this.vitals;
    return doing === '' ? {} : { doing };
  }

  #reasonOf(thrown: unknown): ExitReason {
    if (thrown === undefined) return { kind: 'normal' };
    if (codeOf(thrown) === 'ERR_WORKER_OUT_OF_MEMORY') return { kind: 'outOfMemory', ...this.#doing() };
    const exitCode = /exited with code: (-?\d+)/.exec(messageOf(thrown))?.[1];
    if (exitCode !== undefined) return { kind: 'exited', code: Number(exitCode), ...this.#doing() };
    return { kind: 'failed', error: toWire(thrown), ...this.#doing() };
  }
}

/** Rejects when the signal aborts. */
function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    signal.addEventListener(
      'abort',
      () => reject(new CodedError('E_START_ABORTED', 'the start was given up')),
      {
        once: true,
      },
    );
  });
}
