/** The kinds of garbage, as what each connection writes. */
import {
  BAD_FRAMES,
  HOSTILE_JSON,
  HOSTILE_MSGPACK,
  INGEST,
  INGEST_SOCKET,
  badFrames,
  frame,
  head,
  hostileCompression,
  hostileProtobuf,
  lines,
  noise,
  request,
  unsent,
  upgrade,
} from './wire-payloads.ts';
import type { Piece } from './wire-payloads.ts';

export interface WireGarbage {
  /** For a person. */
  what: string;
  connections: number;
  pieces: (sending: Sending) => Piece[] | Promise<Piece[]>;
  /** Between the pieces; all at once when it is left out. */
  everyMs?: number;
  /** The second piece is sent when the first is answered: an upgrade. */
  waitsForHello?: boolean;
  /**
   * When all is written: `listen` waits for an answer, `hold` until the other side ends it, `finish` ends its own side,
   * `reset` breaks the connection.
   */
  end: 'listen' | 'hold' | 'finish' | 'reset';
  /** Reads no answer. */
  isDeaf?: boolean;
  /** There are whole events in it, whose sender does not hear what became of them. */
  mayBeStored?: boolean;
}

export interface Sending {
  key: string;
  random: () => number;
  make: () => Readonly<Record<string, string>>;
  /** Which of the connections, from 0. */
  nth: number;
  /** For an upgrade to a WebSocket. */
  socketKey: string;
}

const KIB = 1_024;
const MIB = 1_024 * KIB;

const KINDS = {
  noise: {
    what: 'bytes that are no HTTP: noise, a TLS handshake, HTTP/2, HTTP/1.0, SSH',
    connections: 20,
    pieces: ({ nth, random }) => [
      [
        noise(2 * KIB, random),
        Buffer.concat([Buffer.from([0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3]), noise(508, random)]),
        'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
        'GET / HTTP/1.0\r\n\r\n',
        'SSH-2.0-OpenSSH_9.6\r\n',
      ][nth % 5] ?? '',
    ],
    end: 'hold',
  },
  silence: { what: 'connections that say nothing', connections: 200, pieces: () => [], end: 'hold' },
  churn: {
    what: 'connections that are made and broken at once',
    connections: 300,
    pieces: () => [],
    end: 'reset',
  },
  'slow-heads': {
    what: 'heads that come byte by byte',
    connections: 30,
    pieces: () => ['POST /ingest HTTP/1.1\r\n', ...'host: a\r\nuser-agent: torture\r\nx-slow: yes'],
    everyMs: 40,
    end: 'reset',
  },
  'giant-heads': {
    what: 'a header of 64 KiB, a thousand headers, a path of 32 KiB',
    connections: 12,
    pieces: ({ key, nth }) => [
      [
        head(key, `x-giant: ${'x'.repeat(64 * KIB)}`),
        head(key, ...Array.from({ length: 1_000 }, (_, n) => `x-${n}: ${n}`)),
        lines(`POST /${'x'.repeat(32 * KIB)} HTTP/1.1`, 'host: a'),
      ][nth % 3] ?? '',
    ],
    end: 'hold',
  },
  'half-bodies': {
    what: 'bodies that break off, with whole events in the half that came',
    connections: 20,
    pieces: ({ key }) => [head(key, 'content-length: 10000'), `[${unsent()},${unsent()},`],
    everyMs: 20,
    end: 'reset',
  },
  'ended-bodies': {
    what: 'bodies whose sender ends its side of the connection in the middle',
    connections: 20,
    pieces: ({ key }) => [head(key, 'content-length: 10000'), `${unsent()}\n${unsent()}\n`],
    end: 'finish',
  },
  'slow-bodies': {
    what: 'bodies of which a little comes at a time, and never the end',
    connections: 20,
    pieces: ({ key }) => [head(key, `content-length: ${MIB}`), ...Array.from({ length: 40 }, () => unsent())],
    everyMs: 50,
    end: 'reset',
  },
  'wrong-lengths': {
    what: 'lengths that are none, that contradict each other, and that nobody takes',
    connections: 14,
    pieces: ({ key, nth }) => [
      [
        head(key, 'content-length: -1'),
        head(key, 'content-length: many'),
        head(key, 'content-length: 2', 'content-length: 3'),
        head(key, 'content-length: 5', 'transfer-encoding: chunked'),
        head(key, 'content-length: 99999999999999999999'),
        head(key, `content-length: ${17 * MIB}`),
        head(key, 'transfer-encoding: gzip, chunked'),
      ][nth % 7] ?? '',
      '[{}]',
    ],
    end: 'hold',
  },
  'bad-chunks': {
    what: 'chunks whose sizes are none, negative or endless',
    connections: 12,
    pieces: ({ key, nth }) => [
      head(key, 'transfer-encoding: chunked'),
      ['zz\r\n[{}]\r\n', '-4\r\n[{}]\r\n', 'ffffffffffffffffff\r\n', `4${';x'.repeat(20_000)}\r\n`][
        nth % 4
      ] ?? '',
      unsent(),
    ],
    end: 'hold',
  },
  'lost-answers': {
    what: 'senders that go away as soon as their request is out',
    connections: 30,
    pieces: ({ key, make }) => [request(key, `[${JSON.stringify(make())},${JSON.stringify(make())}]`)],
    end: 'reset',
    mayBeStored: true,
  },
  pipelines: {
    what: 'the next request before the last is answered, on one connection',
    connections: 10,
    pieces: ({ key, make }) => [
      Array.from({ length: 5 }, () => request(key, JSON.stringify(make())).toString()).join(''),
    ],
    end: 'hold',
    mayBeStored: true,
  },
  deaf: {
    what: 'senders that ask on and on and read no answer',
    connections: 10,
    pieces: () => ['GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(5_000)],
    end: 'hold',
    isDeaf: true,
  },
  'wrong-keys': {
    what: 'wrong keys, none, two, and one of 3 KiB',
    connections: 60,
    pieces: ({ nth, random, key }) => {
      const wrong = noise(24, random).toString('base64url');
      const headers = [[`x-api-key: ${wrong}`], [], [`x-api-key: ${wrong}`, `authorization: Bearer ${key}`]];
      const some = [...headers, [`x-api-key: ${'k'.repeat(3 * KIB)}`]][nth % 4] ?? [];
      const body = unsent();
      return [lines(`POST ${INGEST} HTTP/1.1`, 'host: a', ...some, `content-length: ${body.length}`) + body];
    },
    end: 'listen',
  },
  'wrong-paths': {
    what: 'paths and methods that there are not',
    connections: 24,
    pieces: ({ nth, key }) => {
      const line = [
        `POST /api/v9/ingest`,
        `DELETE ${INGEST}`,
        `PUT ${INGEST}`,
        `GET /../../etc/passwd`,
        `POST ${INGEST}/%00`,
        `PATCH /%zz`,
      ][nth % 6];
      return [lines(`${line} HTTP/1.1`, 'host: a', `x-api-key: ${key}`, 'content-length: 0')];
    },
    end: 'listen',
  },
  'hostile-json': {
    what: 'JSON that is deep, endless, huge or no JSON, and records that are no events',
    connections: HOSTILE_JSON.length,
    pieces: ({ key, nth }) => [request(key, HOSTILE_JSON[nth]?.() ?? '')],
    end: 'listen',
  },
  'hostile-msgpack': {
    what: 'MessagePack that announces billions, is nested without end, or breaks off',
    connections: HOSTILE_MSGPACK.length,
    pieces: ({ key, nth }) => [request(key, HOSTILE_MSGPACK[nth] ?? '')],
    end: 'listen',
  },
  'hostile-compression': {
    what: 'compressed bodies that unpack to 100 MiB, break off, lie about their size or are none',
    connections: 12,
    pieces: async ({ key, nth, random }) => [await hostileCompression(key, nth, random)],
    end: 'listen',
  },
  'hostile-protobuf': {
    what: 'protobuf and snappy that are noise or announce gigabytes, to OTLP and Loki',
    connections: 12,
    pieces: ({ key, nth, random }) => [hostileProtobuf(key, nth, random)],
    end: 'listen',
  },
  'socket-upgrades': {
    what: 'upgrades to a WebSocket that are none, or have no key',
    connections: 15,
    pieces: ({ nth, socketKey, key }) => [
      [
        upgrade('wrong', socketKey),
        upgrade(key, socketKey, 'mutt-session: two', 'mutt-session: sessions'),
        upgrade(key, socketKey, `mutt-session: ${'s'.repeat(200)}`),
        lines(`GET ${INGEST_SOCKET} HTTP/1.1`, 'host: a', `x-api-key: ${key}`),
        upgrade(key, 'no key'),
      ][nth % 5] ?? '',
    ],
    end: 'listen',
  },
  'socket-halves': {
    what: 'WebSockets that break within a message',
    connections: 20,
    waitsForHello: true,
    pieces: ({ key, socketKey }) => {
      const message = frame(1, `{"seq":1,"events":[${unsent()},${unsent()}]}`);
      return [upgrade(key, socketKey), message.subarray(0, message.length - 20)];
    },
    end: 'reset',
  },
  'socket-lost-acks': {
    what: 'WebSockets that break as soon as a message is out',
    connections: 20,
    waitsForHello: true,
    pieces: ({ key, socketKey, make }) => [
      upgrade(key, socketKey),
      frame(1, `{"seq":1,"events":[${JSON.stringify(make())}]}`),
    ],
    end: 'reset',
    mayBeStored: true,
  },
  'socket-garbage': {
    what: 'frames that no WebSocket has: without a mask, of no kind, too long, no UTF-8, out of order',
    connections: 2 * BAD_FRAMES,
    waitsForHello: true,
    pieces: ({ key, socketKey, nth, random }) => [
      upgrade(key, socketKey),
      badFrames(nth % BAD_FRAMES, random),
    ],
    end: 'hold',
  },
  'socket-silence': {
    what: 'WebSockets that are opened and say nothing',
    connections: 60,
    pieces: ({ key, socketKey }) => [upgrade(key, socketKey)],
    end: 'hold',
  },
  'socket-deaf': {
    what: 'WebSockets that send what is refused and read nothing',
    connections: 10,
    pieces: ({ key, socketKey }) => [
      upgrade(key, socketKey),
      Buffer.concat(Array.from({ length: 30 }, (_, n) => frame(1, `{"seq":${n + 1}}\n[{"no":"event"}]`))),
    ],
    everyMs: 200,
    end: 'hold',
    isDeaf: true,
  },
} satisfies Record<string, WireGarbage>;

export type WireGarbageName = keyof typeof KINDS;
export const WIRE_GARBAGE: Readonly<Record<WireGarbageName, WireGarbage>> = KINDS;
export const WIRE_GARBAGE_NAMES = Object.keys(KINDS) as WireGarbageName[];
