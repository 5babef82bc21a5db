/**
 * The live tree as plain data: what `describe` of a supervisor gives, and what a console shows.
 *
 * A snapshot, clonable; not a handle. A nested supervisor's view is in the `detail` of its parent's child.
 */
import type { RestartStrategy } from './restart-strategy.ts';

/** `waiting`: down, until its back-off is over. `down`: not running, about to be dealt with. `finished`: not restarted. */
export type ChildStatus = 'down' | 'starting' | 'running' | 'stopping' | 'waiting' | 'finished';

export interface ChildView {
  id: string;
  status: ChildStatus;
  epoch: number;
  /** Starts after the first. */
  restarts: number;
  /** Wall time of the last change of status. */
  sinceMs: number;
  /** The last exits, oldest first. */
  exits: { atMs: number; reason: string }[];
  /** What the child says of itself. */
  detail?: Record<string, unknown>;
}

/** A child in a list: what a supervisor knows of it without asking it. */
export type ChildSummary = Pick<ChildView, 'id' | 'status' | 'epoch' | 'restarts' | 'sinceMs'>;

/** How many children there are, and how many of each status. */
export type ChildCounts = Record<ChildStatus, number> & { total: number };

export interface SupervisorView {
  id: string;
  strategy: RestartStrategy;
  status: SupervisorStatus;
  epoch: number;
  /** Counted restarts in the window that ends now. */
  restartsInWindow: number;
  children: ChildView[];
}

export type SupervisorStatus = 'unstarted' | 'starting' | 'running' | 'stopping' | 'ended';
