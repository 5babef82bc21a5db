/**
 * The message in hand of an actor that has `redelivery`, over as many incarnations as it needs.
 *
 * Such a message has left the queue and not the mailbox: until its handler has settled well it is held here, before
 * everything that waits, where no overflow policy reaches it and no room is taken. Each failure and each hang is charged
 * to it; a kill is not. Not the quarantine, where it goes after `attemptsMax` of them.
 * Invariant: one message at most is in hand or held, and its history is that of this message alone.
 */
import type { Clock } from './clock.ts';
import { NOTHING } from './envelope.ts';
import type { Nothing } from './envelope.ts';
import type { ExitReason } from './exit-reason.ts';
import { POISON_IN_A_ROW_MAX } from './limits.ts';
import { Backoff } from './supervision/backoff.ts';
import type { BackoffOptions } from './supervision/backoff.ts';

export interface RedeliveryOptions {
  /** Failures and hangs of its handler after which a message goes to the quarantine. 1: it is not tried again. */
  attemptsMax: number;
  /** How long a message waits before it is tried again, with all that is behind it. Without it: not at all. */
  backoff?: BackoffOptions;
}

/** One attempt that was charged to a message. */
export interface FailedAttempt {
  /** Wall time. */
  atMs: number;
  /** Of the incarnation that ended with it. */
  epoch: number;
  reason: ExitReason;
}

export class Redelivery<M> {
  private held: M | Nothing = NOTHING;
  private history: FailedAttempt[] = [];
  private quarantinedInARow = 0;
  private dueMs = 0;
  private cancelWait: (() => void) | undefined = undefined;
  private readonly attemptsMax: number;
  private readonly backoff: Backoff | undefined;

  constructor({ attemptsMax, backoff }: RedeliveryOptions) {
    this.attemptsMax = attemptsMax;
    this.backoff = backoff === undefined ? undefined : new Backoff(backoff, Math.random);
  }

  get isHolding(): boolean {
    return this.held !== NOTHING;
  }

  /** The held message has to wait for its time, and all that is behind it too. */
  get isWaiting(): boolean {
    return this.cancelWait !== undefined;
  }

  /** What was held, if anything, is in hand again. */
  take(): M | Nothing {
    const { held } = this;
    this.held = NOTHING;
    return held;
  }

  /** An incarnation has begun: `wake` is called when the held message, if it has to wait, is due. */
  waitUntilDue(clock: Clock, wake: () => void): void {
    const inMs = this.dueMs - clock.monotonicMs();
    if (this.held === NOTHING || inMs <= 0) return;
    this.cancelWait = clock.after(inMs, () => {
      this.cancelWait = undefined;
      wake();
    });
  }

  stopWaiting(): void {
    this.cancelWait?.();
    this.cancelWait = undefined;
  }

  /** The message in hand was handled well. */
  handled(): void {
    this.quarantinedInARow = 0;
    if (this.history.length === 0) return;
    this.history = [];
    this.backoff?.reset();
  }

  /** Charges the message in hand. Its history, when that was the last attempt it had. */
  charge(attempt: FailedAttempt, nowMs: number): FailedAttempt[] | undefined {
    this.history.push(attempt);
    if (this.history.length < this.attemptsMax) {
      this.dueMs = this.backoff === undefined ? 0 : nowMs + this.backoff.next(nowMs);
      return undefined;
    }
    this.quarantinedInARow++;
    this.backoff?.reset();
    return this.forget();
  }

  /** When every message is poison it is the actor that is broken: then its failures are its own again. */
  get isMessageToBlame(): boolean {
    return this.quarantinedInARow < POISON_IN_A_ROW_MAX;
  }

  /** What was in hand is for the next incarnation. */
  hold(entry: M): void {
    this.held = entry;
  }

  /** The actor is dead: what is held, if anything. */
  giveBack(): M | Nothing {
    this.forget();
    return this.take();
  }

  /** The message in hand will not be tried again. Gives its history. */
  forget(): FailedAttempt[] {
    const { history } = this;
    this.history = [];
    this.dueMs = 0;
    return history;
  }
}

/**
 * For a child spec's `countsTowardsIntensity`: a crash that is charged to one message does not count, since the message
 * goes to the quarantine and the actor is sound. It is followed by a restart under back-off.
 */
export function countsUnlessCharged(reason: ExitReason): boolean {
  return !('chargedTo' in reason) || reason.chargedTo === undefined;
}
