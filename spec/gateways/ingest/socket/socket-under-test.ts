/**
 * Clients of the WebSocket of a real ingest server whose port keeps bodies in memory, and what they were told.
 */
import { BINARY, RawWebSocket } from '../../admin/stream/raw-websocket.ts';
import { KEY, startIngest } from '../ingest-under-test.ts';
import type { IngestUnderTest } from '../ingest-under-test.ts';
import type { IngestServerOptions } from '../../../../gateways/ingest/ingest-server.ts';
import type { IngestVerdict } from '../../../../gateways/ingest/ingest-port.ts';
import { until } from '../ingest-under-test.ts';

export const SOCKET_PATH = '/api/v2/ingest/ws';
export const FULL: Omit<IngestVerdict, 'request'> = { status: 'full', accepted: 0, rejected: 0, errors: [] };

export class SocketBed {
  readonly ingest: IngestUnderTest;
  readonly #clients: RawWebSocket[] = [];

  constructor(options: Partial<IngestServerOptions> = {}) {
    this.ingest = startIngest(options);
  }

  async open(headers: Record<string, string> = {}, query = ''): Promise<RawWebSocket> {
    const client = await RawWebSocket.open(
      this.ingest.port,
      { 'X-API-KEY': KEY, ...headers },
      `${SOCKET_PATH}${query}`,
    );
    this.#clients.push(client);
    if (client.status === 101) await until(() => client.messages.length > 0);
    return client;
  }

  close(): void {
    for (const client of this.#clients) client.close();
    this.ingest.server.close();
  }

  /** Bodies in the order in which the port was given them. */
  get bodies(): string[] {
    return this.ingest.store.stored.map(({ body }) => body.toString());
  }

  ended(reason: string): number {
    return this.ingest.count('mutt_ingest_closed_sockets_total', { reason });
  }
}

export function numbered(seq: number, event: string): string {
  return `{"seq":${seq},"events":[{"n":"${event}"}]}`;
}

/** The number of the last ack; 0 before any. */
export function ackOf(client: RawWebSocket): number {
  return Number(client.messages.findLast((message) => 'ack' in message)?.['ack'] ?? 0);
}

export function sum(client: RawWebSocket, field: string): number {
  return client.messages.reduce((total, message) => total + Number(message[field] ?? 0), 0);
}

export function told(client: RawWebSocket, field: string): Record<string, unknown>[] {
  return client.messages.filter((message) => field in message);
}

export function sendBinary(client: RawWebSocket, bytes: Buffer): void {
  client.sendFrame(bytes, BINARY);
}
