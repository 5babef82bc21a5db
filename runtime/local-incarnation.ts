/**
 * The middle layer of an actor in this thread: what belongs to one incarnation and ends with it: timers, watches, links,
 * deadlines, the abort signal, the message in hand and those it has put off.
 *
 * Not the life itself (actor-cell.ts, which extends this and says when an incarnation is over). Invariant: after
 * `dropIncarnation` and `cancelDeadlines` nothing that the incarnation had begun can reach the actor any more.
 */
import type { LogLevel, TimerOptions } from './actor.ts';
import type { AnyRef } from './actor-ref.ts';
import type { ActorSignal } from './actor-signal.ts';
import { ActorTimers, TimerTicket } from './actor-timers.ts';
import { assert } from './assert.ts';
import type { Clock } from './clock.ts';
import { messageTypeOf } from './dead-letters.ts';
import { Envelope, messageIn, NOTHING } from './envelope.ts';
import type { Nothing } from './envelope.ts';
import { notLocal } from './errors.ts';
import { isAbnormal } from './exit-reason.ts';
import type { ExitReason } from './exit-reason.ts';
import { STASH_CAPACITY_DEFAULT, STOP_DEADLINE_MS_DEFAULT, WATCHES_PER_ACTOR_MAX } from './limits.ts';
import { Links } from './links.ts';
import { Activity, LocalRef } from './local-ref.ts';
import type { FailedAttempt, Redelivery } from './redelivery.ts';
import { Recorded } from './shared/black-box.ts';
import type { BlackBoxWriter } from './shared/black-box.ts';
import { nothingToStash, Stash } from './stash.ts';

type FailedOrHung = Extract<ExitReason, { kind: 'failed' | 'hung' }>;

export abstract class LocalIncarnation<M> extends LocalRef<M> {
  /** Rises at the begin and at the end of every incarnation: what carries an older one is stale. */
  generation = 0;
  /** The message, or its envelope, whose handler has not settled. */
  protected inHand: M | Nothing = NOTHING;

  abstract kill(by: string): void;
  protected abstract get isEnding(): boolean;
  /** It has begun and handles messages. */
  protected abstract get isServing(): boolean;
  /** It hears of broken links instead of failing with them. */
  protected abstract get trapsExits(): boolean;
  protected abstract hung(silentMs: number, doing: string): void;

  get clock(): Clock {
    return this.host.clock;
  }

  get abortSignal(): AbortSignal {
    return (this.annexed().abortController ??= new AbortController()).signal;
  }

  watch(ref: AnyRef): void {
    const watches = (this.annexed().watches ??= new Map());
    if (watches.has(ref)) return;
    assert(watches.size < WATCHES_PER_ACTOR_MAX, 'the watches of an actor are bounded');
    const { generation } = this;
    const endWatch = ref.onTerminated((reason) => {
      if (this.generation !== generation) return;
      this.mailbox.raiseSignal({ type: 'terminated', ref, reason });
      if (this.activity === Activity.idle) this.schedule();
    });
    watches.set(ref, endWatch);
  }

  unwatch(ref: AnyRef): void {
    const watches = this.annex?.watches;
    watches?.get(ref)?.();
    watches?.delete(ref);
  }

  link(ref: AnyRef): void {
    if (this.isEnding || ref === this) return;
    if (!(ref instanceof LocalIncarnation) || ref.host !== this.host) throw notLocal(ref);
    const other = ref as unknown as LocalIncarnation<unknown>;
    const own = (this.annexed().links ??= new Links());
    if (own.to.has(other)) return;
    own.assertRoom(this.path);
    if (other.isDead) {
      const reason = other.annex?.previousExit;
      if (reason !== undefined && isAbnormal(reason)) this.linkBroke(ref, reason);
      return;
    }
    const theirs = (other.annexed().links ??= new Links());
    theirs.assertRoom(ref.path);
    own.to.add(other);
    const side = other.isAboutToEnd ? theirs.next : theirs.to;
    side.add(this);
  }

  unlink(ref: AnyRef): void {
    const { annex } = this;
    if (annex?.links === undefined || !(ref instanceof LocalIncarnation)) return;
    const other = ref as unknown as LocalIncarnation<unknown>;
    annex.links.remove(other);
    annex.links.forget(ref);
    other.annex?.links?.remove(this);
  }

  /** The incarnation is over, or with `isFinal` the actor: whoever is linked shares its fate, or is free. */
  protected breakLinks(reason: ExitReason, isFinal: boolean): void {
    const { annex } = this;
    if (annex?.links === undefined) return;
    const { to, next } = annex.links;
    annex.links = undefined;
    if (!isFinal && next.size > 0) {
      annex.links = new Links();
      for (const other of next) annex.links.to.add(other);
    }
    const self = this as unknown as LocalIncarnation<unknown>;
    const concerned = isFinal ? [...to, ...next] : [...to];
    const linkedNow = concerned.filter((other) => other.annex?.links?.remove(self) === true);
    if (isAbnormal(reason)) for (const other of linkedNow) other.linkBroke(this, reason);
  }

  private get isAboutToEnd(): boolean {
    const broken = this.annex?.links?.broken.size ?? 0;
    return this.activity !== Activity.parked && (this.isEnding || (broken > 0 && !this.trapsExits));
  }

  private linkBroke(ref: AnyRef, reason: ExitReason): void {
    // One that is ending has its own reason, and one without an incarnation has nothing that could fail.
    if (this.isEnding || this.activity === Activity.parked) return;
    const signal: ActorSignal = { type: 'linkBroken', ref, reason };
    const links = (this.annexed().links ??= new Links());
    links.broken.add(signal);
    this.mailbox.raiseSignal(signal);
    if (this.activity === Activity.idle) this.schedule();
  }

  stash(): void {
    const annex = this.annexed();
    const isInHand =
      this.activity === Activity.awaiting
        ? this.inHand !== NOTHING
        : this.activity === Activity.onStack && !annex.isAside;
    if (!isInHand || !this.isServing || annex.stash?.wantsInHand === true) throw nothingToStash(this.path);
    annex.stash ??= new Stash(this.options.stashCapacity ?? STASH_CAPACITY_DEFAULT);
    annex.stash.mark(this.path);
    // Urgent, so that the run loop asks about the stash only after the handlers that use it.
    this.mailbox.urgent++;
  }

  unstashAll(): void {
    const stash = this.annex?.stash;
    if (stash === undefined || this.isEnding) return;
    this.mailbox.putBack(stash.takeAll());
    if (this.activity === Activity.idle && this.mailbox.length > 0) this.schedule();
  }

  /** The handler of the message has ended well, and had it stashed. */
  protected keepStashed(message: M): void {
    const stash = this.annex?.stash;
    this.mailbox.urgent--;
    if (message instanceof Envelope) message.putOff?.();
    if (stash?.keep(message) === true) this.mailbox.putBack(stash.takeAll());
  }

  startTimer(key: string, message: M, options: TimerOptions): void {
    if (this.isEnding) return;
    const annex = this.annexed();
    annex.timers ??= new ActorTimers(this.clock, (ticket) => {
      this.mailbox.putBeyondCapacity(ticket as M);
      if (this.activity === Activity.idle) this.schedule();
    });
    annex.timers.start(key, message, options);
  }

  cancelTimer(key: string): void {
    this.annex?.timers?.cancel(key);
  }

  log(level: LogLevel, text: string, fields?: Record<string, unknown>): void {
    this.host.log({ level, path: this.path, text, ...(fields === undefined ? {} : { fields }) });
  }

  /** The handler has settled well; a message that it has stashed is not handled yet. */
  protected handledInHand(entry: M): void {
    this.annex?.recorder?.end(Recorded.handled);
    if (this.annex?.stash?.wantsInHand === true) {
      this.annex.redelivery?.forget();
      // A timer's tick is over with its turn: what is put off is its message.
      this.keepStashed(entry instanceof TimerTicket ? (entry.message as M) : entry);
      return;
    }
    this.annex?.redelivery?.handled();
    if (Envelope.isOne(entry)) entry.settled?.('handled');
  }

  /** The reason, with the message that is to blame for it, if it is charged to one. */
  protected chargedReason<Reason extends FailedOrHung>(reason: Reason): Reason {
    const { inHand } = this;
    const isCharged = this.redeliveryOf(inHand)?.isMessageToBlame === true;
    return isCharged ? { ...reason, chargedTo: messageTypeOf(messageIn(inHand)) } : reason;
  }

  /** The incarnation ends with a message in hand: what becomes of it. */
  protected endInHand(deadReason: 'failed' | 'killed', reason: ExitReason): void {
    const entry = this.inHand;
    if (entry === NOTHING) return;
    this.inHand = NOTHING;
    const redelivery = this.redeliveryOf(entry);
    if (redelivery === undefined) {
      this.loseInHand(entry, deadReason, reason);
      return;
    }
    const { clock } = this;
    if (deadReason === 'failed') {
      const attempt = { atMs: clock.wallMs(), epoch: this.annexed().epoch, reason };
      const history = redelivery.charge(attempt, clock.monotonicMs());
      if (history !== undefined) {
        this.quarantineInHand(entry, history, reason);
        return;
      }
    }
    if (this.annex?.isKept === true) {
      redelivery.hold(entry);
      if (entry instanceof Envelope) entry.putOff?.();
    } else {
      redelivery.forget();
      this.loseInHand(entry, deadReason, reason);
    }
  }

  /** A timer's message is of its incarnation and ends with it. */
  private redeliveryOf(entry: M | Nothing): Redelivery<M> | undefined {
    return entry === NOTHING || entry instanceof TimerTicket ? undefined : this.annex?.redelivery;
  }

  private loseInHand(entry: M, deadReason: 'failed' | 'killed', reason: ExitReason): void {
    this.deadLetter(entry, deadReason);
    if (Envelope.isOne(entry)) entry.settled?.(deadReason === 'failed' ? 'failed' : 'lost', reason);
  }

  private quarantineInHand(entry: M, history: FailedAttempt[], reason: ExitReason): void {
    this.host.quarantine.add(this, messageIn(entry), history, this.clock.wallMs());
    if (Envelope.isOne(entry)) entry.settled?.('quarantined', reason);
  }

  /** Its start is the first thing on its page of the black box, if there is a page left. */
  protected record(blackBox: BlackBoxWriter): void {
    const recorder = this.annex?.recorder ?? blackBox.open(this.path);
    if (recorder === undefined) return;
    const annex = this.annexed();
    annex.recorder = recorder;
    annex.isWatched = true;
    recorder.begin('a start', this.mailbox.length, false);
  }

  protected armHandlerDeadline(inMs: number): void {
    const annex = this.annexed();
    annex.handlerDeadline = this.clock.after(
      inMs,
      () => {
        annex.handlerDeadline = undefined;
        if (annex.handlerSinceMs === undefined) return;
        const silentMs = this.clock.monotonicMs() - annex.handlerSinceMs;
        const leftMs = (this.options.handlerTimeoutMs ?? 0) - silentMs;
        if (leftMs > 0) this.armHandlerDeadline(leftMs);
        else
          this.hung(silentMs, this.inHand === NOTHING ? 'a signal' : messageTypeOf(messageIn(this.inHand)));
      },
      { ref: false },
    );
  }

  protected dropIncarnation(): void {
    const { annex } = this;
    if (annex === undefined) return;
    annex.cancelStartDeadline?.();
    annex.cancelStartDeadline = undefined;
    annex.handlerSinceMs = undefined;
    annex.handlerDeadline?.();
    annex.handlerDeadline = undefined;
    annex.redelivery?.stopWaiting();
    if (annex.timers !== undefined) {
      annex.timers.cancelAll();
      this.host.counters.timerTicksLeftOut += annex.timers.takeTicksLeftOut();
    }
    if (annex.watches !== undefined) {
      for (const endWatch of annex.watches.values()) endWatch();
      annex.watches = undefined;
    }
    annex.links?.broken.clear();
    if (annex.stash?.wantsInHand === true) {
      annex.stash.unmark();
      this.mailbox.urgent--;
    }
  }

  protected armDeadline(deadlineMs: number, passed: () => void): void {
    this.annexed().cancelDeadlines.push(this.clock.after(deadlineMs, passed));
  }

  /** An end that nobody gave a deadline (a failure, a stop by itself) has one all the same. */
  protected armEndDeadline(): void {
    if (this.annexed().cancelDeadlines.length > 0) return;
    const deadlineMs = STOP_DEADLINE_MS_DEFAULT;
    this.armDeadline(deadlineMs, () => this.kill(`its clean-up took longer than ${deadlineMs} ms`));
  }

  protected cancelDeadlines(): void {
    const { annex } = this;
    if (annex === undefined || annex.cancelDeadlines.length === 0) return;
    for (const cancel of annex.cancelDeadlines) cancel();
    annex.cancelDeadlines = [];
  }
}
