/** What passes between a desk and the thread that has its books. */
import type { Order, Trade } from './order-book.ts';

/** `life`: of the books, as they said it themselves. What belongs to an earlier one is ignored on both sides. */
export type ToBooks =
  | { type: 'place'; life: string; number: number; order: Order }
  /** For trials: the actor throws, or the whole thread exits. */
  | { type: 'break'; how: 'throw' | 'exit' };

export type FromBooks =
  /** New books, and they are empty. */
  { type: 'begin'; life: string } | { type: 'placed'; life: string; number: number; trades: Trade[] };

export const ORDERS_COUNTER = 0;
export const COUNTERS = [
  { name: 'orders_total', kind: 'counter', help: 'Orders placed in a book, repeats included.' },
] as const;
