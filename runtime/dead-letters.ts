/**
 * The last messages that nobody handled: to whom, of what type, why. Never their content.
 *
 * Not a store: they are kept for a person to look at, the totals are exact. A message refused for want of room is not
 * one, since its sender holds it and may try again. Invariant: bounded by `DEAD_LETTERS_KEPT`.
 */
import { DEAD_LETTERS_KEPT } from './limits.ts';
import { RingBuffer } from './ring-buffer.ts';

/**
 * `stopped`: told to an actor that is dead. `left`: still in the mailbox when the actor ended. `dropped`: by the overflow
 * policy. `failed`: its handler threw, rejected or hung. `killed`: in hand when the actor was killed. `late`: an answer
 * after its ask was over. `invalid`: what came from another thread is not what its schema says. `unstored`: a durable
 * mailbox did not store it. `discarded`: from the quarantine. `quarantineFull`: it should have gone there.
 */
export type DeadLetterReason =
  | 'stopped'
  | 'left'
  | 'dropped'
  | 'failed'
  | 'killed'
  | 'late'
  | 'invalid'
  | 'unstored'
  | 'discarded'
  | 'quarantineFull';

export interface DeadLetter {
  to: string;
  messageType: string;
  reason: DeadLetterReason;
  /** Wall time. */
  atMs: number;
}

export interface DeadLetterListener {
  letter(letter: DeadLetter): void;
  /** The system has ended; what is told to its dead actors from now on is only counted. */
  ended(): void;
}

export class DeadLetters {
  private listeners: Set<DeadLetterListener> | undefined = undefined;
  private readonly listenerThrew: (thrown: unknown) => void;
  private hasEnded = false;
  private readonly kept = new RingBuffer<DeadLetter>(DEAD_LETTERS_KEPT);
  private readonly totals: Record<DeadLetterReason, number> = {
    stopped: 0,
    left: 0,
    dropped: 0,
    failed: 0,
    killed: 0,
    late: 0,
    invalid: 0,
    unstored: 0,
    discarded: 0,
    quarantineFull: 0,
  };

  /** `listenerThrew` hears what a listener's `ended` throws. Must not throw. */
  constructor(listenerThrew: (thrown: unknown) => void = () => undefined) {
    this.listenerThrew = listenerThrew;
  }

  add(letter: DeadLetter): void {
    this.totals[letter.reason]++;
    if (this.kept.length === DEAD_LETTERS_KEPT) this.kept.shift();
    this.kept.push(letter);
    if (this.listeners !== undefined) this.tell(letter);
  }

  /** Calls the listener with every letter from now on, from inside whatever lost the message. What it throws is ignored. */
  observe(listener: DeadLetterListener): () => void {
    if (this.hasEnded) {
      this.tellEnded(listener);
      return () => undefined;
    }
    const listeners = (this.listeners ??= new Set());
    listeners.add(listener);
    return () => {
      listeners.delete(listener);
      if (listeners.size === 0 && this.listeners === listeners) this.listeners = undefined;
    };
  }

  /** The system has ended. */
  end(): void {
    this.hasEnded = true;
    const { listeners } = this;
    this.listeners = undefined;
    for (const listener of listeners ?? []) this.tellEnded(listener);
  }

  /** The end of a system goes on, whatever a guest makes of it. */
  private tellEnded(listener: DeadLetterListener): void {
    try {
      listener.ended();
    } catch (thrown) {
      this.listenerThrew(thrown);
    }
  }

  private tell(letter: DeadLetter): void {
    for (const listener of this.listeners ?? []) {
      try {
        listener.letter(letter);
      } catch {
        // A listener is a guest: telling a message never throws.
      }
    }
  }

  /** The last ones, oldest first. */
  list(): DeadLetter[] {
    return [...this.kept];
  }

  counts(): Readonly<Record<DeadLetterReason, number>> {
    return { ...this.totals };
  }
}

/** What a message may be called without showing it: its `type` tag, else its class, else its JavaScript type. */
export function messageTypeOf(message: unknown): string {
  if (typeof message !== 'object' || message === null) return typeof message;
  try {
    if ('type' in message && typeof message.type === 'string') return message.type;
    const { name } = message.constructor as { name: unknown };
    return typeof name === 'string' ? name : 'object';
  } catch {
    return 'object';
  }
}
