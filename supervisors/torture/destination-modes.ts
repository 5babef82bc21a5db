/**
 * The ways in which a destination of the torture can be bad, what it does with an alert meanwhile, and what a node that is
 * right does about it.
 *
 * A mode acts on the bare connection, so that it can say what no HTTP server would. Invariant: whether the alert counts as
 * taken is decided before the first byte of an answer leaves, since after that the node may believe anything.
 */
import type { Socket } from 'node:net';

/** What a node that is right does with the alert. */
export type ExpectedOutcome =
  | 'delivered'
  /** It stays in its lane and comes again, with the same dedup key. */
  | 'retried'
  /** It is kept for a person; no other is held up. */
  | 'dead letter'
  /** Nothing is sent but a probe now and then, until the credential is good. */
  | 'lane paused'
  /** Which of the two is a matter of which of two packets is read first. */
  | 'delivered or retried';

export interface DestinationMode {
  /** What the destination does, for a person. */
  what: string;
  outcome: ExpectedOutcome;
  /** Why it is retried, as the node calls it (`DeliveryFailure`). */
  reason?: 'timeout' | 'network' | 'throttled' | 'server' | 'auth' | 'rejected';
  /** The destination has it, whatever it answers: when it is retried it comes twice. */
  isTaken: boolean;
  /** When it strikes: before the body has come, or once all of it is there. Of a closed port: never. */
  strikes: 'at the connection' | 'at the head' | 'in the body' | 'at the answer';
  act(call: DestinationCall): void | Promise<void>;
}

/** One request, at the moment when the mode strikes. */
export interface DestinationCall {
  socket: Socket;
  /** Of the destination itself. */
  url: string;
  random: () => number;
  nowMs: () => number;
  /** Settles after that time; rejects when the destination is closed or the connection is gone. */
  sleep: (ms: number) => Promise<void>;
}

const SLOW_MS = 2_000;
const DRIP_EVERY_MS = 250;
/** Longer than any time-out of a node. */
const DRIPS_MAX = 1_200;
/** What is asked for. An HTTP date has whole seconds: one more, so that it is not over when it is read. */
const RETRY_AFTER = {
  none: undefined,
  seconds: () => '1',
  date: (nowMs: number) => new Date(nowMs + 2_000).toUTCString(),
};
const BINARY_BYTES = 4 * 1024 * 1024;
const RANDOM_STATUSES = [200, 200, 200, 202, 204, 404, 408, 425, 429, 500, 502, 503, 504] as const;

const OK = answer(200, { body: '{"success":true}' });

const MODES = {
  'refuse-connection': {
    what: 'its port is closed',
    outcome: 'retried',
    reason: 'network',
    isTaken: false,
    strikes: 'at the connection',
    act: () => undefined,
  },
  stall: {
    what: 'takes the request and never answers; the alert is not taken',
    outcome: 'retried',
    reason: 'timeout',
    isTaken: false,
    strikes: 'at the answer',
    act: () => undefined,
  },
  'take-and-stall': {
    what: 'takes the alert and never answers',
    outcome: 'retried',
    reason: 'timeout',
    isTaken: true,
    strikes: 'at the answer',
    act: () => undefined,
  },
  'drip-head': {
    what: 'takes the alert and answers byte by byte, so slowly that the status is never whole',
    outcome: 'retried',
    reason: 'timeout',
    isTaken: true,
    strikes: 'at the answer',
    act: (call) => drip(call, `HTTP/1.1 200 OK\r\nx-drip: ${'.'.repeat(DRIPS_MAX)}\r\n\r\n`),
  },
  'drip-body': {
    what: 'answers 200 at once and its body byte by byte, without end',
    outcome: 'delivered',
    isTaken: true,
    strikes: 'at the answer',
    act: (call) => {
      call.socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${DRIPS_MAX}\r\n\r\n`);
      return drip(call, '.'.repeat(DRIPS_MAX));
    },
  },
  'status-500': refusal(500, 'server'),
  'status-502': refusal(502, 'server'),
  'status-503-seconds': refusal(503, 'server', 'seconds'),
  'status-503-date': refusal(503, 'server', 'date'),
  'status-429': refusal(429, 'throttled', 'seconds'),
  'status-400': { ...refusal(400, 'rejected'), outcome: 'dead letter' },
  'status-401': { ...refusal(401, 'auth'), outcome: 'lane paused' },
  'status-403': { ...refusal(403, 'auth'), outcome: 'lane paused' },
  'status-404': refusal(404, 'server'),
  redirect: {
    what: 'answers 302 to another address, to which nothing may be sent',
    outcome: 'retried',
    reason: 'server',
    isTaken: false,
    strikes: 'at the answer',
    act: ({ socket, url }) => void socket.write(answer(302, { location: `${url}/elsewhere` })),
  },
  'random-status': {
    what: 'answers each request with another status, by chance',
    outcome: 'delivered or retried',
    // The server asks `randomStatus` for each request.
    isTaken: false,
    strikes: 'at the answer',
    act: () => undefined,
  },
  'reset-at-head': {
    what: 'resets the connection when the head has come, and reads no body',
    outcome: 'retried',
    reason: 'network',
    isTaken: false,
    strikes: 'at the head',
    act: reset,
  },
  'reset-in-body': {
    what: 'resets the connection within the body',
    outcome: 'retried',
    reason: 'network',
    isTaken: false,
    strikes: 'in the body',
    act: reset,
  },
  'reset-after-body': {
    what: 'resets the connection when the whole body has come; the alert is not taken',
    outcome: 'retried',
    reason: 'network',
    isTaken: false,
    strikes: 'at the answer',
    act: reset,
  },
  'answer-lost': {
    what: 'takes the alert and resets the connection in place of the answer',
    outcome: 'retried',
    reason: 'network',
    isTaken: true,
    strikes: 'at the answer',
    act: reset,
  },
  'reset-after-answer': {
    what: 'takes the alert, answers 200 and resets the connection at once',
    outcome: 'delivered or retried',
    reason: 'network',
    isTaken: true,
    strikes: 'at the answer',
    act: ({ socket }) => void socket.write(OK, () => socket.resetAndDestroy()),
  },
  'half-answer': {
    what: 'takes the alert and ends the connection within the status line',
    outcome: 'retried',
    reason: 'network',
    isTaken: true,
    strikes: 'at the answer',
    act: ({ socket }) => void socket.end('HTTP/1.1 20'),
  },
  garbage: {
    what: 'answers with random bytes that are no HTTP',
    outcome: 'retried',
    reason: 'network',
    isTaken: false,
    strikes: 'at the answer',
    // The first byte is none that HTTP begins with.
    act: ({ socket, random }) => void socket.end(Buffer.concat([Buffer.from([0]), noise(512, random)])),
  },
  'giant-head': {
    what: 'takes the alert and answers with 64 KiB of headers',
    outcome: 'retried',
    reason: 'network',
    isTaken: true,
    strikes: 'at the answer',
    act: ({ socket }) => void socket.end(`HTTP/1.1 200 OK\r\nx-giant: ${'.'.repeat(65_536)}\r\n\r\n`),
  },
  'switching-protocols': {
    what: 'answers 101, to an upgrade that nobody asked for',
    outcome: 'retried',
    reason: 'network',
    isTaken: false,
    strikes: 'at the answer',
    act: ({ socket }) =>
      void socket.write('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: none\r\n\r\n'),
  },
  'early-hints': {
    what: 'answers 103 first, and then 200',
    outcome: 'delivered',
    isTaken: true,
    strikes: 'at the answer',
    act: ({ socket }) => void socket.write(`HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n${OK}`),
  },
  'binary-answer': {
    what: 'answers 200 with 4 MiB of what is no text',
    outcome: 'delivered',
    isTaken: true,
    strikes: 'at the answer',
    act: ({ socket, random }) => pour(socket, 200, random),
  },
  'binary-error': {
    what: 'answers 500 with 4 MiB of what is no text',
    outcome: 'retried',
    reason: 'server',
    isTaken: false,
    strikes: 'at the answer',
    act: ({ socket, random }) => pour(socket, 500, random),
  },
  'truncated-answer': {
    what: 'answers 200, announces more of a body than comes, and ends the connection',
    outcome: 'delivered',
    isTaken: true,
    strikes: 'at the answer',
    act: ({ socket }) => void socket.end('HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{}'),
  },
  'truncated-chunk': {
    what: 'answers 200 in chunks and ends the connection within one',
    outcome: 'delivered',
    isTaken: true,
    strikes: 'at the answer',
    act: ({ socket }) => void socket.end('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nff\r\n{}'),
  },
  'surplus-answer': {
    what: 'answers 200 with more of a body than it announces',
    outcome: 'delivered',
    isTaken: true,
    strikes: 'at the answer',
    act: ({ socket }) =>
      void socket.write(`HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}${'{}'.repeat(100)}`),
  },
  'wrong-content-length': {
    what: 'takes the alert and answers 200 with a Content-Length that is no number',
    outcome: 'retried',
    reason: 'network',
    isTaken: true,
    strikes: 'at the answer',
    act: ({ socket }) => void socket.end('HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\n{}'),
  },
  'close-keep-alive': {
    what: 'answers 200 and ends the connection at once, without having said that it would',
    outcome: 'delivered',
    isTaken: true,
    strikes: 'at the answer',
    act: ({ socket }) => void socket.end(OK),
  },
  slow: {
    what: `answers 200 after ${SLOW_MS} ms`,
    outcome: 'delivered',
    isTaken: true,
    strikes: 'at the answer',
    act: async ({ socket, sleep }) => {
      await sleep(SLOW_MS);
      socket.write(OK);
    },
  },
} satisfies Record<string, DestinationMode>;

export type DestinationModeName = keyof typeof MODES;
export const DESTINATION_MODES: Readonly<Record<DestinationModeName, DestinationMode>> = MODES;
export const DESTINATION_MODE_NAMES = Object.keys(MODES) as DestinationModeName[];

/** A destination that is well. */
export const WELL: DestinationMode = {
  what: 'takes every alert and answers 200',
  outcome: 'delivered',
  isTaken: true,
  strikes: 'at the answer',
  act: ({ socket }) => void socket.write(OK),
};

/** One of the ways in which `random-status` answers. */
export function randomStatus(random: () => number): DestinationMode {
  const status = RANDOM_STATUSES[Math.floor(random() * RANDOM_STATUSES.length)] ?? 200;
  return status < 300
    ? { ...WELL, act: ({ socket }) => void socket.write(answer(status)) }
    : refusal(status, 'server');
}

function refusal(
  status: number,
  reason: NonNullable<DestinationMode['reason']>,
  asks: keyof typeof RETRY_AFTER = 'none',
): DestinationMode {
  const retryAfter = RETRY_AFTER[asks];
  return {
    what: `answers ${status}${asks === 'none' ? '' : ` and asks for a rest by Retry-After in ${asks}`}`,
    outcome: 'retried',
    reason,
    isTaken: false,
    strikes: 'at the answer',
    act: ({ socket, nowMs }) => {
      const sentAtMs = nowMs();
      const date = new Date(sentAtMs).toUTCString();
      const rest = retryAfter === undefined ? {} : { 'retry-after': retryAfter(sentAtMs) };
      socket.write(answer(status, { date, ...rest }));
    },
  };
}

function answer(status: number, { body = '{}', ...headers }: Record<string, string> = {}): string {
  const isEmpty = status === 204;
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  const length = isEmpty ? '' : `content-type: application/json\r\ncontent-length: ${body.length}\r\n`;
  return `HTTP/1.1 ${status} Torture\r\n${length}${lines.join('')}\r\n${isEmpty ? '' : body}`;
}

function reset({ socket }: DestinationCall): void {
  socket.resetAndDestroy();
}

async function drip({ socket, sleep }: DestinationCall, text: string): Promise<void> {
  for (const byte of text.slice(0, DRIPS_MAX)) {
    socket.write(byte);
    await sleep(DRIP_EVERY_MS);
  }
}

/** In pieces, so that no more than one waits for a node that reads slowly or not at all. */
async function pour(socket: Socket, status: number, random: () => number): Promise<void> {
  const piece = noise(65_536, random);
  socket.write(
    `HTTP/1.1 ${status} Torture\r\ncontent-type: application/octet-stream\r\ncontent-length: ${BINARY_BYTES}\r\n\r\n`,
  );
  for (let sent = 0; sent < BINARY_BYTES && socket.writable; sent += piece.length) {
    if (!socket.write(piece))
      await new Promise((resolve) => socket.once('drain', resolve).once('close', resolve));
  }
}

function noise(bytes: number, random: () => number): Buffer {
  return Buffer.from(Uint8Array.from({ length: bytes }, () => random() * 256));
}
