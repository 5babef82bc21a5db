/**
 * A destination of the torture: a local HTTP server that writes down every alert it takes, and can be told to be bad in any
 * of the ways of destination-modes.ts for a while. It lives in the process that judges, and is never killed.
 *
 * It reads the bare connection, since a mode may strike before a body has come. Invariants: at most `CONNECTIONS_MAX`
 * connections and one request of each at a time, each of at most `BODY_BYTES_MAX`; an alert is written down before its
 * answer leaves; after `close` no connection and no timer is left.
 */
import { createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { setTimeout as sleepFor } from 'node:timers/promises';
import { DESTINATION_MODES, WELL, randomStatus } from './destination-modes.ts';
import type { DestinationMode, DestinationModeName } from './destination-modes.ts';
import { Examples } from './examples.ts';
import { ReceivedAlerts, readAlert } from './received-alerts.ts';
import type { TakenKind } from './received-alerts.ts';
import { RequestReader } from './request-reader.ts';
import type { RequestHead } from './request-reader.ts';

export interface DestinationServerOptions {
  name: string;
  kind: TakenKind;
  /** As its destination is configured: alerts may speak for others. */
  collapses: boolean;
  random: () => number;
  /** Tells the time that goes with each alert. */
  nowMs?: () => number;
}

const CONNECTIONS_MAX = 1_024;
const PATH = '/alerts';
/** Below those that systems give to outgoing connections: nobody else gets the port while it is closed. */
const PORT_MIN = 20_000;
const PORT_MAX = 30_000;
const PORT_ATTEMPTS_MAX = 200;
const LISTEN_AGAIN_MS = 50;
const LISTEN_TIMEOUT_MS = 30_000;

export class DestinationServer {
  readonly name: string;
  readonly collapses: boolean;
  readonly received: ReceivedAlerts;
  /** What no client of ours should ever send, and what was sent to where a redirect leads. */
  readonly oddities = new Examples();
  /** Whole or broken requests by the mode that met them; `well` for none. */
  readonly requests = new Map<DestinationModeName | 'well', number>();
  readonly #options: DestinationServerOptions;
  readonly #nowMs: () => number;
  readonly #sockets = new Set<Socket>();
  readonly #closing = new AbortController();
  #server: Server | undefined;
  #port = 0;
  #mode: DestinationModeName | 'well' = 'well';
  /** Counts what it was told, so that an earlier order does not end a later one. */
  #orders = 0;
  /** One after another: the port is closed and opened by orders. */
  #changing: Promise<void> = Promise.resolve();

  private constructor(options: DestinationServerOptions) {
    this.#options = options;
    this.name = options.name;
    this.collapses = options.collapses;
    this.#nowMs = options.nowMs ?? (() => performance.now());
    this.received = new ReceivedAlerts({ collapses: options.collapses });
  }

  static async start(options: DestinationServerOptions): Promise<DestinationServer> {
    const destination = new DestinationServer(options);
    for (let attempt = 1; ; attempt++) {
      destination.#port = PORT_MIN + Math.floor(Math.random() * (PORT_MAX - PORT_MIN));
      try {
        await destination.#listen();
        return destination;
      } catch (thrown) {
        if (attempt === PORT_ATTEMPTS_MAX) throw thrown;
      }
    }
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}${PATH}`;
  }

  get mode(): DestinationModeName | 'well' {
    return this.#mode;
  }

  get connections(): number {
    return this.#sockets.size;
  }

  /** Is bad in this way for so long, or until it is told something else; resolves then. */
  async misbehave(name: DestinationModeName, forMs: number): Promise<void> {
    const order = await this.#change(name);
    await sleepFor(forMs, undefined, { signal: this.#closing.signal }).catch(() => undefined);
    if (order === this.#orders) await this.heal();
  }

  /** Is well from now on; requests that a mode holds stay held. */
  async heal(): Promise<void> {
    await this.#change('well');
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#orders += 1;
    await this.#changing.catch(() => undefined);
    await this.#stopListening();
  }

  /** Gives the number of the order. */
  async #change(name: DestinationModeName | 'well'): Promise<number> {
    const order = ++this.#orders;
    this.#mode = name;
    const changed = this.#changing.then(async () => {
      // A later order has taken its place.
      if (order !== this.#orders) return;
      if (name === 'refuse-connection') await this.#stopListening();
      else if (this.#server === undefined) await this.#listenAgain();
    });
    this.#changing = changed.catch(() => undefined);
    await changed;
    return order;
  }

  async #listenAgain(): Promise<void> {
    const deadlineMs = performance.now() + LISTEN_TIMEOUT_MS;
    for (;;) {
      try {
        await this.#listen();
        return;
      } catch (thrown) {
        if (performance.now() > deadlineMs) throw thrown;
        await sleepFor(LISTEN_AGAIN_MS, undefined, { signal: this.#closing.signal });
      }
    }
  }

  async #listen(): Promise<void> {
    const server = createServer((socket) => this.#serve(socket));
    server.maxConnections = CONNECTIONS_MAX;
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(this.#port, '127.0.0.1', () => {
        server.off('error', reject);
        // A connection that could not be accepted: its client tries again.
        server.on('error', () => undefined);
        resolve();
      });
    });
    this.#port = (server.address() as AddressInfo).port;
    this.#server = server;
  }

  async #stopListening(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    const closed =
      server === undefined ? undefined : new Promise<void>((resolve) => server.close(() => resolve()));
    for (const socket of this.#sockets) socket.destroy();
    this.#sockets.clear();
    await closed;
  }

  #serve(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('close', () => this.#sockets.delete(socket));
    // Whatever breaks it, the client sees it too.
    socket.on('error', () => socket.destroy());
    socket.setNoDelay(true);
    /** Of the request under way: a mode that begins meanwhile strikes at the next one. */
    let mode: DestinationMode | undefined;
    const begin = (): DestinationMode => {
      this.requests.set(this.#mode, (this.requests.get(this.#mode) ?? 0) + 1);
      return this.#modeNow();
    };
    const reader = new RequestReader({
      onHead: () => {
        mode = begin();
        if (mode.strikes === 'at the head') this.#act(mode, socket);
      },
      onBody: () => {
        if (mode?.strikes === 'in the body') this.#act(mode, socket);
      },
      onRequest: (head, body) => {
        if (mode === undefined || socket.destroyed) return;
        this.#note(head, body, mode.isTaken);
        this.#act(mode, socket);
      },
      onFault: (fault) => {
        this.oddities.add(() => fault);
        socket.destroy();
      },
    });
    socket.on('data', (chunk: Buffer) => reader.read(chunk));
  }

  #modeNow(): DestinationMode {
    if (this.#mode === 'well') return WELL;
    return this.#mode === 'random-status'
      ? randomStatus(this.#options.random)
      : DESTINATION_MODES[this.#mode];
  }

  #note({ method, path, headers }: RequestHead, body: Buffer, isTaken: boolean): void {
    if (method !== 'POST' || path !== PATH) {
      this.oddities.add(() => `${method} ${path}, which nobody asked for`);
      return;
    }
    const text = body.toString('utf8');
    const alert = readAlert(this.#options.kind, headers, text);
    if (alert === undefined) this.oddities.add(() => `no alert: ${text.slice(0, 200)}`);
    else if (isTaken) this.received.take(alert, text, this.#nowMs());
  }

  #act(mode: DestinationMode, socket: Socket): void {
    const { random } = this.#options;
    const sleep = async (ms: number): Promise<void> => {
      await sleepFor(ms, undefined, { signal: this.#closing.signal, ref: false });
      if (socket.destroyed) throw new Error('the connection is gone');
    };
    const acted = mode.act({ socket, url: this.url, random, nowMs: () => Date.now(), sleep });
    // The connection is gone, or the destination is closed: nobody waits for the rest.
    acted?.catch(() => socket.destroy());
  }
}
