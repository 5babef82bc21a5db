/**
 * One kept-alive connection, with one request on it at a time.
 *
 * The protocol is undici's. Invariants: a request is written once. When the connection turns out to be closed before any
 * of it was written, it goes over another; of what may have been sent, the sender hears. A connection that was in the
 * midst of something is never used again.
 */
import { createRequire } from 'node:module';
import { connect as connectTcp, isIP } from 'node:net';
import type { Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { Client as UndiciClient, buildConnector } from 'undici';
import type { Exchange } from './exchange.ts';

// Its HTTP/1.1 alone: the whole package brings `fetch`, WebSockets and caches, which nothing here uses and every thread
// would load at every start: 55 ms and 6 MB, where this is 12 ms and 2 MB.
const require = createRequire(import.meta.url);
const Client = require('undici/lib/dispatcher/client.js') as typeof UndiciClient;

const TCP_KEEP_ALIVE_MS = 10_000;
/**
 * Shorter than servers keep idle connections, as far as is known. One that says how long is taken at its word, less a
 * second for the way: what is sent as it closes is lost, and nobody knows whether it was read.
 */
const IDLE_MS = 4_000;
const IDLE_MS_MAX = 60_000;
const IDLE_MARGIN_MS = 1_000;

export interface ConnectionOptions {
  origin: string;
  /** What the last TLS session to there can be resumed by. */
  sessions: { last: Buffer | undefined };
  onFree: (connection: Connection) => void;
  /** Called once. */
  onGone: (connection: Connection) => void;
}

export class Connection {
  readonly #options: ConnectionOptions;
  readonly #client: UndiciClient;
  #socket: Socket | undefined;
  #exchange: Exchange | undefined;
  #isGone = false;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    this.#client = new Client(options.origin, {
      connect: (to, callback) => this.#connect(to, callback),
      // The whole exchange has a time, whatever it waits for.
      headersTimeout: 0,
      bodyTimeout: 0,
      keepAliveTimeout: IDLE_MS,
      keepAliveMaxTimeout: IDLE_MS_MAX,
      keepAliveTimeoutThreshold: IDLE_MARGIN_MS,
    });
    this.#client.on('disconnect', () => {
      // With a request that was not written yet it connects anew.
      if (this.#exchange === undefined) this.discard();
    });
  }

  get isAlive(): boolean {
    return this.#socket !== undefined && !this.#socket.destroyed && !this.#isGone;
  }

  carry(exchange: Exchange): void {
    this.#exchange = exchange;
    exchange.onOver = (isAnswered) => {
      this.#exchange = undefined;
      if (isAnswered && this.isAlive) this.#options.onFree(this);
      else this.discard();
    };
    this.#client.dispatch(exchange.options, exchange);
  }

  /** What is on it fails. */
  close(error: Error): void {
    this.#exchange?.fail(error);
    this.discard();
  }

  /** Closes it, whatever is on it. */
  discard(): void {
    if (this.#isGone) return;
    this.#isGone = true;
    this.#socket?.destroy();
    void this.#client.destroy();
    this.#options.onGone(this);
  }

  #connect({ hostname, port, protocol }: buildConnector.Options, callback: buildConnector.Callback): void {
    const { sessions } = this.#options;
    const isTls = protocol === 'https:';
    const to = { host: hostname, port: Number(port || (isTls ? 443 : 80)), noDelay: true };
    const socket = isTls
      ? connectTls({
          ...to,
          servername: isIP(hostname) === 0 ? hostname : '',
          ALPNProtocols: ['http/1.1'],
          ...(sessions.last === undefined ? {} : { session: sessions.last }),
        }).on('session', (session: Buffer) => (sessions.last = session))
      : connectTcp(to);
    this.#socket = socket;
    const read = socket.read.bind(socket) as () => Buffer | null;
    socket.read = () => (this.#exchange?.hasStatus === false ? afterContinue(read) : read());
    socket.setKeepAlive(true, TCP_KEEP_ALIVE_MS);
    let isConnecting = true;
    socket.once(isTls ? 'secureConnect' : 'connect', () => {
      isConnecting = false;
      callback(null, socket);
    });
    socket.on('error', (error: Error) => {
      if (!isConnecting) return;
      isConnecting = false;
      sessions.last = undefined;
      callback(error, null);
    });
  }
}

const CONTINUE = Buffer.from('HTTP/1.1 100');
const STATUS_AT = 9;
const HEAD_END = Buffer.from('\r\n\r\n');

/**
 * What comes from a server, but for `100 Continue`, which some send without being asked: undici takes it for a broken
 * answer, and an alert that was taken would be sent again for ever.
 */
function afterContinue(read: () => Buffer | null): Buffer | null {
  const chunk = read();
  if (chunk === null || chunk[STATUS_AT] !== CONTINUE[STATUS_AT] || chunk.indexOf(CONTINUE) !== 0)
    return chunk;
  const end = chunk.indexOf(HEAD_END);
  if (end === -1) return chunk;
  const rest = chunk.subarray(end + HEAD_END.length);
  return rest.length > 0 ? rest : read();
}
