/**
 * A desk: the journal of the orders of its symbols, and the way to the thread that matches them.
 *
 * An order is accepted when it is in the journal. Books that begin anew are given the journal from its start; trades that
 * were published before are not published again. So a restart loses nothing and doubles nothing. Invariant: at most
 * `WINDOW` orders are on their way, so the mailbox on the other side never fills.
 */
import type { ActorFactory } from '../../../runtime/index.ts';
import type { FromBooks, ToBooks } from './messages.ts';
import type { Order, Trade } from './order-book.ts';

export type ToDesk = { type: 'order'; order: Order } | FromBooks;

/** Kept outside of the actor: it outlives a restart of the desk. */
export interface Journal {
  orders: Order[];
  /** Orders whose trades are published: the first so many. */
  published: number;
  /** The books that are given the journal now, and how much of it they have been given and have placed. */
  life: string;
  sent: number;
  placed: number;
}

const WINDOW = 64;

export function newJournal(): Journal {
  return { orders: [], published: 0, life: '', sent: 0, placed: 0 };
}

export interface DeskOptions {
  journal: Journal;
  /** False when there is no thread at present. */
  post: (message: ToBooks) => boolean;
  publish: (trades: readonly Trade[]) => void;
}

export function desk({ journal, post, publish }: DeskOptions): ActorFactory<ToDesk> {
  const sendOn = (): void => {
    const { orders, life } = journal;
    while (life !== '' && journal.sent < orders.length && journal.sent - journal.placed < WINDOW) {
      const number = journal.sent;
      if (!post({ type: 'place', life, number, order: orders[number] as Order })) return;
      journal.sent++;
    }
  };
  return () => ({
    handle(message) {
      switch (message.type) {
        case 'order':
          journal.orders.push(message.order);
          break;
        case 'begin':
          Object.assign(journal, { life: message.life, sent: 0, placed: 0 });
          break;
        case 'placed':
          if (message.life !== journal.life) return;
          journal.placed = message.number + 1;
          if (journal.placed > journal.published) {
            publish(message.trades);
            journal.published = journal.placed;
          }
          break;
      }
      sendOn();
    },
  });
}
