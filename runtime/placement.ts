/**
 * Where a child runs. A supervisor knows only this interface, so that the same strategies, intensity and stop order
 * hold for an actor in this thread (`local`), a worker thread (`thread`) and a child process (`process`).
 *
 * Invariant: `exited` settles exactly once and never rejects, and after it has settled nothing of that incarnation runs
 * any more. Every start gets a higher `epoch`, which the incarnation puts into whatever it writes.
 */
import type { ExitReason } from './exit-reason.ts';

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
}

/** Starts one incarnation. Rejects (coded error) when it cannot start; then nothing of it is left behind. */
export interface StartChild {
  (start: { epoch: number; previousExit: ExitReason | undefined }): Promise<RunningChild>;
  /**
   * Told by the supervisor when no incarnation will follow: what the placement keeps over restarts (a ref and its
   * mailbox, a spare thread) may be given up. Safe to call twice; a later start begins anew. Never throws.
   */
  abandon?(reason: ExitReason): void;
}
