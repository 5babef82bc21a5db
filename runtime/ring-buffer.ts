/**
 * A bounded first-in-first-out queue that starts empty-handed and doubles up to its bound.
 *
 * Not thread-safe. Slots are cleared as they are taken, so that a message is not kept alive by the
 * queue it has left. Invariant: `length <= bound`, and slots.length is zero or a power of two.
 */
import { assert } from './assert.ts';

const SLOTS_FIRST = 4;

export class RingBuffer<T> {
  length = 0;
  private readonly bound: number;
  private slots: (T | undefined)[] = [];
  private head = 0;

  /** `bound`: the most items held, at least 1. Memory is taken only as it is needed. */
  constructor(bound: number) {
    assert(Number.isSafeInteger(bound) && bound >= 1, 'the bound of a ring buffer is a whole number >= 1');
    this.bound = bound;
  }

  /** Adds at the end; false (and nothing changed) when the bound is reached. */
  push(item: T): boolean {
    const { length } = this;
    if (length === this.slots.length) {
      if (length >= this.bound) return false;
      this.resize(length === 0 ? SLOTS_FIRST : length * 2);
    } else if (length >= this.bound) {
      return false;
    }
    this.slots[(this.head + length) & (this.slots.length - 1)] = item;
    this.length = length + 1;
    return true;
  }

  /** Adds at the front; false (and nothing changed) when the bound is reached. */
  unshift(item: T): boolean {
    const { length } = this;
    if (length >= this.bound) return false;
    if (length === this.slots.length) this.resize(length === 0 ? SLOTS_FIRST : length * 2);
    this.head = (this.head - 1) & (this.slots.length - 1);
    this.slots[this.head] = item;
    this.length = length + 1;
    return true;
  }

  /** Takes from the front; undefined when empty. */
  shift(): T | undefined {
    if (this.length === 0) return undefined;
    const { slots, head } = this;
    const item = slots[head];
    slots[head] = undefined;
    this.head = (head + 1) & (slots.length - 1);
    this.length--;
    return item;
  }

  /** The items from the front to the end, without taking them. */
  *[Symbol.iterator](): Generator<T> {
    for (let index = 0; index < this.length; index++) {
      yield this.slots[(this.head + index) & (this.slots.length - 1)] as T;
    }
  }

  /** Slots held at present, used or not: what this queue costs in memory. */
  get slotCount(): number {
    return this.slots.length;
  }

  private resize(slotCount: number): void {
    const grown = new Array<T | undefined>(slotCount).fill(undefined);
    for (let index = 0; index < this.length; index++) {
      grown[index] = this.slots[(this.head + index) & (this.slots.length - 1)];
    }
    this.slots = grown;
    this.head = 0;
  }
}
