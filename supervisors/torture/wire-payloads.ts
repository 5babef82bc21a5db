/** What garbage on the wire is made of: heads, bodies that are hostile in their format, frames of WebSockets. */
import { promisify } from 'node:util';
import { deflate, gzip } from 'node:zlib';
import { knownText } from './known-event.ts';

export type Piece = string | Buffer;

export const INGEST = '/api/v2/ingest';
export const INGEST_SOCKET = `${INGEST}/ws`;
const OTLP = '/v1/logs';
const LOKI = '/loki/api/v1/push';
const MIB = 1_048_576;
const UNPACKED_MIB = 100;
/** The length of a frame that is written in two bytes, and in eight. */
const LENGTH_16 = 126;
const LENGTH_64 = 127;

export function lines(...texts: readonly string[]): string {
  return `${texts.join('\r\n')}\r\n\r\n`;
}

/** Of a POST of events. Without a User-Agent it would be taken for a relay, to which nothing is refused. */
export function head(key: string, ...headers: readonly string[]): string {
  return lines(`POST ${INGEST} HTTP/1.1`, 'host: a', 'user-agent: torture', `x-api-key: ${key}`, ...headers);
}

export function request(key: string, body: Piece, path = INGEST, ...headers: readonly string[]): Buffer {
  const first = lines(
    `POST ${path} HTTP/1.1`,
    'host: a',
    'user-agent: torture',
    `x-api-key: ${key}`,
    `content-length: ${Buffer.byteLength(body)}`,
    ...headers,
  );
  return Buffer.concat([Buffer.from(first), Buffer.from(body)]);
}

/** An event of nobody: were it stored, the verdict would find a row that nobody sent. */
export function unsent(): string {
  return JSON.stringify({
    hostname: 'nobody',
    message: knownText({ host: 'nobody', sequence: 0 }, true),
    timestamp: new Date().toISOString(),
  });
}

export function noise(bytes: number, random: () => number): Buffer {
  return Buffer.from(Uint8Array.from({ length: bytes }, () => random() * 256));
}

/** None of them is an event. They begin as JSON does, since anything else would be read as lines. */
export const HOSTILE_JSON: readonly (() => Piece)[] = [
  () => '['.repeat(100_000),
  () => '{"a":'.repeat(50_000),
  () => `[{"hostname":"nobody","message":"${'x'.repeat(MIB)}`,
  () =>
    '[{"__proto__":{"hostname":"nobody"},"constructor":{"prototype":{}},"toString":1,"hasOwnProperty":0}]',
  () => `[${unsent().replace(/"timestamp":"[^"]*"/, '"timestamp":1e999')}]`,
  () => `[${unsent().replace(/"message":"[^"]*"/, '"message":" "')}]`,
  () => `[${unsent().replace('known', 'x'.repeat(70_000))}]`,
  () => `[{${Array.from({ length: 5_000 }, (_, n) => `"k${n}":${n}`).join()}}]`,
  () => '[{"hostname":"\\ud800\\u0000","message":1,"timestamp":[]}]',
  () => '{"hostname":"nobody","message":"',
  () => '[null,true,1,"x",[],{}]',
  () => `[{}${',{}'.repeat(150)}]`,
  () => Buffer.concat([Buffer.from('[{"hostname":"'), Buffer.alloc(1_000, 0xff), Buffer.from('"}]')]),
  () => `[${'9'.repeat(60_000)}]`,
  () => `[${'{"a":['.repeat(31)}${']}'.repeat(31)}]`,
  () => `[{"hostname":${JSON.stringify('h'.repeat(300))},"message":"x","timestamp":0}]`,
];

/** Maps and arrays that announce billions, are nested without end, hold what there is not, or break off. */
export const HOSTILE_MSGPACK: readonly Buffer[] = [
  Buffer.from('dfffffffff', 'hex'),
  Buffer.from('ddffffffff', 'hex'),
  Buffer.alloc(100_000, 0x91),
  Buffer.alloc(100_000, 0x81),
  Buffer.concat([Buffer.from('81a8', 'hex'), Buffer.from('hostname'), Buffer.from('dbffffffff', 'hex')]),
  Buffer.from('91c9ffffffff01', 'hex'),
  Buffer.from('91c1', 'hex'),
  Buffer.from('82a16bcb7ff8000000000000', 'hex'),
  Buffer.from('81a16bc6ffffffff', 'hex'),
  Buffer.from('92d70000000000000000000081a16ba176', 'hex'),
];

export async function hostileCompression(key: string, nth: number, random: () => number): Promise<Buffer> {
  const send = (encoding: string, body: Buffer): Buffer =>
    request(key, body, INGEST, `content-encoding: ${encoding}`);
  const packed = await promisify(gzip)(`[${unsent()}]`);
  switch (nth % 9) {
    case 0: {
      // One member after another, so that it is not unpacked here first.
      const one = await promisify(gzip)(Buffer.alloc(MIB, '{"a":1}\n'));
      return send('gzip', Buffer.concat(Array.from({ length: UNPACKED_MIB }, () => one)));
    }
    case 1:
      return send('deflate', await promisify(deflate)(Buffer.alloc(UNPACKED_MIB * MIB)));
    case 2:
      return send('gzip', packed.subarray(0, packed.length - 9));
    case 3: {
      const wrongSum = Buffer.from(packed);
      wrongSum.writeUInt32LE((wrongSum.readUInt32LE(packed.length - 8) ^ 1) >>> 0, packed.length - 8);
      return send('gzip', wrongSum);
    }
    case 4:
      return send('gzip', noise(2_000, random));
    case 5:
      return send('zstd', Buffer.concat([Buffer.from('28b52ffd', 'hex'), noise(2_000, random)]));
    case 6:
      return send('snappy', Buffer.concat([Buffer.from('ffffffff0f', 'hex'), noise(2_000, random)]));
    case 7:
      return send('deflate', noise(2_000, random));
    default:
      return send('gzip, gzip, gzip', packed);
  }
}

export function hostileProtobuf(key: string, nth: number, random: () => number): Buffer {
  const type = 'content-type: application/x-protobuf';
  const nested = Buffer.alloc(60_000, Buffer.from('0affff03', 'hex'));
  switch (nth % 6) {
    case 0:
      return request(key, noise(2_000, random), OTLP, type);
    case 1:
      return request(key, Buffer.from('0affffffff0f0a', 'hex'), OTLP, type);
    case 2:
      return request(key, nested, OTLP, type);
    case 3:
      return request(key, '{"resourceLogs":'.repeat(20_000), OTLP, 'content-type: application/json');
    case 4:
      return request(key, Buffer.concat([Buffer.from('ffffffff0f', 'hex'), nested]), LOKI, type);
    default:
      return request(
        key,
        '{"streams":[{"stream":7,"values":[["x"],[],7]}]}',
        LOKI,
        'content-type: application/json',
      );
  }
}

export function upgrade(key: string, socketKey: string, ...headers: readonly string[]): string {
  return lines(
    `GET ${INGEST_SOCKET} HTTP/1.1`,
    'host: a',
    `x-api-key: ${key}`,
    'connection: upgrade',
    'upgrade: websocket',
    'sec-websocket-version: 13',
    `sec-websocket-key: ${socketKey}`,
    ...headers,
  );
}

interface FrameOptions {
  isFinal?: boolean;
  isMasked?: boolean;
  /** Reserved bits of the first byte. */
  reserved?: number;
  /** In place of the length that it has. */
  announcedBytes?: bigint;
}

const TEXT = 1;
const CONTINUATION = 0;
const CLOSE = 8;
const PING = 9;

/** Of a WebSocket (RFC 6455, section 5.2); all zeros as its mask, so that what is sent is what is written here. */
export function frame(opcode: number, payload: Piece, options: FrameOptions = {}): Buffer {
  const { isFinal = true, isMasked = true, reserved = 0, announcedBytes } = options;
  const body = Buffer.from(payload);
  const first = (isFinal ? 0x80 : 0) | reserved | opcode;
  const mask = isMasked ? 0x80 : 0;
  const bytes = announcedBytes ?? BigInt(body.length);
  let start: Buffer;
  if (bytes < LENGTH_16) start = Buffer.from([first, mask | Number(bytes)]);
  else if (bytes < 65_536n) {
    start = Buffer.from([first, mask | LENGTH_16, 0, 0]);
    start.writeUInt16BE(Number(bytes), 2);
  } else {
    start = Buffer.alloc(10);
    start[0] = first;
    start[1] = mask | LENGTH_64;
    start.writeBigUInt64BE(bytes, 2);
  }
  return Buffer.concat([start, isMasked ? Buffer.alloc(4) : Buffer.alloc(0), body]);
}

const message = (seq: number, options?: FrameOptions): Buffer =>
  frame(TEXT, `{"seq":${seq}}\n[{"no":"event"}]`, options);

const BAD: readonly ((random: () => number) => Buffer)[] = [
  () => message(1, { isMasked: false }),
  () => frame(3, 'of no kind'),
  () => message(1, { reserved: 0x70 }),
  () => frame(PING, Buffer.alloc(200)),
  () => frame(PING, 'in pieces', { isFinal: false }),
  () => message(1, { announcedBytes: 2n ** 40n }),
  () =>
    frame(
      TEXT,
      Buffer.concat([Buffer.from('{"seq":1}\n[{"no":"'), Buffer.alloc(100, 0xff), Buffer.from('"}]')]),
    ),
  () => frame(TEXT, `{"seq":1}\n[{"no":"${'x'.repeat(300_000)}"}]`),
  () => Buffer.concat([message(5), message(9)]),
  () => frame(CONTINUATION, 'of nothing'),
  () => Buffer.concat(Array.from({ length: 60 }, (_, n) => message(n + 1))),
  () => frame(CLOSE, Buffer.from([3])),
  () => Buffer.concat([message(1), Buffer.from('{"seq":"one"}')]),
  (random) => noise(3_000, random),
];

export const BAD_FRAMES = BAD.length;

/** `kind` from 0. */
export function badFrames(kind: number, random: () => number): Buffer {
  return BAD[kind]?.(random) ?? Buffer.alloc(0);
}
