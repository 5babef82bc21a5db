/** The book of one symbol: matches each order against those that rest in it, best price first, then the oldest. */

export interface Order {
  /** Unique. */
  id: number;
  symbol: string;
  side: 'buy' | 'sell';
  price: number;
  quantity: number;
}

export interface Trade {
  symbol: string;
  buy: number;
  sell: number;
  price: number;
  quantity: number;
}

export class OrderBook {
  /** Best first. */
  private readonly resting: Record<Order['side'], Order[]> = { buy: [], sell: [] };

  /** The trades that the order brings about; what is left of it rests. The same orders always give the same trades. */
  place(order: Order): Trade[] {
    const { symbol, side, price } = order;
    const isBuy = side === 'buy';
    const others = this.resting[isBuy ? 'sell' : 'buy'];
    const trades: Trade[] = [];
    let left = order.quantity;
    for (let best = others[0]; best !== undefined && left > 0; best = others[0]) {
      if (isBuy ? best.price > price : best.price < price) break;
      const quantity = Math.min(left, best.quantity);
      const [buy, sell] = isBuy ? [order.id, best.id] : [best.id, order.id];
      trades.push({ symbol, buy, sell, price: best.price, quantity });
      left -= quantity;
      if (quantity === best.quantity) others.shift();
      else others[0] = { ...best, quantity: best.quantity - quantity };
    }
    if (left > 0) this.rest({ ...order, quantity: left });
    return trades;
  }

  private rest(order: Order): void {
    const queue = this.resting[order.side];
    const isBehind = ({ price }: Order): boolean =>
      order.side === 'buy' ? price < order.price : price > order.price;
    const at = queue.findIndex(isBehind);
    queue.splice(at === -1 ? queue.length : at, 0, order);
  }
}
