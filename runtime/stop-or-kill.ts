/** How a child outside this thread is ended: asked first, and by force when its deadline has passed. */
import type { ExitReason } from './exit-reason.ts';
import type { RunningChild } from './placement.ts';

/** `end` ends it by force; what it gives as the reason is what `exited` settles with. */
export function stopOrKill(
  exited: Promise<ExitReason>,
  askToStop: (deadlineMs: number) => void,
  end: (reason: ExitReason) => void,
): Pick<RunningChild, 'exited' | 'stop' | 'kill'> {
  const kill = (by: string): void => end({ kind: 'killed', by });
  return {
    exited,
    stop: async (deadlineMs) => {
      askToStop(deadlineMs);
      const timer = setTimeout(() => kill(`did not stop within ${deadlineMs} ms`), deadlineMs);
      const reason = await exited;
      clearTimeout(timer);
      return reason;
    },
    kill,
  };
}
