/**
 * A node as its clients see it: the ingest port and the admin API on one port, with the replies of the contract.
 *
 * It takes bodies apart with the product's own splitter and decoder, keeps every record of every acknowledged request
 * and alerts in the product's own sink, and can be told to misbehave per request. What is asked of rules, and what it was
 * told to answer, has to be what the admin API declares.
 */
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { decodeRecord } from '../../../actors/ingest/decode-record.ts';
import { splitRecords } from '../../../actors/ingest/split-records.ts';
import { fieldFaults } from '../../../gateways/admin/field-faults.ts';
import { RecentAlertRing } from '../../../gateways/admin/recent-alerts.ts';
import { ruleEndpoints } from '../../../gateways/admin/resources/rules.ts';
import { ruleTrialEndpoints } from '../../../gateways/admin/resources/rule-trials.ts';
import { systemClock } from '../../../runtime/clock.ts';

/** How one request to the ingest port ends. `lose-reply` stores the events and breaks the connection. */
export type Manner =
  'take' | 'later' | 'reset' | 'lose-reply' | 'slow' | 'too-large' | 'unauthorized' | 'page';

export interface SeenRequest {
  key: string;
  contentType: string;
  body: Buffer;
  manner: Manner;
}

export const INGEST_KEY = 'ingest-key-of-the-spec';
export const ADMIN_KEY = 'admin-key-of-the-spec';
const SLOW_MS = 150;
/** Their declarations only: nothing is called here. */
const RULE_ENDPOINTS = [...ruleTrialEndpoints({} as never), ...ruleEndpoints({} as never)];

export interface Asked {
  /** `POST /api/v2/rules/test`. */
  call: string;
  query: Record<string, string>;
  body: unknown;
  ifMatch: string | undefined;
}

export class ContractServer {
  readonly requests: SeenRequest[] = [];
  /** Text of every accepted record, once per acknowledged request. */
  readonly stored: string[] = [];
  /** Decides by number (from 0) and body. */
  manner: (index: number, body: Buffer) => Manner = () => 'take';
  /** Seconds in `Retry-After`. */
  retryAfter = '0';
  /** Accepted events that never reach a terminal state. */
  stuck = 0;
  /** What PUT /api/v2/rule-set answers; and what came. */
  putRules: { status: number; body: unknown } = { status: 200, body: {} };
  appliedDocuments: unknown[] = [];
  /** What POST /api/v2/rule-set/check answers; and what came. */
  checkRules: { status: number; body: unknown } = { status: 200, body: { valid: true } };
  checkedDocuments: unknown[] = [];
  rules: Record<string, unknown> = { rules: [] };
  /** What other paths about rules answer, by call: `GET /api/v2/rules/7`. `hang` never does. */
  readonly answers = new Map<string, { status: number; body: unknown } | 'hang'>();
  readonly asked: Asked[] = [];
  status: Record<string, unknown> = { ready: true };
  #sink = new RecentAlertRing(systemClock);
  #alerts = 0;
  rejected = 0;
  /** Most ingest requests that were open at once. */
  openMax = 0;
  #open = 0;
  readonly #answers = new Map<string, string>();
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(): Promise<ContractServer> {
    const server = createServer();
    const contract = new ContractServer(server);
    server.on('request', (request: IncomingMessage, response: ServerResponse) => {
      void contract.#serve(request, response);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return contract;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** An alert arrives at the local sink. */
  deliver(alert: Record<string, unknown>): void {
    this.#sink.take(Buffer.from(JSON.stringify(alert)));
    this.#alerts += 1;
  }

  /** The sink forgets what it has, as when the admin process is replaced. */
  restartSink(): void {
    this.#sink = new RecentAlertRing(systemClock);
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    } catch {
      return;
    }
    const body = Buffer.concat(chunks);
    const path = request.url ?? '';
    if (path === '/api/v2/ingest') {
      this.#open += 1;
      this.openMax = Math.max(this.openMax, this.#open);
      await this.#ingest(request, response, body);
      this.#open -= 1;
      return;
    }
    if (request.headers['x-api-key'] !== ADMIN_KEY) {
      return json(response, 401, { status: 401, code: 'E_KEY_UNKNOWN', detail: 'This key is not known.' });
    }
    if (path === '/api/v2/ledger') return json(response, 200, this.#ledger());
    if (path === '/api/v2/status') return json(response, 200, this.status);
    if (path.startsWith('/api/v2/alerts/recent')) return this.#recent(response, path);
    if (path === '/api/v2/rule-set' && request.method === 'GET') return json(response, 200, this.rules);
    if (path === '/api/v2/rule-set' && request.method === 'PUT') {
      this.appliedDocuments.push(JSON.parse(body.toString('utf8')));
      return json(response, this.putRules.status, this.putRules.body);
    }
    if (path === '/api/v2/rule-set/check') {
      this.checkedDocuments.push(JSON.parse(body.toString('utf8')));
      return json(response, this.checkRules.status, this.checkRules.body);
    }
    if (path.startsWith('/api/v2/rules')) return this.#answer(request, response, body);
    json(response, 404, { status: 404, code: 'E_ROUTE_UNKNOWN', detail: 'There is nothing at this path.' });
  }

  #answer(request: IncomingMessage, response: ServerResponse, bytes: Buffer): void {
    const { pathname, searchParams } = new URL(request.url ?? '', this.url);
    const call = `${request.method} ${pathname}`;
    const body: unknown = bytes.length === 0 ? undefined : JSON.parse(bytes.toString('utf8'));
    const query = Object.fromEntries(searchParams);
    this.asked.push({ call, query, body, ifMatch: request.headers['if-match'] });
    const answer = this.answers.get(call);
    if (answer === 'hang') return;
    const reply = answer ?? {
      status: 404,
      body: { status: 404, code: 'E_NOT_FOUND', detail: 'There is no such rule.' },
    };
    const breaches = breachesOf(request.method ?? '', pathname, query, body, reply);
    if (breaches.length === 0) return json(response, reply.status, reply.body);
    json(response, 500, { status: 500, code: 'E_CONTRACT', detail: `${call}: ${breaches.join('; ')}` });
  }

  async #ingest(request: IncomingMessage, response: ServerResponse, body: Buffer): Promise<void> {
    const key = request.headers['idempotency-key'];
    const seen: SeenRequest = {
      key: typeof key === 'string' ? key : '',
      contentType: request.headers['content-type'] ?? '',
      body,
      manner: this.manner(this.requests.length, body),
    };
    this.requests.push(seen);
    if (seen.manner === 'unauthorized' || request.headers['x-api-key'] !== INGEST_KEY) {
      return json(response, 401, {
        status: 401,
        code: 'E_KEY_UNKNOWN',
        detail: 'This API key is not known here.',
      });
    }
    if (seen.manner === 'later') {
      response.setHeader('retry-after', this.retryAfter);
      return json(response, 503, {
        status: 503,
        code: 'E_MAILBOX_FULL',
        detail: 'There is no room; try again.',
      });
    }
    if (seen.manner === 'too-large') {
      return json(response, 413, {
        status: 413,
        code: 'E_BODY_TOO_LARGE',
        detail: 'The body is over the limit.',
      });
    }
    if (seen.manner === 'page') {
      response.statusCode = 404;
      response.end('<html>not here</html>');
      return;
    }
    if (seen.manner === 'reset') {
      request.socket.destroy();
      return;
    }
    if (seen.manner === 'slow') await new Promise((resolve) => setTimeout(resolve, SLOW_MS));
    const answer = this.#answers.get(seen.key) ?? this.#store(body);
    if (seen.key !== '') this.#answers.set(seen.key, answer);
    if (seen.manner === 'lose-reply') {
      request.socket.destroy();
      return;
    }
    const { accepted } = JSON.parse(answer) as { accepted: number };
    // The client is no known relay: a body of which nothing can be read is a 400 (contract, "Replies").
    response.statusCode = accepted === 0 ? 400 : 200;
    response.setHeader('content-type', 'application/json');
    response.end(answer);
  }

  #store(body: Buffer): string {
    const split = splitRecords(body);
    const errors: { index: number; code: string; message: string }[] = [...split.rejects];
    let accepted = 0;
    for (const { kind, start, end, index } of split.records) {
      const decoded = decodeRecord(body, kind, start, end, Date.now());
      if (decoded.ok) {
        accepted++;
        this.stored.push(body.toString('utf8', start, end));
      } else {
        errors.push({ index, code: decoded.code, message: decoded.message });
      }
    }
    this.rejected += errors.length;
    return JSON.stringify({
      status: 'queued',
      accepted,
      rejected: errors.length,
      correlation_id: 'c',
      errors: errors.slice(0, 10).map(({ index, code, message }) => ({ index, code, message })),
    });
  }

  #ledger(): unknown {
    const accepted = this.stored.length;
    const inFlight = Math.min(this.stuck, accepted);
    return {
      accepted,
      replayed: 0,
      terminal: { forwarded: this.#alerts, unmatched: accepted - inFlight - this.#alerts },
      in_flight: inFlight,
      rejected: this.rejected,
      balanced: true,
      lost: 0,
      partitions: [{ partition: 0, accepted, in_flight: inFlight, balanced: true, lost: 0 }],
    };
  }

  #recent(response: ServerResponse, path: string): void {
    const after = Number(new URLSearchParams(path.split('?')[1]).get('after'));
    json(response, 200, this.#sink.after(after));
  }
}

/** How a call or its answer differs from what the API declares of itself. */
function breachesOf(
  method: string,
  path: string,
  query: Record<string, string>,
  body: unknown,
  reply: { status: number; body: unknown },
): string[] {
  const matching = RULE_ENDPOINTS.filter((each) => {
    const pattern = new RegExp(`^${each.path.replaceAll(/:\w+/g, '[^/]+')}$`);
    return each.method === method.toLowerCase() && pattern.test(path);
  });
  const [endpoint] = matching.toSorted((a, b) => Number(a.path.includes(':')) - Number(b.path.includes(':')));
  if (endpoint === undefined) return ['there is no such endpoint'];
  const known = Object.keys((endpoint.query as { properties?: object } | undefined)?.properties ?? {});
  const unknown = Object.keys(query).filter((name) => !known.includes(name));
  const schema = endpoint.replies[reply.status]?.schema;
  // What the node refuses may have any shape.
  if (reply.status >= 400) return [];
  return [
    ...unknown.map((name) => `no parameter ${name}`),
    ...(endpoint.body === undefined || body === undefined ? [] : fieldFaults(endpoint.body.schema, body)).map(
      ({ field, why }) => `asked with ${field}, which ${why}`,
    ),
    ...(schema === undefined ? [] : fieldFaults(schema, reply.body)).map(
      ({ field, why }) => `answered with ${field}, which ${why}`,
    ),
  ];
}

function json(response: ServerResponse, status: number, document: unknown): void {
  response.statusCode = status;
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify(document));
}
