/**
 * What a writer holds while it works: the frame on its way, and the channel of each place.
 */
import { randomBytes } from 'node:crypto';
import type { KeyCounts } from './durable-store.ts';
import { join } from './marking.ts';
import type { Marked, RangeMark } from './marking.ts';
import { settle } from './waiter.ts';
import type { Waiter } from './waiter.ts';
import type { Place } from './writer.ts';

/** A frame on its way. Kept whole until the store says what became of it. */
export interface Flight<Part, Tag> {
  writerId: string;
  sequence: number;
  count: number;
  payload: Buffer;
  tag: Tag;
  bytes: number;
  waiters: readonly Waiter<Part, Tag>[];
  /** Of its submissions, in order. */
  marks: readonly RangeMark[] | undefined;
  /** An attempt got no answer: a copy may still be stored. */
  isUnknown: boolean;
  isSent: boolean;
  /** What the store is told of its keys. */
  keys: KeyCounts | undefined;
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
  const marked: Marked<Part, Tag> = new Map();
  const taken: Waiter<Part, Tag>[] = [];
  let messages = 0;
  let bytes = 0;
  let passed = 0;
  for (const waiter of queue) {
    messages += waiter.count;
    bytes += waiter.bytes;
    if (taken.length > 0 && (messages > messagesMax || bytes > bytesMax)) break;
    const place = join(waiter, marked);
    if (place === 'next') break;
    if (place === 'in') taken.push(waiter);
    passed += 1;
  }
  queue.splice(0, passed);
  return taken;
}

/** Tells every submission of a stored frame where it lies. */
export function deliver<Part, Tag>(flight: Flight<Part, Tag>, accepted: number): void {
  let firstIndex = 0;
  for (const waiter of flight.waiters) {
    settle(waiter, flight.tag, firstIndex, accepted);
    firstIndex += waiter.count;
  }
}
