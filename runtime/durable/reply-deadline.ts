/** Waiting for a reply, but not for ever. */
import type { Clock } from '../clock.ts';

/** The outcome, or `late` when it did not come within the time. A late outcome is nobody's business any more. */
export async function inTime<T>(clock: Clock, waitMs: number, outcome: Promise<T>): Promise<T | 'late'> {
  let cancel = (): void => {};
  const late = new Promise<'late'>((resolve) => {
    cancel = clock.after(waitMs, () => resolve('late'));
  });
  try {
    return await Promise.race([outcome, late]);
  } finally {
    cancel();
    outcome.catch(() => {});
  }
}
