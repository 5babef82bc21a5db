/** Why a submission was not stored, or may not have been: `details.stored` is `no` or `unknown`. */
import { CodedError, codeOf, kindOf, messageOf } from '../errors.ts';

/** The lane is at its bound; not stored. */
export function laneFull(lane: string, reason: string): CodedError {
  return new CodedError('E_LANE_FULL', `lane ${lane} is at its bound of ${reason}`, {
    kind: 'transient',
    details: { stored: 'no', lane, reason },
    mend: 'Wait until it has drained, or raise its bound.',
  });
}

/** The deadline passed before it was sent; not stored. */
export function tooLate(deadlineMs: number): CodedError {
  return new CodedError('E_APPEND_LATE', `it could not be stored within ${deadlineMs} ms`, {
    kind: 'transient',
    details: { stored: 'no', deadlineMs },
  });
}

/** No answer came; it may be stored. */
export function unknownFate(cause?: unknown): CodedError {
  return new CodedError('E_APPEND_UNKNOWN', 'the store did not answer; it may have been stored', {
    kind: 'transient',
    details: { stored: 'unknown' },
    ...(cause === undefined ? {} : { cause }),
  });
}

/** Too much is waiting already; not stored. */
export function writerFull(inFlightBytesMax: number): CodedError {
  return new CodedError('E_WRITER_FULL', `${inFlightBytesMax} bytes are already waiting to be stored`, {
    kind: 'transient',
    details: { stored: 'no', inFlightBytesMax },
  });
}

/** The writer takes nothing more; not stored. */
export function writerClosed(): CodedError {
  return new CodedError('E_WRITER_CLOSED', 'the writer is closed', {
    kind: 'transient',
    details: { stored: 'no' },
  });
}

/** One half of a submission failed, and the other is stored. */
export function halfStored(failure: unknown): CodedError {
  const details = failure instanceof CodedError ? failure.details : {};
  return new CodedError(codeOf(failure), messageOf(failure), {
    kind: kindOf(failure),
    details: { ...details, stored: 'unknown' },
    cause: failure,
  });
}

/** Whether a rejected submission may be stored all the same. */
export function mayBeStored(failure: unknown): boolean {
  return failure instanceof CodedError && failure.details['stored'] === 'unknown';
}
