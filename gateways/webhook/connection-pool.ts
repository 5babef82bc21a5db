/**
 * The connections to one server: as many as have requests at once, up to a bound; what comes beyond waits its turn.
 *
 * The one that was used last is used next, so that those that a burst has left over fall idle, and close.
 */
import { Connection } from './connection.ts';
import type { Exchange } from './exchange.ts';

export interface ConnectionPoolOptions {
  origin: string;
  connectionsMax: number;
  /** Nothing is open and nothing waits. */
  onEmpty: () => void;
}

export class ConnectionPool {
  readonly #options: ConnectionPoolOptions;
  readonly #open = new Set<Connection>();
  readonly #idle: Connection[] = [];
  /** In the order in which they came. Bounded by who sends: each has a time. */
  readonly #waiting = new Set<Exchange>();
  readonly #sessions = { last: undefined };

  constructor(options: ConnectionPoolOptions) {
    this.#options = options;
  }

  send(exchange: Exchange): void {
    for (let idle = this.#idle.pop(); idle !== undefined; idle = this.#idle.pop()) {
      if (idle.isAlive) {
        idle.carry(exchange);
        return;
      }
      idle.discard();
    }
    if (this.#open.size < this.#options.connectionsMax) {
      this.#connect().carry(exchange);
      return;
    }
    this.#waiting.add(exchange);
    exchange.onOver = () => this.#waiting.delete(exchange);
  }

  close(error: Error): void {
    for (const exchange of [...this.#waiting]) exchange.fail(error);
    for (const connection of [...this.#open]) connection.close(error);
  }

  #connect(): Connection {
    const connection = new Connection({
      origin: this.#options.origin,
      sessions: this.#sessions,
      onFree: (free) => {
        this.#idle.push(free);
        this.#serveWaiting();
      },
      onGone: (gone) => {
        this.#open.delete(gone);
        const at = this.#idle.indexOf(gone);
        if (at >= 0) this.#idle.splice(at, 1);
        if (this.#waiting.size > 0) this.#serveWaiting();
        else if (this.#open.size === 0) this.#options.onEmpty();
      },
    });
    this.#open.add(connection);
    return connection;
  }

  #serveWaiting(): void {
    if (this.#waiting.size === 0) return;
    // Not in the midst of what the connection is doing: only after that it is known whether it stays open.
    queueMicrotask(() => {
      for (const exchange of this.#waiting) {
        this.#waiting.delete(exchange);
        this.send(exchange);
        return;
      }
    });
  }
}
