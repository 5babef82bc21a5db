/**
 * The example application, with random orders, while its gates are resized and its books break: the trades are those that
 * the plain order books give for the same orders.
 */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import { openExchange } from '../../docs/examples/stock-exchange/exchange.ts';
import { OrderBook } from '../../docs/examples/stock-exchange/order-book.ts';
import type { Order, Trade } from '../../docs/examples/stock-exchange/order-book.ts';
import { readTree } from '../support/source-files.ts';

const SYMBOLS = ['A', 'B', 'C', 'D', 'E'];
const FOLDER = 'docs/examples/stock-exchange';

const order = fc.record({
  symbol: fc.constantFrom(...SYMBOLS),
  side: fc.constantFrom('buy' as const, 'sell' as const),
  price: fc.oneof(
    { weight: 20, arbitrary: fc.integer({ min: 95, max: 105 }) },
    { weight: 1, arbitrary: fc.constant(0) },
  ),
  quantity: fc.integer({ min: 1, max: 9 }),
});

function tradesOfBooks(orders: readonly Order[]): Trade[] {
  const book = new OrderBook();
  return orders.flatMap((next) => book.place(next));
}

describe('The example of a stock exchange', function () {
  this.timeout(90_000);

  it('matches each order once and in order, whatever breaks meanwhile', async () => {
    const [drawn = []] = fc.sample(fc.array(order, { minLength: 600, maxLength: 600 }), 1);
    const orders = drawn.map((next, index): Order => ({ ...next, id: index + 1 }));
    const exchange = await openExchange(2, 2);
    try {
      const resized: Promise<unknown>[] = [];
      for (const next of orders) {
        if (next.id % 150 === 50) resized.push(exchange.resizeGates(1 + (next.id % 7)));
        if (next.id === 200 || next.id === 450) exchange.breakBooks(0, 'throw');
        if (next.id === 300) exchange.breakBooks(1, 'exit');
        if (next.id === 500) exchange.breakBooks(0, 'exit');
        expect(await exchange.orders.tellWhenAccepted(next)).to.equal('accepted');
      }
      await Promise.all(resized);
      await exchange.settled(orders.length);

      expect(exchange.rejected).to.have.members(orders.filter(({ price }) => price === 0));
      for (const symbol of SYMBOLS) {
        expect(
          exchange.trades.filter((trade) => trade.symbol === symbol),
          symbol,
        ).to.deep.equal(tradesOfBooks(orders.filter((next) => next.symbol === symbol && next.price > 0)));
      }
      expect(exchange.restarts()).to.have.members(['books-1', 'books-0']);
      const placed = /^orders_total (\d+)$/m.exec(await exchange.metrics())?.[1];
      expect(Number(placed)).to.be.at.least(orders.length - exchange.rejected.length);
    } finally {
      await exchange.close();
    }
  });

  it('prints what its page shows', async () => {
    const page = readTree().get(`${FOLDER}/README.md`) ?? '';
    const [, command = ''] = /```sh\n(.*)\n```/.exec(page) ?? [];
    const [, shown = ''] = /```text\n([\s\S]*?)```/.exec(page) ?? [];
    const printed = await new Promise<string>((resolve, reject) => {
      const child = spawn(process.execPath, command.split(' ').slice(1), {
        cwd: fileURLToPath(new URL('../..', import.meta.url)),
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      let text = '';
      for (const stream of [child.stdout, child.stderr]) {
        stream.on('data', (chunk: Buffer) => (text += chunk.toString('utf8')));
      }
      child.once('error', reject);
      child.once('close', () => resolve(text));
    });
    expect(printed).to.match(new RegExp(`^${shown.replaceAll('…', '\\d+')}$`));
  });
});
