/**
 * What is told to a shard while it moves from one member to another.
 *
 * A mailbox without an actor: bounded, with the overflow policy of the pool. Invariants: what is held leaves in the order in
 * which it came, to one member at a time, and nothing leaves twice; the hold is over in the same step in which it has run
 * empty, so no later message can overtake.
 */
import type { ActorRef, RefusalCode, SendResult } from '../actor-ref.ts';
import { sleep } from '../clock.ts';
import type { Clock } from '../clock.ts';
import type { DeadLetterReason } from '../dead-letters.ts';
import { ROUTE_RETRY_MS } from '../limits.ts';
import { Mailbox } from '../mailbox.ts';
import type { MailboxOptions } from '../mailbox.ts';
import { askRefused } from '../pending-asks.ts';
import { HeldAsk } from './held-ask.ts';

/** What a hold needs of its pool. */
export interface HoldHost {
  readonly path: string;
  readonly clock: Clock;
  deadLetter(message: unknown, reason: DeadLetterReason): void;
}

type Held<M> = M | HeldAsk<M>;

/** A refusal for these reasons says nothing about the message. */
const TRIED_AGAIN: ReadonlySet<RefusalCode> = new Set([
  'E_MAILBOX_FULL',
  'E_ACTOR_STOPPED',
  'E_SEND_ABORTED',
]);

export class ShardHold<M> {
  /** It gives what it holds to the shard's member, and waits for no drain any more. */
  isFlushing = false;
  private readonly host: HoldHost;
  private readonly mailbox: Mailbox<Held<M>>;
  /** Taken, and not accepted by any member yet. A list, since a message may be anything. */
  private first: [Held<M>] | [] = [];
  private flushing = new AbortController();
  private flushed: Promise<void> = Promise.resolve();

  constructor(host: HoldHost, options: MailboxOptions) {
    this.host = host;
    this.mailbox = new Mailbox<Held<M>>(options);
  }

  get length(): number {
    return this.mailbox.length + this.first.length;
  }

  get room(): number {
    return this.mailbox.room;
  }

  put(message: M): SendResult<M> {
    return this.putEntry(message) as SendResult<M>;
  }

  async putWhenAccepted(message: M, signal: AbortSignal | undefined): Promise<SendResult<M>> {
    const result = this.put(message);
    const mustWait = typeof result === 'object' && this.mailbox.overflow === 'block' && !this.mailbox.closed;
    return mustWait ? ((await this.mailbox.waitForRoom(message, signal)) as SendResult<M>) : result;
  }

  async putAsk(ask: HeldAsk<M>): Promise<void> {
    let result = this.putEntry(ask);
    if (typeof result === 'object' && this.mailbox.overflow === 'block' && !this.mailbox.closed) {
      result = await this.mailbox.waitForRoom(ask, undefined);
    }
    if (result === 'accepted') return;
    ask.fail(askRefused(result === 'dropped' ? 'E_MAILBOX_FULL' : result.refused, this.host.path));
  }

  /** From now on what is held goes to `ref`, as it has room. `emptied` is called when nothing is left. */
  flushTo(ref: ActorRef<M>, emptied: () => void): void {
    this.flushing.abort();
    const flushing = new AbortController();
    this.flushing = flushing;
    this.isFlushing = true;
    this.flushed = this.flushed.then(() => this.flush(ref, flushing.signal, emptied));
  }

  /** Gives out nothing more; settles when nothing is on its way to a member. */
  async pause(): Promise<void> {
    this.isFlushing = false;
    this.flushing.abort();
    await this.flushed;
  }

  /** Nobody will ever handle what is held: dead letters; and senders that wait get theirs back. */
  abandon(): void {
    this.mailbox.close();
    this.flushed = this.pause().then(() => this.loseAll());
  }

  private putEntry(entry: Held<M>): SendResult<Held<M>> {
    const { mailbox } = this;
    if (mailbox.put(entry)) return 'accepted';
    if (mailbox.closed) return { refused: 'E_ACTOR_STOPPED', message: entry };
    const overflowed = mailbox.putOverflowing(entry);
    if (overflowed.outcome === 'refused') return { refused: 'E_MAILBOX_FULL', message: entry };
    if (overflowed.outcome === 'displaced') {
      this.lose(overflowed.oldest, 'dropped');
      return 'accepted';
    }
    if (!(entry instanceof HeldAsk)) this.host.deadLetter(entry, 'dropped');
    return 'dropped';
  }

  private async flush(ref: ActorRef<M>, signal: AbortSignal, emptied: () => void): Promise<void> {
    let wasStopping = false;
    while (!signal.aborted) {
      if (!this.takeFirst()) {
        this.mailbox.release();
        emptied();
        return;
      }
      const [entry] = this.first as [Held<M>];
      // An ask cannot wait in the member's line, and a member that is ending (or being restarted) takes nothing.
      const needsRoom = wasStopping || (entry instanceof HeldAsk && !entry.isOver);
      if (needsRoom && ref.credit === 0) {
        await sleep(this.host.clock, ROUTE_RETRY_MS, signal);
        continue;
      }
      const result = await this.send(entry, ref, signal);
      if (typeof result === 'object' && TRIED_AGAIN.has(result.refused)) {
        wasStopping = result.refused === 'E_ACTOR_STOPPED';
        await sleep(this.host.clock, ROUTE_RETRY_MS, signal);
        continue;
      }
      // What is refused for any other reason is itself at fault: waiting would not mend it.
      if (typeof result === 'object') this.lose(entry, 'dropped');
      this.first = [];
    }
  }

  /** No promise, and so no other turn, unless it has to wait in the member's line. */
  private send(
    entry: Held<M>,
    ref: ActorRef<M>,
    signal: AbortSignal,
  ): SendResult<unknown> | Promise<SendResult<unknown>> {
    if (entry instanceof HeldAsk) return entry.sendTo(ref);
    const result = ref.tell(entry);
    const isFull = typeof result === 'object' && result.refused === 'E_MAILBOX_FULL';
    return isFull ? ref.tellWhenAccepted(entry, signal) : result;
  }

  private loseAll(): void {
    while (this.takeFirst()) {
      const [entry] = this.first;
      this.first = [];
      this.lose(entry as Held<M>, 'left');
    }
  }

  private takeFirst(): boolean {
    if (this.first.length === 0 && this.mailbox.length > 0) this.first = [this.mailbox.take()];
    return this.first.length > 0;
  }

  private lose(entry: Held<M>, reason: DeadLetterReason): void {
    if (!(entry instanceof HeldAsk)) {
      this.host.deadLetter(entry, reason);
    } else if (!entry.isOver) {
      const code = reason === 'left' ? 'E_ACTOR_STOPPED' : 'E_MAILBOX_FULL';
      entry.fail(askRefused(code, this.host.path));
      this.host.deadLetter(entry.message, reason);
    }
  }
}
