/**
 * When a supervisor's work is over: pure.
 *
 * A significant child that ends by itself and is not restarted may end its supervisor. Not by itself: removed or restarted
 * on request, or stopped with a sibling that failed; such an end never ends the supervisor. Invariant: a permanent child
 * is never significant, since it never ends for good.
 */
import { assertNever } from '../assert.ts';

/** `anySignificant`: with the first significant child that ends. `allSignificant`: when none is left that may run. */
export type AutoShutdown = 'never' | 'anySignificant' | 'allSignificant';
export const AUTO_SHUTDOWNS: readonly AutoShutdown[] = ['never', 'anySignificant', 'allSignificant'];

interface Significance {
  isSignificant: boolean;
  /** It runs, or will be started again by itself. */
  isActive: boolean;
}

/** Whether the end of `ended`, by itself and for good, ends the supervisor. `others` may contain it. */
export function endsSupervisor<Child extends Significance>(
  autoShutdown: AutoShutdown,
  ended: Child,
  others: Iterable<Child>,
): boolean {
  if (!ended.isSignificant) return false;
  switch (autoShutdown) {
    case 'never':
      return false;
    case 'anySignificant':
      return true;
    case 'allSignificant':
      for (const other of others) {
        if (other !== ended && other.isSignificant && other.isActive) return false;
      }
      return true;
    default:
      return assertNever(autoShutdown);
  }
}
