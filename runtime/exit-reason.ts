/**
 * Why a thing that ran has ended: data, not an exception, and the same for actors, threads and processes.
 *
 * `normal` and `shutdown` are clean; everything else is abnormal. A `transient` child is restarted only after an
 * abnormal exit. The reason names who acted: a child that was killed for hanging says so, with what it was doing.
 */
import type { WireError } from './errors.ts';

export type ExitReason =
  /** It finished its work by itself. */
  | { kind: 'normal' }
  /** Its supervisor asked it to stop, and it did within its deadline. */
  | { kind: 'shutdown' }
  /** It threw, rejected, or failed to start. `doing` is what it had last said it was working on. */
  | { kind: 'failed'; error: WireError; doing?: string }
  /** It did not stop within its deadline, or was killed on request. `by` says who and why. */
  | { kind: 'killed'; by: string }
  /** It showed no sign of life for `silentMs`. */
  | { kind: 'hung'; silentMs: number; doing?: string }
  /** Its heap limit was reached. */
  | { kind: 'outOfMemory'; doing?: string }
  /** A thread or process ended by itself: `code` or `signal` as the operating system reports it. */
  | { kind: 'exited'; code?: number; signal?: string; doing?: string };

export function isAbnormal(reason: ExitReason): boolean {
  return reason.kind !== 'normal' && reason.kind !== 'shutdown';
}

/** One short phrase for logs and the tree view. */
export function describeExit(reason: ExitReason): string {
  switch (reason.kind) {
    case 'normal':
    case 'shutdown':
      return reason.kind;
    case 'failed':
      return `failed: ${reason.error.code}: ${reason.error.message}`;
    case 'killed':
      return `killed: ${reason.by}`;
    case 'hung':
      return `hung: silent for ${Math.round(reason.silentMs)} ms${reason.doing === undefined ? '' : ` on ${reason.doing}`}`;
    case 'outOfMemory':
      return `out of memory${reason.doing === undefined ? '' : ` on ${reason.doing}`}`;
    case 'exited':
      return reason.signal === undefined
        ? `exited with code ${reason.code ?? '?'}`
        : `ended by ${reason.signal}`;
  }
}
