/**
 * Messages that an actor has put off.
 *
 * Not a second mailbox: nothing is told to it. The message in hand gets in when its handler has ended well, so a message
 * whose handler stashes it and then fails is a failed one. Invariant: in the order in which they were handled, and never
 * more than `capacity`.
 */
import { CodedError } from './errors.ts';

export class Stash<M> {
  private messages: M[] = [];
  private isMarked = false;
  private isOpenedAfter = false;
  private readonly capacity: number;

  constructor(capacity: number) {
    this.capacity = capacity;
  }

  get length(): number {
    return this.messages.length;
  }

  /** The message in hand is to be kept when its handler has ended well. */
  get wantsInHand(): boolean {
    return this.isMarked;
  }

  /** Errors: `E_STASH_FULL`. */
  mark(path: string): void {
    if (this.messages.length >= this.capacity) {
      throw new CodedError('E_STASH_FULL', `${path} has stashed ${this.capacity} messages already`, {
        kind: 'permanent',
        details: { path, stashCapacity: this.capacity },
        mend: 'Unstash earlier, refuse what cannot be handled yet, or give the actor a larger stashCapacity.',
      });
    }
    this.isMarked = true;
    this.isOpenedAfter = false;
  }

  /** The handler of the marked message has ended well. True when everything was asked back meanwhile. */
  keep(message: M): boolean {
    this.isMarked = false;
    this.messages.push(message);
    return this.isOpenedAfter;
  }

  /** All of them, the first stashed first. A marked one follows when its handler has ended. */
  takeAll(): M[] {
    const { messages } = this;
    this.messages = [];
    this.isOpenedAfter = true;
    return messages;
  }

  unmark(): void {
    this.isMarked = false;
  }
}

export function nothingToStash(path: string): CodedError {
  return new CodedError('E_NOTHING_TO_STASH', `${path} has no message in hand that could be stashed`, {
    kind: 'defect',
    mend: 'Call stash once, from the handler of the message, before the handler has settled.',
  });
}
