/**
 * The check of a deadline that somebody gives to a stop, before anything is stopped.
 *
 * A timer takes what it cannot count (Infinity, more than 2^31 - 1 ms, no number) for 1 ms, and the stop would be a kill.
 */
import { CodedError } from './errors.ts';
import { STOP_DEADLINE_MS_MAX } from './limits.ts';

/** `E_OPTIONS_INVALID` (kind defect), or undefined when the deadline will do. */
export function stopDeadlineFault(deadlineMs: unknown): CodedError | undefined {
  if (typeof deadlineMs === 'number' && deadlineMs > 0 && deadlineMs <= STOP_DEADLINE_MS_MAX)
    return undefined;
  return new CodedError('E_OPTIONS_INVALID', `a stop within ${String(deadlineMs)} ms`, {
    kind: 'defect',
    mend: `Give it a deadline above 0 and at most ${STOP_DEADLINE_MS_MAX} ms.`,
  });
}
