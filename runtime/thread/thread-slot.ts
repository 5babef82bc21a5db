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
import { Calls } from '../calls.ts';
import { sleep, systemClock } from '../clock.ts';
import { CodedError, codeOf, messageOf, toWire } from '../errors.ts';
import { describeExit, withBlackBox } from '../exit-reason.ts';
import type { ExitReason } from '../exit-reason.ts';
import { TIMER_DELAY_MS_MAX } from '../limits.ts';
import { numberFault, optionsInvalid, shown } from '../option-faults.ts';
import { heardOf, startAborted } from '../placement.ts';
import type { RunningChild, StartChild, StartRequest } from '../placement.ts';
import type { MessageCodec } from '../remote/codec.ts';
import type { Exchange } from '../remote/exchange.ts';
import type { ThreadRef } from '../remote/thread-ref.ts';
import { BlackBox } from '../shared/black-box.ts';
import { CounterBlock } from '../shared/counters.ts';
import type { CounterLayout } from '../shared/counters.ts';
import { Vitals, processMs, SilenceJudge } from '../shared/vitals.ts';
import { stopOrKill } from '../stop-or-kill.ts';
import { childDown } from '../supervision/child-operation.ts';
import type { ChildOperation } from '../supervision/child-operation.ts';
import type { FromThread, ThreadTask, ToThread } from './protocol.ts';
import type { SystemView } from '../system-view.ts';
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
  /** Where the slot takes part in talk between threads; its id is its name there. */
  exchange?: Exchange;
  /** What is logged in the thread; without it that goes nowhere. Must not throw. */
  onLog?: (entry: ThreadLogEntry) => void;
  /** Records what the thread's actors do: the last of it is in `describe` and in every abnormal exit. */
  hasBlackBox?: boolean;
}

const TICK_MS = 250;
/** What is asked of an actor inside waits for its message in hand. */
const OPERATION_TIMEOUT_MS = 10_000;
/** Suspensions that are kept over the thread's death; further ones end with it. */
const SUSPENDED_MAX = 1_024;

export class ThreadSlot {
  readonly id: string;
  readonly counters: CounterBlock;
  readonly vitals = new Vitals();
  readonly blackBox: BlackBox | undefined;
  readonly #options: ThreadSlotOptions;
  /** The paths of actors inside that an operator has suspended: each incarnation begins with them suspended. */
  readonly #suspended = new Map<string, readonly string[]>();
  /** From the begin of a start to the end of what it started. */
  #isBusy = false;
  /** Settles with the end of a start that was given up. */
  #leaving: Promise<unknown> | undefined;
  #port: MessagePort | undefined;
  #calls: Calls | undefined;
  #tree: unknown;
  /** Surveys that wait for the thread's answer. */
  readonly #questions = new Map<number, (actors: SystemView | undefined) => void>();
  #lastQuestion = 0;

  /** Errors: `E_OPTIONS_INVALID` (kind defect), `E_NAME_TAKEN` (by another slot of the exchange). */
  constructor(options: ThreadSlotOptions) {
    checkOptions(options);
    this.id = options.id;
    this.#options = options;
    this.counters = new CounterBlock(options.counterLayout);
    this.blackBox = options.hasBlackBox === true ? new BlackBox() : undefined;
    const { exchange } = options;
    exchange?.join(options.id);
    this.start.abandon = (reason) => {
      this.#suspended.clear();
      exchange?.abandon(options.id, reason);
    };
  }

  /**
   * The ref of an actor that this slot's thread exposes, the same over its incarnations. Errors: `E_PEER_UNKNOWN` without
   * an exchange.
   */
  ref<M>(actor: string, codec: MessageCodec<M, unknown>): ThreadRef<M> {
    const { exchange } = this.#options;
    if (exchange !== undefined) return exchange.endpoint.ref(this.id, actor, codec);
    throw new CodedError('E_PEER_UNKNOWN', `slot ${this.id} takes part in no exchange`, {
      kind: 'defect',
      mend: 'Give the slot an exchange in its options.',
    });
  }

  /** Sends to the present incarnation. False when there is none: the sender decides what that means. */
  post(payload: unknown, transferList: Transferable[] = []): boolean {
    if (this.#port === undefined) return false;
    const message: ToThread = { type: 'message', payload };
    this.#port.postMessage(message, transferList as never);
    return true;
  }

  readonly start: StartChild = async (request) => {
    const { givenUp } = request;
    await this.#leaving;
    if (givenUp?.aborted === true) throw startAborted();
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
      () => end({ kind: 'killed', by: `not ready within ${startTimeoutMs} ms${this.#poolState()}` }),
      startTimeoutMs,
    );
    const ready = Promise.withResolvers<void>();
    const exited = this.#run(request, abort.signal, end, () => ready.resolve()).then((reason) => {
      this.#isBusy = false;
      const final = withBlackBox(verdict ?? reason, this.blackBox?.tail());
      this.#options.exchange?.ended(this.id, final);
      return final;
    });
    const leave = (): void => {
      this.#leaving = heardOf(exited);
      end({ kind: 'killed', by: 'its start was given up' });
    };
    givenUp?.addEventListener('abort', leave, { once: true });
    const early = await Promise.race([ready.promise, exited]);
    clearTimeout(startTimer);
    if (early !== undefined) {
      throw new CodedError('E_START_FAILED', `slot ${this.id} could not start: ${describeExit(early)}`, {
        kind: 'transient',
        details: { reason: early },
        cause: early.kind === 'failed' ? early.error : undefined,
      });
    }
    return this.#running(request.epoch, exited, end);
  };

  #poolState(): string {
    const { pool } = this.#options;
    return pool.isFull ? ': the pool has all the threads that it may have, and each is at work' : '';
  }

  /** One incarnation from its parameters to its end. Never rejects; nothing of it is left when it settles. */
  async #run(
    { epoch, previousExit, tree }: StartRequest,
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
    const calls = new Calls((message) => {
      const call: ToThread = { type: 'call', message };
      port.postMessage(call);
    }, systemClock);
    this.#calls = calls;
    this.#tree = undefined;
    this.vitals.begin(epoch);
    const links = this.#options.exchange?.begin(this.id, epoch) ?? [];
    const linkPorts = links.flatMap((link) => (link.port === undefined ? [] : [link.port]));
    this.blackBox?.clear();
    const task: ThreadTask = {
      slotId: this.id,
      treePath: tree?.path ?? this.id,
      epoch,
      moduleUrl: this.#options.moduleUrl,
      params,
      previousExit,
      vitals: this.vitals.buffer,
      blackBox: this.blackBox?.buffer,
      counters: this.counters.buffer,
      counterLayout: this.#options.counterLayout,
      beatEveryMs: TICK_MS,
      port: threadPort,
      links,
      suspended: [...this.#suspended.values()],
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
        case 'treeEvent':
          tree?.emit(message.event);
          break;
        case 'described':
          this.#tree = message.tree;
          this.#questions.get(message.id)?.(message.actors);
          break;
        case 'call':
          calls.receive(message.message);
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
      await this.#options.pool.run(task, [threadPort, ...linkPorts], signal);
    } catch (error) {
      thrown = error;
    }
    // The task's end overtakes what the thread had posted before it: verdicts, its readiness, its last word.
    for (let left = receiveMessageOnPort(port); left !== undefined; left = receiveMessageOnPort(port)) {
      receive(left.message as FromThread);
    }
    stopWatch();
    port.close();
    calls.close(childDown(this.id));
    this.#port = undefined;
    for (const answer of this.#questions.values()) answer(undefined);
    return lastWord ?? this.#reasonOf(thrown);
  }

  #running(epoch: number, exited: Promise<ExitReason>, end: (reason: ExitReason) => void): RunningChild {
    // Its own, and not the slot's of that moment: a handle kept too long must not stop the next incarnation.
    const port = this.#port;
    const askToStop = (deadlineMs: number): void => {
      const message: ToThread = { type: 'stop', deadlineMs };
      port?.postMessage(message);
    };
    const describe = (): Record<string, unknown> => ({
      placement: 'thread',
      heapUsedBytes: this.vitals.get('heapUsedBytes'),
      doing: this.vitals.doing,
      tree: this.#tree,
      ...(this.blackBox === undefined ? {} : { blackBox: this.blackBox.tail() }),
    });
    const calls = this.#calls;
    const operate = <T>(operation: ChildOperation, path: readonly string[]): Promise<T> =>
      calls === undefined
        ? Promise.reject(childDown(this.id))
        : calls.ask<T>(operation, path, OPERATION_TIMEOUT_MS);
    return {
      epoch,
      ...stopOrKill(exited, askToStop, end),
      describe,
      survey: async (timeoutMs) => {
        const actors = await this.#ask(port, timeoutMs);
        return actors === undefined ? { ...describe(), isStale: true } : { ...describe(), actors };
      },
      suspend: async (path = []) => {
        await operate('suspend', path);
        if (this.#suspended.size < SUSPENDED_MAX) this.#suspended.set(path.join('/'), path);
      },
      resume: async (path = []) => {
        await operate('resume', path);
        this.#suspended.delete(path.join('/'));
      },
      inspect: (path = []) => operate('inspect', path),
    };
  }

  /** What the thread's actors are now; undefined when it does not say so in time, or ends. */
  async #ask(port: MessagePort | undefined, timeoutMs: number): Promise<SystemView | undefined> {
    if (port === undefined || port !== this.#port) return undefined;
    const id = ++this.#lastQuestion;
    const answer = Promise.withResolvers<SystemView | undefined>();
    this.#questions.set(id, answer.resolve);
    port.postMessage({ type: 'describe', id } satisfies ToThread);
    const patience = new AbortController();
    const over = sleep(systemClock, timeoutMs, patience.signal).then(() => undefined);
    const actors = await Promise.race([answer.promise, over]);
    patience.abort();
    this.#questions.delete(id);
    return actors;
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

function checkOptions({ id, hangAfterMs, startTimeoutMs }: ThreadSlotOptions): void {
  const bounds = { min: 1, max: TIMER_DELAY_MS_MAX, unit: ' ms' };
  const faults = [
    typeof id === 'string' && id !== '' ? undefined : `id ${shown(id)}: use a text`,
    numberFault('hangAfterMs', hangAfterMs, bounds),
    numberFault('startTimeoutMs', startTimeoutMs, bounds),
  ].filter((fault) => fault !== undefined);
  if (faults.length > 0) throw optionsInvalid('thread slot', faults);
}

/** Rejects when the signal aborts. */
function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(startAborted()), { once: true });
  });
}
