/**
 * Why a thing that ran has ended: data, not an exception, and the same for actors, threads and processes.
 *
 * `normal` and `shutdown` are clean; everything else is abnormal. A `transient` child is restarted only after an
 * abnormal exit. The reason names who acted: a child that was killed for hanging says so, with what it was doing.
 */
import type { WireError } from './errors.ts';
import type { ActorRecord } from './shared/black-box.ts';

export type ExitReason =
  | CleanExit
  /** Of a thread or process that keeps a black box: what its actors did last. */
  | (AbnormalExit & { blackBox?: readonly ActorRecord[] });

type CleanExit =
  /** It finished its work by itself. */
  | { kind: 'normal' }
  /** Its supervisor asked it to stop, and it did within its deadline. */
  | { kind: 'shutdown' };

type AbnormalExit =
  /**
   * It threw, rejected, or failed to start. `doing` is what it had last said it was working on. `chargedTo` is the type of
   * the message that this crash was charged to (see `redelivery`).
   */
  | { kind: 'failed'; error: WireError; doing?: string; chargedTo?: string }
  /** It did not stop within its deadline, or was killed on request. `by` says who and why. */
  | { kind: 'killed'; by: string }
  /** It showed no sign of life for `silentMs`. */
  | { kind: 'hung'; silentMs: number; doing?: string; chargedTo?: string }
  /** Its heap limit was reached. */
  | { kind: 'outOfMemory'; doing?: string }
  /** A thread or process ended by itself: `code` or `signal` as the operating system reports it. */
  | { kind: 'exited'; code?: number; signal?: string; doing?: string };

export function isAbnormal(reason: ExitReason): boolean {
  return reason.kind !== 'normal' && reason.kind !== 'shutdown';
}

/** The reason, with what was read from the black box if the exit was abnormal and the box was not empty. */
export function withBlackBox(reason: ExitReason, records: readonly ActorRecord[] = []): ExitReason {
  if (records.length === 0 || reason.kind === 'normal' || reason.kind === 'shutdown') return reason;
  return { ...reason, blackBox: records };
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
