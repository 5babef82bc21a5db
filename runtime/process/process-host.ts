/**
 * The child's side of a process slot: takes the start message, keeps the watchdog fed, and ends when told to or when
 * its supervisor is gone.
 *
 * Invariant: a child never outlives its supervisor: when the IPC channel closes it stops at once.
 */
import { Worker } from 'node:worker_threads';
import { systemClock } from '../clock.ts';
import { toWire } from '../errors.ts';
import type { ExitReason } from '../exit-reason.ts';
import type { TreePlace } from '../placement.ts';
import type { BlackBox } from '../shared/black-box.ts';
import type { CounterBlock } from '../shared/counters.ts';
import { Vitals } from '../shared/vitals.ts';
import { limitTreeEvents } from '../supervision/tree-event-limit.ts';
import type { FromProcess, ToProcess, WatchdogOrder } from './protocol.ts';

export interface ProcessHost {
  readonly slotId: string;
  readonly epoch: number;
  readonly params: unknown;
  readonly previousExit: ExitReason | undefined;
  readonly vitals: Vitals;
  post(payload: unknown): void;
  onMessage(listener: (payload: unknown) => void): void;
  /** Adds a block to what the watchdog reports. A source name once given stays. */
  report(source: string, block: CounterBlock): void;
  /** Adds a black box: the last of what is in it leaves with the watchdog's reports, and outlives this process. */
  reportBlackBox(source: string, blackBox: BlackBox): void;
  sendTree(tree: unknown): void;
  /** For the process's own supervisor, whose events go on to the one above; past a burst of 100 only 10 a second. */
  readonly tree: TreePlace;
}

/** What runs in the process. */
export interface HostedProcess {
  stop(deadlineMs: number): Promise<void>;
}

/** Runs `main` once the supervisor has sent the start message. Never returns before the process ends. */
export function hostProcess(main: (host: ProcessHost) => Promise<HostedProcess>): void {
  if (process.send === undefined) throw new Error('this file is started by a supervisor, not by hand');
  const send = (message: FromProcess): void => {
    // A closed channel is handled by the disconnect event below.
    if (process.connected) process.send?.(message);
  };
  const fail = (thrown: unknown): void => {
    // The exit must not overtake the message that says why.
    const message: FromProcess = { type: 'failed', error: toWire(thrown) };
    process.send?.(message, () => process.exit(1));
  };
  const early: unknown[] = [];
  let listener: ((payload: unknown) => void) | undefined;
  let hosted: Promise<HostedProcess> | undefined;
  let stopping: Promise<void> | undefined;

  const stop = (deadlineMs: number): Promise<void> => {
    stopping ??= (async () => {
      const running = await hosted;
      await running?.stop(deadlineMs);
    })().then(() => process.exit(0), fail);
    return stopping;
  };

  process.on('message', (message: ToProcess) => {
    switch (message.type) {
      case 'start':
        hosted = begin(message, main, send, (next) => {
          listener = next;
          for (const payload of early.splice(0)) next(payload);
        });
        hosted.then(() => send({ type: 'ready' }), fail);
        break;
      case 'stop':
        void stop(message.deadlineMs);
        break;
      case 'message':
        if (listener === undefined) early.push(message.payload);
        else listener(message.payload);
        break;
    }
  });
  process.on('disconnect', () => process.exit(0));
  // A terminal's Ctrl-C and its closing are the supervisor's to answer: it stops its children in order.
  for (const signal of ['SIGINT', 'SIGHUP'] as const) process.on(signal, () => undefined);
  process.on('SIGTERM', () => void stop(STOP_BY_SIGNAL_MS));
}

const STOP_BY_SIGNAL_MS = 10_000;

async function begin(
  message: Extract<ToProcess, { type: 'start' }>,
  main: (host: ProcessHost) => Promise<HostedProcess>,
  send: (message: FromProcess) => void,
  onMessage: ProcessHost['onMessage'],
): Promise<HostedProcess> {
  const vitals = new Vitals();
  vitals.begin(message.epoch);
  const watchdog = new Worker(new URL('./watchdog.ts', import.meta.url), {
    workerData: { vitals: vitals.buffer, everyMs: message.beatEveryMs },
  });
  watchdog.unref();
  setInterval(() => vitals.beat(), message.beatEveryMs);

  return main({
    slotId: message.slotId,
    epoch: message.epoch,
    params: message.params,
    previousExit: message.previousExit,
    vitals,
    post: (payload) => send({ type: 'message', payload }),
    onMessage,
    report: (source, block) => {
      send({ type: 'counters', source, layout: block.layout });
      watchdog.postMessage({ source, buffer: block.buffer, what: 'counters' } satisfies WatchdogOrder);
    },
    reportBlackBox: (source, { buffer }) =>
      watchdog.postMessage({ source, buffer, what: 'blackBox' } satisfies WatchdogOrder),
    sendTree: (tree) => send({ type: 'tree', tree }),
    tree: {
      path: message.treePath,
      emit: limitTreeEvents((event) => send({ type: 'treeEvent', event }), systemClock),
    },
  });
}
