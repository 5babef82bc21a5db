/**
 * A small HTTP client for talking to one node: keep-alive connections, a deadline for every request, errors with a mend.
 *
 * It never follows redirects, never repeats a request and never shows the key it sends. Invariant: each request settles
 * by its deadline, and an answer is bounded in size.
 */
import { Agent as HttpAgent, request as httpRequest } from 'node:http';
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { Clock } from '../../runtime/clock.ts';
import { CodedError, codeOf } from '../../runtime/errors.ts';
import { TlsAgent, tlsFault } from './client-tls.ts';
import type { ClientTls } from './client-tls.ts';

export interface HttpReply {
  status: number;
  headers: IncomingHttpHeaders;
  body: Buffer;
}

export interface HttpCall {
  method: 'GET' | 'PUT' | 'POST' | 'DELETE';
  path: string;
  headers?: Readonly<Record<string, string>>;
  body?: Buffer | string;
  /** Breaks the request off; it then rejects with `E_INTERRUPTED`. */
  signal?: AbortSignal;
  timeoutMs?: number;
}

export interface HttpClientOptions {
  /** Scheme, host and port; a path is kept as a prefix. */
  url: string;
  /** What listens there, for messages: `the admin API`. */
  target: string;
  /** The option that says where it is, for the mend: `--admin-url`. */
  urlOption: string;
  /** Asked at the first request, and at the first after `forgetKey`. */
  readKey: () => Promise<string>;
  clock: Clock;
  connectionsMax?: number;
  /** For https. */
  tls?: ClientTls | undefined;
}

/** The key has another value by now, or will have: it is to be read anew. */
export const KEY_ENDED_CODES: ReadonlySet<string> = new Set(['E_KEY_REFUSED', 'E_KEY_ROTATED']);

const TIMEOUT_MS = 15_000;
const REPLY_BYTES_MAX = 64 * 1024 * 1024;
const KEY_SHAPE = /^[\x21-\x7e]{1,254}$/;
const USER_AGENT = 'mutt-cli';
const SPEAKS_TLS =
  ' If it speaks TLS, set the MUTT_INGEST_TLS_… variables that it was started with, or give an https address.';
const UNCERTIFIED = ' If it asks for client certificates, give one with --tls-cert-file and --tls-key-file.';

export class HttpClient {
  readonly #options: HttpClientOptions;
  readonly #url: URL;
  readonly #agent: HttpAgent;
  #key: Promise<string> | undefined;

  /** Throws `E_URL_INVALID`. */
  constructor(options: HttpClientOptions) {
    this.#options = options;
    this.#url = parseUrl(options.url, options.urlOption);
    const agentOptions = { keepAlive: true, maxSockets: options.connectionsMax ?? 4 };
    this.#agent =
      this.#url.protocol === 'https:'
        ? new TlsAgent(agentOptions, options.tls ?? (() => ({})))
        : new HttpAgent(agentOptions);
  }

  /** The key is read anew for the next request. */
  forgetKey(): void {
    this.#key = undefined;
  }

  /**
   * Sends one request. Errors: `E_UNREACHABLE` (no connection could be made), `E_CONNECTION_BROKEN`, `E_REPLY_LATE`
   * (both may have been carried out), `E_REPLY_TOO_LARGE`, `E_INTERRUPTED`, `E_KEY_UNREADABLE`, `E_TLS_*`. Any status is a
   * reply.
   */
  async send(call: HttpCall): Promise<HttpReply> {
    this.#key ??= this.#options.readKey();
    const key = (await this.#key).trim();
    if (!KEY_SHAPE.test(key)) {
      throw new CodedError('E_KEY_UNREADABLE', `the key for ${this.#options.target} is not a key`, {
        mend: 'A key is one word of visible ASCII characters; give its file with the key option.',
      });
    }
    if (call.signal?.aborted === true) throw interrupted();
    return this.#exchange(call, key);
  }

  get clock(): Clock {
    return this.#options.clock;
  }

  close(): void {
    this.#agent.destroy();
  }

  #exchange(call: HttpCall, key: string): Promise<HttpReply> {
    const body = typeof call.body === 'string' ? Buffer.from(call.body) : call.body;
    const timeoutMs = call.timeoutMs ?? TIMEOUT_MS;
    return new Promise((resolve, reject) => {
      let isConnected = false;
      const start = this.#url.protocol === 'https:' ? httpsRequest : httpRequest;
      const request = start({
        protocol: this.#url.protocol,
        hostname: this.#url.hostname.replace(/^\[|\]$/g, ''),
        port: this.#url.port,
        path: `${this.#url.pathname.replace(/\/$/, '')}${call.path}`,
        method: call.method,
        agent: this.#agent,
        headers: {
          'user-agent': USER_AGENT,
          'x-api-key': key,
          ...(body === undefined ? {} : { 'content-length': String(body.length) }),
          ...call.headers,
        },
      });
      const finish = (settle: () => void): void => {
        cancelDeadline();
        call.signal?.removeEventListener('abort', onAbort);
        settle();
      };
      const fail = (error: CodedError): void =>
        finish(() => {
          reject(error);
          request.destroy();
        });
      const onAbort = (): void => fail(interrupted());
      const cancelDeadline = this.#options.clock.after(timeoutMs, () =>
        fail(this.#late(timeoutMs, isConnected)),
      );
      call.signal?.addEventListener('abort', onAbort);
      request.on('socket', (socket) => {
        if (!socket.connecting) isConnected = true;
        else socket.once('connect', () => (isConnected = true));
      });
      request.on('error', (error) => fail(this.#broken(error, isConnected)));
      request.on('response', (response) => {
        readBody(response).then(
          (replyBody) =>
            finish(() =>
              resolve({ status: response.statusCode ?? 0, headers: response.headers, body: replyBody }),
            ),
          (error: unknown) => fail(error instanceof CodedError ? error : this.#broken(error, true)),
        );
      });
      request.end(body);
    });
  }

  #late(timeoutMs: number, isConnected: boolean): CodedError {
    const { target } = this.#options;
    if (!isConnected) return this.#unreachable('no connection in time');
    return new CodedError('E_REPLY_LATE', `${target} has not answered within ${timeoutMs / 1_000} s`, {
      kind: 'transient',
      mend: 'Look at `mutt status` and the log of the node.',
    });
  }

  #broken(error: unknown, isConnected: boolean): CodedError {
    if (!isConnected) return this.#unreachable(describeFailure(codeOf(error)));
    const fault = tlsFault(error, this.#options.target);
    if (fault !== undefined) return fault;
    const isTls = this.#url.protocol === 'https:';
    return new CodedError('E_CONNECTION_BROKEN', `${this.#options.target} broke the connection off`, {
      kind: 'transient',
      mend: `The node may just have restarted: look at \`mutt status\`.${isTls ? UNCERTIFIED : SPEAKS_TLS}`,
      details: { cause: codeOf(error) },
    });
  }

  #unreachable(why: string): CodedError {
    const { target, urlOption } = this.#options;
    return new CodedError('E_UNREACHABLE', `${target} cannot be reached at ${this.#url.origin}: ${why}`, {
      kind: 'transient',
      mend: `Start the node with \`mutt start\`, set the MUTT_… variables that it was started with, or say where it is with ${urlOption}.`,
      details: { why },
    });
  }
}

function parseUrl(text: string, option: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isUsable =
    url !== undefined && (url.protocol === 'http:' || url.protocol === 'https:') && url.username === '';
  if (isUsable) return url;
  // The text may hold a password: it is not repeated.
  throw new CodedError('E_URL_INVALID', `the address given with ${option} cannot be used`, {
    mend: 'Give scheme, host and port, for example http://127.0.0.1:8080; credentials do not belong in it.',
  });
}

async function readBody(response: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > REPLY_BYTES_MAX) {
      throw new CodedError('E_REPLY_TOO_LARGE', `the answer is larger than ${REPLY_BYTES_MAX} bytes`, {
        mend: 'This is no answer of MUTT: check the address.',
      });
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

const FAILURES: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nobody listens there (connection refused)',
  ENOTFOUND: 'the host name is not known',
  EAI_AGAIN: 'the host name cannot be looked up now',
  EHOSTUNREACH: 'there is no route to the host',
  ENETUNREACH: 'there is no route to the network',
  ETIMEDOUT: 'no connection in time',
  ECONNRESET: 'the connection was broken off',
};

function describeFailure(code: string): string {
  return FAILURES[code] ?? code;
}

function interrupted(): CodedError {
  return new CodedError('E_INTERRUPTED', 'interrupted', { kind: 'transient' });
}
