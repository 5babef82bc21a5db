/**
 * What passes between a thread slot (supervising side) and the host inside the thread. Types only.
 */
import type { MessagePort } from 'node:worker_threads';
import type { ExitReason } from '../exit-reason.ts';
import type { CounterLayout } from '../shared/counters.ts';
import type { ThreadLogEntry } from './thread-log.ts';

/** Given to the thread as its one endless task. */
export interface ThreadTask {
  slotId: string;
  epoch: number;
  /** URL of the module whose `threadMain` builds this slot's actors. Loaded inside the task: a module that fails to
   * load is a failed child, where a failure while the worker boots would poison the pool for ever. */
  moduleUrl: string;
  /** Plain data for the module. */
  params: unknown;
  previousExit: ExitReason | undefined;
  vitals: SharedArrayBuffer;
  counters: SharedArrayBuffer;
  counterLayout: CounterLayout;
  beatEveryMs: number;
  port: MessagePort;
}

export type ToThread = { type: 'stop'; deadlineMs: number } | { type: 'message'; payload: unknown };

export type FromThread =
  /** All its actors have started. */
  | { type: 'ready' }
  | { type: 'message'; payload: unknown }
  /** Its own supervisor's tree, as data; sent at every tree event. */
  | { type: 'tree'; tree: unknown }
  | { type: 'log'; entry: ThreadLogEntry }
  /** The last word before the task settles. */
  | { type: 'exit'; reason: ExitReason };
