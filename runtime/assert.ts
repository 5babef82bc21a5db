/**
 * Assertions: how a defect of ours stops at once instead of going on with wrong state.
 *
 * Not for input and not for operating errors; those are coded and handled. A failed assertion is of kind `defect`:
 * the actor dies and its supervisor decides.
 */
import { CodedError } from './errors.ts';

/** Throws `E_ASSERT` (kind defect) unless the condition holds. The message says what must be true. */
export function assert(condition: unknown, mustHold: string): asserts condition {
  if (condition) return;
  throw new CodedError('E_ASSERT', `assertion failed: ${mustHold}`, { kind: 'defect' });
}

/** For the end of a switch over a union: does not compile while a member is unhandled, throws if one slips in. */
export function assertNever(value: never): never {
  throw new CodedError('E_ASSERT', `unexpected value: ${JSON.stringify(value) ?? String(value)}`, {
    kind: 'defect',
  });
}
