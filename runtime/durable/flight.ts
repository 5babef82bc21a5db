/**
 * What a writer holds while it works: submissions that wait, the frame on its way, and the channel of each place.
 */
import { randomBytes } from 'node:crypto';
import type { Place, Receipt } from './writer.ts';

export interface Waiter<Part, Tag> {
  count: number;
  part: Part;
  bytes: number;
  deadlineAtMs: number;
  isSettled: boolean;
  resolve: (receipt: Receipt<Tag>) => void;
  reject: (error: unknown) => void;
}

/** A frame on its way. Kept whole until the store says what became of it. */
export interface Flight<Part, Tag> {
  writerId: string;
  sequence: number;
  count: number;
  payload: Buffer;
  tag: Tag;
  bytes: number;
  waiters: readonly Waiter<Part, Tag>[];
  /** An attempt got no answer: a copy may still be stored. */
  isUnknown: boolean;
  isSent: boolean;
}

export interface Channel<Part, Tag> {
  place: Place;
  writerId: string;
  sequence: number;
  usedAtMs: number;
  queue: Waiter<Part, Tag>[];
  flight: Flight<Part, Tag> | undefined;
}

/** A random 128-bit id. */
export function newWriterId(): string {
  return randomBytes(16).toString('hex');
}

/** A new incarnation: nothing of the old one can take the place of what follows. */
export function renew(channel: { writerId: string; sequence: number }): void {
  channel.writerId = newWriterId();
  channel.sequence = 0;
}

/** Takes as many as one frame may hold, at least one. */
export function take<Part, Tag>(
  queue: Waiter<Part, Tag>[],
  messagesMax: number,
  bytesMax: number,
): Waiter<Part, Tag>[] {
  let messages = 0;
  let bytes = 0;
  let taken = 0;
  for (const waiter of queue) {
    messages += waiter.count;
    bytes += waiter.bytes;
    if (taken > 0 && (messages > messagesMax || bytes > bytesMax)) break;
    taken += 1;
  }
  return queue.splice(0, taken);
}

/** Tells every submission of a stored frame where it lies. */
export function deliver<Part, Tag>(flight: Flight<Part, Tag>, accepted: number): void {
  let firstIndex = 0;
  for (const waiter of flight.waiters) {
    if (!waiter.isSettled) {
      waiter.isSettled = true;
      waiter.resolve({ tag: flight.tag, firstIndex, accepted });
    }
    firstIndex += waiter.count;
  }
}

/** Rejects a submission, once. */
export function fail<Part, Tag>(waiter: Waiter<Part, Tag>, error: unknown): void {
  if (waiter.isSettled) return;
  waiter.isSettled = true;
  waiter.reject(error);
}
