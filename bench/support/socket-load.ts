/**
 * A load generator for the ingest WebSocket, in its own process, on raw sockets: N connections, each a session of its own
 * with numbered messages, which sends as long as it has credit (docs/reference/websocket.md). A message's latency is from
 * its sending to the ack that covers it.
 *
 * Frames are masked with zeros, which leaves the bytes as they are: what is measured is the server.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { Meter, bodyOf, generate, runGenerator } from './load.ts';
import type { LoadOptions, LoadReport } from './load.ts';

const HEAD_END = '\r\n\r\n';
const BINARY_FRAME = 0x82;
const TEXT = 1;
const PING = 9;
const PONG_FRAME = 0x8a;
const MASKED = 0x80;
const LENGTH_16 = 126;
const LENGTH_64 = 127;
const MASK_BYTES = 4;

/** Runs the generator in a process of its own and resolves with its report. */
export function runSocketLoad(options: LoadOptions): Promise<LoadReport> {
  return runGenerator(fileURLToPath(import.meta.url), options);
}

/** What the server says; each member in some messages only. */
interface Said {
  credit?: number;
  ack?: number;
  nack?: number;
  code?: string;
}

class Connection {
  readonly #socket: Socket;
  readonly #nextBody: () => Buffer;
  readonly #meter: Meter;
  /** When the messages without an ack were sent, oldest first. */
  readonly #sentMs: number[] = [];
  #acked = 0;
  #sequence = 0;
  #credit = 0;
  #received: Buffer = Buffer.alloc(0);
  #isOpen = false;

  constructor(options: LoadOptions, nextBody: () => Buffer, meter: Meter) {
    this.#nextBody = nextBody;
    this.#meter = meter;
    this.#socket = connect({ port: options.port, host: options.host ?? '127.0.0.1', noDelay: true });
    const lines = [
      `GET ${options.path ?? '/api/v2/ingest/ws'} HTTP/1.1`,
      'Host: load',
      'Connection: Upgrade',
      'Upgrade: websocket',
      'Sec-WebSocket-Version: 13',
      `Sec-WebSocket-Key: ${randomBytes(16).toString('base64')}`,
      `Mutt-Session: ${randomUUID()}`,
      ...Object.entries(options.headers ?? {}).map(([name, value]) => `${name}: ${value}`),
    ];
    this.#socket.write(`${lines.join('\r\n')}${HEAD_END}`);
    this.#socket.on('data', (chunk) => this.#take(chunk));
    this.#socket.on('error', () => undefined);
    this.#socket.on('close', () => this.#meter.broke());
  }

  #take(chunk: Buffer): void {
    this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk]);
    if (!this.#isOpen) {
      const end = this.#received.indexOf(HEAD_END);
      if (end === -1) return;
      const status = this.#received.toString('latin1', 9, 12);
      if (status !== '101') throw new Error(`The upgrade was answered ${status}.`);
      this.#isOpen = true;
      this.#received = this.#received.subarray(end + HEAD_END.length);
    }
    for (let frame = this.#nextFrame(); frame !== undefined; frame = this.#nextFrame()) {
      if (frame.opcode === TEXT) this.#hear(JSON.parse(frame.payload.toString()) as Said);
      else if (frame.opcode === PING) this.#socket.write(maskedHead(PONG_FRAME, 0));
    }
    this.#send();
  }

  /** Frames of a server are not masked, and these are short. */
  #nextFrame(): { opcode: number; payload: Buffer } | undefined {
    const bytes = this.#received;
    if (bytes.length < 2) return undefined;
    let [from, length] = [2, bytes.readUInt8(1)];
    if (length === LENGTH_16) {
      if (bytes.length < 4) return undefined;
      [from, length] = [4, bytes.readUInt16BE(2)];
    }
    if (bytes.length < from + length) return undefined;
    this.#received = bytes.subarray(from + length);
    return { opcode: bytes.readUInt8(0) & 0x0f, payload: bytes.subarray(from, from + length) };
  }

  #hear({ credit = 0, ack, nack, code = '' }: Said): void {
    this.#credit += credit;
    if (nack !== undefined) throw new Error(`Message ${nack} was refused: ${code}.`);
    if (ack === undefined) return;
    const nowMs = performance.now();
    for (const sentMs of this.#sentMs.splice(0, ack - this.#acked)) {
      this.#meter.answered('200', nowMs - sentMs, this.#meter.covers(nowMs));
    }
    this.#acked = ack;
  }

  #send(): void {
    if (this.#credit === 0) return;
    const nowMs = performance.now();
    const pieces: Buffer[] = [];
    for (; this.#credit > 0; this.#credit--) {
      const [number, body] = [Buffer.from(`{"seq":${++this.#sequence}}\n`), this.#nextBody()];
      pieces.push(maskedHead(BINARY_FRAME, number.length + body.length), number, body);
      this.#sentMs.push(nowMs);
    }
    this.#socket.write(Buffer.concat(pieces));
  }
}

function maskedHead(first: number, length: number): Buffer {
  if (length < LENGTH_16) return Buffer.from([first, MASKED | length, 0, 0, 0, 0]);
  const isShort = length < 65_536;
  const head = Buffer.alloc((isShort ? 4 : 10) + MASK_BYTES);
  head[0] = first;
  head[1] = MASKED | (isShort ? LENGTH_16 : LENGTH_64);
  if (isShort) head.writeUInt16BE(length, 2);
  else head.writeBigUInt64BE(BigInt(length), 2);
  return head;
}

async function run(options: LoadOptions): Promise<LoadReport> {
  const bodies = options.bodies.map((body) => bodyOf(body, options));
  const meter = new Meter();
  let next = 0;
  const nextBody = (): Buffer => bodies[next++ % bodies.length] as Buffer;
  for (let at = 0; at < options.connections; at++) new Connection(options, nextBody, meter);
  await meter.measure(options);
  return meter.report();
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await generate(run);
