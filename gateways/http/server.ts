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
 * `Expect: 100-continue` itself. Of TLS it takes versions 1.2 and 1.3 only; asked for client certificates it refuses a
 * wrong one in the handshake, but serves whoever shows none: those are turned away here.
 *
 * An app keeps its certificate for life. So with TLS one app only accepts, and hands every connection to the app that
 * has the present certificate; for a new certificate that one is replaced and the listening socket never closed, since
 * connections that wait in its queue would be reset. Requests and WebSockets of the replaced app go on; its other
 * connections end with their next reply. (Handing over is stable within a thread; between threads it is not.)
 */
import { randomUUID } from 'node:crypto';
import * as uws from 'uWebSockets.js';
import { CodedError } from '../../runtime/errors.ts';
import { writeProblem } from './problem.ts';
import type { HttpRequest, HttpResponse } from './exchange.ts';
import { TLS_CIPHERS, withTlsFiles } from './tls-files.ts';
import type { TlsMaterial } from './tls-material.ts';

export type HttpHandler = (response: HttpResponse, request: HttpRequest) => void | Promise<void>;

/** The upgrade is the one moment at which a client can be turned away. */
export type WebSocketBehavior<Data> = uws.WebSocketBehavior<Data> &
  Required<Pick<uws.WebSocketBehavior<Data>, 'upgrade'>>;
export type WebSocket<Data> = uws.WebSocket<Data>;

export type HttpMethod = 'get' | 'post' | 'put' | 'patch' | 'delete' | 'head' | 'options' | 'any';

export interface HttpServerOptions {
  /** Open connections; a further one is closed as soon as it is accepted. */
  connectionsMax: number;
  /** A handler failed: count it and log it with the opaque id that the client is told. Must not throw. */
  onFault: (fault: unknown, faultId: string) => void;
  /** The number of open connections changed; `refused` when the last one was over the limit. */
  onConnections?: (open: number, refused: boolean) => void;
  /** Without it the server speaks plain HTTP, and cannot begin to speak TLS later. */
  tls?: TlsMaterial | undefined;
  /** A client that should have shown a certificate had none: its connection is closed without an answer. */
  onUncertified?: () => void;
}

/** What the type definitions leave out. */
interface NativeApp extends uws.TemplatedApp {
  getDescriptor(): number;
  /** Accepted connections go to it instead. */
  addChildAppDescriptor(descriptor: number): void;
  removeChildAppDescriptor(descriptor: number): void;
}

/** An app with all routes, and the connections it serves. */
interface Serving {
  readonly app: NativeApp;
  readonly tls: TlsMaterial | undefined;
  /** Another has taken its place: each connection ends with its next reply. */
  isRetired: boolean;
  connections: number;
}

const PORT_MAX = 65_535;
/** Replaced apps whose WebSockets live on. A further one costs the oldest its WebSockets; clients make them again. */
const RETIRED_MAX = 8;
const INTERNAL_FAULT = {
  status: '500 Internal Server Error',
  code: 'E_INTERNAL',
  detail: 'Something failed here. It is in the log under this fault_id; try again.',
};

// Without this every reply of ours carries a "uWebSockets: 20" header. The type definitions leave it out.
(uws as unknown as { _cfg(option: string): void })._cfg('silent');

export class HttpServer {
  readonly #options: HttpServerOptions;
  /** What was added so far, to be added to the next app too. */
  readonly #routes: ((serving: Serving) => void)[] = [];
  /** What listens: with TLS it does nothing else. */
  readonly #acceptor: NativeApp;
  #serving: Serving;
  #retired: Serving[] = [];
  #listenSocket: uws.us_listen_socket | undefined;
  #connections = 0;
  #closed = false;

  /** Throws E_TLS_UNUSABLE. */
  constructor(options: HttpServerOptions) {
    this.#options = options;
    this.#serving = this.#newServing(options.tls);
    this.#acceptor = this.#serving.app;
    if (options.tls === undefined) return;
    this.#acceptor = newApp(options.tls);
    this.#acceptor.addChildAppDescriptor(this.#serving.app.getDescriptor());
  }

  /** Open connections, those about to be refused included. */
  get connections(): number {
    return this.#connections;
  }

  /** Adds a route. `pattern` as uWebSockets.js has it: `/a/:name`, `/b/*`. An exact method goes before `any`. */
  route(method: HttpMethod, pattern: string, handler: HttpHandler): this {
    const guarded = this.#guard(handler);
    return this.#add((serving) => {
      const checked = this.#behindTls(serving, guarded);
      serving.app[method === 'delete' ? 'del' : method](pattern, checked);
    });
  }

  webSocket<Data>(pattern: string, behavior: WebSocketBehavior<Data>): this {
    return this.#add((serving) => {
      const upgrade = this.#behindTls(serving, behavior.upgrade);
      serving.app.ws(pattern, { ...behavior, upgrade });
    });
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
    this.#acceptor.listen(host, port, (socket) => {
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

  /**
   * Connections made from now on get this certificate, and the check of client certificates that comes with it. Throws
   * E_TLS_UNUSABLE, and then everything stays as it was.
   */
  renewTls(tls: TlsMaterial): void {
    const old = this.#serving;
    if (old.tls === undefined) throw plainServer();
    this.#serving = this.#newServing(tls);
    this.#acceptor.addChildAppDescriptor(this.#serving.app.getDescriptor());
    this.#acceptor.removeChildAppDescriptor(old.app.getDescriptor());
    old.isRetired = true;
    this.#retired = [...this.#retired.filter(({ connections }) => connections > 0), old];
    if (this.#retired.length > RETIRED_MAX) this.#retired.shift()?.app.close();
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
    for (const { app } of [this.#serving, ...this.#retired]) app.close();
  }

  #newServing(tls: TlsMaterial | undefined): Serving {
    const app = newApp(tls);
    const serving: Serving = { app, tls, isRetired: false, connections: 0 };
    app.filter((response, change) => {
      serving.connections += change;
      this.#connections += change;
      const { connectionsMax, onConnections, onFault } = this.#options;
      const refused = change > 0 && this.#connections > connectionsMax;
      try {
        onConnections?.(this.#connections, refused);
      } catch (fault) {
        onFault(fault, randomUUID());
      }
      if (refused) response.close();
    });
    for (const add of this.#routes) add(serving);
    return serving;
  }

  #add(add: (serving: Serving) => void): this {
    this.#routes.push(add);
    add(this.#serving);
    return this;
  }

  /** Plain HTTP pays nothing for what only TLS needs. */
  #behindTls<R extends unknown[]>(
    serving: Serving,
    handler: (response: uws.HttpResponse, ...rest: R) => void | Promise<void>,
  ): (response: uws.HttpResponse, ...rest: R) => void | Promise<void> {
    if (serving.tls === undefined) return handler;
    const mustBeCertified = serving.tls.clientCa !== undefined;
    return (response, ...rest) => {
      if (mustBeCertified && !isCertified(response)) {
        this.#options.onUncertified?.();
        response.close();
        return;
      }
      if (serving.isRetired) endConnectionWith(response);
      return handler(response, ...rest);
    };
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

function newApp(tls: TlsMaterial | undefined): NativeApp {
  if (tls === undefined) return uws.App() as NativeApp;
  return withTlsFiles(tls, (files) => {
    try {
      return uws.SSLApp({
        cert_file_name: files.certificate,
        key_file_name: files.key,
        ...(files.clientCa === undefined ? {} : { ca_file_name: files.clientCa }),
        ssl_ciphers: TLS_CIPHERS,
      }) as NativeApp;
    } catch {
      // It says no more than that it failed.
      throw new CodedError(
        'E_TLS_UNUSABLE',
        'the TLS library refuses the certificate, its key or the client CA',
        { mend: 'Give a key and certificates of a usual kind: EC on P-256, or RSA of 2048 bits.' },
      );
    }
  });
}

/** A certificate that does not verify has ended the handshake, so one that is there has been verified. */
function isCertified(response: uws.HttpResponse): boolean {
  // The type definitions leave it out.
  const peer = (response as unknown as { getX509Certificate(): ArrayBuffer | string }).getX509Certificate();
  return (typeof peer === 'string' ? peer.length : peer.byteLength) > 0;
}

function endConnectionWith(response: uws.HttpResponse): void {
  const end = response.end.bind(response);
  response.end = (body) => end(body, true);
}

function plainServer(): CodedError {
  return new CodedError('E_TLS_UNUSABLE', 'a server that speaks plain HTTP cannot begin to speak TLS', {
    kind: 'defect',
  });
}
