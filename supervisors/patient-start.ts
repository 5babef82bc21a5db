/**
 * A first start that is tried again for a while when what it needs is away: a private store that dies while the node is
 * starting comes back by itself, and must not cost the node. Later starts are the supervisor's affair, as always.
 */
import { sleep } from '../runtime/clock.ts';
import type { Clock } from '../runtime/clock.ts';
import { kindOf } from '../runtime/errors.ts';
import type { StartChild } from '../runtime/placement.ts';

const PATIENCE_MS = 15_000;
const RETRY_MS = 250;

/** After the signal has aborted nothing is tried again. */
export function patientStart(start: StartChild, clock: Clock, signal: AbortSignal): StartChild {
  let hasStarted = false;
  return async (request) => {
    const deadlineMs = clock.monotonicMs() + PATIENCE_MS;
    for (;;) {
      try {
        const child = await start(request);
        hasStarted = true;
        return child;
      } catch (thrown) {
        if (hasStarted || kindOf(thrown) !== 'transient' || clock.monotonicMs() > deadlineMs) throw thrown;
        await sleep(clock, RETRY_MS, signal);
        if (signal.aborted) throw thrown;
      }
    }
  };
}
