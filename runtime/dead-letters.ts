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
 * after its ask was over.
 */
export type DeadLetterReason = 'stopped' | 'left' | 'dropped' | 'failed' | 'killed' | 'late';

export interface DeadLetter {
  to: string;
  messageType: string;
  reason: DeadLetterReason;
  /** Wall time. */
  atMs: number;
}

export class DeadLetters {
  private readonly kept = new RingBuffer<DeadLetter>(DEAD_LETTERS_KEPT);
  private readonly totals: Record<DeadLetterReason, number> = {
    stopped: 0,
    left: 0,
    dropped: 0,
    failed: 0,
    killed: 0,
    late: 0,
  };

  add(letter: DeadLetter): void {
    this.totals[letter.reason]++;
    if (this.kept.length === DEAD_LETTERS_KEPT) this.kept.shift();
    this.kept.push(letter);
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
    return message.constructor.name;
  } catch {
    return 'object';
  }
}
