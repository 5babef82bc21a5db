/**
 * Telling of what may happen often: once a while, with how often it has happened.
 */
import { systemClock } from '../../runtime/clock.ts';

const TELL_EVERY_MS = 10_000;

/** Tells at once, and what comes within `TELL_EVERY_MS` of it together afterwards. */
export function occasionally(
  tell: (count: number, fields: Record<string, unknown>) => void,
): (count: number, fields?: Record<string, unknown>) => void {
  let untold = 0;
  let last: Record<string, unknown> = {};
  let isQuiet = false;
  const tellNow = (): void => {
    if (untold === 0) {
      isQuiet = false;
      return;
    }
    tell(untold, last);
    untold = 0;
    isQuiet = true;
    systemClock.after(TELL_EVERY_MS, tellNow, { ref: false });
  };
  return (count, fields = {}) => {
    untold += count;
    last = fields;
    if (!isQuiet) tellNow();
  };
}
