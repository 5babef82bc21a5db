/**
 * The ref of an actor in another thread of this process: `tell` writes to the ring between the two threads.
 *
 * The same interface as a local ref, with another guarantee: what was told outlives the death of the receiving thread and is
 * handled by its next incarnation. A full ring refuses `tell`; `tellWhenAccepted` and `ask` wait for credit. Until the other
 * side has said what it has, messages wait in the ring. Invariant: a ref that has ended stays ended; whoever wants the
 * actor of a later start asks its endpoint for a new ref.
 */
import type {
  ActorRef,
  AnyRef,
  AskOptions,
  RefusalCode,
  Refused,
  ReplyTo,
  SendResult,
} from '../actor-ref.ts';
import { assert } from '../assert.ts';
import { CodedError, fromWire, toWire } from '../errors.ts';
import type { ExitReason } from '../exit-reason.ts';
import { RING_GUARANTEE } from '../guarantee.ts';
import type { Guarantee } from '../guarantee.ts';
import { ASKS_PER_ACTOR_MAX, WATCHERS_PER_ACTOR_MAX } from '../limits.ts';
import { askOptionsFault, askRefused, askTimeout, promisedReply } from '../pending-asks.ts';
import { RECORD_TOO_LARGE, RING_FULL, recordHead } from '../ring/ring-writer.ts';
import { processMs } from '../shared/vitals.ts';
import { describeCodec, targetOf } from './codec.ts';
import type { MessageCodec } from './codec.ts';
import type { Link } from './link.ts';
import { messageTooLarge, SEND_STOPPED } from './outbox.ts';
import type { WaitingSend } from './outbox.ts';
import { RecordKind } from './wire.ts';
import type { Exposure } from './wire.ts';

/** A result of a waiting send beside the outbox's own. */
const SEND_ABORTED = -4;

export class ThreadRef<M> implements ActorRef<M> {
  readonly path: string;
  readonly actor: string;
  readonly target: number;
  private readonly link: Link;
  private readonly codec: MessageCodec<M, unknown>;
  private readonly listeners = new Set<(reason: ExitReason) => void>();
  private readonly agreed = Promise.withResolvers<void>();
  /** Why nothing can be told now; undefined while messages are taken. */
  private obstacle: CodedError | undefined = undefined;
  private end: ExitReason | undefined = undefined;
  private readonly messageHead: WaitingSend['head'];

  constructor(link: Link, actor: string, codec: MessageCodec<M, unknown>) {
    this.link = link;
    this.actor = actor;
    this.codec = codec;
    this.path = `/${link.peer}/${actor}`;
    this.target = targetOf(actor, codec);
    this.messageHead = recordHead(RecordKind.message, this.target, 0);
    // Whoever does not ask must not be punished for a mismatch by an unhandled rejection.
    this.agreed.promise.catch(() => undefined);
  }

  /** Settles when the other side has said that it understands this codec. Rejects with `E_SCHEMA_MISMATCH`. */
  get ready(): Promise<void> {
    return this.agreed.promise;
  }

  get guarantee(): Guarantee {
    return RING_GUARANTEE;
  }

  get credit(): number {
    return this.isDead || this.obstacle !== undefined ? 0 : this.link.outbox.credit;
  }

  get isDead(): boolean {
    return this.end !== undefined;
  }

  tell(message: M): SendResult<M> {
    const payload = this.encoded(message);
    if (payload instanceof CodedError) return this.refusedBy(payload, message);
    const result = this.link.outbox.send(this.messageHead, payload);
    return result >= 0 ? 'accepted' : this.refused(result, message);
  }

  async tellWhenAccepted(message: M, signal?: AbortSignal): Promise<SendResult<M>> {
    const payload = this.encoded(message);
    if (payload instanceof CodedError) return this.refusedBy(payload, message);
    let result = this.link.outbox.send(this.messageHead, payload);
    if (result === RING_FULL) {
      if (signal?.aborted === true) return this.refused(SEND_ABORTED, message);
      result = await this.whenSent(this.messageHead, payload, signal);
    }
    return result >= 0 ? 'accepted' : this.refused(result, message);
  }

  ask<R>(build: (replyTo: ReplyTo<R>) => M, options: AskOptions): Promise<R> {
    const fault = askOptionsFault(this, options);
    if (fault !== undefined) return Promise.reject(fault);
    const { timeoutMs } = options;
    const { replies } = this.codec;
    return new Promise<R>((resolve, reject) => {
      if (this.obstacle !== undefined) throw this.obstacle;
      if (replies === undefined) throw noReplies(this.codec.name);
      if (this.link.asks.isFull) throw asksFull(this.path);
      const message = build(new AddressHere<R>(this, resolve, reject));
      const payload = this.codec.encode(message, true);
      const startedMs = processMs();
      const ask = {
        target: this.target,
        path: this.path,
        resolve: resolve as (reply: unknown) => void,
        reject,
        decode: (view: Parameters<typeof replies.decode>[0]) => replies.decode(view),
      };
      const deadlineAtMs = startedMs + timeoutMs;
      const head = recordHead(RecordKind.ask, this.target, 0, deadlineAtMs);
      const sequence = this.link.outbox.send(head, payload);
      if (sequence >= 0) {
        this.link.asks.add(sequence, ask, timeoutMs, timeoutMs);
        return;
      }
      if (sequence === RECORD_TOO_LARGE) throw messageTooLarge();
      if (sequence === SEND_STOPPED) throw askRefused('E_ACTOR_STOPPED', this.path);
      const deadline = AbortSignal.timeout(Math.ceil(timeoutMs));
      void this.whenSent(head, payload, deadline).then((later) => {
        if (later >= 0) this.link.asks.add(later, ask, timeoutMs, Math.max(1, deadlineAtMs - processMs()));
        else if (later === SEND_ABORTED) reject(askTimeout(this.path, timeoutMs));
        else if (later === SEND_STOPPED) reject(this.obstacle ?? askRefused('E_ACTOR_STOPPED', this.path));
        else reject(askRefused('E_MAILBOX_FULL', this.path));
      });
    });
  }

  onTerminated(listener: (reason: ExitReason) => void): () => void {
    const { end, listeners } = this;
    let isWanted = true;
    const entry = (reason: ExitReason): void => {
      if (isWanted) this.link.call(this.path, () => listener(reason));
    };
    if (end !== undefined) {
      queueMicrotask(() => entry(end));
    } else {
      assert(listeners.size < WATCHERS_PER_ACTOR_MAX, 'the listeners of an actor are bounded');
      listeners.add(entry);
    }
    return () => {
      isWanted = false;
      listeners.delete(entry);
    };
  }

  toString(): string {
    return this.path;
  }

  toJSON(): string {
    return this.path;
  }

  // ---- For its link --------------------------------------------------------------------------------------------

  /** The other side has said what it has. */
  announced(exposures: readonly Exposure[]): void {
    if (this.end !== undefined) return;
    const found = exposures.filter(({ actor }) => actor === this.actor);
    const wasAgreed = this.obstacle === undefined;
    if (found.some(({ target }) => target === this.target)) {
      this.obstacle = undefined;
      this.agreed.resolve();
      return;
    }
    this.obstacle =
      found[0] === undefined
        ? askRefused('E_ACTOR_STOPPED', this.path)
        : mismatch(this.path, this.codec, found[0]);
    if (found[0] !== undefined) this.agreed.reject(this.obstacle);
    if (wasAgreed) this.giveBack(this.obstacle);
  }

  /** The other thread is being replaced: what it said does not hold any more. */
  unannounced(): void {
    if (this.end === undefined) this.obstacle = undefined;
  }

  ended(reason: ExitReason): void {
    if (this.end !== undefined) return;
    this.end = reason;
    this.obstacle = askRefused('E_ACTOR_STOPPED', this.path);
    this.agreed.reject(this.obstacle);
    this.giveBack(this.obstacle);
    const listeners = [...this.listeners];
    this.listeners.clear();
    for (const listener of listeners) listener(reason);
  }

  // ---- Sending -------------------------------------------------------------------------------------------------

  private giveBack(error: CodedError): void {
    this.link.asks.failAll(() => error, this.target);
    this.link.outbox.giveBack(this.target, SEND_STOPPED);
  }

  /** The bytes, or why there are none. */
  private encoded(message: M): Uint8Array | string | CodedError {
    if (this.obstacle !== undefined) return this.obstacle;
    try {
      return this.codec.encode(message, false);
    } catch (thrown) {
      return unsendable(thrown);
    }
  }

  private whenSent(
    head: WaitingSend['head'],
    payload: Uint8Array | string,
    signal: AbortSignal | undefined,
  ): Promise<number> {
    const { outbox } = this.link;
    return new Promise((resolve) => {
      const waiting: WaitingSend = {
        head,
        payload,
        done: (result) => {
          signal?.removeEventListener('abort', onAbort);
          resolve(result);
        },
      };
      const onAbort = (): void => {
        outbox.leave(waiting);
        resolve(SEND_ABORTED);
      };
      signal?.addEventListener('abort', onAbort);
      if (!outbox.wait(waiting)) waiting.done(RING_FULL);
    });
  }

  private refused(result: number, message: M): Refused<M> {
    if (result === RECORD_TOO_LARGE) return this.refusedBy(messageTooLarge(), message);
    if (result === SEND_ABORTED) return { refused: 'E_SEND_ABORTED', message };
    if (result === SEND_STOPPED) {
      return this.refusedBy(this.obstacle ?? askRefused('E_ACTOR_STOPPED', this.path), message);
    }
    return { refused: 'E_MAILBOX_FULL', message };
  }

  private refusedBy(error: CodedError, message: M): Refused<M> {
    const refused = error.code as RefusalCode;
    if (refused !== 'E_ACTOR_STOPPED') return { refused, message, error };
    this.link.deadLetter(this.path, message, 'stopped');
    return { refused, message };
  }
}

/** The reply address while the message is being built: it has no form outside of its ask, and answers when told here. */
class AddressHere<R> implements ReplyTo<R> {
  private readonly asked: AnyRef;
  private readonly resolve: (reply: R) => void;
  private readonly reject: (error: CodedError) => void;

  constructor(asked: AnyRef, resolve: (reply: R) => void, reject: (error: CodedError) => void) {
    this.asked = asked;
    this.resolve = resolve;
    this.reject = reject;
  }

  tell(reply: R): SendResult<R> {
    const error = promisedReply(this.asked, reply);
    if (error !== undefined) {
      this.reject(error);
      return { refused: 'E_REPLY_PROMISED', message: reply, error };
    }
    this.resolve(reply);
    return 'accepted';
  }
}

/** Whatever a codec throws, the sender is told that the message cannot be sent. */
function unsendable(thrown: unknown): CodedError {
  const error = fromWire(toWire(thrown));
  if (error.code === 'E_MESSAGE_UNSENDABLE') return error;
  return new CodedError('E_MESSAGE_UNSENDABLE', `its codec threw: ${error.message}`, {
    kind: 'defect',
    cause: error,
  });
}

function mismatch(path: string, mine: MessageCodec<never, unknown>, theirs: Exposure): CodedError {
  return new CodedError(
    'E_SCHEMA_MISMATCH',
    `${path} understands ${describeCodec(theirs)}, and this side speaks ${describeCodec(mine)}`,
    {
      kind: 'defect',
      details: { path, mine: describeCodec(mine), theirs: describeCodec(theirs) },
      mend: 'Give both sides the same codec: name, version and schema.',
    },
  );
}

function noReplies(codec: string): CodedError {
  return new CodedError('E_MESSAGE_UNSENDABLE', `codec ${codec} has no schema for replies`, {
    kind: 'defect',
    mend: 'Give the codec a reply schema on both sides.',
  });
}

function asksFull(path: string): CodedError {
  return new CodedError('E_ASKS_FULL', `${ASKS_PER_ACTOR_MAX} asks over the link to ${path} are unanswered`, {
    kind: 'transient',
    mend: 'Ask less at once, or find out why the actor does not answer.',
  });
}
