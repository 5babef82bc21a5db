/**
 * Two people who change one item: the second, who has not seen the change of the first, is told so and changes nothing.
 *
 * Called while the configuration is locked (see configuration-change.ts), so nothing can happen between the comparison
 * and the change.
 */
import { CodedError } from '../../runtime/errors.ts';

export interface Precondition {
  /** `undefined`: whatever is there. `null`: nothing may be there yet. A number: exactly this version is there. */
  expectedVersion?: number | null | undefined;
}

/** `current` is the stored version, or null when there is none. Errors: E_VERSION_STALE (details: current, expected). */
export function requireVersion(
  item: string,
  current: number | null,
  { expectedVersion: expected }: Precondition,
): void {
  if (expected === undefined || expected === current) return;
  const why =
    current === null
      ? 'is not there'
      : expected === null
        ? `exists already, at version ${current}`
        : `is at version ${current} by now, not ${expected}`;
  throw new CodedError('E_VERSION_STALE', `${item} ${why}`, {
    mend: 'Read it again and repeat the change with its version; nothing was changed.',
    details: { current, expected },
  });
}

/** For what may be made once. Errors: E_EXISTS. */
export function alreadyExists(item: string, field: string): CodedError {
  return new CodedError('E_EXISTS', `${item} exists already`, {
    mend: 'Change the existing one, or choose another name; nothing was changed.',
    details: {
      faults: [{ field, why: 'exists already', mend: 'Choose another, or change the existing one.' }],
    },
  });
}
