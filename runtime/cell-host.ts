/**
 * What a cell needs of the system it lives in: the clock, the run queue, the names, the dead letters, the counters.
 *
 * An interface of its own so that cells do not know the system that makes them.
 */
import type { LogEntry } from './actor.ts';
import type { AnyRef } from './actor-ref.ts';
import type { Clock } from './clock.ts';
import type { DeadLetters } from './dead-letters.ts';
import type { Quarantine } from './quarantine.ts';
import type { Registry } from './registry.ts';
import type { RunQueue } from './run-queue.ts';
import type { BlackBoxWriter } from './shared/black-box.ts';

/** Totals since the system began. Plain numbers: one thread writes and reads them. */
export class ActorCounters {
  spawned = 0;
  /** Actors dead for good. */
  ended = 0;
  /** Incarnations after the first of a kept actor. */
  restarted = 0;
  messagesHandled = 0;
  signalsHandled = 0;
  /** Incarnations that ended by a failure or a hang of their own. */
  failed = 0;
  killed = 0;
  /** Messages given back for want of room. */
  refused = 0;
  /** Handlers that settled after their incarnation had ended; their result was ignored. */
  staleSettles = 0;
  /** Clean-ups (`terminate`) that threw, rejected or were cut off. */
  terminateFailures = 0;
  timerTicksLeftOut = 0;
  /** Messages given to a handler again after a failure, a hang or a kill. */
  redelivered = 0;
}

export interface CellHost {
  readonly clock: Clock;
  readonly runQueue: RunQueue;
  readonly registry: Registry<AnyRef>;
  readonly deadLetters: DeadLetters;
  readonly quarantine: Quarantine;
  readonly counters: ActorCounters;
  readonly blackBox: BlackBoxWriter | undefined;
  log(entry: LogEntry): void;
  /** A number for an actor without a name; never the same twice. */
  nextAnonymousId(): number;
  /** Throws `E_ACTORS_FULL` or `E_SYSTEM_STOPPED` when no actor may be added. */
  admitActor(): void;
}
