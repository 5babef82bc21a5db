/**
 * What a cell needs only when it does more than handle messages: children, watches, timers, asks, deadlines.
 *
 * Kept apart so that an idle actor stays small; a cell makes its annex the first time one of these is used. Invariant:
 * what belongs to an incarnation (timers, watches, deadlines, abort signal) is gone when the incarnation has ended; what
 * belongs to the ref (listeners, asks) stays until the actor is dead.
 */
import type { AnyRef } from './actor-ref.ts';
import type { ActorTimers } from './actor-timers.ts';
import type { Family } from './ending-cell.ts';
import type { ExitReason } from './exit-reason.ts';
import type { Links } from './links.ts';
import type { LocalIncarnation } from './local-incarnation.ts';
import type { PendingAsks } from './pending-asks.ts';
import type { Redelivery } from './redelivery.ts';
import type { ActorRecorder } from './shared/black-box.ts';
import type { Stash } from './stash.ts';

/** Who is told about each incarnation of a cell that is kept over restarts. */
export interface IncarnationOwner {
  started(): void;
  exited(reason: ExitReason): void;
}

/** What an operator has begun: who waits for it to be in effect. Kept over restarts. */
export interface Hold {
  /** Wall time. */
  sinceMs: number;
  waiters: PromiseWithResolvers<void>[];
  /** The instance's own `suspend` or `resume` has not settled. */
  isBeingTold: boolean;
}

export class CellAnnex<M> {
  timers: ActorTimers | undefined = undefined;
  asks: PendingAsks<M> | undefined = undefined;
  /** Actors watched by this incarnation, each with the function that ends the watch. */
  watches: Map<AnyRef, () => void> | undefined = undefined;
  links: Links<LocalIncarnation<unknown>> | undefined = undefined;
  stash: Stash<M> | undefined = undefined;
  hold: Hold | undefined = undefined;
  /** A callback is on the stack that handles no message. */
  isAside = false;
  /** Who wants to know when this actor is dead for good. */
  listeners: Set<(reason: ExitReason) => void> | undefined = undefined;
  /** Who waits for the end of this incarnation. */
  exitWaiters: ((reason: ExitReason) => void)[] = [];
  abortController: AbortController | undefined = undefined;
  cancelStartDeadline: (() => void) | undefined = undefined;
  /** Timeouts of stopping and terminating; all cancelled when the incarnation has ended. */
  cancelDeadlines: (() => void)[] = [];
  /** One lazily re-armed timeout for all handlers: arming one per message would cost more than most handlers. */
  handlerDeadline: (() => void) | undefined = undefined;
  handlerSinceMs: number | undefined = undefined;
  /** The reason that the ending incarnation will report. */
  exitReason: ExitReason | undefined = undefined;
  /** How the last incarnation ended. */
  previousExit: ExitReason | undefined = undefined;
  epoch = 1;
  /** Kept over restarts: the end of an incarnation is not the end of the actor. */
  isKept = false;
  owner: IncarnationOwner | undefined = undefined;
  children: Family | undefined = undefined;
  redelivery: Redelivery<M> | undefined = undefined;
  recorder: ActorRecorder | undefined = undefined;
  /** It has one of the two: every message has to be accounted for when it has been handled. */
  isWatched = false;
}
