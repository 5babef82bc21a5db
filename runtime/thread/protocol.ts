/**
 * What passes between a thread slot (supervising side) and the host inside the thread. Types only.
 */
import type { MessagePort } from 'node:worker_threads';
import type { CallMessage } from '../calls.ts';
import type { ExitReason } from '../exit-reason.ts';
import type { LinkHandout } from '../remote/wire.ts';
import type { CounterLayout } from '../shared/counters.ts';
import type { TreeEvent } from '../supervision/tree-event.ts';
import type { SystemView } from '../system-view.ts';
import type { ThreadLogEntry } from './thread-log.ts';

/** Given to the thread when it starts, before any task. */
export interface ThreadData {
  /** URLs of modules to load meanwhile. */
  preload: readonly string[];
}

/** Given to the thread as its one endless task. */
export interface ThreadTask {
  slotId: string;
  /** For the paths in its tree events. */
  treePath: string;
  epoch: number;
  /** URL of the module whose `threadMain` builds this slot's actors. Loaded inside the task: a module that fails to
   * load is a failed child, where a failure while the worker boots would poison the pool for ever. */
  moduleUrl: string;
  /** Plain data for the module. */
  params: unknown;
  previousExit: ExitReason | undefined;
  vitals: SharedArrayBuffer;
  blackBox: SharedArrayBuffer | undefined;
  counters: SharedArrayBuffer;
  counterLayout: CounterLayout;
  beatEveryMs: number;
  port: MessagePort;
  /** Its ends of the rings to other threads. */
  links: LinkHandout[];
  /** Paths of the actors that are to be suspended before the thread is ready. */
  suspended: (readonly string[])[];
}

export type ToThread =
  | { type: 'stop'; deadlineMs: number }
  | { type: 'message'; payload: unknown }
  /** What runs inside, now? Answered by `described` with this number. */
  | { type: 'describe'; id: number }
  /** What an operator does to an actor inside: `suspend`, `resume` or `inspect`, with its path. */
  | { type: 'call'; message: CallMessage };

export type FromThread =
  /** All its actors have started. */
  | { type: 'ready' }
  | { type: 'message'; payload: unknown }
  /** Its own supervisor's tree, as data; sent soon after tree events, several together. */
  | { type: 'tree'; tree: unknown }
  | { type: 'treeEvent'; event: TreeEvent }
  | { type: 'described'; id: number; tree: unknown; actors: SystemView }
  | { type: 'call'; message: CallMessage }
  | { type: 'log'; entry: ThreadLogEntry }
  /** The last word before the task settles. */
  | { type: 'exit'; reason: ExitReason };
