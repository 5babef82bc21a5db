/**
 * Traffic over WebSockets, by the product's own client, whose every event is known to whoever makes it: what has no ack
 * when a connection ends is sent again on the next one.
 *
 * Acks are cumulative, so the answered events of a session are the first so many of those it made. Invariant: every event
 * made is in exactly one of `answered` and `unanswered` once `stop` has resolved.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { HttpClient } from '../../gateways/cli/http-client.ts';
import type { Batch } from '../../gateways/cli/line-batcher.ts';
import { SocketSender } from '../../gateways/cli/socket-sender.ts';
import { systemClock } from '../../runtime/clock.ts';

export interface SocketTrafficOptions<E> {
  /** Of the ingest port, without a path. */
  url: string;
  /** Asked for each connection. */
  key: () => string;
  sessions: number;
  eventsPerSecond: number;
  random: () => number;
  /** The next event of a session, and what is sent of it. */
  next: (session: number) => { event: E; document: Readonly<Record<string, string>> };
}

/** Few events to a message, so that many messages are under way when something breaks. */
const BATCH_MAX = 3;
/** By then everything that was sent has its ack, on a node that is well. */
const LAST_ACKS_MS = 30_000;

export class SocketTraffic<E> {
  /** What no server should ever say. */
  readonly oddities: string[] = [];
  /** Connections that ended before their session did, and attempts that came to nothing. */
  breaks = 0;
  readonly #options: SocketTrafficOptions<E>;
  readonly #made: E[][];
  /** Events of each session that an ack has covered. */
  readonly #acked: number[];
  #running: Promise<unknown> | undefined;
  #isStopping = false;
  readonly #hard = new AbortController();

  constructor(options: SocketTrafficOptions<E>) {
    this.#options = options;
    this.#made = Array.from({ length: options.sessions }, () => []);
    this.#acked = this.#made.map(() => 0);
  }

  get answered(): E[] {
    return this.#made.flatMap((events, session) => events.slice(0, this.#acked[session]));
  }

  get unanswered(): E[] {
    return this.#made.flatMap((events, session) => events.slice(this.#acked[session]));
  }

  start(): void {
    this.#running = Promise.all(this.#made.map((_, session) => this.#session(session)));
  }

  /** Resolves when every session has ended: when all it sent is acked, or cannot be in time. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    const cancel = systemClock.after(LAST_ACKS_MS, () => this.#hard.abort());
    await this.#running;
    cancel();
  }

  /** Ends without waiting for acks. */
  abandon(): void {
    this.#isStopping = true;
    this.#hard.abort();
  }

  async #session(session: number): Promise<void> {
    const { url, key } = this.#options;
    const readKey = async (): Promise<string> => key();
    const http = new HttpClient({
      url,
      target: 'the ingest port',
      urlOption: 'url',
      readKey,
      clock: systemClock,
    });
    const sender = new SocketSender(this.#batches(session), {
      url,
      http,
      readKey,
      clock: systemClock,
      signal: this.#hard.signal,
      hardSignal: this.#hard.signal,
      patienceMs: Infinity,
      onWait: () => (this.breaks += 1),
      tell: ({ accepted, rejected, reasons }) => {
        this.#acked[session] = (this.#acked[session] ?? 0) + accepted;
        if (rejected > 0)
          this.oddities.push(`${rejected} rejected over a WebSocket: ${JSON.stringify(reasons)}`);
      },
    });
    try {
      await sender.send();
    } catch (thrown) {
      this.oddities.push(`a session failed: ${String(thrown)}`);
    } finally {
      http.close();
    }
  }

  async *#batches(session: number): AsyncGenerator<Batch, void> {
    const { sessions, eventsPerSecond, random, next } = this.#options;
    while (!this.#isStopping) {
      const made = Array.from({ length: 1 + Math.floor(random() * BATCH_MAX) }, () => next(session));
      this.#made[session]?.push(...made.map(({ event }) => event));
      const lines = made.map(({ document }) => JSON.stringify(document));
      yield { kind: 'json', body: Buffer.from(lines.join('\n')), events: made.length };
      await sleep((made.length * sessions * 1_000) / eventsPerSecond);
    }
  }
}
