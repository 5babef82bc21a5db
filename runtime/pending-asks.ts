/**
 * The unanswered asks at one actor.
 *
 * Each ends exactly once: by its answer, its deadline, the failure of its own message, the loss of that message, or the
 * end of the actor. Not a reply channel that can be kept: what comes after the end is dropped and counted. Invariant: an
 * ask is known by itself and never by its message, since the same message may be asked, or told, any number of times.
 */
import { types } from 'node:util';
import type { ActorRef, AskOptions, ReplyTo, SendResult } from './actor-ref.ts';
import type { Clock } from './clock.ts';
import { Envelope } from './envelope.ts';
import type { LossCode, Outcome } from './envelope.ts';
import { CodedError, fromWire } from './errors.ts';
import { describeExit } from './exit-reason.ts';
import type { ExitReason } from './exit-reason.ts';
import { ASKS_PER_ACTOR_MAX, TIMER_DELAY_MS_MAX } from './limits.ts';
import { isThenable } from './thenable.ts';

/** The actor that is asked: its ref, and what an ask needs beyond that. */
export interface AskTarget<M> extends ActorRef<M> {
  /** Whether a full mailbox is waited for (policy `block`). */
  readonly blocksWhenFull: boolean;
  replyCameLate(reply: unknown): void;
}

export class PendingAsks<M> {
  private readonly pending = new Set<PendingAsk<M, unknown>>();
  private readonly target: AskTarget<M>;
  private readonly clock: Clock;

  constructor(target: AskTarget<M>, clock: Clock) {
    this.target = target;
    this.clock = clock;
  }

  ask<R>(build: (replyTo: ReplyTo<R>) => M, timeoutMs: number): Promise<R> {
    return new Promise<R>((resolve, reject) => {
      if (this.pending.size >= ASKS_PER_ACTOR_MAX) {
        throw new CodedError(
          'E_ASKS_FULL',
          `${ASKS_PER_ACTOR_MAX} asks to ${this.target.path} are unanswered`,
          {
            kind: 'transient',
            mend: 'Ask less at once, or find out why the actor does not answer.',
          },
        );
      }
      const pending = new PendingAsk<M, R>(this.target, this.pending, resolve, reject);
      pending.send(build(pending), this.clock, timeoutMs);
    });
  }

  failAll(makeError: () => CodedError): void {
    for (const pending of [...this.pending]) pending.fail(makeError());
  }

  get size(): number {
    return this.pending.size;
  }
}

class PendingAsk<M, R> implements ReplyTo<R> {
  readonly target: AskTarget<M>;
  private isOver = false;
  private cancelDeadline: (() => void) | undefined = undefined;
  private waiting: AbortController | undefined = undefined;
  private readonly pending: Set<PendingAsk<M, unknown>>;
  private readonly resolve: (reply: R) => void;
  private readonly reject: (error: CodedError) => void;

  constructor(
    target: AskTarget<M>,
    pending: Set<PendingAsk<M, unknown>>,
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
    const error = promisedReply(this.target, reply);
    if (error !== undefined) {
      this.fail(error);
      return { refused: 'E_REPLY_PROMISED', message: reply, error };
    }
    this.end();
    this.resolve(reply);
    return 'accepted';
  }

  send(message: M, clock: Clock, timeoutMs: number): void {
    if (this.isOver) return;
    this.pending.add(this as PendingAsk<M, unknown>);
    this.cancelDeadline = clock.after(timeoutMs, () => {
      this.fail(askTimeout(this.target.path, timeoutMs));
    });
    const asked = new AskedMessage(message, this) as M;
    const result = this.target.tell(asked);
    const isFull = typeof result === 'object' && result.refused === 'E_MAILBOX_FULL';
    if (isFull && this.target.blocksWhenFull) {
      this.waiting = new AbortController();
      void this.target.tellWhenAccepted(asked, this.waiting.signal).then((later) => this.sent(later));
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
    this.pending.delete(this as PendingAsk<M, unknown>);
  }
}

/** What the question needs of its ask. */
interface Asked {
  readonly target: { readonly path: string };
  fail(error: CodedError): void;
}

/** The question on its way. It is handled also when its ask is over: that nobody waits any more does not make it unsaid. */
class AskedMessage extends Envelope {
  readonly message: unknown;
  private readonly ask: Asked;
  private lostBy: LossCode = 'E_ACTOR_STOPPED';

  constructor(message: unknown, ask: Asked) {
    super();
    this.message = message;
    this.ask = ask;
  }

  override open(lostBy?: LossCode): boolean {
    if (lostBy !== undefined) this.lostBy = lostBy;
    return true;
  }

  override settled(outcome: Outcome, reason?: ExitReason): void {
    if (outcome === 'handled') return;
    const { path } = this.ask.target;
    this.ask.fail(reason === undefined ? askRefused(this.lostBy, path) : askEnded(outcome, path, reason));
  }
}

/** Why an ask with these options is not begun; undefined when they are sound. */
export function askOptionsFault(ref: { readonly path: string }, options: AskOptions): CodedError | undefined {
  const timeoutMs: unknown = (options as AskOptions | undefined)?.timeoutMs;
  if (typeof timeoutMs === 'number' && timeoutMs > 0 && timeoutMs <= TIMER_DELAY_MS_MAX) return undefined;
  return new CodedError(
    'E_OPTIONS_INVALID',
    `ask to ${ref.path}: timeoutMs is ${typeof timeoutMs === 'number' ? timeoutMs : `of type ${typeof timeoutMs}`}`,
    { kind: 'defect', mend: `Give timeoutMs, above 0 and at most ${TIMER_DELAY_MS_MAX} ms.` },
  );
}

/**
 * The error of an answer that is a promise, or anything else with a `then`: the ask would wait for it without a deadline
 * and end as it does. Undefined for any other answer.
 */
export function promisedReply(ref: { readonly path: string }, reply: unknown): CodedError | undefined {
  if (!isThenable(reply)) return undefined;
  // Nobody gets it, so nobody else would hear of its rejection; that must not end the process.
  if (types.isPromise(reply)) void Promise.prototype.then.call(reply, undefined, () => undefined);
  const { path } = ref;
  return new CodedError('E_REPLY_PROMISED', `${path} answered with a promise and not with what it is for`, {
    kind: 'defect',
    details: { path },
    mend: 'Await it first (an await was forgotten), then tell the answer.',
  });
}

/** The error of an ask whose message was not taken, or whose actor has ended. */
export function askRefused(code: string, path: string): CodedError {
  return code === 'E_ACTOR_STOPPED'
    ? new CodedError(code, `${path} is dead`, { details: { path } })
    : new CodedError(code, `${path} did not take the message`, { kind: 'transient', details: { path } });
}

/** The error of what has had no answer by its deadline. */
export function askTimeout(path: string, timeoutMs: number): CodedError {
  return new CodedError('E_ASK_TIMEOUT', `no answer from ${path} within ${timeoutMs} ms`, {
    kind: 'transient',
    details: { path, timeoutMs },
  });
}

/** The error of an ask with whose message an incarnation ended. */
function askEnded(outcome: Outcome, path: string, reason: ExitReason): CodedError {
  const isQuarantined = outcome === 'quarantined';
  const text = isQuarantined
    ? 'ended on this message too often, so it is in quarantine'
    : 'ended on this message';
  return new CodedError(
    isQuarantined ? 'E_QUARANTINED' : 'E_ASK_FAILED',
    `${path} ${text}: ${describeExit(reason)}`,
    {
      details: { path, exit: reason.kind },
      ...(reason.kind === 'failed' ? { cause: fromWire(reason.error) } : {}),
    },
  );
}
