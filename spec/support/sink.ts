/**
 * A destination for specs: a real HTTP server that keeps every alert it has taken and can be told to misbehave.
 */
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface ReceivedAlert {
  atMs: number;
  authorization: string | undefined;
  body: Record<string, unknown> & { custom_info?: Record<string, unknown> };
}

/**
 * `hang` never answers; `swallow` takes the alert and never answers, so that it comes again; `drop` breaks the
 * connection.
 */
export type SinkMode = 'take' | 'refuse' | 'fail' | 'unauthorized' | 'throttle' | 'hang' | 'swallow' | 'drop';

const STATUS_OF: Record<Exclude<SinkMode, 'hang' | 'swallow' | 'drop'>, number> = {
  take: 200,
  refuse: 422,
  fail: 500,
  unauthorized: 401,
  throttle: 429,
};

export class Sink {
  readonly received: ReceivedAlert[] = [];
  /** Those about MUTT itself, which are no event's; they are in none of the other figures. */
  readonly own: ReceivedAlert[] = [];
  /** How it answers from now on. */
  mode: SinkMode = 'take';
  /** Decides for one alert, before `mode`. */
  judge: ((body: ReceivedAlert['body']) => SinkMode | undefined) | undefined;
  requests = 0;
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(port = 0): Promise<Sink> {
    const server = createServer();
    const sink = new Sink(server);
    server.on(
      'request',
      (request: IncomingMessage, response: ServerResponse) => void sink.#answer(request, response),
    );
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
    return sink;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}/events/webhook_mutt`;
  }

  /** Ids of the alerts taken, repeats included. */
  get alertIds(): string[] {
    return this.received.map(({ body }) => String(body.custom_info?.alert_id));
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    } catch {
      // The sender died before all of it had come.
      return;
    }
    const body = JSON.parse(Buffer.concat(chunks).toString('utf8')) as ReceivedAlert['body'];
    const isOwn = body['type'] === 'own' || body['rule_id'] === -1;
    if (!isOwn) this.requests += 1;
    const mode = this.judge?.(body) ?? this.mode;
    if (mode === 'drop') {
      request.socket.destroy();
      return;
    }
    if (mode === 'hang') return;
    if (mode === 'take' || mode === 'swallow') {
      (isOwn ? this.own : this.received).push({
        atMs: Date.now(),
        authorization: request.headers.authorization,
        body,
      });
    }
    if (mode === 'swallow') return;
    response.writeHead(STATUS_OF[mode], {
      'content-type': 'application/json',
      ...(mode === 'throttle' ? { 'retry-after': '1' } : {}),
    });
    response.end('{}');
  }
}
