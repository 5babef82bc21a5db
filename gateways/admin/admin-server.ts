/**
 * The admin gateway: the API for operators and their tools, metrics, and the health port. Its own process, so that it
 * answers whatever the ingest gateways are busy with.
 *
 * Invariants: nothing but health and metrics on loopback is answered without a key of the right scope; every failure
 * is a problem document (RFC 9457) with a stable code; an unforeseen one shows an opaque id and nothing else.
 */
import type { Clock } from '../../runtime/clock.ts';
import { CodedError, codeOf, kindOf, messageOf } from '../../runtime/errors.ts';
import { correlationIdOf } from '../http/correlation-id.ts';
import type { HttpRequest, HttpResponse } from '../http/exchange.ts';
import { FailureBrake } from '../http/failure-brake.ts';
import type { KeyCheck, KeyScope } from '../http/key-ring.ts';
import type { GatewayLog } from '../http/log.ts';
import { readPresentedKey } from '../http/presented-key.ts';
import { writeProblem } from '../http/problem.ts';
import type { Problem } from '../http/problem.ts';
import { readBody } from '../http/read-body.ts';
import { JSON_HEADERS } from '../http/security-headers.ts';
import { HttpServer } from '../http/server.ts';
import type { AdminPort } from './admin-port.ts';
import { adminRoutes } from './admin-routes.ts';
import type { Route } from './admin-routes.ts';
import { RecentAlertRing } from './recent-alerts.ts';

export interface AdminServerOptions {
  port: AdminPort;
  keys: KeyCheck;
  clock: Clock;
  log: GatewayLog;
}

const CONNECTIONS_MAX = 1_024;
const BODY_BYTES_MAX = 4 * 1024 * 1024;
const BODY_TIMEOUT_MS = 15_000;
const TEXT_HEADERS = 'text/plain; version=0.0.4; charset=utf-8\r\nX-Content-Type-Options: nosniff';

/** After these the rest of a body may still be on its way. */
const BODY_GIVEN_UP: ReadonlySet<string> = new Set(['E_BODY_TOO_LARGE', 'E_BODY_SLOW']);

/** What the ordinary failures of handlers become. Everything else is a 500. */
const STATUS_OF_CODE: Readonly<Record<string, string>> = {
  E_BODY_TOO_LARGE: '413 Payload Too Large',
  E_BODY_SLOW: '408 Request Timeout',
  E_BODY_INVALID: '400 Bad Request',
  E_JSON_MALFORMED: '400 Bad Request',
  E_FIELD_INVALID: '400 Bad Request',
  E_RULE_INVALID: '400 Bad Request',
  E_DESTINATION_INVALID: '400 Bad Request',
  E_ROW_INVALID: '400 Bad Request',
  E_VERSION_CONFLICT: '409 Conflict',
  E_CONFIG_INVALID: '400 Bad Request',
  E_ACTOR_UNKNOWN: '404 Not Found',
};

export class AdminServer {
  readonly #options: AdminServerOptions;
  readonly #admin: HttpServer;
  readonly #health: HttpServer;
  readonly #brake: FailureBrake;

  constructor(options: AdminServerOptions) {
    this.#options = options;
    this.#brake = new FailureBrake({ clock: options.clock });
    this.#admin = this.#server();
    const routes = adminRoutes(options.port, new RecentAlertRing(options.clock));
    const methodsOf = new Map<string, string[]>();
    for (const route of routes) {
      const methods = route.method === 'get' ? (['get', 'head'] as const) : [route.method];
      for (const method of methods) {
        this.#admin.route(method, route.path, (response, request) => this.#serve(route, response, request));
        methodsOf.set(route.path, [...(methodsOf.get(route.path) ?? []), method.toUpperCase()]);
      }
    }
    for (const [path, methods] of methodsOf) this.#admin.route('any', path, methodUnknown(methods));
    this.#admin.route('any', '/*', routeUnknown);

    this.#health = this.#server();
    const healthRoutes: [path: string, answer: () => [status: string, body: unknown]][] = [
      ['/health', () => ['200 OK', { status: 'alive' }]],
      [
        '/ready',
        () => {
          const readiness = options.port.readiness();
          return [readiness.ready ? '200 OK' : '503 Service Unavailable', readiness];
        },
      ],
    ];
    for (const [path, answer] of healthRoutes) {
      for (const method of ['get', 'head'] as const) {
        this.#health.route(method, path, (response) => {
          const [status, body] = answer();
          writeText(response, status, JSON_HEADERS, method === 'head' ? '' : JSON.stringify(body));
        });
      }
      this.#health.route('any', path, methodUnknown(['GET', 'HEAD']));
    }
    this.#health.route('any', '/*', routeUnknown);
  }

  listen(addresses: { adminHost: string; adminPort: number; healthHost: string; healthPort: number }): void {
    this.#admin.listen(addresses.adminPort, addresses.adminHost);
    this.#health.listen(addresses.healthPort, addresses.healthHost);
  }

  close(): void {
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

  async #serve(route: Route, response: HttpResponse, request: HttpRequest): Promise<void> {
    const correlationId = correlationIdOf(request.getHeader('x-correlation-id'));
    const presented = readPresentedKey(request);
    const address = response.getRemoteAddress();
    const contentLength = request.getHeader('content-length');
    const query = new URLSearchParams(request.getQuery() ?? '');
    const parameters = route.path.includes(':') ? [decodeParameter(request.getParameter(0) ?? '')] : [];
    const isHead = request.getMethod() === 'head';
    let isGone = false;
    const refuse = (problem: Problem, members: Record<string, unknown> = {}): void => {
      if (isGone) return;
      // What is left of a body that was given up would be taken for the next request.
      const closeConnection = BODY_GIVEN_UP.has(problem.code);
      const options = { correlationId, members, closeConnection, omitBody: isHead };
      response.cork(() => writeProblem(response, problem, options));
    };

    let rawBody = Buffer.alloc(0);
    try {
      const access = this.#admit(route, presented, address);
      // The whole body is read before anything is answered, so that a refused client hears why; but nobody without a
      // key fills our memory.
      const reading = readBody(
        response,
        {
          bytesMax: BODY_BYTES_MAX,
          timeoutMs: BODY_TIMEOUT_MS,
          clock: this.#options.clock,
          contentLength,
          isKept: access.keyName !== undefined,
        },
        () => {
          isGone = true;
        },
      );
      if (route.method !== 'get') rawBody = Buffer.from(await reading);
      else reading.catch(() => undefined);
      if (access.keyName === undefined) {
        this.#refuseKey(access.problem, response, address, refuse, () => isGone);
        return;
      }
      const result = await route.answer({
        caller: { keyName: access.keyName, correlationId },
        parameters,
        query,
        body: route.scope === 'sink' || rawBody.length === 0 ? undefined : parseJson(rawBody),
        rawBody,
      });
      // Written out before the reply begins: what cannot be would leave half a reply.
      const [type, text] =
        result.text === undefined ? [JSON_HEADERS, JSON.stringify(result.body)] : [TEXT_HEADERS, result.text];
      if (isGone) return;
      response.cork(() =>
        writeText(response, result.status ?? '200 OK', type, isHead ? '' : text, correlationId),
      );
    } catch (thrown) {
      const faults = (thrown as { details?: { faults?: unknown } }).details?.faults;
      const members = faults === undefined ? {} : { errors: faults };
      if (codeOf(thrown) !== 'E_REQUEST_ABORTED') refuse(this.#problemOf(thrown, correlationId), members);
    }
  }

  #admit(
    route: Route,
    presented: ReturnType<typeof readPresentedKey>,
    address: ArrayBuffer,
  ): { keyName: string } | { keyName?: undefined; problem: Problem } {
    if (route.scope === 'open' && isLoopback(address)) return { keyName: 'loopback' };
    if (presented.isAmbiguous)
      return { problem: refusedKey('E_KEY_UNKNOWN', 'Two different keys were sent: send one.') };
    const verdict = this.#options.keys.verify(presented.key);
    if (verdict.state === 'unknown' && presented.key === '') {
      return { problem: refusedKey('E_KEY_MISSING', 'Send a key in the X-API-KEY header.') };
    }
    if (verdict.state === 'unknown')
      return { problem: refusedKey('E_KEY_UNKNOWN', 'This key is not known.') };
    if (verdict.state !== 'valid') return { problem: refusedKey('E_KEY_EXPIRED', 'This key has expired.') };
    const needed = route.scope === 'open' ? 'read' : route.scope;
    if (holds(verdict.record.scopes, needed)) return { keyName: verdict.record.name };
    return {
      problem: {
        status: '403 Forbidden',
        code: 'E_SCOPE_MISSING',
        detail: `This needs a key with the scope ${needed}.`,
      },
    };
  }

  #refuseKey(
    problem: Problem,
    response: HttpResponse,
    address: ArrayBuffer,
    refuse: (problem: Problem) => void,
    isGone: () => boolean,
  ): void {
    const pace = this.#brake.fail(address);
    if (pace === 'now') refuse(problem);
    else if (pace === 'never') {
      if (!isGone()) response.close();
    } else this.#brake.wait(() => (isGone() ? undefined : refuse(problem)));
  }

  #problemOf(thrown: unknown, correlationId: string): Problem {
    const code = codeOf(thrown);
    const status = STATUS_OF_CODE[code];
    if (status !== undefined) return describeProblem(status, code, thrown);
    if (kindOf(thrown) === 'transient') return describeProblem('503 Service Unavailable', code, thrown);
    this.#options.log.error({ code, message: messageOf(thrown), correlationId }, 'a request failed');
    return unforeseen(correlationId);
  }
}

function refusedKey(code: string, detail: string): Problem {
  return { status: '401 Unauthorized', code, detail };
}

/** A wider scope includes the narrower ones. `sink` is for the built-in destination alone. */
function holds(scopes: readonly KeyScope[], needed: KeyScope | 'sink'): boolean {
  const order: readonly string[] = ['read', 'operate', 'admin'];
  const rank = order.indexOf(needed);
  return scopes.some((scope) => scope === (needed as string) || (rank >= 0 && order.indexOf(scope) >= rank));
}

function describeProblem(status: string, code: string, thrown: unknown): Problem {
  const mend = (thrown as { mend?: unknown }).mend;
  const detail =
    typeof mend === 'string' ? `${messageOf(thrown).replace(/\.$/, '')}. ${mend}` : messageOf(thrown);
  return { status, code, detail };
}

function unforeseen(id: string): Problem {
  return {
    status: '500 Internal Server Error',
    code: 'E_INTERNAL',
    detail: `This failed; the log knows it as ${id}.`,
  };
}

function routeUnknown(response: HttpResponse, request: HttpRequest): void {
  writeProblem(
    response,
    { status: '404 Not Found', code: 'E_ROUTE_UNKNOWN', detail: 'There is nothing at this path.' },
    { closeConnection: true, omitBody: request.getMethod() === 'head' },
  );
}

function methodUnknown(methods: readonly string[]): (response: HttpResponse, request: HttpRequest) => void {
  const allow = methods.join(', ');
  const problem: Problem = {
    status: '405 Method Not Allowed',
    code: 'E_METHOD',
    detail: `This path takes ${allow}.`,
  };
  return (response, request) =>
    writeProblem(response, problem, {
      headers: [['Allow', allow]],
      closeConnection: true,
      omitBody: request.getMethod() === 'head',
    });
}

/** `type` is the value of Content-Type with further header lines after it. */
function writeText(
  response: HttpResponse,
  status: string,
  type: string,
  text: string,
  correlationId?: string,
): void {
  response.writeStatus(status);
  response.writeHeader('Content-Type', type);
  if (correlationId !== undefined) response.writeHeader('X-Correlation-ID', correlationId);
  response.end(text);
}

function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    // Where it breaks is in the engine's message, but so is a piece of the body.
    throw new CodedError('E_JSON_MALFORMED', 'the body is not JSON', {
      mend: 'Send one JSON document in UTF-8.',
    });
  }
}

function decodeParameter(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function isLoopback(address: ArrayBuffer): boolean {
  const bytes = new Uint8Array(address);
  if (bytes.length === 4) return bytes[0] === 127;
  const isMapped =
    bytes.subarray(0, 10).every((byte) => byte === 0) && bytes[10] === 255 && bytes[11] === 255;
  if (isMapped) return bytes[12] === 127;
  return bytes.subarray(0, 15).every((byte) => byte === 0) && bytes[15] === 1;
}
