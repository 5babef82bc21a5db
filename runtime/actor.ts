/**
 * What an actor's author writes and is given: the behaviour contract.
 *
 * Not the machinery (actor-cell.ts). A factory closes over its state and returns callbacks; a restart calls the factory
 * again, so the state begins anew. Invariant: callbacks of one actor never overlap; an async one has settled before the
 * next begins. A failure in any of them ends the incarnation, and whoever supervises the actor decides what follows.
 */
import type { ActorRef, AnyRef } from './actor-ref.ts';
import type { ActorSignal } from './actor-signal.ts';
import type { Clock } from './clock.ts';
import type { ExitReason } from './exit-reason.ts';
import type { MailboxOptions } from './mailbox.ts';
import type { RedeliveryOptions } from './redelivery.ts';

/** Makes one incarnation. May be async; messages wait meanwhile. Throwing or rejecting is a failed start. */
export type ActorFactory<M> = (context: ActorContext<M>) => ActorInstance<M> | Promise<ActorInstance<M>>;

export interface ActorInstance<M> {
  /**
   * Handles one message. Returning nothing is the fast path; a returned promise holds the next message back until it
   * settles. When it throws or rejects, the actor fails, and this message is not handled again unless the actor has
   * `redelivery`.
   */
  handle(message: M): void | Promise<void>;
  /** Hears of watched actors that ended, and of broken links. Failing here fails the actor, as in `handle`. */
  onSignal?(signal: ActorSignal): void | Promise<void>;
  /**
   * An operator holds the messages of this actor back. Whoever does work without messages (a loop, a subscription) begins
   * nothing new from here on. Failing here fails the actor, and lifts the suspension.
   */
  suspend?(): void | Promise<void>;
  /** The suspension is over: the work goes on. */
  resume?(): void | Promise<void>;
  /**
   * Its state as plain data (what JSON can say, at most 64 KiB), for people. Only reads, and answers at once; it is asked
   * between any two turns, also while an async handler waits. What fails here fails the question and nothing else.
   */
  inspect?(): unknown;
  /**
   * Gives back what the incarnation holds. Called once after a stop and after a failure, never after a kill or a hang.
   * When it fails itself, that is logged and the first reason stands; after its deadline it is waited for no longer.
   */
  terminate?(reason: ExitReason): void | Promise<void>;
}

export interface SpawnOptions {
  /** Unique in the system while the actor lives, over its restarts too; found by `whereis`. Without it: `$<number>`. */
  name?: string;
  mailbox?: MailboxOptions;
  /** An async `handle` or `onSignal` that takes longer makes the actor fail as `hung`. Without it: no deadline. */
  handlerTimeoutMs?: number;
  /** An async factory that takes longer is a failed start (`hung`). */
  startTimeoutMs?: number;
  /**
   * Handles a message again whose handling failed, and quarantines one that fails too often. Only for an actor that is
   * restarted. Without it a message is handled at most once.
   */
  redelivery?: RedeliveryOptions;
  /** Messages that may be stashed at a time. */
  stashCapacity?: number;
  /** The end of a linked actor is a signal to `onSignal` instead of the end of this one. */
  trapExits?: boolean;
}

export interface TimerOptions {
  delayMs: number;
  /** Repeats at this distance after the first; a tick whose predecessor is still in the mailbox is left out. */
  everyMs?: number;
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/** One thing to log, as data. `fields` never holds a message's content. */
export interface LogEntry {
  level: LogLevel;
  path: string;
  text: string;
  fields?: Record<string, unknown>;
}

/**
 * What an incarnation may do. It belongs to that incarnation alone: kept beyond its end (by a handler that hung, say)
 * it does nothing any more, and `spawn` throws `E_ACTOR_STOPPED`.
 */
export interface ActorContext<M> {
  readonly self: ActorRef<M>;
  readonly path: string;
  readonly clock: Clock;
  /** Rises with every incarnation; goes into whatever the incarnation writes. */
  readonly epoch: number;
  /** How the previous incarnation ended; undefined in the first. */
  readonly previousExit: ExitReason | undefined;
  /** Aborted when the incarnation has ended, so that what it waits for can be given up. */
  readonly signal: AbortSignal;
  /**
   * Starts a child that ends with this incarnation (before its `terminate`), and is not restarted when it fails: watch
   * it to hear of that. Errors: `E_NAME_TAKEN`, `E_ACTORS_FULL`, `E_ACTORS_TOO_DEEP`,
   * `E_OPTIONS_INVALID`, `E_ACTOR_STOPPED`.
   */
  spawn<C>(factory: ActorFactory<C>, options?: SpawnOptions): ActorRef<C>;
  /** Stops a child of this actor; `E_NOT_A_CHILD` (rejection) for any other ref. */
  stopChild(child: AnyRef, deadlineMs?: number): Promise<ExitReason>;
  /** Asks for a `terminated` signal when the actor is dead for good, at once if it is. Watching twice is watching once. */
  watch(ref: AnyRef): void;
  /** After this no signal about the actor arrives, not even one that was on its way. */
  unwatch(ref: AnyRef): void;
  /**
   * Shares fates, both ways: when one of the two fails or is killed, the other fails with `E_LINKED` (or hears it, with
   * `trapExits`), after its message in hand. A clean end breaks the link silently. A link belongs to the two incarnations;
   * with an actor that is down or starting it is for the incarnation that comes. A dead actor that had failed counts as
   * failing now. Linking twice is linking once. Errors: `E_NOT_LOCAL`, `E_LINKS_FULL`.
   */
  link(ref: AnyRef): void;
  /** After this nothing about the other's end arrives, not even what was on its way; nor does this one's end there. */
  unlink(ref: AnyRef): void;
  /**
   * Puts the message in hand off, once its handler has ended well. Asks go on waiting for their answers. When the
   * incarnation ends, what is stashed waits for the next one, before everything else; or is dead letters.
   * Errors: `E_STASH_FULL`, `E_NOTHING_TO_STASH`.
   */
  stash(): void;
  /** Puts everything stashed back, in its order, before all that waits; the message in hand too, if it is stashed. */
  unstashAll(): void;
  /** Sends `message` to self later. The same key again replaces the timer. Ends with the incarnation. */
  startTimer(key: string, message: M, options: TimerOptions): void;
  /** After this its message does not arrive, not even one that is in the mailbox already. */
  cancelTimer(key: string): void;
  /** Ends this actor (reason `normal`) after the message in hand. */
  stop(): void;
  log(level: LogLevel, text: string, fields?: Record<string, unknown>): void;
}
