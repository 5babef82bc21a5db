/**
 * The one file that knows uWebSockets.js: a small HTTP server interface over it, for every gateway.
 *
 * uWebSockets.js ends the whole process when its rules are broken (a handler that returns with neither a reply nor an
 * abort handler, a listen socket closed twice) and leaves a request hanging for ever when a handler throws. So every
 * handler is wrapped here: a throw or a rejection becomes one 500 reply and one call of `onFault`.
 *
 * What uWebSockets.js decides itself and we cannot change: malformed requests get its own 400, 431 or 505 and a closed
 * connection; idle connections, and heads and bodies slower than 16 KB/s, are closed after 10 to 13 s; request heads are
 * limited to 4 KiB; two requests sent without waiting for the first answer close the connection, unless the first was
 * answered at once: then answers that the peer does not read are kept in memory without a bound. It answers
 * `Expect: 100-continue` itself.
 */
import { randomUUID } from 'node:crypto';
import * as uws from 'uWebSockets.js';
import { CodedError } from '../../runtime/errors.ts';
import { writeProblem } from './problem.ts';
import type { HttpRequest, HttpResponse } from './exchange.ts';

export type HttpHandler = (response: HttpResponse, request: HttpRequest) => void | Promise<void>;

export type WebSocketBehavior<Data> = uws.WebSocketBehavior<Data>;
export type WebSocket<Data> = uws.WebSocket<Data>;

export type HttpMethod = 'get' | 'post' | 'put' | 'patch' | 'delete' | 'head' | 'options' | 'any';

export interface HttpServerOptions {
  /** Open connections; a further one is closed as soon as it is accepted. */
  connectionsMax: number;
  /** A handler failed: count it and log it with the opaque id that the client is told. Must not throw. */
  onFault: (fault: unknown, faultId: string) => void;
  /** The number of open connections changed; `refused` when the last one was over the limit. */
  onConnections?: (open: number, refused: boolean) => void;
}

const PORT_MAX = 65_535;
const INTERNAL_FAULT = {
  status: '500 Internal Server Error',
  code: 'E_INTERNAL',
  detail: 'Something failed here. It is in the log under this fault_id; try again.',
};

// Without this every reply of ours carries a "uWebSockets: 20" header. The type definitions leave it out.
(uws as unknown as { _cfg(option: string): void })._cfg('silent');

export class HttpServer {
  readonly #app = uws.App();
  readonly #options: HttpServerOptions;
  #listenSocket: uws.us_listen_socket | undefined;
  #connections = 0;
  #closed = false;

  constructor(options: HttpServerOptions) {
    this.#options = options;
    this.#app.filter((response, change) => {
      this.#connections += change;
      const refused = change > 0 && this.#connections > options.connectionsMax;
      try {
        options.onConnections?.(this.#connections, refused);
      } catch (fault) {
        options.onFault(fault, randomUUID());
      }
      if (refused) response.close();
    });
  }

  /** Open connections, those about to be refused included. */
  get connections(): number {
    return this.#connections;
  }

  /** Adds a route. `pattern` as uWebSockets.js has it: `/a/:name`, `/b/*`. An exact method goes before `any`. */
  route(method: HttpMethod, pattern: string, handler: HttpHandler): this {
    const guarded = this.#guard(handler);
    this.#app[method === 'delete' ? 'del' : method](pattern, guarded);
    return this;
  }

  webSocket<Data>(pattern: string, behavior: WebSocketBehavior<Data>): this {
    this.#app.ws(pattern, behavior);
    return this;
  }

  /**
   * Starts to accept. Returns the port. With an explicit port several of our processes share it (SO_REUSEPORT); port 0
   * takes a free one, which cannot be shared. Throws E_LISTEN_REFUSED when the port or the address is not to be had.
   */
  listen(port: number, host: string): number {
    if (!Number.isInteger(port) || port < 0 || port > PORT_MAX) {
      throw new CodedError('E_LISTEN_REFUSED', `${port} is not a port.`, {
        details: { host, port },
        mend: `Give a whole number from 0 to ${PORT_MAX}.`,
      });
    }
    let taken: uws.us_listen_socket | false = false;
    this.#app.listen(host, port, (socket) => {
      taken = socket;
    });
    if (taken === false) {
      throw new CodedError('E_LISTEN_REFUSED', `Cannot listen on ${host}:${port}.`, {
        details: { host, port },
        mend: 'Another program holds the port, or the address is not one of this machine; choose another.',
      });
    }
    this.#listenSocket = taken;
    return uws.us_socket_local_port(taken);
  }

  get isListening(): boolean {
    return this.#listenSocket !== undefined;
  }

  /** Accepts no further connection; the open ones live on. Idempotent. */
  stopAccepting(): void {
    const socket = this.#listenSocket;
    if (socket === undefined) return;
    this.#listenSocket = undefined;
    uws.us_listen_socket_close(socket);
  }

  /** Breaks off every connection, answered or not; abort handlers run before this returns. Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.stopAccepting();
    this.#app.close();
  }

  #guard(handler: HttpHandler): (response: uws.HttpResponse, request: uws.HttpRequest) => void {
    return (response, request) => {
      try {
        const pending = handler(response, request);
        if (pending !== undefined) pending.catch((fault: unknown) => this.fault(response, fault));
      } catch (fault) {
        this.fault(response, fault);
      }
    };
  }

  /** Answers a failed request with 500, if it can still be answered, and reports the fault. For callbacks of routes. */
  fault(response: HttpResponse, fault: unknown): void {
    const faultId = randomUUID();
    this.#options.onFault(fault, faultId);
    try {
      response.cork(() => writeProblem(response, INTERNAL_FAULT, { members: { fault_id: faultId } }));
    } catch {
      // The request was answered or aborted before the handler failed: there is nobody left to tell.
    }
  }
}
