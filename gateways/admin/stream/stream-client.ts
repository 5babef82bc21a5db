/**
 * One client of the live stream: what it is subscribed to, and what it is behind with.
 *
 * Nothing waits for a slow client but a bounded buffer of its socket: what does not fit is left out and counted, and the
 * count is sent before whatever follows it. A client that reads nothing at all for a while is closed.
 */
import type { Observable } from 'rxjs';
import { Subscription as Running, map, merge } from 'rxjs';
import type { ServerMessage, Subscription } from './stream-messages.ts';
import type { StreamPort } from './stream-port.ts';

/** The part of a WebSocket that is needed. */
export interface StreamSocket {
  send(text: string): unknown;
  /** Bytes that wait because the client does not read. */
  getBufferedAmount(): number;
  close(): void;
}

export interface ClientLimits {
  /** Past so many waiting bytes nothing more is sent. */
  bufferedBytesMax: number;
  /** Without reading anything for so long, while something waits, a client is closed. */
  stalledMs: number;
}

export class StreamClient {
  readonly #socket: StreamSocket;
  readonly #limits: ClientLimits;
  #running = new Running();
  #dropped = 0;
  #buffered = 0;
  /** When it was last seen to read, or to have nothing to read. */
  #readAtMs: number;
  #isClosed = false;

  constructor(socket: StreamSocket, limits: ClientLimits, nowMs: number) {
    this.#socket = socket;
    this.#limits = limits;
    this.#readAtMs = nowMs;
  }

  /** Takes the place of the present subscription. */
  subscribe({ channels, filter }: Subscription, port: StreamPort): void {
    this.#running.unsubscribe();
    this.send({ type: 'subscribed', subscribe: [...channels], filter });
    const sources: Observable<ServerMessage>[] = [];
    if (channels.has('counters')) {
      sources.push(port.counters.pipe(map((counters) => ({ type: 'counters', ...counters }) as const)));
    }
    if (channels.has('tree'))
      sources.push(port.tree.pipe(map((event) => ({ type: 'tree', event }) as const)));
    if (channels.has('tap')) {
      sources.push(
        port
          .tap(filter)
          .pipe(
            map((news) =>
              'event' in news
                ? ({ type: 'tap', event: news.event } as const)
                : ({ type: 'dropped', count: news.dropped } as const),
            ),
          ),
      );
    }
    this.#running = merge(...sources).subscribe((message) => this.send(message));
  }

  send(message: ServerMessage): void {
    if (this.#isClosed) return;
    if (this.#socket.getBufferedAmount() >= this.#limits.bufferedBytesMax) {
      this.#dropped += message.type === 'dropped' ? message.count : 1;
      return;
    }
    this.#tellDropped();
    this.#socket.send(JSON.stringify(message));
  }

  /** The socket has sent some of what waited. */
  drained(nowMs: number): void {
    this.#readAtMs = nowMs;
    if (!this.#isClosed && this.#socket.getBufferedAmount() < this.#limits.bufferedBytesMax)
      this.#tellDropped();
  }

  /** To be called now and then: ends it when it does not read. */
  look(nowMs: number): void {
    if (this.#isClosed) return;
    const buffered = this.#socket.getBufferedAmount();
    if (buffered === 0 || buffered < this.#buffered) this.#readAtMs = nowMs;
    this.#buffered = buffered;
    if (nowMs - this.#readAtMs >= this.#limits.stalledMs) this.#socket.close();
  }

  /** The socket is gone: nothing is sent any more. Idempotent. */
  closed(): void {
    this.#isClosed = true;
    this.#running.unsubscribe();
  }

  #tellDropped(): void {
    if (this.#dropped === 0) return;
    const message: ServerMessage = { type: 'dropped', count: this.#dropped };
    this.#dropped = 0;
    this.#socket.send(JSON.stringify(message));
  }
}
