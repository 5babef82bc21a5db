/**
 * For specs: the error that something ends with, so that its code and cause can be looked at.
 *
 * Invariant: a thing that does not fail fails the spec.
 */
import { CodedError } from '../../runtime/errors.ts';

export async function rejectionOf(promise: Promise<unknown>): Promise<CodedError> {
  try {
    await promise;
  } catch (thrown) {
    return coded(thrown);
  }
  throw new Error('it did not reject');
}

export function thrownBy(act: () => unknown): CodedError {
  try {
    act();
  } catch (thrown) {
    return coded(thrown);
  }
  throw new Error('it did not throw');
}

function coded(thrown: unknown): CodedError {
  if (thrown instanceof CodedError) return thrown;
  throw new Error('it failed with an error without a code', { cause: thrown });
}
