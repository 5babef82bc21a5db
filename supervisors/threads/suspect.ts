/**
 * What a thread was handling when it died, as it wrote it into its vital signs.
 */
import type { ProgressMark, Suspect } from '../../runtime/durable/consumer.ts';
import { describeExit } from '../../runtime/exit-reason.ts';
import type { ExitReason } from '../../runtime/exit-reason.ts';

const CODES: Partial<Record<ExitReason['kind'], string>> = {
  hung: 'E_HUNG',
  outOfMemory: 'E_OUT_OF_MEMORY',
  exited: 'E_EXITED',
  failed: 'E_THREAD_FAILED',
};

export function formatMark({ partition, lane, firstId, lastId, lo, hi }: ProgressMark): string {
  return `${partition} ${lane} ${firstId} ${lastId} ${lo} ${hi}`;
}

/** Undefined for a clean end, or one that was not its work's fault. */
export function suspectOf(exit: ExitReason | undefined): Suspect | undefined {
  if (exit === undefined || !('doing' in exit)) return undefined;
  const reason = CODES[exit.kind];
  const [, partition, lane, firstId, lastId, lo, hi] =
    /^(\d+) (\S+) (\S+) (\S+) (\d+) (\d+)$/.exec(exit.doing ?? '') ?? [];
  if (reason === undefined || lane === undefined || firstId === undefined || lastId === undefined)
    return undefined;
  return {
    partition: Number(partition),
    lane,
    firstId,
    lastId,
    lo: Number(lo),
    hi: Number(hi),
    reason,
    message: describeExit(exit),
  };
}
