/** Two thousand orders, while gates are added and taken away and the books break. Prints what came of them. */
import { openExchange } from './exchange.ts';
import type { Order } from './order-book.ts';

const ORDERS = 2_000;
const SYMBOLS = ['ACME', 'BOLT', 'CORK', 'DUNE', 'ELM', 'FERN', 'GATE', 'HALO'];

/** The same orders at every run. */
function orderOf(id: number): Order {
  const mixed = Math.imul(id, 0x9e3779b1) >>> 0;
  return {
    id,
    symbol: SYMBOLS[mixed % SYMBOLS.length] as string,
    side: (mixed >>> 8) % 2 === 0 ? 'buy' : 'sell',
    price: 95 + ((mixed >>> 12) % 11),
    quantity: 1 + ((mixed >>> 20) % 9),
  };
}

const exchange = await openExchange(2, 2);
for (let id = 1; id <= ORDERS; id++) {
  if (id === 400) void exchange.resizeGates(6);
  if (id === 800) exchange.breakBooks(0, 'throw');
  if (id === 1_200) exchange.breakBooks(1, 'exit');
  if (id === 1_600) void exchange.resizeGates(1);
  await exchange.orders.tellWhenAccepted(orderOf(id));
}
await exchange.settled(ORDERS);
const shares = exchange.trades.reduce((sum, { quantity }) => sum + quantity, 0);
console.log(`${ORDERS} orders, ${exchange.rejected.length} rejected`);
console.log(`${exchange.trades.length} trades of ${shares} shares`);
console.log(`threads restarted: ${exchange.restarts().join(', ')}`);
await exchange.close();
