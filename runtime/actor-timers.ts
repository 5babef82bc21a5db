/**
 * The timers of one incarnation, as messages to itself.
 *
 * A timer that fires puts its ticket into the mailbox, not its message; the message is taken out of the ticket when its
 * turn comes. So a cancelled timer's message never arrives, even if it had fired already. Invariant: a timer has at most
 * one ticket in the mailbox; a tick that comes too early for that is left out and counted.
 */
import type { TimerOptions } from './actor.ts';
import type { Clock } from './clock.ts';
import { Envelope } from './envelope.ts';
import { CodedError } from './errors.ts';
import { TIMER_DELAY_MS_MAX, TIMERS_PER_ACTOR_MAX } from './limits.ts';

export class TimerTicket extends Envelope {
  readonly key: string;
  readonly message: unknown;
  readonly everyMs: number | undefined;
  dueMs: number;
  isCancelled = false;
  isQueued = false;
  cancelClock: () => void = () => undefined;
  private readonly timers: ActorTimers;

  constructor(
    timers: ActorTimers,
    key: string,
    message: unknown,
    everyMs: number | undefined,
    dueMs: number,
  ) {
    super();
    this.timers = timers;
    this.key = key;
    this.message = message;
    this.everyMs = everyMs;
    this.dueMs = dueMs;
  }

  override open(): boolean {
    return this.timers.redeem(this);
  }
}

export class ActorTimers {
  private ticksLeftOut = 0;
  private readonly tickets = new Map<string, TimerTicket>();
  private readonly clock: Clock;
  private readonly enqueue: (ticket: TimerTicket) => void;

  constructor(clock: Clock, enqueue: (ticket: TimerTicket) => void) {
    this.clock = clock;
    this.enqueue = enqueue;
  }

  /** Errors: `E_TIMER_INVALID` for a delay that cannot be timed, `E_TIMERS_FULL` beyond the bound. */
  start(key: string, message: unknown, { delayMs, everyMs }: TimerOptions): void {
    const isTimable = (ms: number): boolean => ms >= 0 && ms <= TIMER_DELAY_MS_MAX;
    if (!isTimable(delayMs) || (everyMs !== undefined && (!isTimable(everyMs) || everyMs === 0))) {
      throw new CodedError('E_TIMER_INVALID', `timer ${key}: ${delayMs} ms, every ${everyMs ?? '-'} ms`, {
        kind: 'defect',
        mend: `Give delays between 0 and ${TIMER_DELAY_MS_MAX} ms, and everyMs above 0.`,
      });
    }
    this.cancel(key);
    if (this.tickets.size >= TIMERS_PER_ACTOR_MAX) {
      throw new CodedError('E_TIMERS_FULL', `an actor has at most ${TIMERS_PER_ACTOR_MAX} timers`, {
        kind: 'defect',
        mend: 'Cancel timers that are over, or keep due times in the state and use one timer.',
      });
    }
    const ticket = new TimerTicket(this, key, message, everyMs, this.clock.monotonicMs() + delayMs);
    this.tickets.set(key, ticket);
    this.arm(ticket, delayMs);
  }

  cancel(key: string): void {
    const ticket = this.tickets.get(key);
    if (ticket === undefined) return;
    this.tickets.delete(key);
    ticket.isCancelled = true;
    ticket.cancelClock();
  }

  cancelAll(): void {
    for (const key of [...this.tickets.keys()]) this.cancel(key);
  }

  /** The ticket has left the mailbox, handled or dropped. True when its message is still wanted. */
  redeem(ticket: TimerTicket): boolean {
    ticket.isQueued = false;
    if (ticket.isCancelled) return false;
    if (ticket.everyMs === undefined) this.tickets.delete(ticket.key);
    return true;
  }

  get size(): number {
    return this.tickets.size;
  }

  /** Ticks left out since the last call, because the one before had not been handled yet. */
  takeTicksLeftOut(): number {
    const { ticksLeftOut } = this;
    this.ticksLeftOut = 0;
    return ticksLeftOut;
  }

  private arm(ticket: TimerTicket, delayMs: number): void {
    ticket.cancelClock = this.clock.after(delayMs, () => this.fire(ticket));
  }

  private fire(ticket: TimerTicket): void {
    if (ticket.everyMs !== undefined) {
      // Counted from when it was due and not from now, so that ticks do not drift; but never a burst to catch up.
      const nowMs = this.clock.monotonicMs();
      ticket.dueMs = Math.max(ticket.dueMs + ticket.everyMs, nowMs);
      this.arm(ticket, ticket.dueMs - nowMs);
    }
    if (ticket.isQueued) {
      this.ticksLeftOut++;
      return;
    }
    ticket.isQueued = true;
    this.enqueue(ticket);
  }
}
