/**
 * Runs in a worker thread: the books of the symbols that one desk has.
 *
 * They are state in memory, so they are gone when the actor fails or the thread dies. Whoever begins anew says so, and is
 * given every order again.
 */
import { localChild } from '../../../runtime/index.ts';
import type { ThreadMain } from '../../../runtime/index.ts';
import { ORDERS_COUNTER } from './messages.ts';
import type { FromBooks, ToBooks } from './messages.ts';
import { OrderBook } from './order-book.ts';

export const threadMain: ThreadMain = (host) => {
  const post = (message: FromBooks): void => host.post(message);
  const books = localChild<ToBooks>(host.system, 'books', (context) => {
    const life = `${host.epoch}.${context.epoch}`;
    const bySymbol = new Map<string, OrderBook>();
    post({ type: 'begin', life });
    return {
      handle(message) {
        if (message.type === 'break') {
          if (message.how === 'exit') process.exit(1);
          throw new Error('broken on request');
        }
        // Told to the books before these: they will be given it again.
        if (message.life !== life) return;
        const { number, order } = message;
        let book = bySymbol.get(order.symbol);
        if (book === undefined) bySymbol.set(order.symbol, (book = new OrderBook()));
        post({ type: 'placed', life, number, trades: book.place(order) });
        host.counters.add(ORDERS_COUNTER);
      },
    };
  });
  host.onMessage((message) => books.ref.tell(message as ToBooks));
  // A failure of the actor is mended in this thread; one of the thread by the supervisor on the other side.
  return {
    children: [{ id: 'books', start: books.start, restart: 'permanent', shutdownDeadlineMs: 1_000 }],
  };
};
