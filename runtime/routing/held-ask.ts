/**
 * An ask whose shard is moving: it waits with the messages, and its time runs.
 *
 * Invariant: it ends exactly once; what is left of its time when it is sent on is the time of the ask that follows.
 */
import type { ActorRef, AskOptions } from '../actor-ref.ts';
import type { Clock } from '../clock.ts';
import { CodedError } from '../errors.ts';
import type { LateReply } from './late-reply.ts';

export class HeldAsk<M> {
  readonly message: M;
  isOver = false;
  private readonly reply: LateReply<unknown>;
  private readonly clock: Clock;
  private readonly dueMs: number;
  private readonly cancelDeadline: () => void;
  private readonly settled = Promise.withResolvers<unknown>();

  constructor(message: M, reply: LateReply<unknown>, path: string, { timeoutMs }: AskOptions, clock: Clock) {
    this.message = message;
    this.reply = reply;
    this.clock = clock;
    this.dueMs = clock.monotonicMs() + timeoutMs;
    this.cancelDeadline = clock.after(timeoutMs, () =>
      this.fail(
        new CodedError('E_ASK_TIMEOUT', `no answer from ${path} within ${timeoutMs} ms`, {
          kind: 'transient',
          details: { path, timeoutMs },
        }),
      ),
    );
  }

  get answer(): Promise<unknown> {
    return this.settled.promise;
  }

  fail(error: CodedError): void {
    if (this.isOver) return;
    this.end();
    this.settled.reject(error);
  }

  /** Asks the member that has the shard now. What becomes of that is the asker's to hear. */
  sendTo(ref: ActorRef<M>): 'accepted' {
    const timeoutMs = this.dueMs - this.clock.monotonicMs();
    // Without time left its own deadline is about to end it.
    if (this.isOver || timeoutMs <= 0) return 'accepted';
    this.end();
    const asked = ref.ask<unknown>(
      (replyTo) => {
        this.reply.to = replyTo;
        return this.message;
      },
      { timeoutMs },
    );
    asked.then(this.settled.resolve, this.settled.reject);
    return 'accepted';
  }

  private end(): void {
    this.isOver = true;
    this.cancelDeadline();
  }
}
