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
 * It prints one line of JSON, a LoadReport. It measures what a client sees, its own cost included; on a machine
 * with two cores it takes one of them.
 */
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { Meter, bodyOf, generate, passed, runGenerator } from './load.ts';
import type { LoadOptions, LoadReport } from './load.ts';

export interface HttpLoadOptions extends LoadOptions {
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

const HEAD_END = Buffer.from('\r\n\r\n');
const REOPEN_DELAY_MS = 50;
const RATE_TICK_MS = 1;
const ANSWER_WAIT_MS = 10_000;

/** Runs the generator in a process of its own and resolves with its report. */
export function runHttpLoad(options: HttpLoadOptions): Promise<LoadReport> {
  return runGenerator(fileURLToPath(import.meta.url), options);
}

class Load {
  readonly #options: HttpLoadOptions;
  readonly #requests: Buffer[];
  /** Where the digits of each request's stamp begin. */
  readonly #stampsAt: number[];
  readonly #meter = new Meter();
  readonly #idle: Socket[] = [];
  /** When what a connection has in flight was due; without a rate, when it was sent. */
  readonly #inFlight = new Map<Socket, number>();
  /** Between the requests of a rate. */
  readonly #intervalMs: number | undefined;
  #nextDueMs = performance.now();
  #next = 0;
  #isOver = false;

  constructor(options: HttpLoadOptions) {
    this.#options = options;
    if (options.ratePerSecond !== undefined) this.#intervalMs = 1_000 / options.ratePerSecond;
    const headers = Object.entries({ 'Content-Type': 'application/json', ...options.headers })
      .map(([name, value]) => `${name}: ${value}\r\n`)
      .join('');
    this.#requests = options.bodies.map((text) => {
      const body = bodyOf(text, options);
      const head =
        `POST ${options.path ?? '/api/v2/ingest'} HTTP/1.1\r\nHost: load\r\n${headers}` +
        `Content-Length: ${body.length}\r\n\r\n`;
      return Buffer.concat([Buffer.from(head), body]);
    });
    this.#stampsAt = options.isStamped === true ? this.#requests.map(stampAt) : [];
  }

  async run(): Promise<LoadReport> {
    for (let at = 0; at < this.#options.connections; at++) this.#open();
    const pace =
      this.#intervalMs === undefined ? undefined : setInterval(() => this.#sendDue(), RATE_TICK_MS);
    await this.#meter.measure(this.#options);
    if (this.#intervalMs !== undefined) await this.#lastAnswers(this.#intervalMs);
    this.#isOver = true;
    clearInterval(pace);
    return this.#meter.report();
  }

  /** Sends what is due, as far as there are idle connections. */
  #sendDue(): void {
    if (this.#intervalMs === undefined) return;
    const untilMs = Math.min(performance.now(), this.#meter.endMs);
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
    const isOpen = (): boolean => this.#inFlight.size > 0 || this.#nextDueMs < this.#meter.endMs;
    while (isOpen() && performance.now() < deadlineMs) await passed(RATE_TICK_MS);
    for (const dueMs of this.#inFlight.values()) this.#neverAnswered(dueMs);
    for (; this.#nextDueMs < this.#meter.endMs; this.#nextDueMs += intervalMs) {
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
    this.#meter.answered(status, nowMs - dueMs, this.#isMeasured(dueMs, nowMs));
  }

  #neverAnswered(dueMs: number): void {
    const nowMs = performance.now();
    if (this.#isMeasured(dueMs, nowMs)) this.#meter.neverAnswered(nowMs - dueMs);
  }

  /** With a rate it is what was due within the duration; without one, what was answered within it. */
  #isMeasured(dueMs: number, nowMs: number): boolean {
    return this.#meter.covers(this.#intervalMs === undefined ? nowMs : dueMs);
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
      this.#meter.broke();
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

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await generate((options: HttpLoadOptions) => new Load(options).run());
}
