/**
 * A process slot: one child process, incarnation after incarnation.
 *
 * Used where a failure may take the whole process down (native code that aborts) and must not take the supervisor with
 * it. The slot turns every way a process can end into an exit reason and keeps the last reported counters of the dead.
 *
 * Invariants: at most one incarnation at a time; a child that does not stop, hangs, or goes silent is ended by SIGKILL
 * (a stopped process does not answer anything else).
 */
import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { CodedError, toWire } from '../errors.ts';
import type { WireError } from '../errors.ts';
import { withBlackBox } from '../exit-reason.ts';
import type { ExitReason } from '../exit-reason.ts';
import { heardOf, startAborted } from '../placement.ts';
import type { StartChild } from '../placement.ts';
import type { CounterCollector, CounterLayout } from '../shared/counters.ts';
import { SilenceJudge, processMs } from '../shared/vitals.ts';
import { stopOrKill } from '../stop-or-kill.ts';
import { WATCHDOG_FD } from './protocol.ts';
import type { FromProcess, SourcedRecord, ToProcess, WatchdogReport } from './protocol.ts';

export interface ProcessSlotOptions {
  id: string;
  /** File that calls `hostProcess`. */
  entry: string;
  execArgv?: string[];
  env?: NodeJS.ProcessEnv;
  /** Asked at every start. */
  params: (start: { epoch: number; previousExit: ExitReason | undefined }) => unknown;
  /** Takes over the counters that the child reports; those of a dead incarnation are kept. */
  collector: CounterCollector;
  /** Silence of the child's event loop, or of the whole child, after which it counts as hung. */
  hangAfterMs: number;
  startTimeoutMs: number;
  onMessage?: (payload: unknown) => void;
  /** Where the child's stderr goes when it dies before it can log: the last lines end up in the exit reason. */
  onStderr?: (text: string) => void;
}

const TICK_MS = 250;
const STDERR_KEPT_BYTES = 2_000;

export class ProcessSlot {
  readonly id: string;
  readonly #options: ProcessSlotOptions;
  #child: ChildProcess | undefined;
  /** Settles with the end of a start that was given up. */
  #leaving: Promise<unknown> | undefined;
  #tree: unknown;
  #lastReport: WatchdogReport | undefined;
  /** Of the last report that had one. */
  #blackBox: SourcedRecord[] | undefined;

  constructor(options: ProcessSlotOptions) {
    this.id = options.id;
    this.#options = options;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Sends to the present incarnation. False when there is none or its channel is closed. */
  post(payload: unknown): boolean {
    const child = this.#child;
    if (child?.connected !== true) return false;
    const message: ToProcess = { type: 'message', payload };
    child.send(message, () => undefined);
    return true;
  }

  readonly start: StartChild = async ({ epoch, previousExit, tree, givenUp }) => {
    await this.#leaving;
    if (givenUp?.aborted === true) throw startAborted();
    if (this.#child !== undefined) {
      throw new CodedError('E_SLOT_BUSY', `slot ${this.id} already runs a process`, { kind: 'defect' });
    }
    // Made first: what its parameters throw must leave no child behind.
    const startMessage: ToProcess = {
      type: 'start',
      slotId: this.id,
      treePath: tree?.path ?? this.id,
      epoch,
      params: this.#options.params({ epoch, previousExit }),
      previousExit,
      beatEveryMs: TICK_MS,
    };
    const child = fork(this.#options.entry, [], {
      // Its own process group: the terminal's Ctrl-C must reach the supervisor alone, which then drains in order.
      detached: true,
      execArgv: this.#options.execArgv ?? [],
      env: this.#options.env ?? process.env,
      serialization: 'advanced',
      stdio: ['ignore', 'inherit', 'pipe', 'ipc', 'pipe'],
    });
    if (child.pid === undefined) {
      // Out of descriptors, processes or memory; of its pipes there may be none either.
      const [error] = (await once(child, 'error')) as [Error];
      throw this.#startFailed({ kind: 'failed', error: toWire(error) });
    }
    // What could not be sent, or killed, is told by how it ends.
    child.on('error', () => undefined);
    this.#child = child;
    this.#tree = undefined;
    this.#lastReport = undefined;
    this.#blackBox = undefined;

    let verdict: ExitReason | undefined;
    let failure: WireError | undefined;
    let stderr = '';
    const end = (reason: ExitReason): void => {
      verdict ??= reason;
      child.kill('SIGKILL');
    };

    const ready = Promise.withResolvers<void>();
    const sources = new Map<string, number[]>();
    child.on('message', (message: FromProcess) => {
      switch (message.type) {
        case 'ready':
          watch.isReady();
          ready.resolve();
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
        case 'failed':
          failure = message.error;
          break;
        case 'counters':
          this.#attach(message.source, message.layout, sources);
          break;
      }
    });
    child.stderr?.on('data', (chunk: Buffer) => {
      stderr = (stderr + chunk.toString('utf8')).slice(-STDERR_KEPT_BYTES);
      this.#options.onStderr?.(chunk.toString('utf8'));
    });
    const watch = this.#watch(child, sources, end);

    const exited = new Promise<ExitReason>((resolve) => {
      const settle = (reason: ExitReason): void => {
        watch.stop();
        for (const source of sources.keys()) this.#options.collector.retire(`${this.id}/${source}`);
        this.#child = undefined;
        resolve(withBlackBox(verdict ?? reason, this.#blackBox));
      };
      // 'close' comes after the pipes are read to their end, so the last report and the last words are in.
      child.once('close', (code, signal) => {
        if (failure !== undefined) settle({ kind: 'failed', error: failure });
        else if (stopAsked && code === 0) settle({ kind: 'shutdown' });
        else if (signal !== null) settle({ kind: 'exited', signal });
        else if (code === 0) settle({ kind: 'normal' });
        else if (stderr !== '') settle({ kind: 'failed', error: this.#died(code, stderr) });
        else settle({ kind: 'exited', code: code ?? -1 });
      });
    });

    let stopAsked = false;
    const askToStop = (deadlineMs: number): void => {
      stopAsked = true;
      const message: ToProcess = { type: 'stop', deadlineMs };
      if (child.connected) child.send(message, () => undefined);
    };

    try {
      child.send(startMessage, () => undefined);
    } catch (thrown) {
      // Parameters that cannot be cloned.
      end({ kind: 'failed', error: toWire(thrown) });
    }

    const startTimer = setTimeout(
      () => end({ kind: 'killed', by: `not ready within ${this.#options.startTimeoutMs} ms` }),
      this.#options.startTimeoutMs,
    );
    const leave = (): void => {
      this.#leaving = heardOf(exited);
      end({ kind: 'killed', by: 'its start was given up' });
    };
    givenUp?.addEventListener('abort', leave, { once: true });
    const early = await Promise.race([ready.promise, exited]);
    clearTimeout(startTimer);
    if (early !== undefined) throw this.#startFailed(early);
    return {
      epoch,
      ...stopOrKill(exited, askToStop, end),
      describe: () => ({
        placement: 'process',
        pid: this.pid,
        rssBytes: this.#lastReport?.rssBytes,
        doing: this.#lastReport?.doing,
        tree: this.#tree,
        ...(this.#blackBox === undefined ? {} : { blackBox: this.#blackBox }),
      }),
    };
  };

  #attach(source: string, layout: CounterLayout, sources: Map<string, number[]>): void {
    if (!sources.has(source)) sources.set(source, []);
    this.#options.collector.attach(`${this.id}/${source}`, layout, () => sources.get(source) ?? []);
  }

  #watch(
    child: ChildProcess,
    sources: Map<string, number[]>,
    end: (reason: ExitReason) => void,
  ): { isReady(): void; stop(): void } {
    // Until it is ready the start time-out judges it; from then on its silence does, from its first moment.
    let readyAtMs: number | undefined;
    let heardAtMs = processMs();
    let loopAliveAtMs = heardAtMs;
    const lines = createInterface({ input: child.stdio[WATCHDOG_FD] as Readable });
    lines.on('line', (line) => {
      heardAtMs = processMs();
      const report = parseReport(line);
      if (report === undefined) return;
      loopAliveAtMs = heardAtMs - report.silentMs;
      this.#lastReport = report;
      this.#blackBox = report.blackBox ?? this.#blackBox;
      for (const [source, values] of Object.entries(report.counters)) {
        if (sources.has(source)) sources.set(source, values);
      }
    });
    // A child that dies mid-line leaves an error on the pipe; its exit is what counts.
    lines.on('error', () => undefined);

    const judge = new SilenceJudge({ hangAfterMs: this.#options.hangAfterMs, tickMs: TICK_MS }, heardAtMs);
    const timer = setInterval(() => {
      const nowMs = processMs();
      if (!judge.tick(nowMs) || readyAtMs === undefined) return;
      const aliveAtMs = Math.max(readyAtMs, Math.min(heardAtMs, loopAliveAtMs));
      const silentMs = judge.silentMs(aliveAtMs, 0, nowMs);
      if (silentMs === undefined) return;
      const doing = this.#lastReport?.doing ?? '';
      end({ kind: 'hung', silentMs, ...(doing === '' ? {} : { doing }) });
    }, TICK_MS);
    timer.unref();
    return {
      isReady: () => {
        readyAtMs = processMs();
      },
      stop: () => {
        clearInterval(timer);
        lines.close();
      },
    };
  }

  #startFailed(reason: ExitReason): CodedError {
    return new CodedError('E_START_FAILED', `slot ${this.id} could not start its process`, {
      kind: 'transient',
      details: { reason },
      cause: reason.kind === 'failed' ? reason.error : undefined,
    });
  }

  #died(code: number | null, stderr: string): WireError {
    return toWire(
      new CodedError('E_PROCESS_DIED', `exited with code ${code ?? '?'}`, {
        kind: 'defect',
        details: { stderr },
      }),
    );
  }
}

/** Undefined for the beginning of a line that its child did not live to finish. */
function parseReport(line: string): WatchdogReport | undefined {
  try {
    return JSON.parse(line) as WatchdogReport;
  } catch {
    return undefined;
  }
}
