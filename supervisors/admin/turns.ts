/**
 * Work that is done one after the other, for people who wait for it. What waits is bounded, and leaves at once when nobody
 * waits for it any more.
 */
import { CodedError } from '../../runtime/errors.ts';

export type InTurn = <T>(signal: AbortSignal, work: () => Promise<T>) => Promise<T>;

/** Errors: those of the work; E_RULE_TRIALS_BUSY, when `waitingMax` wait already; E_TASK_ABORTED, both transient. */
export function turns(waitingMax: number): InTurn {
  let last: Promise<void> = Promise.resolve();
  let taken = 0;
  return async (signal, work) => {
    if (taken > waitingMax) {
      throw new CodedError('E_RULE_TRIALS_BUSY', 'too many trials of rules wait on this node', {
        kind: 'transient',
        mend: 'Try again in a few seconds.',
      });
    }
    taken += 1;
    const before = last;
    const turn = Promise.withResolvers<void>();
    last = turn.promise;
    try {
      await turnOf(before, signal);
      return await work();
    } finally {
      taken -= 1;
      // Whoever comes next waits for those before this one, too: it may have left before its turn.
      void before.then(turn.resolve);
    }
  };
}

/** Settles with `turn`, or throws when the signal is aborted first. */
async function turnOf(turn: Promise<unknown>, signal: AbortSignal): Promise<void> {
  const left = Promise.withResolvers<never>();
  const leave = (): void =>
    left.reject(new CodedError('E_TASK_ABORTED', 'nobody waits for it any more', { kind: 'transient' }));
  if (signal.aborted) leave();
  signal.addEventListener('abort', leave, { once: true });
  try {
    await Promise.race([left.promise, turn]);
  } finally {
    signal.removeEventListener('abort', leave);
  }
}
