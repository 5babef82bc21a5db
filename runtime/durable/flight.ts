/**
 * What a writer holds while it works: submissions that wait, the frame on its way, and the channel of each place.
 */
import { randomBytes } from 'node:crypto';
import type { KeyCounts } from './durable-store.ts';
import { halfStored, mayBeStored } from './writer-errors.ts';
import type { Place, Receipt, Submission } from './writer.ts';

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

/** Two in the place of one, for two lanes: it is settled when both are. Its receipt is that of the later one. */
export function halve<Part extends { byteLength: number }, Tag>(
  waiter: Waiter<Part, Tag>,
  ...parts: [Submission<Part>, Submission<Part>]
): [Waiter<Part, Tag>, Waiter<Part, Tag>] {
  let open = 2;
  let isStored = false;
  const failures: unknown[] = [];
  const closed = (receipt?: Receipt<Tag>): void => {
    open -= 1;
    if (open > 0) return;
    if (failures.length > 0) waiter.reject(isStored ? halfStored(failures[0]) : failures[0]);
    else if (receipt !== undefined) waiter.resolve(receipt);
  };
  const half = ({ count, part }: Submission<Part>, bytes: number): Waiter<Part, Tag> => ({
    count,
    part,
    bytes,
    deadlineAtMs: waiter.deadlineAtMs,
    isSettled: false,
    resolve: (receipt) => {
      isStored = true;
      closed(receipt);
    },
    reject: (error) => {
      // What may be stored says more than what is not.
      if (mayBeStored(error)) failures.unshift(error);
      else failures.push(error);
      closed();
    },
  });
  const [first, second] = parts;
  const bytes = Math.min(first.part.byteLength, waiter.bytes);
  return [half(first, bytes), half(second, waiter.bytes - bytes)];
}

/** Rejects a submission, once. */
export function fail<Part, Tag>(waiter: Waiter<Part, Tag>, error: unknown): void {
  if (waiter.isSettled) return;
  waiter.isSettled = true;
  waiter.reject(error);
}
