/**
 * How often the parts of a node may be restarted, and how fast.
 */
import { kindOf } from '../runtime/errors.ts';
import type { ExitReason } from '../runtime/exit-reason.ts';
import type { BackoffOptions } from '../runtime/supervision/backoff.ts';
import { suspectOf } from './threads/suspect.ts';

/** The first restart comes almost at once; what keeps failing is tried ever more slowly, and for ever. */
export const RESTART_BACKOFF: BackoffOptions = {
  initialMs: 20,
  maxMs: 5_000,
  factor: 2,
  resetAfterMs: 30_000,
};

/** Threads of one role: more than this and the process that hosts them is given up. */
export const THREAD_INTENSITY = { restartsMax: 20, windowMs: 10_000 } as const;

/** The parts of a node: more than this and the node itself ends, to be started again by the service manager. */
export const NODE_INTENSITY = { restartsMax: 30, windowMs: 30_000 } as const;

/** A dependency that is away, an operator's hand and a message that is charged for it are no fault of the child. */
export function isOwnFault(reason: ExitReason): boolean {
  if (suspectOf(reason) !== undefined) return false;
  if (reason.kind === 'killed') return !reason.by.startsWith('asked for');
  return reason.kind !== 'shutdown' && !(reason.kind === 'failed' && kindOf(reason.error) === 'transient');
}
