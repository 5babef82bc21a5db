/**
 * The typed address of an actor, whatever carries the message there.
 *
 * Not the actor: whoever holds a ref can send and watch, and nothing else. The local implementation is ActorCell; the
 * same interface is meant for an actor on another thread or behind a store, so nothing here names a transport.
 * Invariant: `tell` never throws and never loses a message silently; what is not accepted is said in the result.
 */
import type { CodedError } from './errors.ts';
import type { ExitReason } from './exit-reason.ts';
import type { Guarantee } from './guarantee.ts';

/**
 * Why a message was given back.
 * `E_MAILBOX_FULL`: no room, by the mailbox's written policy. `E_ACTOR_STOPPED`: nobody will ever handle it.
 * `E_SEND_ABORTED`: the sender's own signal ended its wait for room. `E_REPLY_LATE`: the ask is over already.
 * `E_REPLY_PROMISED`: the answer is a promise (a forgotten await); its ask has failed with that.
 * Only where a message leaves its thread: `E_MESSAGE_UNSENDABLE`: it is not what the codec's schema says, or cannot be
 * encoded. `E_MESSAGE_TOO_LARGE`: over the bound of one message. `E_SCHEMA_MISMATCH`: the receiver understands another
 * schema. `E_NOT_STORED`: a durable mailbox did not store it, or may not have.
 * Only where a ref stands for several actors: `E_NO_MEMBER`: there is none at present; or for several places:
 * `E_ROUTE_KEY`: the message's key or place, by which it would be sent, cannot be read.
 */
export type RefusalCode =
  | 'E_MAILBOX_FULL'
  | 'E_ACTOR_STOPPED'
  | 'E_SEND_ABORTED'
  | 'E_REPLY_LATE'
  | 'E_REPLY_PROMISED'
  | 'E_MESSAGE_UNSENDABLE'
  | 'E_MESSAGE_TOO_LARGE'
  | 'E_SCHEMA_MISMATCH'
  | 'E_NOT_STORED'
  | 'E_NO_MEMBER'
  | 'E_ROUTE_KEY';

/** The message did not go in: here it is back, with the reason. */
export interface Refused<M> {
  readonly refused: RefusalCode;
  readonly message: M;
  /** What exactly is wrong and how to mend it, where the code does not say it all. */
  readonly error?: CodedError;
}

/**
 * `accepted`: it is in the mailbox. `dropped`: the mailbox's policy is `dropNewest` and it was full; the drop is counted.
 * Otherwise the message is given back.
 */
export type SendResult<M> = 'accepted' | 'dropped' | Refused<M>;

/** Where an answer goes. Every ActorRef is one, so an actor can have answers sent to itself. */
export interface ReplyTo<R> {
  tell(reply: R): SendResult<R>;
}

export interface AskOptions {
  /** The answer must have come by then. */
  timeoutMs: number;
}

/** What every ref is, whatever it may be told: an identity that can be named and watched. */
export interface AnyRef {
  /** For people and logs: `/parent/name`. Two actors alive at once never share it. */
  readonly path: string;
  /**
   * Calls the listener once, when the actor is dead for good (a restart is not an end). If it is dead already, the
   * call comes soon, never inside this one. Returns the function that takes the listener away.
   */
  onTerminated(listener: (reason: ExitReason) => void): () => void;
}

export interface ActorRef<M> extends ReplyTo<M>, AnyRef {
  readonly guarantee: Guarantee;
  /** How many messages (across threads: of the size of the last one) may be told now before one is refused. */
  readonly credit: number;
  /**
   * Sends without waiting. Never throws.
   * Order: messages of one sender to one actor arrive in the order sent. Delivery: see `guarantee`.
   */
  tell(message: M): SendResult<M>;
  /**
   * Sends to a `block` mailbox and waits for room; with any other policy it is `tell`. Never rejects: the result says
   * `E_ACTOR_STOPPED`, `E_SEND_ABORTED` (the signal) or `E_MAILBOX_FULL` (too many senders wait already).
   */
  tellWhenAccepted(message: M, signal?: AbortSignal): Promise<SendResult<M>>;
  /**
   * Sends a message that carries a reply address and waits for the answer.
   * Errors: `E_ASK_TIMEOUT` at the deadline; `E_ACTOR_STOPPED` at once when the actor is or becomes dead;
   * `E_ASK_FAILED` at once when handling this very message failed (cause: the failure); `E_MAILBOX_FULL` when it is not
   * accepted, or was dropped later; `E_ASKS_FULL` when too many asks are unanswered; `E_REPLY_PROMISED` when it is answered with a promise;
   * `E_OPTIONS_INVALID`. Whatever `build` throws.
   * A reply that comes after that is dropped and counted.
   */
  ask<R>(build: (replyTo: ReplyTo<R>) => M, options: AskOptions): Promise<R>;
}
