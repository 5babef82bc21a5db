/**
 * A load generator for HTTP POSTs, in its own process, on raw sockets: N keep-alive connections, each with one request
 * in flight (no pipelining), request bytes built once.
 *
 * Without a rate, a connection sends when it has its answer. With one, each request is due at a moment of its own and its
 * latency counts from that moment, however late it was sent: a server that stalls cannot hide the requests that would
 * have come meanwhile.
 *
 * Run by hand or by a bench (`runHttpLoad` starts the process and resolves with its report):
 *   node bench/support/http-load.ts '{"port":8080,"connections":64,"durationMs":3000,"bodies":["{}"]}'
 * It prints one line of JSON, an HttpLoadReport. It measures what a client sees, its own cost included; on a machine
 * with two cores it takes one of them.
 */
import { spawn } from 'node:child_process';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { fileURLToPath } from 'node:url';

export interface HttpLoadOptions {
  port: number;
  host?: string;
  path?: string;
  connections: number;
  durationMs: number;
  /** Not counted, before the duration begins. */
  warmUpMs?: number;
  /** Sent in turn, over all connections. */
  bodies: readonly string[];
  headers?: Readonly<Record<string, string>>;
  /** Requests due per second over all connections; as fast as answers come when absent. */
  ratePerSecond?: number;
  /** After the duration, for answers to what was due within it; only with a rate. */
  answerWaitMs?: number;
  /** Bodies hold `STAMP`, and each is sent with the time when it was due in that place (see bare-server.ts). */
  isStamped?: boolean;
}

/**
 * The place of a stamp, and its width. A stamp is the machine's monotonic time in µs, which every process shares, so
 * that a receiver can tell how long a message was on its way.
 */
export const STAMP = 'sent=0000000000000000us';
export const STAMP_DIGITS_AT = 5;
export const STAMP_DIGITS = 16;

export interface HttpLoadReport {
  /** Answered within the duration. */
  requests: number;
  seconds: number;
  perSecond: number;
  /** Status code to count. */
  statuses: Record<string, number>;
  /** Connections that broke; each is opened again. */
  broken: number;
  /** Requests that were due within the duration and never answered. What they had waited by then is in the latencies. */
  unanswered: number;
  latencyMs: { p50: number; p90: number; p99: number; p999: number; max: number };
  clientCpuMs: number;
}

/** Latency histogram: buckets of 10 µs up to 100 ms, then of 1 ms up to 10 s, then one of everything slower. */
const FINE_MS = 0.01;
const FINE_BUCKETS = 10_000;
const COARSE_FROM_MS = FINE_MS * FINE_BUCKETS;
const BUCKETS = FINE_BUCKETS + 9_900;
const HEAD_END = Buffer.from('\r\n\r\n');
const REOPEN_DELAY_MS = 50;
const RATE_TICK_MS = 1;
const ANSWER_WAIT_MS = 10_000;

/** Runs the generator in a process of its own and resolves with its report. */
export function runHttpLoad(options: HttpLoadOptions): Promise<HttpLoadReport> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [fileURLToPath(import.meta.url), '-'], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    let output = '';
    child.stdin.end(JSON.stringify(options));
    child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
    child.on('error', reject);
    child.on('close', (code) => {
      if (code === 0) resolve(JSON.parse(output) as HttpLoadReport);
      else reject(new Error(`The load generator ended with code ${code}.`));
    });
  });
}

/** Counts of latencies; bounded, however many there are. */
export class Histogram {
  readonly #counts = new Uint32Array(BUCKETS + 1);
  #total = 0;
  #maxMs = 0;

  add(ms: number): void {
    const at =
      ms < COARSE_FROM_MS
        ? Math.max(0, Math.floor(ms / FINE_MS))
        : Math.min(BUCKETS, FINE_BUCKETS + Math.floor(ms - COARSE_FROM_MS));
    this.#counts[at] = (this.#counts[at] ?? 0) + 1;
    this.#total += 1;
    if (ms > this.#maxMs) this.#maxMs = ms;
  }

  /** The upper bound of the bucket that holds the given share. */
  quantile(share: number): number {
    let left = share * this.#total;
    for (let at = 0; at < BUCKETS; at++) {
      left -= this.#counts[at] ?? 0;
      if (left <= 0) return round(upperBoundMs(at));
    }
    return round(this.#maxMs);
  }

  get count(): number {
    return this.#total;
  }

  get maxMs(): number {
    return round(this.#maxMs);
  }
}

function upperBoundMs(bucket: number): number {
  return bucket < FINE_BUCKETS ? (bucket + 1) * FINE_MS : COARSE_FROM_MS + bucket - FINE_BUCKETS + 1;
}

function round(value: number): number {
  return Math.round(value * 1000) / 1000;
}

class Load {
  readonly #options: HttpLoadOptions;
  readonly #requests: Buffer[];
  /** Where the digits of each request's stamp begin. */
  readonly #stampsAt: number[];
  readonly #statuses: Record<string, number> = {};
  readonly #idle: Socket[] = [];
  /** When what a connection has in flight was due; without a rate, when it was sent. */
  readonly #inFlight = new Map<Socket, number>();
  /** Between the requests of a rate. */
  readonly #intervalMs: number | undefined;
  #nextDueMs = performance.now();
  /** What is due in this time is measured. */
  #countedFromMs = Infinity;
  #countedToMs = Infinity;
  #next = 0;
  #requestsDone = 0;
  #broken = 0;
  #unanswered = 0;
  #isOver = false;
  #histogram = new Histogram();

  constructor(options: HttpLoadOptions) {
    this.#options = options;
    if (options.ratePerSecond !== undefined) this.#intervalMs = 1_000 / options.ratePerSecond;
    const headers = Object.entries({ 'Content-Type': 'application/json', ...options.headers })
      .map(([name, value]) => `${name}: ${value}\r\n`)
      .join('');
    this.#requests = options.bodies.map((body) =>
      Buffer.from(
        `POST ${options.path ?? '/api/v2/ingest'} HTTP/1.1\r\nHost: load\r\n${headers}` +
          `Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
      ),
    );
    this.#stampsAt = options.isStamped === true ? this.#requests.map(stampAt) : [];
  }

  async run(): Promise<HttpLoadReport> {
    const { connections, durationMs, warmUpMs = 500 } = this.#options;
    for (let at = 0; at < connections; at++) this.#open();
    const pace =
      this.#intervalMs === undefined ? undefined : setInterval(() => this.#sendDue(), RATE_TICK_MS);
    await passed(warmUpMs);
    this.#countedFromMs = performance.now();
    const cpu = process.cpuUsage();
    await passed(durationMs);
    this.#countedToMs = performance.now();
    const seconds = (this.#countedToMs - this.#countedFromMs) / 1000;
    const { user, system } = process.cpuUsage(cpu);
    if (this.#intervalMs !== undefined) await this.#lastAnswers(this.#intervalMs);
    this.#isOver = true;
    clearInterval(pace);
    const quantile = (share: number): number => this.#histogram.quantile(share);
    return {
      requests: this.#requestsDone,
      seconds: round(seconds),
      perSecond: Math.round(this.#requestsDone / seconds),
      statuses: this.#statuses,
      broken: this.#broken,
      unanswered: this.#unanswered,
      latencyMs: {
        p50: quantile(0.5),
        p90: quantile(0.9),
        p99: quantile(0.99),
        p999: quantile(0.999),
        max: this.#histogram.maxMs,
      },
      clientCpuMs: Math.round((user + system) / 1000),
    };
  }

  /** Sends what is due, as far as there are idle connections. */
  #sendDue(): void {
    if (this.#intervalMs === undefined) return;
    const untilMs = Math.min(performance.now(), this.#countedToMs);
    while (this.#nextDueMs < untilMs) {
      const socket = this.#idle.pop();
      if (socket === undefined) return;
      this.#send(socket, this.#nextDueMs);
      this.#nextDueMs += this.#intervalMs;
    }
  }

  /** Waits for the answers to what was due, and counts what has none as it is then. */
  async #lastAnswers(intervalMs: number): Promise<void> {
    const deadlineMs = performance.now() + (this.#options.answerWaitMs ?? ANSWER_WAIT_MS);
    const isOpen = (): boolean => this.#inFlight.size > 0 || this.#nextDueMs < this.#countedToMs;
    while (isOpen() && performance.now() < deadlineMs) await passed(RATE_TICK_MS);
    for (const dueMs of this.#inFlight.values()) this.#neverAnswered(dueMs);
    for (; this.#nextDueMs < this.#countedToMs; this.#nextDueMs += intervalMs) {
      this.#neverAnswered(this.#nextDueMs);
    }
  }

  #send(socket: Socket, dueMs: number): void {
    this.#inFlight.set(socket, dueMs);
    const at = this.#next++ % this.#requests.length;
    const request = this.#requests[at];
    const digitsAt = this.#stampsAt[at];
    if (digitsAt !== undefined) {
      const lateUs = Math.round((performance.now() - dueMs) * 1_000);
      request?.write(String(Number(nowUs()) - lateUs).padStart(STAMP_DIGITS, '0'), digitsAt, 'latin1');
    }
    if (request !== undefined) socket.write(request);
  }

  #answered(socket: Socket, status: string): void {
    const nowMs = performance.now();
    const dueMs = this.#inFlight.get(socket) ?? nowMs;
    this.#inFlight.delete(socket);
    if (nowMs >= this.#countedFromMs && nowMs < this.#countedToMs) this.#requestsDone += 1;
    if (!this.#isMeasured(dueMs, nowMs)) return;
    this.#statuses[status] = (this.#statuses[status] ?? 0) + 1;
    this.#histogram.add(nowMs - dueMs);
  }

  #neverAnswered(dueMs: number): void {
    const nowMs = performance.now();
    if (!this.#isMeasured(dueMs, nowMs)) return;
    this.#unanswered += 1;
    this.#histogram.add(nowMs - dueMs);
  }

  /** With a rate it is what was due within the duration; without one, what was answered within it. */
  #isMeasured(dueMs: number, nowMs: number): boolean {
    const atMs = this.#intervalMs === undefined ? nowMs : dueMs;
    return atMs >= this.#countedFromMs && atMs < this.#countedToMs;
  }

  #open(): void {
    const socket = connect({
      port: this.#options.port,
      host: this.#options.host ?? '127.0.0.1',
      noDelay: true,
    });
    let pending: Buffer | undefined;
    const ready = (): void => {
      if (this.#isOver) socket.destroy();
      else if (this.#intervalMs === undefined) this.#send(socket, performance.now());
      else {
        this.#idle.push(socket);
        this.#sendDue();
      }
    };
    socket.on('connect', ready);
    socket.on('data', (data) => {
      pending = pending === undefined ? data : Buffer.concat([pending, data]);
      const length = responseLength(pending);
      if (length === undefined || pending.length < length) return;
      this.#answered(socket, pending.toString('latin1', 9, 12));
      pending = pending.length > length ? pending.subarray(length) : undefined;
      ready();
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      const at = this.#idle.indexOf(socket);
      if (at >= 0) this.#idle.splice(at, 1);
      if (this.#isOver) return;
      const dueMs = this.#inFlight.get(socket);
      this.#inFlight.delete(socket);
      if (dueMs !== undefined) this.#neverAnswered(dueMs);
      const nowMs = performance.now();
      if (nowMs >= this.#countedFromMs && nowMs < this.#countedToMs) this.#broken += 1;
      setTimeout(() => this.#open(), REOPEN_DELAY_MS).unref();
    });
  }
}

function stampAt(request: Buffer): number {
  const at = request.indexOf(STAMP);
  if (at === -1) throw new Error('A body that is to be stamped has no place for the stamp.');
  return at + STAMP_DIGITS_AT;
}

/** The machine's monotonic time in µs, as digits. */
export function nowUs(): string {
  return String(process.hrtime.bigint() / 1000n);
}

/** Bytes of the whole response at the start of `data`, or undefined while its head is not complete. */
function responseLength(data: Buffer): number | undefined {
  const end = data.indexOf(HEAD_END);
  if (end === -1) return undefined;
  const head = data.toString('latin1', 0, end);
  const found = /\r\ncontent-length: *(\d+)/i.exec(head);
  return end + HEAD_END.length + Number(found?.[1] ?? 0);
}

function passed(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

async function main(argument: string): Promise<void> {
  let text = argument;
  if (argument === '-') {
    text = '';
    for await (const chunk of process.stdin) text += String(chunk);
  }
  const report = await new Load(JSON.parse(text) as HttpLoadOptions).run();
  process.stdout.write(`${JSON.stringify(report)}\n`, () => process.exit(0));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main(process.argv[2] ?? '-');
