/**
 * One POST and its answer, whatever becomes of the connection: it ends once, with a reply or with an error, and at the
 * latest when its time is over.
 *
 * Invariants: a bounded part of the answer is kept; once there is a status that is the answer, also when the rest of it
 * does not come, since asking again would send the alert twice.
 */
import type { Dispatcher } from 'undici';
import type { WebhookReply } from '../../actors/ports.ts';

const REPLY_BYTES_KEPT = 2_048;
const REPLY_BYTES_MAX = 1024 * 1024;

export interface ExchangeRequest {
  path: string;
  headers: Readonly<Record<string, string>>;
  body: string;
}

export class Exchange implements Dispatcher.DispatchHandler {
  readonly options: Dispatcher.DispatchOptions;
  readonly #timeoutMs: number;
  readonly #resolve: (reply: WebhookReply) => void;
  readonly #reject: (error: Error) => void;
  readonly #timer: NodeJS.Timeout;
  #status = 0;
  #headers: WebhookReply['headers'] = {};
  readonly #kept: Buffer[] = [];
  #bytes = 0;
  #isOver = false;
  /** Told when it is over: whether its connection has had the whole answer, and can have another request. */
  onOver: ((isAnswered: boolean) => void) | undefined;

  constructor(
    { path, headers, body }: ExchangeRequest,
    timeoutMs: number,
    resolve: (reply: WebhookReply) => void,
    reject: (error: Error) => void,
  ) {
    this.options = { path, method: 'POST', headers, body };
    this.#timeoutMs = timeoutMs;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#timer = setTimeout(timeOut, timeoutMs, this);
  }

  get hasStatus(): boolean {
    return this.#status !== 0;
  }

  onRequestStart(): void {
    // There is nothing to be done before the answer.
  }

  onResponseStart(_controller: unknown, status: number, headers: WebhookReply['headers']): void {
    // Of the 1xx nothing has become of the alert yet.
    if (status < 200) return;
    this.#status = status;
    this.#headers = headers;
  }

  onResponseData(_controller: unknown, chunk: Buffer): void {
    if (this.#bytes < REPLY_BYTES_KEPT) this.#kept.push(chunk.subarray(0, REPLY_BYTES_KEPT - this.#bytes));
    this.#bytes += chunk.length;
    // A destination that answers without end: the rest of its talk is cut off with the connection.
    if (this.#bytes > REPLY_BYTES_MAX) this.#end(undefined, false);
  }

  onResponseEnd(): void {
    this.#end(undefined, true);
  }

  onResponseError(_controller: unknown, error: Error): void {
    this.#end(networkError(error), false);
  }

  timeOut(): void {
    const text = `no answer within ${this.#timeoutMs} ms`;
    this.#end(Object.assign(new Error(text), { code: 'ETIMEDOUT' }), false);
  }

  /** Nothing will come of it any more. */
  fail(error: Error): void {
    this.#end(error, false);
  }

  #end(error: Error | undefined, isAnswered: boolean): void {
    if (this.#isOver) return;
    this.#isOver = true;
    clearTimeout(this.#timer);
    if (error !== undefined && this.#status === 0) this.#reject(error);
    else this.#resolve({ status: this.#status, headers: this.#headers, excerpt: this.#excerpt() });
    this.onOver?.(isAnswered);
  }

  #excerpt(): string {
    const [first] = this.#kept;
    if (first === undefined) return '';
    return (this.#kept.length === 1 ? first : Buffer.concat(this.#kept)).toString('utf8');
  }
}

/** One function for all, so that a request makes none. */
function timeOut(exchange: Exchange): void {
  exchange.timeOut();
}

/**
 * With the code that the network and Node's own parser have for it: undici has one of its own for a connection that the
 * other side has closed, and none for what is no HTTP.
 */
function networkError(error: Error & { code?: string }): Error {
  if (error.name === 'HTTPParserError' && error.code === undefined)
    return Object.assign(error, { code: 'HPE_INVALID_RESPONSE' });
  if (error.code !== 'UND_ERR_SOCKET') return error;
  return Object.assign(new Error(`the connection was closed before the answer: ${error.message}`), {
    code: 'ECONNRESET',
  });
}
