/**
 * What passes between a process slot (supervising side) and the host inside the child process. Types only.
 *
 * Two channels: IPC for messages, and a pipe that only the child's watchdog thread writes, so that the child's vital
 * signs and counters arrive even while its event loop is busy or hung.
 */
import type { WireError } from '../errors.ts';
import type { ExitReason } from '../exit-reason.ts';
import type { ActorRecord } from '../shared/black-box.ts';
import type { CounterLayout } from '../shared/counters.ts';
import type { TreeEvent } from '../supervision/tree-event.ts';

export type ToProcess =
  | {
      type: 'start';
      slotId: string;
      /** For the paths in its tree events. */
      treePath: string;
      epoch: number;
      params: unknown;
      previousExit: ExitReason | undefined;
      beatEveryMs: number;
    }
  | { type: 'stop'; deadlineMs: number }
  | { type: 'message'; payload: unknown };

export type FromProcess =
  | { type: 'ready' }
  | { type: 'message'; payload: unknown }
  | { type: 'tree'; tree: unknown }
  | { type: 'treeEvent'; event: TreeEvent }
  /** Announces a set of counters; later watchdog reports carry its values under `source`. */
  | { type: 'counters'; source: string; layout: CounterLayout }
  | { type: 'failed'; error: WireError };

/** One line of JSON on the watchdog's pipe. */
export interface WatchdogReport {
  /** How long the child's event loop has been silent. */
  silentMs: number;
  doing: string;
  rssBytes: number;
  counters: Record<string, number[]>;
  /** The latest of all its black boxes; left out while nothing is written into any. */
  blackBox?: SourcedRecord[];
}

/** `source`: the thread of the process whose actor it is. */
export interface SourcedRecord extends ActorRecord {
  source: string;
}

/** To the watchdog: a block to read from now on. */
export interface WatchdogOrder {
  source: string;
  buffer: SharedArrayBuffer;
  what: 'counters' | 'blackBox';
}

/** File descriptor of the watchdog's pipe in the child (after stdin, stdout, stderr and IPC). */
export const WATCHDOG_FD = 4;
