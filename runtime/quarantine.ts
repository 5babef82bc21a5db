/**
 * Messages that broke their handler again and again, kept with their history until a person decides about them.
 *
 * In memory: it ends with its system. What is in it is in no mailbox. Policy for when it is full: what is in it stays,
 * since somebody may be looking at it, and the new one becomes a dead letter.
 * Invariant: bounded by `QUARANTINED_MAX`; every message that came is in it, was released, or became a dead letter.
 */
import type { Refused } from './actor-ref.ts';
import { messageTypeOf } from './dead-letters.ts';
import type { DeadLetterReason } from './dead-letters.ts';
import { CodedError } from './errors.ts';
import { QUARANTINED_MAX } from './limits.ts';
import type { FailedAttempt } from './redelivery.ts';

/** Whose message it is; it may be dead by now. */
export interface QuarantineReceiver {
  readonly path: string;
  tellIfRoom(message: unknown): 'accepted' | Refused<unknown>;
  deadLetter(message: unknown, reason: DeadLetterReason): void;
}

export interface QuarantinedMessage {
  /** For `release` and `discard`; never given twice. */
  id: number;
  to: string;
  messageType: string;
  message: unknown;
  /** Wall time at which it came here. */
  atMs: number;
  /** What was charged to it, oldest first. */
  history: readonly FailedAttempt[];
}

export interface QuarantineCounts {
  /** In it now. */
  held: number;
  /** All that ever came: held, released, discarded, or too many. */
  quarantined: number;
  released: number;
  discarded: number;
  /** Came when it was full. */
  overflowed: number;
}

export class Quarantine {
  private readonly kept = new Map<
    number,
    { quarantined: QuarantinedMessage; receiver: QuarantineReceiver }
  >();
  private lastId = 0;
  private released = 0;
  private discarded = 0;
  private overflowed = 0;

  /** For the runtime: a message of this receiver has used up its attempts. */
  add(receiver: QuarantineReceiver, message: unknown, history: readonly FailedAttempt[], atMs: number): void {
    const id = ++this.lastId;
    if (this.kept.size >= QUARANTINED_MAX) {
      this.overflowed++;
      receiver.deadLetter(message, 'quarantineFull');
      return;
    }
    const messageType = messageTypeOf(message);
    const quarantined = { id, to: receiver.path, messageType, message, atMs, history };
    this.kept.set(id, { quarantined, receiver });
  }

  /** Oldest first. */
  list(): QuarantinedMessage[] {
    return [...this.kept.values()].map(({ quarantined }) => quarantined);
  }

  /**
   * Tells it to its actor once more, behind what waits there, with all its attempts again. Errors:
   * `E_QUARANTINE_UNKNOWN`; `E_MAILBOX_FULL`, `E_ACTOR_STOPPED`: it stays here.
   */
  release(id: number): void {
    const { quarantined, receiver } = this.entry(id);
    const result = receiver.tellIfRoom(quarantined.message);
    if (result === 'accepted') {
      this.kept.delete(id);
      this.released++;
      return;
    }
    const { to } = quarantined;
    const isFull = result.refused === 'E_MAILBOX_FULL';
    throw new CodedError(
      result.refused,
      `${to} ${isFull ? 'has no room' : 'is dead'}: the message stays in quarantine`,
      {
        kind: isFull ? 'transient' : 'permanent',
        details: { id, to },
        mend: isFull ? 'Release it later.' : 'Discard it, or tell its content to another actor.',
      },
    );
  }

  /** Gives it up: it becomes a dead letter. Errors: `E_QUARANTINE_UNKNOWN`. */
  discard(id: number): void {
    const { quarantined, receiver } = this.entry(id);
    this.kept.delete(id);
    this.discarded++;
    receiver.deadLetter(quarantined.message, 'discarded');
  }

  counts(): QuarantineCounts {
    const { released, discarded, overflowed } = this;
    return { held: this.kept.size, quarantined: this.lastId, released, discarded, overflowed };
  }

  private entry(id: number): { quarantined: QuarantinedMessage; receiver: QuarantineReceiver } {
    const found = this.kept.get(id);
    if (found !== undefined) return found;
    throw new CodedError('E_QUARANTINE_UNKNOWN', `no message ${id} is in quarantine`, {
      details: { id },
      mend: 'Use an id from its list; it may have been released or discarded already.',
    });
  }
}
