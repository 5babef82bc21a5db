/**
 * One WebSocket to the ingest port: what the server says, as calls, until it closes.
 *
 * The key goes in a header of the upgrade, never in the address. Invariant: `closed` settles once, whatever happens, and
 * nothing is called after it.
 */
import { WebSocket } from 'ws';
import type { Clock } from '../../runtime/clock.ts';
import { CodedError } from '../../runtime/errors.ts';
import type { ClientTls } from './client-tls.ts';
import { printable } from './terminal-text.ts';

export const SOCKET_PATH = '/api/v2/ingest/ws';

/** The messages of docs/reference/websocket.md; unknown ones are left out. */
export interface SocketNews {
  onCredit(credit: number, messageBytesMax: number | undefined): void;
  onAck(ack: SocketAck): void;
  onNack(nack: { seq: number; code: string; message: string; retryAfterMs: number }): void;
}

export interface SocketAck {
  seq: number;
  /** Of this connection so far. */
  accepted: number;
  rejected: number;
  errors: { seq: number; index: number; code: string; message: string }[];
}

export interface SocketClosing {
  /** 1006 when it broke off or was never open. */
  code: number;
  reason: string;
  wasOpen: boolean;
}

const OPEN_TIMEOUT_MS = 10_000;
const BROKEN = 1_006;
const NORMAL = 1_000;
const RETRY_AFTER_MS_MAX = 60_000;

export class SocketConnection {
  readonly closed: Promise<SocketClosing>;
  readonly #socket: WebSocket;
  readonly #news: SocketNews;
  #isOpen = false;
  #isOver = false;

  constructor(options: {
    url: string;
    key: string;
    session: string;
    clock: Clock;
    tls?: ClientTls | undefined;
    news: SocketNews;
  }) {
    this.#news = options.news;
    const url = new URL(options.url);
    url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
    url.pathname = `${url.pathname.replace(/\/$/, '')}${SOCKET_PATH}`;
    const socket = new WebSocket(url, {
      headers: { 'x-api-key': options.key, 'mutt-session': options.session, 'user-agent': 'mutt-cli' },
      perMessageDeflate: false,
      ...(url.protocol === 'wss:' ? options.tls?.() : {}),
    });
    this.#socket = socket;
    this.closed = new Promise((resolve) => {
      const finish = (code: number, reason: string): void => {
        if (this.#isOver) return;
        this.#isOver = true;
        cancelDeadline();
        socket.close();
        resolve({ code, reason: printable(reason), wasOpen: this.#isOpen });
      };
      const cancelDeadline = options.clock.after(OPEN_TIMEOUT_MS, () => {
        if (!this.#isOpen) finish(BROKEN, 'it did not open in time');
      });
      socket.addEventListener('open', () => (this.#isOpen = true));
      socket.addEventListener('message', ({ data }) => this.#hear(data));
      socket.addEventListener('error', () => {
        if (!this.#isOpen) finish(BROKEN, 'it cannot be opened');
      });
      socket.addEventListener('close', ({ code, reason }) => finish(code, reason));
    });
  }

  /** Bytes that the system has not taken yet. */
  get bufferedBytes(): number {
    return this.#socket.bufferedAmount;
  }

  send(frame: Buffer): void {
    if (!this.#isOver) this.#socket.send(frame);
  }

  close(): void {
    if (!this.#isOver && this.#isOpen) this.#socket.close(NORMAL);
    else this.#socket.close();
  }

  #hear(data: unknown): void {
    if (this.#isOver || typeof data !== 'string') return;
    let message: Record<string, unknown>;
    try {
      message = JSON.parse(data) as Record<string, unknown>;
    } catch {
      return;
    }
    if (typeof message !== 'object' || message === null) return;
    const { credit, ack, nack } = message;
    if (isCount(ack)) this.#news.onAck({ seq: ack, ...ackedOf(message) });
    if (isCount(nack)) {
      const { code, message: text, retry_after_ms: retryAfterMs } = message;
      this.#news.onNack({
        seq: nack,
        code: typeof code === 'string' ? printable(code) : 'E_SOCKET_REFUSED',
        message: typeof text === 'string' ? printable(text) : 'a message was refused',
        retryAfterMs: isCount(retryAfterMs) ? Math.min(RETRY_AFTER_MS_MAX, retryAfterMs) : 0,
      });
    }
    if (isCount(credit)) {
      const { message_bytes_max: bytesMax } = message;
      this.#news.onCredit(credit, isCount(bytesMax) ? bytesMax : undefined);
    }
  }
}

/** A close that will happen again unless something is changed. */
export function refusedBy({ code, reason }: SocketClosing): CodedError {
  return new CodedError('E_SOCKET_REFUSED', `the node has closed the WebSocket: ${reason} (${code})`, {
    mend: 'The node and this command may be of different versions: send without --ws, or use the same version.',
    details: { code },
  });
}

function ackedOf(message: Record<string, unknown>): Omit<SocketAck, 'seq'> {
  const { accepted, rejected, errors } = message;
  return {
    accepted: isCount(accepted) ? accepted : 0,
    rejected: isCount(rejected) ? rejected : 0,
    errors: Array.isArray(errors) ? (errors as unknown[]).flatMap((error) => errorOf(error)) : [],
  };
}

function errorOf(error: unknown): SocketAck['errors'] {
  const { seq, index, code, message } = (error ?? {}) as Record<string, unknown>;
  if (!isCount(seq) || !isCount(index) || typeof code !== 'string' || typeof message !== 'string') return [];
  return [{ seq, index, code: printable(code), message: printable(message) }];
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}
