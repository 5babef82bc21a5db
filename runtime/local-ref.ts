/**
 * The outer half of an actor in this thread: what whoever holds its ref can do with it.
 *
 * Not its life (actor-cell.ts, which extends this): here messages are taken, refused, asked, and listeners kept.
 * Invariant: every message given to `tell` is in the mailbox, or in the result, or in the dead letters.
 */
import type { SpawnOptions } from './actor.ts';
import type { AskOptions, Refused, ReplyTo, SendResult } from './actor-ref.ts';
import { assert } from './assert.ts';
import { CellAnnex } from './cell-annex.ts';
import type { CellHost } from './cell-host.ts';
import type { DeadLetterReason } from './dead-letters.ts';
import { messageTypeOf } from './dead-letters.ts';
import { Envelope, messageIn } from './envelope.ts';
import type { LossCode } from './envelope.ts';
import { toWire } from './errors.ts';
import type { ExitReason } from './exit-reason.ts';
import { LOCAL_GUARANTEE } from './guarantee.ts';
import type { Guarantee } from './guarantee.ts';
import { WATCHERS_PER_ACTOR_MAX } from './limits.ts';
import { MAILBOX_DEFAULT, Mailbox } from './mailbox.ts';
import { askOptionsFault, PendingAsks } from './pending-asks.ts';
import type { AskTarget } from './pending-asks.ts';
import type { Runnable } from './run-queue.ts';

/** Whether the cell must be put into the run queue when something comes for it. */
export const Activity = {
  /** Nothing to do: whoever brings work schedules it. */
  idle: 0,
  queued: 1,
  /** Its code is on the stack. */
  onStack: 2,
  /** Its own promise (factory, handler, terminate) or its children's end will wake it. */
  awaiting: 3,
  /** No incarnation. */
  parked: 4,
} as const;
export type Activity = (typeof Activity)[keyof typeof Activity];

export abstract class LocalRef<M> implements AskTarget<M>, Runnable {
  readonly host: CellHost;
  readonly mailbox: Mailbox<M>;
  protected readonly options: SpawnOptions;
  protected activity: Activity = Activity.parked;
  protected annex: CellAnnex<M> | undefined = undefined;

  constructor(host: CellHost, options: SpawnOptions) {
    this.host = host;
    this.options = options;
    this.mailbox = new Mailbox<M>(options.mailbox ?? MAILBOX_DEFAULT);
  }

  abstract get path(): string;
  abstract get isDead(): boolean;
  abstract run(budget: number): number;

  get guarantee(): Guarantee {
    return LOCAL_GUARANTEE;
  }

  get credit(): number {
    return this.mailbox.room;
  }

  /**
   * For the runtime: puts in a message that hears what becomes of it, beyond the capacity, since it has a bound of its own
   * (the ring that it came on). False when the mailbox is closed: then it is not settled here.
   */
  deliver(envelope: Envelope): boolean {
    this.annexed();
    if (!this.mailbox.putBeyondCapacity(envelope as M)) return false;
    if (this.activity === Activity.idle) this.schedule();
    return true;
  }

  tell(message: M): SendResult<M> {
    if (this.mailbox.put(message)) {
      if (this.activity === Activity.idle) this.schedule();
      return 'accepted';
    }
    return this.tellOverflowing(message);
  }

  async tellWhenAccepted(message: M, signal?: AbortSignal): Promise<SendResult<M>> {
    const result = this.tell(message);
    const isFull = typeof result === 'object' && result.refused === 'E_MAILBOX_FULL';
    return isFull && this.blocksWhenFull ? this.mailbox.waitForRoom(message, signal) : result;
  }

  ask<R>(build: (replyTo: ReplyTo<R>) => M, options: AskOptions): Promise<R> {
    const fault = askOptionsFault(this, options);
    if (fault !== undefined) return Promise.reject(fault);
    const asks = (this.annexed().asks ??= new PendingAsks<M>(this, this.host.clock));
    return asks.ask(build, options.timeoutMs);
  }

  onTerminated(listener: (reason: ExitReason) => void): () => void {
    const annex = this.annexed();
    if (this.isDead) {
      let isWanted = true;
      queueMicrotask(() => {
        if (isWanted) this.callListener(listener, annex.previousExit ?? { kind: 'normal' });
      });
      return () => {
        isWanted = false;
      };
    }
    const listeners = (annex.listeners ??= new Set());
    assert(listeners.size < WATCHERS_PER_ACTOR_MAX, 'the listeners of an actor are bounded');
    // A function of its own, so that the same listener given twice is called twice and taken away once.
    const entry = (reason: ExitReason): void => this.callListener(listener, reason);
    listeners.add(entry);
    return () => {
      listeners.delete(entry);
    };
  }

  get blocksWhenFull(): boolean {
    return this.mailbox.overflow === 'block';
  }

  replyCameLate(reply: unknown): void {
    this.deadLetter(reply, 'late');
  }

  /** Messages that wait, the one that is to be handled again included. */
  get waiting(): number {
    return this.mailbox.length + (this.annex?.redelivery?.isHolding === true ? 1 : 0);
  }

  /** As `tell`, but taken only if there is room, whatever the overflow policy, and nothing is noted. */
  tellIfRoom(message: M): 'accepted' | Refused<M> {
    if (!this.mailbox.put(message)) {
      return { refused: this.mailbox.closed ? 'E_ACTOR_STOPPED' : 'E_MAILBOX_FULL', message };
    }
    if (this.activity === Activity.idle) this.schedule();
    return 'accepted';
  }

  /** For people who print a ref: its path, not its inside. */
  toString(): string {
    return this.path;
  }

  toJSON(): string {
    return this.path;
  }

  protected annexed(): CellAnnex<M> {
    return (this.annex ??= new CellAnnex<M>());
  }

  protected schedule(): void {
    this.activity = Activity.queued;
    this.host.runQueue.push(this);
  }

  deadLetter(entry: unknown, reason: DeadLetterReason): void {
    const { deadLetters, clock } = this.host;
    const messageType = messageTypeOf(messageIn(entry));
    deadLetters.add({ to: this.path, messageType, reason, atMs: clock.wallMs() });
  }

  /** An entry will not be handled: says so to its asker or sender and in the dead letters, if it is wanted still. */
  protected lost(entry: M, reason: DeadLetterReason, code: LossCode): void {
    if (Envelope.isOne(entry)) {
      if (!entry.open(code)) return;
      this.deadLetter(entry, reason);
      entry.settled?.('lost');
      return;
    }
    this.deadLetter(entry, reason);
  }

  private tellOverflowing(message: M): SendResult<M> {
    if (this.mailbox.closed) {
      this.deadLetter(message, 'stopped');
      return { refused: 'E_ACTOR_STOPPED', message };
    }
    const overflowed = this.mailbox.putOverflowing(message);
    switch (overflowed.outcome) {
      case 'refused':
        this.host.counters.refused++;
        return { refused: 'E_MAILBOX_FULL', message };
      case 'dropped':
        this.deadLetter(message, 'dropped');
        return 'dropped';
      case 'displaced':
        this.lost(overflowed.oldest, 'dropped', 'E_MAILBOX_FULL');
        return 'accepted';
    }
  }

  private callListener(listener: (reason: ExitReason) => void, reason: ExitReason): void {
    try {
      listener(reason);
    } catch (thrown) {
      this.host.log({
        level: 'error',
        path: this.path,
        text: 'a termination listener threw',
        fields: { error: toWire(thrown) },
      });
    }
  }
}
