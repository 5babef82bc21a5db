/**
 * A WebSocket client over a bare socket (RFC 6455), because these specs need one that stops reading, sends what it may
 * not, and says what the server closed with.
 */
import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { until } from '../../../support/node-under-test.ts';

const TEXT = 0x1;
export const BINARY = 0x2;
const CLOSE = 0x8;
const PING = 0x9;
const PONG = 0xa;

export interface Received {
  type: string;
  [field: string]: unknown;
}

export class RawWebSocket {
  readonly socket: Socket;
  /** Everything received, oldest first. */
  readonly messages: Received[] = [];
  /** The status line and headers of the answer to the upgrade, and its body when it was refused. */
  answer = '';
  closeCode: number | undefined;
  isClosed = false;
  #bytes = Buffer.alloc(0);
  #isOpen = false;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (chunk) => this.#take(chunk));
    socket.on('error', () => undefined);
    socket.on('end', () => socket.destroy());
    socket.on('close', () => (this.isClosed = true));
  }

  /** Resolves when the upgrade is answered, whatever the answer; throws when there is none. */
  static async open(
    port: number,
    headers: Readonly<Record<string, string>> = {},
    path = '/api/v2/stream',
  ): Promise<RawWebSocket> {
    const client = new RawWebSocket(connect(port, '127.0.0.1'));
    const lines = [
      `GET ${path} HTTP/1.1`,
      'Host: spec',
      'Connection: Upgrade',
      'Upgrade: websocket',
      'Sec-WebSocket-Version: 13',
      `Sec-WebSocket-Key: ${randomBytes(16).toString('base64')}`,
      ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
    ];
    client.socket.write(`${lines.join('\r\n')}\r\n\r\n`);
    await until(
      async () => client.answer !== '' || client.isClosed,
      10_000,
      () => 'no answer to the upgrade',
    );
    return client;
  }

  get status(): number {
    return Number(this.answer.slice(9, 12));
  }

  /** Of a refusal. */
  get problem(): Record<string, unknown> {
    return JSON.parse(this.answer.slice(this.answer.indexOf('\r\n\r\n') + 4)) as Record<string, unknown>;
  }

  send(message: unknown): void {
    this.sendFrame(Buffer.from(typeof message === 'string' ? message : JSON.stringify(message)), TEXT);
  }

  sendFrame(payload: Buffer, opcode: number): void {
    const mask = randomBytes(4);
    const head = Buffer.from([
      0x80 | opcode,
      0x80 | lengthCode(payload.length),
      ...lengthBytes(payload.length),
    ]);
    const masked = Buffer.from(payload.map((byte, at) => byte ^ (mask[at % 4] ?? 0)));
    this.socket.write(Buffer.concat([head, mask, masked]));
  }

  ofType(type: string): Received[] {
    return this.messages.filter((message) => message.type === type);
  }

  /** The first message of a type after so many of it. */
  async next(type: string, after = 0, timeoutMs = 20_000): Promise<Received> {
    await until(
      async () => this.ofType(type).length > after,
      timeoutMs,
      () => `no ${type}: ${JSON.stringify(this.messages).slice(0, 2_000)}`,
    );
    return this.ofType(type)[after] as Received;
  }

  async closed(timeoutMs = 20_000): Promise<void> {
    await until(
      async () => this.isClosed,
      timeoutMs,
      () => 'the stream is still open',
    );
  }

  close(): void {
    this.socket.destroy();
  }

  #take(chunk: Buffer): void {
    this.#bytes = Buffer.concat([this.#bytes, chunk]);
    if (!this.#isOpen && !this.#takeAnswer()) return;
    while (this.#takeFrame());
  }

  #takeAnswer(): boolean {
    const end = this.#bytes.indexOf('\r\n\r\n');
    if (end === -1) return false;
    const head = this.#bytes.subarray(0, end + 4).toString('latin1');
    if (!head.startsWith('HTTP/1.1 101')) {
      const length = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0);
      if (this.#bytes.length >= head.length + length) this.answer = this.#bytes.toString('utf8');
      return false;
    }
    this.answer = head;
    this.#isOpen = true;
    this.#bytes = this.#bytes.subarray(end + 4);
    return true;
  }

  #takeFrame(): boolean {
    const bytes = this.#bytes;
    if (bytes.length < 2) return false;
    const opcode = bytes.readUInt8(0) & 0x0f;
    const short = bytes.readUInt8(1) & 0x7f;
    const at = short === 127 ? 10 : short === 126 ? 4 : 2;
    if (bytes.length < at) return false;
    const length =
      short === 127 ? Number(bytes.readBigUInt64BE(2)) : short === 126 ? bytes.readUInt16BE(2) : short;
    if (bytes.length < at + length) return false;
    const payload = bytes.subarray(at, at + length);
    this.#bytes = bytes.subarray(at + length);
    if (opcode === TEXT) this.messages.push(JSON.parse(payload.toString('utf8')) as Received);
    else if (opcode === PING) this.sendFrame(payload, PONG);
    else if (opcode === CLOSE) this.closeCode = payload.length >= 2 ? payload.readUInt16BE(0) : 1005;
    return true;
  }
}

function lengthCode(length: number): number {
  return length < 126 ? length : length < 65_536 ? 126 : 127;
}

function lengthBytes(length: number): Buffer {
  const bytes = Buffer.alloc(length < 126 ? 0 : length < 65_536 ? 2 : 8);
  if (bytes.length === 2) bytes.writeUInt16BE(length);
  if (bytes.length === 8) bytes.writeBigUInt64BE(BigInt(length));
  return bytes;
}
