/**
 * What the supervisor hears of the ledger: the admin process reads it, and the supervisor judges it (own-alert-keeper.ts).
 */
import type { Ledger } from '../../runtime/durable/durable-store.ts';

export interface BooksRead {
  type: 'books';
  unbalanced: readonly number[];
  /** By mailbox, the most that any partition of it holds. */
  fullest: readonly Fullest[];
}

interface Fullest {
  mailbox: string;
  entries: number;
  messages: number;
  bytes: number;
}

/** `ledgers` by partition. */
export function booksRead(ledgers: readonly Ledger[]): BooksRead {
  const fullest = new Map<string, Fullest>();
  for (const { measured } of ledgers) {
    for (const [mailbox, { entries, messages, bytes }] of Object.entries(measured.lanes)) {
      const most = fullest.get(mailbox) ?? { mailbox, entries: 0, messages: 0, bytes: 0 };
      most.entries = Math.max(most.entries, entries);
      most.messages = Math.max(most.messages, messages);
      most.bytes = Math.max(most.bytes, bytes);
      fullest.set(mailbox, most);
    }
  }
  const unbalanced = ledgers.flatMap(({ balanced }, partition) => (balanced ? [] : [partition]));
  return { type: 'books', unbalanced, fullest: [...fullest.values()] };
}
