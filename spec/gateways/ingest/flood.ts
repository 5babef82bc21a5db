/**
 * Senders over bare sockets, from an address of their own: a flood that never waits, and a quiet one that is timed.
 */
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { repliesIn } from '../http/raw-http.ts';

export interface SenderOptions {
  port: number;
  /** A whole request. */
  request: Uint8Array;
  /** Of the loopback network, so that one machine has many sources: 127.0.0.2. */
  localAddress?: string;
}

/** Many connections; each sends again as soon as it has its answer. */
export class Flood {
  /** Answers by status. */
  readonly answers: Record<number, number> = {};
  readonly #options: SenderOptions;
  readonly #sockets = new Set<Socket>();
  #isOver = false;

  constructor(options: SenderOptions & { connections: number }) {
    this.#options = options;
    for (let at = 0; at < options.connections; at++) this.#open();
  }

  get answered(): number {
    return Object.values(this.answers).reduce((sum, count) => sum + count, 0);
  }

  stop(): void {
    this.#isOver = true;
    for (const socket of this.#sockets) socket.destroy();
  }

  #open(): void {
    if (this.#isOver) return;
    const { request } = this.#options;
    const socket = openSocket(this.#options);
    this.#sockets.add(socket);
    let text = '';
    socket.on('connect', () => socket.write(request));
    socket.on('data', (data) => {
      text += data.toString('latin1');
      const [reply] = repliesIn(text);
      if (reply === undefined) return;
      text = '';
      this.answers[reply.status] = (this.answers[reply.status] ?? 0) + 1;
      socket.write(request);
    });
    socket.on('close', () => {
      this.#sockets.delete(socket);
      setTimeout(() => this.#open(), 10);
    });
  }
}

export interface Answer {
  status: number;
  /** From when it was due, however late it was sent. */
  tookMs: number;
}

/** Sends a request every so often, whether the one before it is answered or not, over connections that are kept. */
export async function sendQuietly(
  options: SenderOptions & { everyMs: number; times: number },
): Promise<Answer[]> {
  const { request, everyMs, times } = options;
  const all: Socket[] = [];
  const idle: Socket[] = [];
  const startedMs = performance.now();
  const send = async (at: number): Promise<Answer> => {
    const dueMs = startedMs + at * everyMs;
    await new Promise((resolve) => setTimeout(resolve, dueMs - performance.now()));
    let socket = idle.pop();
    if (socket === undefined) all.push((socket = openSocket(options)));
    const status = await ask(socket, request);
    idle.push(socket);
    return { status, tookMs: performance.now() - dueMs };
  };
  try {
    return await Promise.all(Array.from({ length: times }, (_, at) => send(at)));
  } finally {
    for (const socket of all) socket.destroy();
  }
}

/** The time within which this part of the answers came. */
export function quantileMs(answers: readonly Answer[], part: number): number {
  const sorted = answers.map(({ tookMs }) => tookMs).sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] ?? NaN;
}

/** The status of the answer; 0 when the connection broke. */
function ask(socket: Socket, request: Uint8Array): Promise<number> {
  return new Promise((resolve) => {
    let text = '';
    const take = (data: Buffer): void => {
      text += data.toString('latin1');
      const [reply] = repliesIn(text);
      if (reply !== undefined) done(reply.status);
    };
    const broken = (): void => done(0);
    const done = (status: number): void => {
      socket.off('data', take).off('close', broken);
      resolve(status);
    };
    socket.on('data', take).on('close', broken);
    socket.write(request);
  });
}

function openSocket({ port, localAddress = '127.0.0.1' }: SenderOptions): Socket {
  const socket = connect({ port, host: '127.0.0.1', localAddress });
  socket.on('error', () => undefined);
  return socket;
}
