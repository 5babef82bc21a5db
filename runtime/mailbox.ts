/**
 * What waits for one actor: four lanes, signal > stop > supervision > message, every one bounded; and whether the message
 * lane is held back.
 *
 * Not a scheduler and not thread-safe. The signal lane holds a kill and the stop lane a stop request, one each, since a
 * second says nothing new; the supervision lane is bounded by the number of watched and linked actors; the message lane by
 * `capacity`, with a written policy for when it is full.
 * Invariant: messages leave in the order they were put; nothing leaves twice; a displaced one is handed to the caller.
 */
import type { Refused, SendResult } from './actor-ref.ts';
import type { ActorSignal } from './actor-signal.ts';
import { assert } from './assert.ts';
import type { ExitReason } from './exit-reason.ts';
import {
  MAILBOX_CAPACITY_DEFAULT,
  FREE_RING_SLOTS_MAX,
  FREE_RINGS_MAX,
  MAILBOX_MESSAGES_MAX,
  WAITING_SENDERS_MAX,
  WATCHES_PER_ACTOR_MAX,
  LINKS_PER_ACTOR_MAX,
} from './limits.ts';
import { RingBuffer } from './ring-buffer.ts';

/**
 * `refuse`: the message is given back. `dropOldest`: the longest waiting message makes room. `dropNewest`: the new one is
 * dropped. `block`: as `refuse`, and `tellWhenAccepted` waits for room in order of arrival.
 */
export type OverflowPolicy = 'refuse' | 'dropOldest' | 'dropNewest' | 'block';

export interface MailboxOptions {
  /** Messages that may wait. */
  capacity: number;
  overflow: OverflowPolicy;
}

export const MAILBOX_DEFAULT: MailboxOptions = { capacity: MAILBOX_CAPACITY_DEFAULT, overflow: 'refuse' };

export interface StopRequest {
  reason: ExitReason;
  /** Handle what waits already before stopping. */
  drain: boolean;
}

export type Urgent =
  | { lane: 'signal'; by: string }
  | { lane: 'stop'; request: StopRequest }
  /** The message lane is held back from now on, or let go. */
  | { lane: 'hold'; isHeld: boolean }
  | { lane: 'supervision'; signal: ActorSignal }
  /** Nothing urgent, and no message may be taken. */
  | { lane: 'held' };

/** What became of a message that found the mailbox full. */
export type Overflowed<M> =
  { outcome: 'refused' } | { outcome: 'dropped' } | { outcome: 'displaced'; oldest: M };

interface WaitingSender<M> {
  message: M;
  settle(result: SendResult<M>): void;
}

/** The lanes and the waiting senders are rare, so an idle mailbox does not carry them. */
class RareLanes<M> {
  kill: string | undefined = undefined;
  stop: StopRequest | undefined = undefined;
  readonly signals = new RingBuffer<ActorSignal>(WATCHES_PER_ACTOR_MAX + LINKS_PER_ACTOR_MAX);
  isHeld = false;
  /** What the present incarnation has been told of it. */
  isHoldTold = false;
  readonly waiting = new Set<WaitingSender<M>>();
}

/** A hold is one urgent entry for as long as it lasts or is news, so that the run loop needs no further question. */
function holdEntries({ isHeld, isHoldTold }: { isHeld: boolean; isHoldTold: boolean }): number {
  return isHeld || isHoldTold ? 1 : 0;
}

/** Empty rings of this thread, for the next mailbox that gets a message: an idle actor holds none. */
const freeRings: RingBuffer<unknown>[] = [];

function borrowRing<M>(): RingBuffer<M> {
  return (freeRings.pop() as RingBuffer<M> | undefined) ?? new RingBuffer<M>(MAILBOX_MESSAGES_MAX);
}

function returnRing(ring: RingBuffer<unknown>): void {
  // One that a burst has made large is left to the garbage collector.
  if (ring.slotCount <= FREE_RING_SLOTS_MAX && freeRings.length < FREE_RINGS_MAX) freeRings.push(ring);
}

export class Mailbox<M> {
  /** Entries in the lanes above the message lane, one for a hold, one for a message to be stashed: what the fast path asks. */
  urgent = 0;
  private readonly options: MailboxOptions;
  private messages: RingBuffer<M> | undefined = undefined;
  private rare: RareLanes<M> | undefined = undefined;
  private isClosed = false;

  constructor(options: MailboxOptions) {
    this.options = options;
  }

  /** Messages that wait. */
  get length(): number {
    return this.messages === undefined ? 0 : this.messages.length;
  }

  /** Messages that `put` would take now. */
  get room(): number {
    return this.isClosed ? 0 : Math.max(0, this.options.capacity - this.length);
  }

  get closed(): boolean {
    return this.isClosed;
  }

  get capacity(): number {
    return this.options.capacity;
  }

  get overflow(): OverflowPolicy {
    return this.options.overflow;
  }

  /** Adds a message if there is room and the mailbox is open. */
  put(message: M): boolean {
    const messages = (this.messages ??= borrowRing<M>());
    if (messages.length >= this.options.capacity || this.isClosed) return false;
    return messages.push(message);
  }

  /** Applies the policy to a message that `put` did not take although the mailbox is open. */
  putOverflowing(message: M): Overflowed<M> {
    assert(this.length >= this.options.capacity && !this.isClosed, 'the policy is for a full, open mailbox');
    switch (this.options.overflow) {
      case 'refuse':
      case 'block':
        return { outcome: 'refused' };
      case 'dropNewest':
        return { outcome: 'dropped' };
      case 'dropOldest': {
        const oldest = this.messages?.shift() as M;
        this.messages?.push(message);
        return { outcome: 'displaced', oldest };
      }
    }
  }

  /** For what has a bound of its own: timer messages by the number of timers, those of other threads by their ring. */
  putBeyondCapacity(message: M): boolean {
    if (this.isClosed) return false;
    this.messages ??= borrowRing<M>();
    return this.messages.push(message);
  }

  /** Puts messages that were taken before back in front of all that wait, whatever the capacity. */
  putBack(messages: readonly M[]): void {
    const ring = (this.messages ??= borrowRing<M>());
    for (let index = messages.length - 1; index >= 0; index--) ring.unshift(messages[index] as M);
  }

  /** Takes the oldest message. Only when `length > 0`. */
  take(): M {
    const message = this.messages?.shift() as M;
    if (this.rare !== undefined) this.admitWaiting();
    return message;
  }

  /** Gives the memory back, once the mailbox has run empty. */
  release(): void {
    if (this.messages === undefined || this.messages.length > 0) return;
    returnRing(this.messages);
    this.messages = undefined;
  }

  /** Waits, in order of arrival, until `put` would take the message. Never rejects. */
  waitForRoom(message: M, signal: AbortSignal | undefined): Promise<SendResult<M>> {
    const { waiting } = (this.rare ??= new RareLanes<M>());
    if (signal?.aborted === true) return Promise.resolve({ refused: 'E_SEND_ABORTED', message });
    if (waiting.size >= WAITING_SENDERS_MAX) return Promise.resolve({ refused: 'E_MAILBOX_FULL', message });
    return new Promise((resolve) => {
      const sender: WaitingSender<M> = {
        message,
        settle: (result) => {
          waiting.delete(sender);
          signal?.removeEventListener('abort', onAbort);
          resolve(result);
        },
      };
      const onAbort = (): void => sender.settle({ refused: 'E_SEND_ABORTED', message } satisfies Refused<M>);
      signal?.addEventListener('abort', onAbort);
      waiting.add(sender);
    });
  }

  get waitingSenders(): number {
    return this.rare === undefined ? 0 : this.rare.waiting.size;
  }

  /** Puts a kill into the signal lane. The first one's words stand. */
  raiseKill(by: string): void {
    this.rare ??= new RareLanes<M>();
    if (this.rare.kill !== undefined) return;
    this.rare.kill = by;
    this.urgent++;
  }

  /** Puts a stop into its lane. A plain stop overrides a draining one; otherwise the first stands. */
  raiseStop(request: StopRequest): void {
    this.rare ??= new RareLanes<M>();
    if (this.rare.stop === undefined) this.urgent++;
    else if (request.drain || !this.rare.stop.drain) return;
    this.rare.stop = request;
  }

  raiseSignal(signal: ActorSignal): void {
    this.rare ??= new RareLanes<M>();
    if (this.rare.signals.push(signal)) this.urgent++;
  }

  /** Whether messages are held back. Stops, kills and signals are not. */
  get isHeld(): boolean {
    return this.rare?.isHeld === true;
  }

  /** The last change of the hold has not been told to the incarnation yet. */
  get isHoldUntold(): boolean {
    return this.rare !== undefined && this.rare.isHeld !== this.rare.isHoldTold;
  }

  /** Holds messages back, or lets them go. The change is an urgent entry, told to each incarnation once. */
  hold(isHeld: boolean): void {
    const rare = (this.rare ??= new RareLanes<M>());
    const before = holdEntries(rare);
    rare.isHeld = isHeld;
    this.urgent += holdEntries(rare) - before;
  }

  /** What was taken as told could not be told: it is urgent again. */
  holdIsUntold(): void {
    const { rare } = this;
    if (rare === undefined) return;
    const before = holdEntries(rare);
    rare.isHoldTold = false;
    this.urgent += holdEntries(rare) - before;
  }

  /** Takes the most urgent entry of the upper three lanes; undefined when they are empty and nothing is held. */
  takeUrgent(): Urgent | undefined {
    const { rare } = this;
    if (rare === undefined || this.urgent === 0) return undefined;
    if (rare.kill !== undefined) {
      this.urgent--;
      const by = rare.kill;
      rare.kill = undefined;
      return { lane: 'signal', by };
    }
    if (rare.stop !== undefined) {
      this.urgent--;
      const request = rare.stop;
      rare.stop = undefined;
      return { lane: 'stop', request };
    }
    if (rare.isHeld !== rare.isHoldTold) {
      rare.isHoldTold = rare.isHeld;
      if (!rare.isHeld) this.urgent--;
      return { lane: 'hold', isHeld: rare.isHeld };
    }
    const signal = rare.signals.shift();
    if (signal === undefined) return { lane: 'held' };
    this.urgent--;
    return { lane: 'supervision', signal };
  }

  /** Takes only a kill, for when nothing else can be served. */
  takeKill(): string | undefined {
    const by = this.rare?.kill;
    if (by === undefined) return undefined;
    (this.rare as RareLanes<M>).kill = undefined;
    this.urgent--;
    return by;
  }

  /** Forgets the upper three lanes: they were meant for the incarnation that has ended. */
  clearUrgent(): void {
    const { rare } = this;
    if (rare === undefined) return;
    rare.kill = undefined;
    rare.stop = undefined;
    while (rare.signals.shift() !== undefined);
    rare.isHoldTold = false;
    this.urgent = holdEntries(rare);
  }

  /** Takes nothing more from now on, gives waiting senders their messages back; what is inside stays to be taken. */
  close(): void {
    this.isClosed = true;
    if (this.rare === undefined) return;
    for (const sender of this.rare.waiting) {
      sender.settle({ refused: 'E_ACTOR_STOPPED', message: sender.message });
    }
  }

  /** Takes messages again: the actor is to be restarted after it had closed its mailbox to drain it. */
  reopen(): void {
    this.isClosed = false;
  }

  private admitWaiting(): void {
    const { waiting } = this.rare as RareLanes<M>;
    for (const sender of waiting) {
      if (!this.put(sender.message)) return;
      sender.settle('accepted');
    }
  }
}
