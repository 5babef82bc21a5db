/**
 * The middle layer of an actor in this thread: what belongs to one incarnation and ends with it: timers, watches,
 * deadlines, the abort signal, the message in hand.
 *
 * Not the life itself (actor-cell.ts, which extends this and says when an incarnation is over). Invariant: after
 * `dropIncarnation` and `cancelDeadlines` nothing that the incarnation had begun can reach the actor any more.
 */
import type { LogLevel, TimerOptions } from './actor.ts';
import type { AnyRef } from './actor-ref.ts';
import { ActorTimers } from './actor-timers.ts';
import { assert } from './assert.ts';
import type { Clock } from './clock.ts';
import { messageTypeOf } from './dead-letters.ts';
import { CodedError, fromWire } from './errors.ts';
import { describeExit } from './exit-reason.ts';
import type { ExitReason } from './exit-reason.ts';
import { STOP_DEADLINE_MS_DEFAULT, WATCHES_PER_ACTOR_MAX } from './limits.ts';
import { Activity, LocalRef } from './local-ref.ts';

export abstract class LocalIncarnation<M> extends LocalRef<M> {
  /** Rises at the begin and at the end of every incarnation: what carries an older one is stale. */
  generation = 0;
  /** The message whose handler has not settled. */
  protected inHand: M | undefined = undefined;

  abstract kill(by: string): void;
  protected abstract get isEnding(): boolean;
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

  protected loseInHand(deadReason: 'failed' | 'killed', reason: ExitReason): void {
    const message = this.inHand;
    if (message === undefined) return;
    this.inHand = undefined;
    this.deadLetter(message, deadReason);
    this.annex?.asks?.failOne(
      message,
      new CodedError('E_ASK_FAILED', `${this.path} ended on this message: ${describeExit(reason)}`, {
        details: { path: this.path, exit: reason.kind },
        ...(reason.kind === 'failed' ? { cause: fromWire(reason.error) } : {}),
      }),
    );
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
        else this.hung(silentMs, this.inHand === undefined ? 'a signal' : messageTypeOf(this.inHand));
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
    if (annex.timers !== undefined) {
      annex.timers.cancelAll();
      this.host.counters.timerTicksLeftOut += annex.timers.takeTicksLeftOut();
    }
    if (annex.watches !== undefined) {
      for (const endWatch of annex.watches.values()) endWatch();
      annex.watches = undefined;
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
