/**
 * `mutt replay FILE…`: pushes files of syslog lines or NDJSON to the ingest port as they are, and says what became of
 * every line.
 *
 * Streams: memory is bounded by batch size and connections. With several connections batches overtake each other, so
 * order per host is kept only with one.
 */
import { randomUUID } from 'node:crypto';
import { codeOf } from '../../runtime/errors.ts';
import { account } from './accounting.ts';
import type { AdminClient } from './admin-client.ts';
import type { Ledger } from './admin-documents.ts';
import { BatchSender } from './batch-sender.ts';
import { connectAdmin, connectIngest } from './connect.ts';
import type { AdminOptions, IngestOptions } from './connect.ts';
import { EXIT } from './context.ts';
import type { CliContext } from './context.ts';
import { LineBatcher } from './line-batcher.ts';
import type { Batch, LineOrigin } from './line-batcher.ts';
import { checkLineFile, LINE_BYTES_MAX, readLineFile } from './line-file.ts';
import { Pacer } from './pacer.ts';
import { ReplayProgress } from './replay-progress.ts';
import { addOutcome, addReason, describeSummary, emptySummary, isAllGood } from './replay-summary.ts';
import type { ReplaySummary } from './replay-summary.ts';
import { reportError } from './report-error.ts';
import { paletteFor, printable } from './terminal-text.ts';

export interface ReplayOptions extends AdminOptions, IngestOptions {
  /** Events per second; undefined is as fast as the server takes them. */
  rate?: number;
  /** Lines per request. */
  batch?: number;
  /** Requests at a time. */
  connections?: number;
  /** How long to wait for a server that is away, and for the last events to settle. */
  timeoutMs?: number;
  /** False: do not ask the ledger. */
  ledger?: boolean;
  json?: boolean;
}

export const BATCH_LINES_DEFAULT = 500;
export const CONNECTIONS_DEFAULT = 4;
export const TIMEOUT_MS_DEFAULT = 60_000;
/** A quarter of what the server takes in one body. */
export const BATCH_BYTES_MAX = 4 * 1024 * 1024;
/** With a rate, a batch holds at most this part of a second, so that a slow rate still flows. */
const RATE_SLICE_S = 0.1;
const LOOPBACK = /^(127\.0\.0\.1|\[::1\])(?=:|$)/;
/** How long requests that are under way at Ctrl-C may still be answered. */
const GRACE_MS = 2_000;

/** Gives the exit code. */
export async function replay(
  context: CliContext,
  files: readonly string[],
  options: ReplayOptions,
): Promise<number> {
  let totalBytes = 0;
  for (const file of files) totalBytes += await checkLineFile(file);
  const admin = isLedgerAsked(context, options) ? connectAdmin(context, options) : undefined;
  try {
    const before = await admin?.ledger(context.signal);
    const run = new ReplayRun(context, files, options, totalBytes);
    await run.send();
    await run.account(admin, before);
    return run.report();
  } finally {
    admin?.close();
  }
}

/** The ledger of this node says nothing about what another one was sent. */
function isLedgerAsked(context: CliContext, { ledger, url, adminUrl }: ReplayOptions): boolean {
  if (ledger === false) return false;
  if (url === undefined || adminUrl !== undefined || isSameServer(url, context.ingestUrl)) return true;
  context.io.stderr.write(
    `The ledger is not asked: ${printable(hostOf(url))} is not this node. Give --admin-url and --admin-key-file of that one.\n`,
  );
  return false;
}

function isSameServer(one: string, other: string): boolean {
  const [first, second] = [one, other].map((url) => hostOf(url).replace(LOOPBACK, 'localhost'));
  return first === second;
}

/** Without what an address may hold beside: a password. */
function hostOf(url: string): string {
  return URL.parse(url)?.host ?? 'what --url says';
}

class ReplayRun {
  readonly #context: CliContext;
  readonly #files: readonly string[];
  readonly #options: ReplayOptions;
  readonly #progress: ReplayProgress;
  readonly #summary: ReplaySummary;
  /** Aborted by Ctrl-C or by the first failure: nothing further is sent. */
  readonly #stop = new AbortController();
  #failure: unknown;

  constructor(context: CliContext, files: readonly string[], options: ReplayOptions, totalBytes: number) {
    this.#context = context;
    this.#files = files;
    this.#options = options;
    this.#summary = emptySummary(files.length);
    this.#progress = new ReplayProgress(context, totalBytes, this.#summary);
  }

  async send(): Promise<void> {
    const { clock, signal } = this.#context;
    const connections = this.#options.connections ?? CONNECTIONS_DEFAULT;
    const http = connectIngest(this.#context, { ...this.#options, connectionsMax: connections });
    const hard = new AbortController();
    let cancelGrace = (): void => undefined;
    const onInterrupt = (): void => {
      this.#summary.interrupted = true;
      this.#stop.abort();
      cancelGrace = clock.after(GRACE_MS, () => hard.abort());
    };
    signal.addEventListener('abort', onInterrupt);
    if (signal.aborted) onInterrupt();
    const sender = new BatchSender({
      http,
      clock,
      signal: this.#stop.signal,
      hardSignal: hard.signal,
      patienceMs: this.#options.timeoutMs ?? TIMEOUT_MS_DEFAULT,
      onWait: (waitMs, why) => this.#progress.waits(waitMs, why),
    });
    const startedAtMs = clock.monotonicMs();
    const batches = this.#batches();
    const runId = randomUUID();
    let sequence = 0;
    const work = async (): Promise<void> => {
      for (;;) {
        const { value: batch, done } = await batches.next();
        if (done === true) return;
        await sender.send(batch, `replay-${runId}-${sequence++}`, (outcome) =>
          addOutcome(this.#summary, outcome),
        );
      }
    };
    this.#progress.begin();
    try {
      const guarded = async (): Promise<void> => work().catch((thrown: unknown) => this.#fail(thrown));
      await Promise.all(Array.from({ length: connections }, guarded));
    } finally {
      // A generator that nobody asks any more would keep its file open.
      await batches.return();
      this.#progress.end();
      cancelGrace();
      signal.removeEventListener('abort', onInterrupt);
      http.close();
      this.#summary.elapsed_ms = Math.round(clock.monotonicMs() - startedAtMs);
    }
  }

  async account(admin: AdminClient | undefined, before: Ledger | undefined): Promise<void> {
    if (admin === undefined || before === undefined) return;
    this.#progress.note('waiting until the node has handled everything');
    try {
      const accounting = await account(admin, before, this.#summary.accepted, {
        clock: this.#context.clock,
        signal: this.#stop.signal,
        timeoutMs: this.#options.timeoutMs ?? TIMEOUT_MS_DEFAULT,
      });
      this.#summary.ledger = accounting;
      this.#summary.accounted = accounting.settled + this.#summary.rejected;
    } catch (thrown) {
      this.#fail(thrown);
    }
  }

  report(): number {
    const { io } = this.#context;
    const text =
      this.#options.json === true
        ? JSON.stringify(this.#summary, null, 2)
        : describeSummary(this.#summary, paletteFor(this.#context)).join('\n');
    io.stdout.write(`${text}\n`);
    if (this.#failure !== undefined) {
      const code = reportError(io, this.#failure);
      // A damaged file is no wrong call: what could be read of it has been sent.
      return codeOf(this.#failure) === 'E_FILE_DAMAGED' ? EXIT.notGood : code;
    }
    if (this.#summary.interrupted) return EXIT.interrupted;
    return isAllGood(this.#summary) ? EXIT.ok : EXIT.notGood;
  }

  #fail(thrown: unknown): void {
    this.#failure ??= thrown;
    this.#stop.abort();
  }

  /** All batches of all files, at the rate. One reader for all connections: calls of `next` queue up. */
  async *#batches(): AsyncGenerator<Batch, void> {
    const { rate } = this.#options;
    const pacer = new Pacer(this.#context.clock, rate ?? Infinity);
    const linesMax = this.#options.batch ?? BATCH_LINES_DEFAULT;
    const batcher = new LineBatcher({
      linesMax:
        rate === undefined ? linesMax : Math.min(linesMax, Math.max(1, Math.ceil(rate * RATE_SLICE_S))),
      bytesMax: BATCH_BYTES_MAX,
    });
    const { signal } = this.#stop;
    const ready = async (batch: Batch): Promise<boolean> => {
      await pacer.admit(batch.events, signal);
      if (!signal.aborted) this.#summary.events += batch.events;
      return !signal.aborted;
    };
    let damage: unknown;
    let earlierBytes = 0;
    for (const file of this.#files) {
      let fileBytes = 0;
      try {
        for await (const piece of readLineFile(file)) {
          fileBytes = piece.fileBytes;
          this.#progress.read(earlierBytes + fileBytes);
          for (const line of piece.overlong) this.#refuseOverlong({ file, line });
          for (const [index, bytes] of piece.lines.entries()) {
            for (const batch of batcher.add(bytes, { file, line: piece.numbers[index] ?? 0 })) {
              if (!(await ready(batch))) return;
              yield batch;
            }
          }
        }
      } catch (thrown) {
        if (codeOf(thrown) !== 'E_FILE_DAMAGED') throw thrown;
        damage ??= thrown;
      }
      earlierBytes += fileBytes;
    }
    for (const batch of batcher.flush()) {
      if (!(await ready(batch))) return;
      yield batch;
    }
    if (damage !== undefined) this.#failure ??= damage;
  }

  #refuseOverlong(origin: LineOrigin): void {
    this.#summary.events += 1;
    this.#summary.rejected += 1;
    addReason(this.#summary, {
      ...origin,
      code: 'E_LINE_TOO_LONG',
      message: `a line is longer than ${LINE_BYTES_MAX} bytes and was not sent`,
    });
  }
}
