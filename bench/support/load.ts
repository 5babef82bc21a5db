/**
 * What all load generators share: a process of their own, what they count, and how they report it.
 */
import { spawn } from 'node:child_process';

export interface LoadOptions {
  port: number;
  host?: string;
  path?: string;
  connections: number;
  durationMs: number;
  /** Not counted, before the duration begins. */
  warmUpMs?: number;
  /** Sent in turn, over all connections. */
  bodies: readonly string[];
  /** The bodies are base64 of what is sent. */
  isBinary?: boolean;
  headers?: Readonly<Record<string, string>>;
}

export interface LoadReport {
  /** Answered within the duration; of a socket, its messages. */
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

/** Runs a generator, a module that calls `generate`, in a process of its own and resolves with its report. */
export function runGenerator(file: string, options: LoadOptions): Promise<LoadReport> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [file, '-'], { stdio: ['pipe', 'pipe', 'inherit'] });
    let output = '';
    child.stdin.end(JSON.stringify(options));
    child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
    child.on('error', reject);
    child.on('close', (code) => {
      if (code === 0) resolve(JSON.parse(output) as LoadReport);
      else reject(new Error(`The load generator ended with code ${code}.`));
    });
  });
}

/** What such a module does: takes its options from the command line, or with `-` from its input, and prints its report. */
export async function generate(work: (options: never) => Promise<LoadReport>): Promise<void> {
  let text = process.argv[2] ?? '-';
  if (text === '-') {
    text = '';
    for await (const chunk of process.stdin) text += String(chunk);
  }
  const report = await work(JSON.parse(text) as never);
  process.stdout.write(`${JSON.stringify(report)}\n`, () => process.exit(0));
}

export function bodyOf(body: string, { isBinary }: LoadOptions): Buffer {
  return Buffer.from(body, isBinary === true ? 'base64' : 'utf8');
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

/** Counts what is answered within a stretch of time, and what the process spends in it. */
export class Meter {
  readonly #statuses: Record<string, number> = {};
  readonly #histogram = new Histogram();
  #fromMs = Infinity;
  #toMs = Infinity;
  #requests = 0;
  #broken = 0;
  #unanswered = 0;
  #clientCpuMs = 0;

  /** Lets the warm-up pass and then the time that counts. */
  async measure({ durationMs, warmUpMs = 500 }: LoadOptions): Promise<void> {
    await passed(warmUpMs);
    this.#fromMs = performance.now();
    const cpu = process.cpuUsage();
    await passed(durationMs);
    this.#toMs = performance.now();
    const { user, system } = process.cpuUsage(cpu);
    this.#clientCpuMs = Math.round((user + system) / 1000);
  }

  /** Until then what is due counts; infinite as long as it is not over. */
  get endMs(): number {
    return this.#toMs;
  }

  covers(atMs: number): boolean {
    return atMs >= this.#fromMs && atMs < this.#toMs;
  }

  /** Answered now; the latency counts when it is of this stretch. */
  answered(status: string, latencyMs: number, isMeasured: boolean): void {
    if (this.covers(performance.now())) this.#requests += 1;
    if (!isMeasured) return;
    this.#statuses[status] = (this.#statuses[status] ?? 0) + 1;
    this.#histogram.add(latencyMs);
  }

  neverAnswered(waitedMs: number): void {
    this.#unanswered += 1;
    this.#histogram.add(waitedMs);
  }

  broke(): void {
    if (this.covers(performance.now())) this.#broken += 1;
  }

  report(): LoadReport {
    const seconds = (this.#toMs - this.#fromMs) / 1000;
    const quantile = (share: number): number => this.#histogram.quantile(share);
    return {
      requests: this.#requests,
      seconds: round(seconds),
      perSecond: Math.round(this.#requests / seconds),
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
      clientCpuMs: this.#clientCpuMs,
    };
  }
}

export function passed(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
