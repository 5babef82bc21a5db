/**
 * The actors of a system as plain data: what `ActorSystem.describe` gives. Clonable, and bounded whatever the system is.
 *
 * A snapshot, not a handle; no message's content is in it. Shown level by level, the eldest first, so that what a system
 * was built of is there even when a million others are not. Invariant: every actor alive is shown once or counted once as
 * left out.
 */
import type { ActorStatusName } from './actor-status.ts';
import type { ActorSystemCounts } from './actor-system.ts';
import type { DeadLetter } from './dead-letters.ts';
import type { Family } from './ending-cell.ts';
import type { OverflowPolicy } from './mailbox.ts';

/** One actor, without what is below it. */
export interface ActorFacts {
  path: string;
  status: ActorStatusName;
  /** Wall time; while it is suspended. */
  suspendedSinceMs?: number;
  epoch: number;
  messagesHandled: number;
  /** Messages in the mailbox, of `capacity`. */
  waiting: number;
  stashed?: number;
  capacity: number;
  overflow: OverflowPolicy;
  /** Senders that wait for room. */
  waitingSenders: number;
  /** The message whose async handler has not settled. `sinceMs`: wall time; known when the actor has a handler timeout. */
  current?: { messageType: string; sinceMs?: number };
  /** Actors that it watches, and listeners for its own end. */
  watches: number;
  watchers: number;
  timers: number;
  /** Unanswered. */
  asks: number;
  /** How its last incarnation ended. */
  previousExit?: string;
}

export interface ActorView extends ActorFacts {
  /** The eldest first. */
  children: ActorView[];
  /** Children that are not among them, for there were too many. */
  childrenLeftOut: number;
}

export interface SystemView {
  /** Wall time. */
  atMs: number;
  counts: ActorSystemCounts;
  /** The top-level ones, the eldest first. */
  actors: ActorView[];
  /** Actors that are not shown, on whatever level. */
  truncated: number;
  /** The last ones, the oldest first. */
  deadLetters: DeadLetter[];
}

/** A deeper tree could not be cloned or printed on an ordinary stack. */
const LEVELS_MAX = 100;

/** At most `actorsMax` of a family and all below it. */
export function viewsOf(top: Family, actorsMax: number): { actors: ActorView[]; shown: number } {
  const actors: ActorView[] = [];
  const levels: { family: Family; level: number; parent: ActorView | undefined; views: ActorView[] }[] = [
    { family: top, level: 1, parent: undefined, views: actors },
  ];
  let shown = 0;
  // Grows while it is gone through.
  for (const { family, level, parent, views } of levels) {
    const room = level > LEVELS_MAX ? 0 : actorsMax - shown;
    let cell = family.eldest;
    for (; cell !== undefined && views.length < room; cell = cell.younger) {
      const view: ActorView = { ...cell.facts(), children: [], childrenLeftOut: 0 };
      views.push(view);
      const below = cell.descendants;
      if (below !== undefined)
        levels.push({ family: below, level: level + 1, parent: view, views: view.children });
    }
    shown += views.length;
    if (parent !== undefined) parent.childrenLeftOut = family.size - views.length;
  }
  return { actors, shown };
}
