/**
 * Talks to a server over a bare socket, byte by byte, because HTTP clients refuse to send what these specs send.
 */
import { connect } from 'node:net';
import type { Socket } from 'node:net';

export interface RawReply {
  status: number;
  /** Names in lower case. */
  headers: Record<string, string>;
  body: string;
}

export interface RawExchange {
  replies: RawReply[];
  /** The server ended the connection. */
  isClosed: boolean;
  text: string;
}

/** Something to send, or milliseconds to wait before the next. */
export type RawPart = string | Uint8Array | number;

/**
 * Sends the parts and resolves when `replies` whole replies are there (default 1), the server has closed the
 * connection, or `waitMs` have passed. Strings are sent as Latin-1. Never rejects.
 */
export function rawExchange(
  port: number,
  parts: readonly RawPart[],
  options: { replies?: number; waitMs?: number; untilClosed?: boolean } = {},
): Promise<RawExchange> {
  const { replies = 1, waitMs = 2_000, untilClosed = false } = options;
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    let text = '';
    let isClosed = false;
    const done = (): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve({ replies: repliesIn(text), isClosed, text });
    };
    const timer = setTimeout(done, waitMs);
    socket.on('data', (data) => {
      text += data.toString('latin1');
      if (!untilClosed && repliesIn(text).length >= replies) done();
    });
    socket.on('error', () => undefined);
    socket.on('end', () => (isClosed = true));
    socket.on('close', () => {
      isClosed = true;
      done();
    });
    void sendAll(socket, parts);
  });
}

async function sendAll(socket: Socket, parts: readonly RawPart[]): Promise<void> {
  for (const part of parts) {
    if (typeof part === 'number') await new Promise((resolve) => setTimeout(resolve, part));
    else if (!socket.destroyed) socket.write(typeof part === 'string' ? Buffer.from(part, 'latin1') : part);
  }
}

/** The final replies (no 1xx) that are complete in the text. */
export function repliesIn(text: string): RawReply[] {
  const replies: RawReply[] = [];
  let rest = text;
  for (;;) {
    const end = rest.indexOf('\r\n\r\n');
    if (end === -1 || !rest.startsWith('HTTP/1.1 ')) return replies;
    const [statusLine = '', ...lines] = rest.slice(0, end).split('\r\n');
    const headers: Record<string, string> = {};
    for (const line of lines)
      headers[line.slice(0, line.indexOf(':')).toLowerCase()] = line.slice(line.indexOf(':') + 2);
    const status = Number(statusLine.slice(9, 12));
    const length = Number(headers['content-length'] ?? 0);
    const bodyAt = end + 4;
    if (rest.length < bodyAt + length) return replies;
    // The server's own 400, 431 and 505 carry no length and end with the connection.
    const hasLength = headers['content-length'] !== undefined || headers.connection !== 'close';
    const body = rest.slice(bodyAt, hasLength ? bodyAt + length : undefined);
    if (status >= 200) replies.push({ status, headers, body });
    rest = hasLength ? rest.slice(bodyAt + length) : '';
  }
}
