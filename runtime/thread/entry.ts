/**
 * The first file that runs inside a worker thread: hosts the slot's actors under a supervisor of their own.
 *
 * This is the lower of the two levels of supervision. An actor that throws is restarted here, in its own thread, with
 * its mailbox; when that does not help (its restart intensity is exceeded) or the thread itself fails, the slot's
 * supervisor on the other side starts a new thread with a new epoch.
 */
import { workerData } from 'node:worker_threads';
import type { Transferable } from 'node:worker_threads';
import type { LogLevel } from '../actor.ts';
import { ActorSystem } from '../actor-system.ts';
import { Calls } from '../calls.ts';
import { sleep, systemClock } from '../clock.ts';
import { toWire } from '../errors.ts';
import { isAbnormal } from '../exit-reason.ts';
import type { ExitReason } from '../exit-reason.ts';
import { Endpoint } from '../remote/endpoint.ts';
import { BlackBox, BlackBoxWriter } from '../shared/black-box.ts';
import { CounterBlock } from '../shared/counters.ts';
import { nameThread } from '../shared/thread-name.ts';
import { Vitals } from '../shared/vitals.ts';
import type { ChildSpec } from '../supervision/child-spec.ts';
import { Supervisor } from '../supervision/supervisor.ts';
import { limitTreeEvents } from '../supervision/tree-event-limit.ts';
import type { SystemView } from '../system-view.ts';
import type { FromThread, ThreadData, ThreadTask, ToThread } from './protocol.ts';
import { ThreadLog } from './thread-log.ts';

/** What a thread's module gets to build its actors from. */
export interface ThreadHost {
  readonly slotId: string;
  readonly epoch: number;
  readonly params: unknown;
  /** Why the last incarnation in this slot ended; what it was working on is a suspect. */
  readonly previousExit: ExitReason | undefined;
  readonly system: ActorSystem;
  readonly counters: CounterBlock;
  readonly vitals: Vitals;
  /** Actors of other threads, and what of this one they may tell. */
  readonly remote: Endpoint;
  post(payload: unknown, transferList?: Transferable[]): void;
  /** To the log of the slot's owner, as what the system's actors log. Never throws. */
  log(level: LogLevel, text: string, fields?: Record<string, unknown>): void;
  /** One listener; messages that come before it is set wait. */
  onMessage(listener: (payload: unknown) => void): void;
}

/** A thread's module exports this under the name `threadMain`. */
export type ThreadMain = (host: ThreadHost) => ThreadActors | Promise<ThreadActors>;

export interface ThreadActors {
  /** Started in this order, stopped in reverse. */
  children: ChildSpec[];
  /** Called after the last child has stopped: connections and the like. */
  close?(): Promise<void> | void;
}

/** Restarts of one thread's actors within the window before the whole thread is given up. */
const RESTARTS_MAX = 10;
const RESTART_WINDOW_MS = 10_000;
/** A thread that has failed may give back what it holds for so long; then it goes as it is. */
const CLOSE_AFTER_FAILURE_MS = 1_000;

/** The name of a thread that waits for a slot. */
const SPARE = 'spare';
const TREE_SENT_AFTER_MS = 20;

// Not awaited: a module that imports this one would wait for it, and it for that. A slot's own import shares the load.
void Promise.allSettled((workerData as ThreadData).preload.map((url) => import(url)));

/** An empty task, by which the pool keeps its spare threads. */
export function doNothing(): void {}

export default async function runThread(task: ThreadTask): Promise<void> {
  const { port } = task;
  nameThread(task.slotId);
  const send = (message: FromThread, transferList: Transferable[] = []): void =>
    port.postMessage(message, transferList as never);
  const vitals = new Vitals(task.vitals);
  const beat = setInterval(() => {
    vitals.beat();
    vitals.set('heapUsedBytes', process.memoryUsage().heapUsed);
  }, task.beatEveryMs);
  vitals.beat();

  let reason: ExitReason;
  try {
    reason = await host(task, vitals, send);
  } catch (thrown) {
    reason = { kind: 'failed', error: toWire(thrown) };
  }
  clearInterval(beat);
  send({ type: 'exit', reason });
  // What failed may have left anything behind: timers, handles, a module that did not load and never will in this
  // thread. So the thread goes with it; only one that was stopped cleanly is used again.
  if (isAbnormal(reason)) process.exit(1);
  nameThread(SPARE);
  port.close();
}

async function host(
  task: ThreadTask,
  vitals: Vitals,
  send: (message: FromThread, transferList?: Transferable[]) => void,
): Promise<ExitReason> {
  const stopRequest = Promise.withResolvers<number>();
  const early: unknown[] = [];
  let listener: ((payload: unknown) => void) | undefined;
  let describe: (() => { tree: unknown; actors: SystemView }) | undefined = undefined;
  task.port.on('message', (message: ToThread) => {
    if (message.type === 'stop') stopRequest.resolve(message.deadlineMs);
    else if (message.type === 'describe') {
      if (describe !== undefined) send({ type: 'described', id: message.id, ...describe() });
      // Only who has heard that it is ready calls it.
    } else if (message.type === 'call') calls.receive(message.message);
    else if (listener === undefined) early.push(message.payload);
    else listener(message.payload);
  });

  const module = (await import(task.moduleUrl)) as { threadMain: ThreadMain };
  const log = new ThreadLog((entry) => send({ type: 'log', entry }), systemClock);
  const system = new ActorSystem({
    clock: systemClock,
    log: (entry) => log.write(entry),
    blackBox:
      task.blackBox === undefined ? undefined : new BlackBoxWriter(new BlackBox(task.blackBox), systemClock),
  });
  const remote = new Endpoint(task.slotId, system, (text, fields) =>
    log.write({ level: 'error', path: '/', text, fields }),
  );
  for (const link of task.links) remote.connect(link);
  const actors = await module.threadMain({
    slotId: task.slotId,
    epoch: task.epoch,
    params: task.params,
    previousExit: task.previousExit,
    system,
    counters: new CounterBlock(task.counterLayout, task.counters),
    vitals,
    remote,
    post: (payload, transferList) => send({ type: 'message', payload }, transferList),
    log: (level, text, fields) =>
      log.write({ level, path: '/', text, ...(fields === undefined ? {} : { fields }) }),
    onMessage: (next) => {
      listener = next;
      for (const payload of early.splice(0)) next(payload);
    },
  });

  const supervisor = new Supervisor(
    {
      id: task.slotId,
      strategy: 'oneForOne',
      intensity: { restartsMax: RESTARTS_MAX, windowMs: RESTART_WINDOW_MS },
      children: actors.children,
    },
    {
      tree: {
        path: task.treePath,
        emit: limitTreeEvents((event) => send({ type: 'treeEvent', event }), systemClock),
      },
    },
  );
  const sendTree = (): void => send({ type: 'tree', tree: supervisor.describe() });
  const calls = new Calls((message) => send({ type: 'call', message }), systemClock, {
    // The tree goes before the answer: whoever has it sees what was asked for.
    suspend: (path: readonly string[]) => supervisor.suspend(path).then(sendTree),
    resume: (path: readonly string[]) => supervisor.resume(path).then(sendTree),
    inspect: (path: readonly string[]) => supervisor.inspect(path),
  });
  supervisor.observe(soon(sendTree));
  describe = () => ({ tree: supervisor.describe(), actors: system.describe() });
  const close = async (): Promise<void> => actors.close?.();
  try {
    await supervisor.start();
    await Promise.all(task.suspended.map((path) => suspendAgain(supervisor, path, log)));
    sendTree();
    remote.open();
    send({ type: 'ready' });
    const ended = await Promise.race([stopRequest.promise, supervisor.exited]);
    remote.stopTaking();
    if (typeof ended !== 'number') return await afterFailure(ended, close);
    await supervisor.stop(ended);
    await system.stop(ended);
  } catch (thrown) {
    remote.stopTaking();
    return await afterFailure({ kind: 'failed', error: toWire(thrown) }, close);
  }
  // Its time is the deadline of the stop, which the slot keeps.
  await close();
  remote.close();
  return { kind: 'shutdown' };
}

/** The actor may not be there any more, or not take it: that keeps nobody else from starting. */
async function suspendAgain(supervisor: Supervisor, path: readonly string[], log: ThreadLog): Promise<void> {
  try {
    await supervisor.suspend(path);
  } catch (thrown) {
    const fields = { actor: path.join('/'), error: toWire(thrown) };
    log.write({ level: 'warn', path: '/', text: 'an actor is not suspended any more', fields });
  }
}

/** Calls once for whatever comes within a short time, so that a tree of thousands is not sent thousands of times. */
function soon(call: () => void): () => void {
  let timer: NodeJS.Timeout | undefined;
  return () => {
    timer ??= setTimeout(() => {
      timer = undefined;
      call();
    }, TREE_SENT_AFTER_MS).unref();
  };
}

/** A close that fails or never ends must not hide why the thread has failed. */
async function afterFailure(reason: ExitReason, close: () => Promise<void>): Promise<ExitReason> {
  await Promise.race([close().catch(() => undefined), sleep(systemClock, CLOSE_AFTER_FAILURE_MS)]);
  return reason;
}
