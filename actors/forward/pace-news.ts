/** What a lane has to tell those who share its destination's pace, until it has told it. */
import type { PaceNews } from '../../runtime/durable/pace.ts';

export const NO_NEWS: PaceNews = {
  hasSucceeded: false,
  failures: 0,
  mustOpen: false,
  openMs: 0,
  restMs: 0,
  why: '',
};

export const TAKEN: PaceNews = { ...NO_NEWS, hasSucceeded: true };

/** Both, one after the other. */
export function added(before: PaceNews, after: PaceNews): PaceNews {
  if (before === after) return after;
  if (after.hasSucceeded) return { ...after, restMs: Math.max(before.restMs, after.restMs) };
  return {
    hasSucceeded: before.hasSucceeded,
    failures: before.failures + after.failures,
    mustOpen: before.mustOpen || after.mustOpen,
    openMs: Math.max(before.openMs, after.openMs),
    restMs: Math.max(before.restMs, after.restMs),
    why: after.why === '' ? before.why : after.why,
  };
}
