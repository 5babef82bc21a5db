/**
 * Who shares the fate of a failed child: pure.
 *
 * `oneForOne`: nobody. `oneForAll`: everybody. `restForOne`: those started after it. Invariant: stopping goes in reverse
 * start order, starting in start order, and the failed child itself is started but not stopped (it is down already).
 */
import { assert, assertNever } from '../assert.ts';

export type RestartStrategy = 'oneForOne' | 'oneForAll' | 'restForOne';
export const RESTART_STRATEGIES: readonly RestartStrategy[] = ['oneForOne', 'oneForAll', 'restForOne'];

export interface RestartPlan<Child> {
  /** To stop, in this order, before anything is started. */
  stop: Child[];
  /** To start, in this order. */
  start: Child[];
}

/** `children` in start order; `failed` is one of them. */
export function planRestart<Child>(
  strategy: RestartStrategy,
  children: readonly Child[],
  failed: Child,
): RestartPlan<Child> {
  const index = children.indexOf(failed);
  assert(index >= 0, 'the failed child is one of the children');
  const start = sharers(strategy, children, index);
  return { stop: start.filter((child) => child !== failed).reverse(), start };
}

function sharers<Child>(strategy: RestartStrategy, children: readonly Child[], index: number): Child[] {
  switch (strategy) {
    case 'oneForOne':
      return children.slice(index, index + 1);
    case 'oneForAll':
      return children.slice();
    case 'restForOne':
      return children.slice(index);
    default:
      return assertNever(strategy);
  }
}
