/**
 * The admin gateway: the API for operators and their tools, metrics, and the health port. Its own process, so that it
 * answers whatever the ingest gateways are busy with.
 *
 * Invariants: nothing but what is open on loopback is answered without a key of the right scope; every failure is a
 * problem document (RFC 9457) with a stable code; an unforeseen one shows an opaque id and nothing else.
 */
import type { Clock } from '../../runtime/clock.ts';
import { CodedError, codeOf, messageOf } from '../../runtime/errors.ts';
import { correlationIdOf } from '../http/correlation-id.ts';
import type { HttpRequest, HttpResponse } from '../http/exchange.ts';
import type { KeyCheck } from '../http/key-ring.ts';
import type { GatewayLog } from '../http/log.ts';
import { readPresentedKey } from '../http/presented-key.ts';
import { writeProblem } from '../http/problem.ts';
import type { Problem } from '../http/problem.ts';
import type { RateLimits } from '../http/rate-limiter.ts';
import { readBody } from '../http/read-body.ts';
import { JSON_HEADERS, TEXT_HEADERS } from '../http/security-headers.ts';
import { HttpServer } from '../http/server.ts';
import type { AdminPort } from './admin-port.ts';
import { Admission } from './admission.ts';
import type { Admitted, HeaderPair } from './admission.ts';
import type { AnyEndpoint, Method, Reply } from './endpoint.ts';
import { adminEndpoints } from './endpoints.ts';
import { writeHealthRoutes } from './health-routes.ts';
import { ifMatchRequired, isFresh } from './preconditions.ts';
import { membersOf, notFound, problem, problemOf, unforeseen } from './problems.ts';
import { callReader } from './read-call.ts';
import type { ReadCall, Received } from './read-call.ts';
import { RecentAlertRing } from './recent-alerts.ts';
import { allowOf, Router } from './router.ts';
import type { StreamPort } from './stream/stream-port.ts';
import { StreamServer } from './stream/stream-server.ts';
import { v1Endpoints } from './v1/v1-endpoints.ts';

export interface AdminServerOptions {
  port: AdminPort;
  keys: KeyCheck;
  clock: Clock;
  log: GatewayLog;
  /** Per key. */
  rate: RateLimits;
  /** What the live stream shows; without it there is none. */
  stream?: StreamPort;
}

const CONNECTIONS_MAX = 1_024;
export const ADMIN_BODY_BYTES_MAX = 4 * 1024 * 1024;
/** Of endpoints that take whole sets of rules: 50,000 of them, each with a test, fit. */
export const LARGE_BODY_BYTES_MAX = 32 * 1024 * 1024;
/** Bodies over `ADMIN_BODY_BYTES_MAX`, or of unknown length where such are taken, until they are answered. */
const LARGE_BODIES_MAX = 2;
const BODY_TIMEOUT_MS = 15_000;

/** After these the rest of a body may still be on its way. */
const BODY_GIVEN_UP: ReadonlySet<string> = new Set(['E_BODY_TOO_LARGE', 'E_BODY_SLOW']);

const STATUS_LINE: Readonly<Record<number, string>> = {
  200: '200 OK',
  201: '201 Created',
  202: '202 Accepted',
  204: '204 No Content',
  304: '304 Not Modified',
};

/** One request, of which nothing is read from the native objects any more. */
interface Exchange {
  response: HttpResponse;
  endpoint: AnyEndpoint;
  correlationId: string;
  headers: readonly HeaderPair[];
  isHead: boolean;
  isGone: boolean;
}

export class AdminServer {
  readonly #options: AdminServerOptions;
  readonly #admin: HttpServer;
  readonly #health: HttpServer;
  readonly #admission: Admission;
  readonly #stream: StreamServer | undefined;
  readonly #router: Router;
  readonly #readers: ReadonlyMap<AnyEndpoint, ReadCall>;
  #largeBodies = 0;

  constructor(options: AdminServerOptions) {
    this.#options = options;
    this.#admission = new Admission(options);
    const endpoints = [
      ...adminEndpoints(options.port, new RecentAlertRing(options.clock)),
      ...v1Endpoints(options.port),
    ];
    this.#router = new Router(endpoints);
    this.#readers = new Map(endpoints.map((endpoint) => [endpoint, callReader(endpoint)]));
    this.#admin = this.#server();
    if (options.stream !== undefined) {
      this.#stream = new StreamServer({ ...options, port: options.stream, admission: this.#admission });
      this.#stream.attach(this.#admin);
    }
    this.#admin.route('any', '/*', (response, request) => this.#route(response, request));
    this.#health = this.#server();
    writeHealthRoutes(this.#health, () => options.port.node.readiness());
  }

  /** From the next request on. */
  set rate(limits: RateLimits) {
    this.#admission.rate = limits;
  }

  listen(addresses: { adminHost: string; adminPort: number; healthHost: string; healthPort: number }): void {
    this.#admin.listen(addresses.adminPort, addresses.adminHost);
    this.#health.listen(addresses.healthPort, addresses.healthHost);
  }

  close(): void {
    this.#stream?.close();
    this.#admin.close();
    this.#health.close();
  }

  #server(): HttpServer {
    const { log } = this.#options;
    return new HttpServer({
      connectionsMax: CONNECTIONS_MAX,
      onFault: (fault, faultId) =>
        log.error({ code: codeOf(fault), message: messageOf(fault), fault_id: faultId }, 'a handler failed'),
    });
  }

  #route(response: HttpResponse, request: HttpRequest): Promise<void> | void {
    const method = request.getMethod();
    const isHead = method === 'head';
    const found = this.#router.find(request.getUrl());
    if (found === undefined) {
      refuseUnread(response, problem('E_ROUTE_UNKNOWN', 'There is nothing at this path.'), isHead);
      return;
    }
    const endpoint = found.endpoints.get((isHead ? 'get' : method) as Method);
    const allow = allowOf(found.endpoints);
    if (endpoint !== undefined) return this.#serve(endpoint, found.parameters, response, request);
    if (method === 'options') writeAllowed(response, allow);
    else refuseUnread(response, problem('E_METHOD', `This path takes ${allow}.`), isHead, [['Allow', allow]]);
  }

  async #serve(
    endpoint: AnyEndpoint,
    parameters: Record<string, string>,
    response: HttpResponse,
    request: HttpRequest,
  ): Promise<void> {
    const sentId = request.getHeader('x-correlation-id') || request.getHeader('x-request-id');
    const correlationId = correlationIdOf(sentId);
    const presented = readPresentedKey(request);
    const address = response.getRemoteAddress();
    const contentLength = request.getHeader('content-length');
    const gone = new AbortController();
    const received: Received = {
      parameters,
      query: request.getQuery() ?? '',
      ifMatch: request.getHeader('if-match'),
      ifNoneMatch: request.getHeader('if-none-match'),
      body: Buffer.alloc(0),
      signal: gone.signal,
    };
    const isHead = request.getMethod() === 'head';
    const admitted = this.#admission.admit(endpoint.scope, presented, address);
    const exchange: Exchange = {
      response,
      endpoint,
      correlationId,
      headers: [
        ['X-Request-ID', correlationId],
        ...('headers' in admitted ? admitted.headers : []),
        ...(endpoint.replyHeaders ?? []),
      ],
      isHead,
      isGone: false,
    };
    const isKept = admitted.state === 'admitted';
    const isLarge =
      endpoint.body?.isLarge === true &&
      isKept &&
      !(Number(contentLength || Infinity) <= ADMIN_BODY_BYTES_MAX);
    const isRoom = !isLarge || this.#largeBodies < LARGE_BODIES_MAX;
    if (isLarge) this.#largeBodies += 1;
    try {
      // The whole body is read before anything is answered, so that a refused client hears why; but nobody without a
      // key that may do this fills our memory.
      const reading = readBody(
        response,
        {
          bytesMax: endpoint.body?.isLarge === true ? LARGE_BODY_BYTES_MAX : ADMIN_BODY_BYTES_MAX,
          timeoutMs: BODY_TIMEOUT_MS,
          clock: this.#options.clock,
          contentLength,
          isKept: isKept && isRoom,
        },
        () => {
          exchange.isGone = true;
          gone.abort();
        },
      );
      if (endpoint.method !== 'get') received.body = Buffer.from(await reading);
      else reading.catch(() => undefined);
      if (admitted.state !== 'admitted') {
        this.#turnAway(exchange, admitted, address);
        return;
      }
      if (!isRoom) throw bodiesFull();
      const caller = { keyName: admitted.keyName, correlationId };
      const call = this.#readers.get(endpoint)?.(received, caller);
      send(exchange, await endpoint.answer(call as never), received.ifNoneMatch);
    } catch (thrown) {
      if (codeOf(thrown) === 'E_REQUEST_ABORTED') return;
      const shown = asAsked(thrown, endpoint, received);
      refuse(exchange, this.#problem(shown, correlationId), membersOf(shown));
    } finally {
      if (isLarge) this.#largeBodies -= 1;
    }
  }

  /** Whoever has no usable key waits for the answer, the longer they guess. */
  #turnAway(
    exchange: Exchange,
    admitted: Exclude<Admitted, { state: 'admitted' }>,
    address: ArrayBuffer,
  ): void {
    if (admitted.state === 'limited') {
      refuse(exchange, admitted.problem);
      return;
    }
    const { brake } = this.#admission;
    const pace = brake.fail(address);
    if (pace === 'now') refuse(exchange, admitted.problem);
    else if (pace === 'later') brake.wait(() => refuse(exchange, admitted.problem));
    else if (!exchange.isGone) exchange.response.close();
  }

  #problem(thrown: unknown, correlationId: string): Problem {
    const foreseen = problemOf(thrown);
    if (foreseen !== undefined) return foreseen;
    const code = codeOf(thrown);
    this.#options.log.error({ code, message: messageOf(thrown), correlationId }, 'a request failed');
    return unforeseen(correlationId);
  }
}

/**
 * What the store says of versions, in the words of the request: without a precondition on an item that exists, one is
 * asked for; and what is not there is not found (RFC 9110, section 13.2.1), whatever version was meant.
 */
function asAsked(thrown: unknown, { ifMatch }: AnyEndpoint, received: Received): unknown {
  if (codeOf(thrown) !== 'E_VERSION_STALE') return thrown;
  if (ifMatch === 'update' && received.ifMatch === '' && received.ifNoneMatch === '')
    return ifMatchRequired();
  const { current } = (thrown as { details: { current?: unknown } }).details;
  return ifMatch === 'required' && current === null ? notFound('item', 'It may be gone by now.') : thrown;
}

function send(exchange: Exchange, reply: Reply, ifNoneMatch: string): void {
  const { endpoint, response, isHead, correlationId } = exchange;
  const etag = reply.etag === undefined ? undefined : String(reply.etag);
  const isUnchanged = endpoint.method === 'get' && etag !== undefined && isFresh(ifNoneMatch, etag);
  const status = isUnchanged ? 304 : reply.status;
  // Written out before the reply begins: what cannot be would leave half a reply.
  const text = reply.text ?? (reply.body === undefined ? '' : JSON.stringify(reply.body));
  const headers: HeaderPair[] = [
    ['Content-Type', reply.text === undefined ? JSON_HEADERS : TEXT_HEADERS],
    ['X-Correlation-ID', correlationId],
    ...exchange.headers,
    ...(etag === undefined ? [] : [['ETag', `"${etag}"`] as const]),
    ...Object.entries(reply.headers ?? {}),
  ];
  if (exchange.isGone) return;
  response.cork(() => {
    response.writeStatus(STATUS_LINE[status] ?? String(status));
    for (const [name, value] of headers) response.writeHeader(name, value);
    // Neither may have a length (RFC 9110, section 8.6).
    if (status === 204 || status === 304) response.endWithoutBody();
    else response.end(isHead ? '' : text);
  });
}

function refuse(exchange: Exchange, refusal: Problem, further: Record<string, unknown> = {}): void {
  if (exchange.isGone) return;
  const { endpoint, response, correlationId, headers, isHead } = exchange;
  const members = { ...further, ...endpoint.problemMembers?.(refusal) };
  // What is left of a body that was given up would be taken for the next request.
  const closeConnection = BODY_GIVEN_UP.has(refusal.code);
  response.cork(() =>
    writeProblem(response, refusal, { correlationId, members, headers, closeConnection, omitBody: isHead }),
  );
}

/** A request whose body nobody reads: the connection ends with the answer. */
function refuseUnread(
  response: HttpResponse,
  refusal: Problem,
  isHead: boolean,
  headers: readonly HeaderPair[] = [],
): void {
  writeProblem(response, refusal, { headers, closeConnection: true, omitBody: isHead });
}

function writeAllowed(response: HttpResponse, allow: string): void {
  response.writeStatus('200 OK');
  response.writeHeader('Content-Type', JSON_HEADERS);
  response.writeHeader('Allow', allow);
  response.end('', true);
}

function bodiesFull(): CodedError {
  return new CodedError('E_BODIES_FULL', `${LARGE_BODIES_MAX} large bodies are being worked on`, {
    kind: 'transient',
    mend: 'Send it again in a few seconds.',
  });
}
