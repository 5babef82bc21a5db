/**
 * `mutt send`: lines of files, or of standard input as they come, to the ingest port in their order; over one WebSocket
 * with `--ws`, else one request after another.
 *
 * What has come goes at once: a line of `tail -F` does not wait for others. Unlike `replay` it asks no ledger, and keeps
 * the order. Memory is bounded by what has no ack yet.
 */
import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { codeOf } from '../../runtime/errors.ts';
import { BatchSender } from './batch-sender.ts';
import type { BatchOutcome } from './batch-sender.ts';
import { connectIngest, ingestKeyReader, ingestTls } from './connect.ts';
import type { IngestOptions } from './connect.ts';
import { EXIT } from './context.ts';
import type { CliContext } from './context.ts';
import { LineBatcher } from './line-batcher.ts';
import type { Batch } from './line-batcher.ts';
import { checkLineFile, LINE_BYTES_MAX, readLineFile, readLineStream } from './line-file.ts';
import type { LinePiece } from './line-file.ts';
import { readAhead } from './read-ahead.ts';
import { BATCH_BYTES_MAX, BATCH_LINES_DEFAULT, TIMEOUT_MS_DEFAULT } from './replay.ts';
import { addOutcome, addReason, describeSummary, emptySummary, isAllGood } from './replay-summary.ts';
import type { ReplaySummary } from './replay-summary.ts';
import { reportError } from './report-error.ts';
import { SocketSender } from './socket-sender.ts';
import { paletteFor } from './terminal-text.ts';
import { readTraps } from './traps/trap-reader.ts';

export interface SendOptions extends IngestOptions {
  ws?: boolean;
  /** Lines sent at once. */
  batch?: number;
  /** How long to wait for a server that is away. */
  timeoutMs?: number;
  /** Without limit, from the first try on, and also for a key to be good. */
  wait?: boolean;
  /** The lines are what snmptrapd prints. */
  trap?: boolean;
  json?: boolean;
}

/** Among the files: standard input. */
const STDIN = '-';
const STDIN_NAME = 'standard input';
/** Within what the server takes as one message. */
const MESSAGE_BYTES_MAX = 200 * 1024;
/** Of traps while they cannot be sent; snmptrapd cannot hold back who sends them. */
const READ_AHEAD_BYTES_MAX = 64 * 1024 * 1024;
/** How long what is under way at Ctrl-C may still be answered. */
const GRACE_MS = 2_000;

interface Run {
  context: CliContext;
  options: SendOptions;
  stdin: AsyncIterable<Buffer>;
  summary: ReplaySummary;
  /** Aborted by Ctrl-C, or when nothing further can be sent. */
  /** A file that breaks off: what could be read of it is sent. */
  damage: unknown;
  stop: AbortController;
  hardSignal: AbortSignal;
}

/** Gives the exit code. */
export async function send(
  context: CliContext,
  files: readonly string[],
  options: SendOptions,
): Promise<number> {
  const inputs = files.length === 0 ? [STDIN] : files;
  for (const file of inputs) if (file !== STDIN) await checkLineFile(file);
  const { clock, signal, io } = context;
  const summary = emptySummary(inputs.length);
  const stop = new AbortController();
  const hard = new AbortController();
  let cancelGrace = (): void => undefined;
  const onInterrupt = (): void => {
    summary.interrupted = true;
    stop.abort();
    cancelGrace = clock.after(GRACE_MS, () => hard.abort());
  };
  signal.addEventListener('abort', onInterrupt);
  if (signal.aborted) onInterrupt();
  const stdin = openStdin(context, options.trap === true && inputs.includes(STDIN), stop.signal);
  const run: Run = { context, options, stdin, summary, damage: undefined, stop, hardSignal: hard.signal };
  const batches = readBatches(run, inputs);
  const startedAtMs = clock.monotonicMs();
  let failure: unknown;
  try {
    await (options.ws === true ? sendOverSocket(run, batches) : sendByRequests(run, batches));
  } catch (thrown) {
    failure = thrown;
  } finally {
    // Ends standard input, which may never end by itself.
    stop.abort();
    await batches.return();
    cancelGrace();
    signal.removeEventListener('abort', onInterrupt);
    summary.elapsed_ms = Math.round(clock.monotonicMs() - startedAtMs);
  }
  failure ??= run.damage;
  const text =
    options.json === true
      ? JSON.stringify(summary, null, 2)
      : describeSummary(summary, paletteFor(context)).join('\n');
  io.stdout.write(`${text}\n`);
  if (failure !== undefined) {
    const code = reportError(io, failure);
    return codeOf(failure) === 'E_FILE_DAMAGED' ? EXIT.notGood : code;
  }
  if (summary.interrupted) return EXIT.interrupted;
  return isAllGood(summary) ? EXIT.ok : EXIT.notGood;
}

async function sendOverSocket(run: Run, batches: AsyncGenerator<Batch, void>): Promise<void> {
  const { context, options } = run;
  const http = connectIngest(context, options);
  try {
    await new SocketSender(batches, {
      ...common(run),
      url: options.url ?? context.ingestUrl,
      http,
      readKey: ingestKeyReader(context, options),
      tls: ingestTls(context, options),
      tell: tellInto(run.summary),
    }).send();
  } finally {
    http.close();
  }
}

async function sendByRequests(run: Run, batches: AsyncGenerator<Batch, void>): Promise<void> {
  const http = connectIngest(run.context, { ...run.options, connectionsMax: 1 });
  const sender = new BatchSender({ ...common(run), http });
  const runId = randomUUID();
  let sequence = 0;
  try {
    for await (const batch of batches) {
      await sender.send(batch, `send-${runId}-${sequence++}`, tellInto(run.summary));
    }
  } finally {
    http.close();
  }
}

function common({ context, options, stop, hardSignal }: Run): {
  clock: CliContext['clock'];
  signal: AbortSignal;
  hardSignal: AbortSignal;
  patienceMs: number;
  onWait(waitMs: number, why: string): void;
} {
  const { io, clock } = context;
  let said = '';
  return {
    clock,
    signal: stop.signal,
    hardSignal,
    patienceMs: options.wait === true ? Infinity : (options.timeoutMs ?? TIMEOUT_MS_DEFAULT),
    onWait: (_waitMs, why) => {
      if (why !== said) io.stderr.write(`${why}: waiting\n`);
      said = why;
    },
  };
}

function tellInto(summary: ReplaySummary): (outcome: BatchOutcome) => void {
  return (outcome) => addOutcome(summary, outcome);
}

/** What each piece of input holds goes at once, in batches. */
async function* readBatches(run: Run, inputs: readonly string[]): AsyncGenerator<Batch, void> {
  const { options, stop } = run;
  const { signal } = stop;
  const batcher = new LineBatcher({
    linesMax: options.batch ?? BATCH_LINES_DEFAULT,
    bytesMax: options.ws === true ? MESSAGE_BYTES_MAX : BATCH_BYTES_MAX,
    isOrdered: true,
  });
  for (const input of inputs) {
    const pieces = piecesOf(run, input);
    const file = input === STDIN ? STDIN_NAME : input;
    try {
      for await (const piece of pieces) {
        for (const batch of batchesOf(run, batcher, file, piece)) {
          if (signal.aborted) return;
          run.summary.events += batch.events;
          yield batch;
        }
      }
    } catch (thrown) {
      if (codeOf(thrown) !== 'E_FILE_DAMAGED') throw thrown;
      run.damage ??= thrown;
    }
  }
}

function piecesOf({ context, options, stdin }: Run, input: string): AsyncIterable<LinePiece> {
  const pieces = input === STDIN ? readLineStream(stdin) : readLineFile(input);
  if (options.trap !== true) return pieces;
  return readTraps(pieces, { wallMs: () => context.clock.wallMs(), hostname: hostname() });
}

/** Traps are read at once, whether they can be sent or not. */
function openStdin({ io }: CliContext, isTrap: boolean, signal: AbortSignal): AsyncIterable<Buffer> {
  const stdin = io.readStdin(signal);
  if (!isTrap) return stdin;
  const onFull = (): void =>
    void io.stderr.write('too many traps wait: snmptrapd must wait, and loses some\n');
  return readAhead(stdin, { bytesMax: READ_AHEAD_BYTES_MAX, onFull });
}

function batchesOf({ summary }: Run, batcher: LineBatcher, file: string, piece: LinePiece): Batch[] {
  for (const line of piece.overlong) refuseOverlong(summary, file, line);
  const batches = piece.lines.flatMap((bytes, index) =>
    batcher.add(bytes, { file, line: piece.numbers[index] ?? 0 }),
  );
  return [...batches, ...batcher.flush()];
}

function refuseOverlong(summary: ReplaySummary, file: string, line: number): void {
  summary.events += 1;
  summary.rejected += 1;
  addReason(summary, {
    file,
    line,
    code: 'E_LINE_TOO_LONG',
    message: `a line is longer than ${LINE_BYTES_MAX} bytes and was not sent`,
  });
}
