/**
 * A bare uWebSockets.js server in its own process, for two uses: the baseline of everything that answers HTTP (it reads
 * each body, throws it away and answers 200), and the destination of alerts (it counts them, and tells by the stamp in
 * them how long they were on their way).
 *
 * `BareServer.start` starts the process; it ends with `close`, and by itself when its parent is gone.
 */
import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import * as uws from 'uWebSockets.js';
import { STAMP, STAMP_DIGITS, STAMP_DIGITS_AT, nowUs } from './http-load.ts';
import { Histogram } from './load.ts';

export interface BareServerReport {
  /** Requests answered since the last report. */
  requests: number;
  /** Of those with a stamp. NaN without any. */
  latencyMs: { count: number; p50: number; p99: number; max: number };
  cpuMs: number;
  /** When the first and the last of them came, by the machine's monotonic clock. NaN without any. */
  firstAtMs: number;
  lastAtMs: number;
}

const STAMP_BEGIN = Buffer.from(STAMP.slice(0, STAMP_DIGITS_AT));
const REPLY = '{"status":"queued"}';

export class BareServer {
  readonly port: number;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, port: number) {
    this.#child = child;
    this.port = port;
  }

  static async start(): Promise<BareServer> {
    const child = fork(fileURLToPath(import.meta.url), [], { execArgv: [] });
    return new BareServer(child, (await nextMessage(child)) as number);
  }

  /** What has come since the last report; begins the next one. */
  report(): Promise<BareServerReport> {
    const answer = nextMessage(this.#child);
    this.#child.send('report');
    return answer as Promise<BareServerReport>;
  }

  async close(): Promise<void> {
    const ended = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.disconnect();
    await ended;
  }
}

function nextMessage(child: ChildProcess): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const died = (): void => reject(new Error('The bare server has ended.'));
    child.once('exit', died);
    child.once('message', (message) => {
      child.off('exit', died);
      resolve(message);
    });
  });
}

function serve(): void {
  let requests = 0;
  let latencies = new Histogram();
  let cpu = process.cpuUsage();
  let [firstAtMs, lastAtMs] = [NaN, NaN];
  const note = (body: Buffer): void => {
    const at = body.indexOf(STAMP_BEGIN);
    if (at === -1) return;
    const from = at + STAMP_BEGIN.length;
    latencies.add((Number(nowUs()) - Number(body.toString('latin1', from, from + STAMP_DIGITS))) / 1000);
  };
  const app = uws.App();
  app.post('/*', (response) => {
    let parts: Buffer | undefined;
    response.onAborted(() => undefined);
    response.onData((chunk, isLast) => {
      // The bytes are only valid within this call: what must wait is copied.
      const bytes = Buffer.from(chunk);
      if (!isLast) {
        parts = Buffer.concat(parts === undefined ? [bytes] : [parts, bytes]);
        return;
      }
      lastAtMs = Number(nowUs()) / 1000;
      if (requests === 0) firstAtMs = lastAtMs;
      requests += 1;
      note(parts === undefined ? bytes : Buffer.concat([parts, bytes]));
      response.writeHeader('Content-Type', 'application/json');
      response.end(REPLY);
    });
  });
  app.listen('127.0.0.1', 0, (socket) => {
    if (socket === false) process.exit(1);
    process.send?.(uws.us_socket_local_port(socket));
  });
  process.on('message', () => {
    const { user, system } = process.cpuUsage(cpu);
    const { count, maxMs: max } = latencies;
    const [p50, p99] = count === 0 ? [NaN, NaN] : [latencies.quantile(0.5), latencies.quantile(0.99)];
    process.send?.({
      requests,
      latencyMs: { count, p50, p99, max },
      cpuMs: (user + system) / 1000,
      firstAtMs,
      lastAtMs,
    } satisfies BareServerReport);
    [requests, firstAtMs, lastAtMs] = [0, NaN, NaN];
    latencies = new Histogram();
    cpu = process.cpuUsage();
  });
  process.on('disconnect', () => process.exit(0));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) serve();
