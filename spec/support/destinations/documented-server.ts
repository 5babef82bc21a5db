/**
 * A destination for specs that holds a sender to what its maker documents: it checks method, path, headers and every
 * field, answers as documented, and keeps what it has made of what it took. What it finds wrong it also keeps, so that a
 * spec can say that there was nothing.
 */
import { createServer } from 'node:http';
import type { IncomingMessage, Server } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Received {
  method: string;
  path: string;
  headers: IncomingMessage['headers'];
  body: Buffer;
}

export interface Answer {
  status: number;
  body?: string;
  headers?: Record<string, string>;
}

export abstract class DocumentedServer {
  /** Everything that came, also what was refused. */
  readonly received: Received[] = [];
  /** What was wrong with what came, in its own words. */
  readonly faults: string[] = [];
  /** Answered in place of the next requests. */
  readonly instead: Answer[] = [];
  readonly #server: Server;

  protected constructor() {
    this.#server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('error', () => undefined);
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const { method = '', url: path = '', headers } = request;
        const received = { method, path, headers, body: Buffer.concat(chunks) };
        this.received.push(received);
        const { status, body = '', headers: more = {} } = this.instead.shift() ?? this.answer(received);
        response.writeHead(status, more).end(body);
      });
    });
  }

  /** What its maker says that it answers. */
  protected abstract answer(received: Received): Answer;

  async listen(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
  }

  get origin(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  get lastBody(): unknown {
    return JSON.parse(this.received.at(-1)?.body.toString() ?? 'null') as unknown;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  /** Keeps the fault; gives the answer to it. */
  protected fault(why: string, answer: Answer): Answer {
    this.faults.push(why);
    return answer;
  }
}

/** Which demands are not met, by name. */
export function unmet(demands: Record<string, boolean>): string[] {
  return Object.entries(demands).flatMap(([name, isMet]) => (isMet ? [] : [name]));
}

export function isText(value: unknown, charsMax = Infinity): value is string {
  return typeof value === 'string' && value !== '' && [...value].length <= charsMax;
}

export function asRecord(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : {};
}

/** undefined for what is no JSON. */
export function jsonOf(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8')) as unknown;
  } catch {
    return undefined;
  }
}

export function isRfc3339(value: unknown): value is string {
  return (
    typeof value === 'string' &&
    /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/.test(value) &&
    Number.isFinite(Date.parse(value))
  );
}
