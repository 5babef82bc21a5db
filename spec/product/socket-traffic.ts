/**
 * Numbered messages over WebSockets whose every event is known, by a client of its own that does as the protocol page says.
 *
 * Each session sends the events of hosts of its own, numbered per host. A message is acked when the server said so; after a
 * connection that broke, everything after the last ack is sent again. Invariant: nothing is ever left out by this client.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { RawWebSocket } from '../gateways/admin/stream/raw-websocket.ts';
import type { Received } from '../gateways/admin/stream/raw-websocket.ts';

export interface SocketTrafficOptions {
  port: number;
  key: string;
  session: string;
  messages: number;
  eventsPerMessage: number;
  pauseMs: number;
}

const LOOK_MS = 2;
const RETRY_MS = 100;

export class SocketTraffic {
  readonly #options: SocketTrafficOptions;
  /** The number of the last acked message. */
  acked = 0;
  /** The most that was ever sent. */
  sent = 0;
  connections = 0;
  readonly closeCodes: number[] = [];
  #isStopping = false;

  constructor(options: SocketTrafficOptions) {
    this.#options = options;
  }

  /** Resolves when all is acked, or after `stop`. */
  async run(): Promise<void> {
    while (!this.#isStopping && this.acked < this.#options.messages) {
      const { port, key, session } = this.#options;
      const client = await RawWebSocket.open(
        port,
        { 'X-API-KEY': key, 'Mutt-Session': session },
        '/api/v2/ingest/ws',
      ).catch(() => undefined);
      if (client?.status === 101) await this.#serve(client);
      client?.close();
      await sleep(RETRY_MS);
    }
  }

  stop(): void {
    this.#isStopping = true;
  }

  /** Ids of the events of one message. */
  idsOf(seq: number): string[] {
    const { session, eventsPerMessage } = this.#options;
    return Array.from(
      { length: eventsPerMessage },
      (_, at) => `ordered-${session} ${(seq - 1) * eventsPerMessage + at + 1}`,
    );
  }

  async #serve(client: RawWebSocket): Promise<void> {
    this.connections += 1;
    let credit = 0;
    let next = this.acked + 1;
    let heard = 0;
    const hear = (message: Received): void => {
      if (typeof message['ack'] === 'number') this.acked = Math.max(this.acked, message['ack']);
      if (typeof message['nack'] === 'number') {
        credit = 0;
        next = message['nack'];
      }
      if (typeof message['credit'] === 'number') credit += message['credit'];
    };
    while (!client.isClosed && client.closeCode === undefined) {
      for (; heard < client.messages.length; heard++) hear(client.messages[heard] as Received);
      if (this.acked >= this.#options.messages || this.#isStopping) return;
      if (credit > 0 && next <= this.#options.messages) {
        client.send(this.#message(next));
        this.sent = Math.max(this.sent, next);
        credit -= 1;
        next += 1;
        await sleep(this.#options.pauseMs);
      } else await sleep(LOOK_MS);
    }
    for (; heard < client.messages.length; heard++) hear(client.messages[heard] as Received);
    if (client.closeCode !== undefined) this.closeCodes.push(client.closeCode);
  }

  #message(seq: number): string {
    const timestamp = new Date().toISOString();
    const events = this.idsOf(seq).map((id) => ({
      hostname: `ordered-${this.#options.session}`,
      message: `known id=${id};`,
      timestamp,
    }));
    return JSON.stringify({ seq, events });
  }
}
