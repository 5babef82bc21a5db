/**
 * Where a child runs. A supervisor knows only this interface, so that the same strategies, intensity and stop order
 * hold for an actor in this thread (`local`), a worker thread (`thread`) and a child process (`process`).
 *
 * Invariant: `exited` settles exactly once and never rejects, and after it has settled nothing of that incarnation runs
 * any more. Every start gets a higher `epoch`, which the incarnation puts into whatever it writes.
 */
import { CodedError } from './errors.ts';
import type { ExitReason } from './exit-reason.ts';
import type { TreeListener } from './supervision/tree-event.ts';

export interface RunningChild {
  readonly epoch: number;
  /** Settles with the reason when this incarnation has ended, whoever ended it. Never rejects. */
  readonly exited: Promise<ExitReason>;
  /** Asks it to stop and waits; after `deadlineMs` it is killed. Settles when it is gone. Safe to call twice. */
  stop(deadlineMs: number): Promise<ExitReason>;
  /** Ends it now. `by` becomes part of the reason. */
  kill(by: string): void;
  /** What it says of itself, for the tree view: plain data. */
  describe?(): Record<string, unknown>;
  /**
   * As `describe`, after asking what runs elsewhere for what holds now. When that does not answer in time, the last that is
   * known is given, with `isStale: true`. Never rejects.
   */
  survey?(timeoutMs: number): Promise<Record<string, unknown>>;
  /**
   * What an operator may do to the actor of that path: ids below this child, none for itself. Absent where a placement
   * cannot. Errors (rejections): `E_CHILD_UNKNOWN`, `E_CHILD_DOWN`, `E_NOT_AN_ACTOR`, those of `ActorSystem`, and across
   * threads `E_CALL_TIMEOUT`.
   */
  suspend?(path?: readonly string[]): Promise<void>;
  resume?(path?: readonly string[]): Promise<void>;
  /** Gives an `ActorInspection`. */
  inspect?(path?: readonly string[]): Promise<unknown>;
}

/** Where a child stands in its tree, and who hears of what happens below it: for a child that is a tree itself. */
export interface TreePlace {
  /** The ids from the root to this child: `root/ingest`. */
  path: string;
  emit: TreeListener;
}

export interface StartRequest {
  epoch: number;
  previousExit: ExitReason | undefined;
  tree?: TreePlace;
  /**
   * Aborted when the start is given up: then it ends at once and rejects, and the next start waits until nothing of it is
   * left. What comes of one that does not listen is killed.
   */
  givenUp?: AbortSignal;
}

/** Starts one incarnation. Rejects (coded error) when it cannot start; then nothing of it is left behind. */
export interface StartChild {
  (start: StartRequest): Promise<RunningChild>;
  /**
   * Told by the supervisor when no incarnation will follow: what the placement keeps over restarts (a ref and its
   * mailbox, a spare thread) may be given up. Safe to call twice; a later start begins anew. Never throws.
   */
  abandon?(reason: ExitReason): void;
}

/** The rejection of a start that nobody waits for any more. */
export function startAborted(): CodedError {
  return new CodedError('E_START_ABORTED', 'the start was given up');
}

/** Settles after that end, when whoever waited for it has heard of it too. */
export async function heardOf(end: Promise<unknown>): Promise<void> {
  await end;
  await new Promise<void>((resolve) => void setImmediate(resolve));
}
