/**
 * What a hostile, broken or dying sender puts on the wire of an ingest port, connection by connection, and which answers to
 * that are right.
 *
 * Nothing in it may be stored, but the events of senders that go away before they are answered: those are made by whoever
 * asks for it, so that they are accounted for like all others. It comes from an address of its own where the system has
 * one: what a node does about a bad address (slower refusals, shares) is not to hit the good traffic.
 */
import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { setTimeout as sleepFor } from 'node:timers/promises';
import { WIRE_GARBAGE } from './wire-garbage-kinds.ts';
import type { WireGarbage, WireGarbageName } from './wire-garbage-kinds.ts';

export interface WireTarget {
  /** Of an ingest port on this machine. */
  port: number;
  /** One that the port takes. */
  key: string;
  random: () => number;
  /** Ends it early. */
  signal: AbortSignal;
  /** The document of a new event which may be stored or not. */
  make: () => Readonly<Record<string, string>>;
  /** Told of every answer that is not right. */
  complain: (text: string) => void;
}

/** So long a sender that waits is let wait. */
const HOLD_MS = 2_500;
/** And one that asks: rejects are answered when PostgreSQL has them. */
const LISTEN_MS = 15_000;
const CONNECT_MS = 5_000;
const SOCKET_KEY_BYTES = 16;
const HELLO_MS = 3_000;
/** Of what is answered, what is looked at. */
const ANSWER_BYTES_MAX = 64 * 1024;
const ADDRESS = process.platform === 'linux' ? '127.0.0.66' : undefined;

/** Everything but these is wrong, whatever was sent: relays stop, drop or redirect on others (docs/reference/http-api.md). */
const RIGHT_STATUSES: readonly number[] = [101, 200, 204, 400, 401, 403, 404, 405, 413, 426, 431, 503, 505];

/** Sends all connections of one kind at once; gives the statuses of all answers when the last has ended. */
export async function sendGarbage(name: WireGarbageName, target: WireTarget): Promise<number[]> {
  const garbage: WireGarbage = WIRE_GARBAGE[name];
  const answers = await Promise.all(
    Array.from({ length: garbage.connections }, (_, nth) => sendOne(garbage, nth, target)),
  );
  for (const answer of answers) {
    for (const wrong of wrongAnswers(answer, garbage.mayBeStored === true))
      target.complain(`to ${name}: ${wrong}`);
  }
  return answers.flatMap(statusesIn);
}

/** What was answered. */
async function sendOne(garbage: WireGarbage, nth: number, target: WireTarget): Promise<string> {
  const sender = new Sender(target, garbage.isDeaf === true);
  try {
    if (!(await sender.connected())) return '';
    const { key, random, make } = target;
    const socketKey = randomBytes(SOCKET_KEY_BYTES).toString('base64');
    const pieces = await garbage.pieces({ key, random, make, nth, socketKey });
    for (const [at, piece] of pieces.entries()) {
      if (at > 0 && garbage.waitsForHello === true) await sender.answered(HELLO_MS);
      sender.write(piece);
      if (garbage.everyMs !== undefined) await sender.pause(garbage.everyMs);
    }
    if (garbage.end === 'finish') sender.finish();
    if (garbage.end === 'reset') await sender.reset();
    else if (garbage.end === 'listen') await sender.answered(LISTEN_MS);
    else await sender.ended(HOLD_MS);
    return sender.answer;
  } finally {
    sender.close();
  }
}

/** One line for each answer that is not right. */
export function wrongAnswers(answer: string, mayBeStored: boolean): string[] {
  const wrong = statusesIn(answer)
    .filter((status) => !RIGHT_STATUSES.includes(status))
    .map((status) => `answered with ${status}`);
  if (mayBeStored) return wrong;
  // Of a reply, and of an ack over a WebSocket.
  for (const [text, count] of answer.matchAll(/"accepted":(\d+)/g)) {
    if (Number(count) > 0) wrong.push(`answered with ${text}`);
  }
  return wrong;
}

function statusesIn(answer: string): number[] {
  return [...answer.matchAll(/HTTP\/1\.1 (\d{3})/g)].map(([, digits]) => Number(digits));
}

class Sender {
  readonly #socket: Socket;
  readonly #signal: AbortSignal;
  /** Nobody waits for a connection that is gone. */
  readonly #gone = new AbortController();
  readonly #chunks: Buffer[] = [];
  #bytes = 0;
  readonly #over: Promise<void>;
  readonly #onAbort = (): void => void this.#socket.destroy();
  #onData: (() => void) | undefined;

  constructor({ port, signal }: WireTarget, isDeaf: boolean) {
    this.#signal = signal;
    this.#socket = connect({
      port,
      host: '127.0.0.1',
      ...(ADDRESS === undefined ? {} : { localAddress: ADDRESS }),
    });
    this.#socket.on('error', () => undefined);
    this.#over = new Promise((resolve) => {
      this.#socket.on('close', () => {
        this.#gone.abort();
        resolve();
      });
    });
    if (!isDeaf) {
      this.#socket.on('data', (chunk: Buffer) => {
        if (this.#bytes < ANSWER_BYTES_MAX) this.#chunks.push(chunk);
        this.#bytes += chunk.length;
        this.#onData?.();
      });
    }
    signal.addEventListener('abort', this.#onAbort, { once: true });
    if (signal.aborted) this.#socket.destroy();
  }

  get answer(): string {
    return Buffer.concat(this.#chunks).toString('latin1', 0, ANSWER_BYTES_MAX);
  }

  /** False when nobody listens: a node that is being started again is no fault of this one. */
  async connected(): Promise<boolean> {
    const isConnected = new Promise<boolean>((resolve) => {
      this.#socket.once('connect', () => resolve(true));
    });
    return Promise.race([
      isConnected,
      this.#over.then(() => false),
      this.pause(CONNECT_MS).then(() => false),
    ]);
  }

  write(piece: string | Buffer): void {
    if (this.#socket.writable) this.#socket.write(piece);
  }

  finish(): void {
    this.#socket.end();
  }

  /** What was written leaves before. */
  async reset(): Promise<void> {
    await new Promise<void>((resolve) => {
      if (!this.#socket.writable) resolve();
      else this.#socket.write('', () => resolve());
      void this.#over.then(resolve);
    });
    this.#socket.resetAndDestroy();
  }

  async ended(withinMs: number): Promise<void> {
    await Promise.race([this.#over, this.pause(withinMs)]);
  }

  /** Something was answered. */
  async answered(withinMs: number): Promise<void> {
    if (this.#bytes > 0) return;
    const isHeard = new Promise<void>((resolve) => (this.#onData = resolve));
    await Promise.race([isHeard, this.#over, this.pause(withinMs)]);
  }

  async pause(ms: number): Promise<void> {
    await sleepFor(ms, undefined, { signal: this.#gone.signal }).catch(() => undefined);
  }

  close(): void {
    this.#signal.removeEventListener('abort', this.#onAbort);
    this.#socket.destroy();
    this.#gone.abort();
  }
}
