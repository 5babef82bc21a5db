/**
 * The unanswered asks at one actor.
 *
 * Each ends exactly once: by its answer, its deadline, the failure of its own message, the loss of that message, or the
 * end of the actor. Not a reply channel that can be kept: what comes after the end is dropped and counted.
 */
import type { ActorRef, ReplyTo, SendResult } from './actor-ref.ts';
import type { Clock } from './clock.ts';
import { CodedError } from './errors.ts';
import { ASKS_PER_ACTOR_MAX } from './limits.ts';

/** The actor that is asked: its ref, and what an ask needs beyond that. */
export interface AskTarget<M> extends ActorRef<M> {
  /** Whether a full mailbox is waited for (policy `block`). */
  readonly blocksWhenFull: boolean;
  replyCameLate(reply: unknown): void;
}

export class PendingAsks<M> {
  private readonly byMessage = new Map<M, PendingAsk<M, unknown>>();
  private readonly target: AskTarget<M>;
  private readonly clock: Clock;

  constructor(target: AskTarget<M>, clock: Clock) {
    this.target = target;
    this.clock = clock;
  }

  ask<R>(build: (replyTo: ReplyTo<R>) => M, timeoutMs: number): Promise<R> {
    return new Promise<R>((resolve, reject) => {
      if (this.byMessage.size >= ASKS_PER_ACTOR_MAX) {
        throw new CodedError(
          'E_ASKS_FULL',
          `${ASKS_PER_ACTOR_MAX} asks to ${this.target.path} are unanswered`,
          {
            kind: 'transient',
            mend: 'Ask less at once, or find out why the actor does not answer.',
          },
        );
      }
      const pending = new PendingAsk<M, R>(this.target, this.byMessage, resolve, reject);
      pending.send(build(pending), this.clock, timeoutMs);
    });
  }

  /** Handling this very message failed, or it was lost. */
  failOne(message: M, error: CodedError): void {
    this.byMessage.get(message)?.fail(error);
  }

  failAll(makeError: () => CodedError): void {
    for (const pending of [...this.byMessage.values()]) pending.fail(makeError());
  }

  get size(): number {
    return this.byMessage.size;
  }
}

class PendingAsk<M, R> implements ReplyTo<R> {
  private isOver = false;
  private message: M | undefined = undefined;
  private cancelDeadline: (() => void) | undefined = undefined;
  private waiting: AbortController | undefined = undefined;
  private readonly target: AskTarget<M>;
  private readonly pending: Map<M, PendingAsk<M, unknown>>;
  private readonly resolve: (reply: R) => void;
  private readonly reject: (error: CodedError) => void;

  constructor(
    target: AskTarget<M>,
    pending: Map<M, PendingAsk<M, unknown>>,
    resolve: (reply: R) => void,
    reject: (error: CodedError) => void,
  ) {
    this.target = target;
    this.pending = pending;
    this.resolve = resolve;
    this.reject = reject;
  }

  tell(reply: R): SendResult<R> {
    if (this.isOver) {
      this.target.replyCameLate(reply);
      return { refused: 'E_REPLY_LATE', message: reply };
    }
    this.end();
    this.resolve(reply);
    return 'accepted';
  }

  send(message: M, clock: Clock, timeoutMs: number): void {
    if (this.isOver) return;
    this.message = message;
    this.pending.set(message, this as PendingAsk<M, unknown>);
    this.cancelDeadline = clock.after(timeoutMs, () => {
      const { path } = this.target;
      this.fail(
        new CodedError('E_ASK_TIMEOUT', `no answer from ${path} within ${timeoutMs} ms`, {
          kind: 'transient',
          details: { path, timeoutMs },
        }),
      );
    });
    const result = this.target.tell(message);
    const isFull = typeof result === 'object' && result.refused === 'E_MAILBOX_FULL';
    if (isFull && this.target.blocksWhenFull) {
      this.waiting = new AbortController();
      void this.target.tellWhenAccepted(message, this.waiting.signal).then((later) => this.sent(later));
    } else {
      this.sent(result);
    }
  }

  fail(error: CodedError): void {
    if (this.isOver) return;
    this.end();
    this.waiting?.abort();
    this.reject(error);
  }

  private sent(result: SendResult<M>): void {
    if (result === 'accepted') return;
    this.fail(askRefused(result === 'dropped' ? 'E_MAILBOX_FULL' : result.refused, this.target.path));
  }

  private end(): void {
    this.isOver = true;
    this.cancelDeadline?.();
    if (this.message !== undefined) this.pending.delete(this.message);
  }
}

/** The error of an ask whose message was not taken, or whose actor has ended. */
export function askRefused(code: string, path: string): CodedError {
  return code === 'E_ACTOR_STOPPED'
    ? new CodedError(code, `${path} is dead`, { details: { path } })
    : new CodedError(code, `${path} did not take the message`, { kind: 'transient', details: { path } });
}
