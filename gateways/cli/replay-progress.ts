/**
 * How far a replay is: a bar that is drawn again on a terminal, a line now and then elsewhere. Always on stderr.
 */
import type { CliContext } from './context.ts';
import { Repainter } from './repainter.ts';
import type { ReplaySummary } from './replay-summary.ts';
import { count, cut, duration } from './terminal-text.ts';

const REDRAW_MS = 200;
const LINE_MS = 2_000;
const BAR_COLUMNS_MAX = 30;
/** Below this width there is no room for a bar. */
const BAR_FROM_COLUMNS = 60;
const MARGIN_COLUMNS = 1;

export class ReplayProgress {
  readonly #context: CliContext;
  readonly #totalBytes: number;
  readonly #summary: ReplaySummary;
  readonly #repainter: Repainter;
  #readBytes = 0;
  #startedAtMs = 0;
  #waiting: { why: string; untilMs: number } | undefined;
  #cancel: (() => void) | undefined;

  constructor(context: CliContext, totalBytes: number, summary: ReplaySummary) {
    this.#context = context;
    this.#totalBytes = totalBytes;
    this.#summary = summary;
    this.#repainter = new Repainter(context.io.stderr);
  }

  begin(): void {
    this.#startedAtMs = this.#context.clock.monotonicMs();
    this.#again();
  }

  /** Bytes of all files read so far. */
  read(bytes: number): void {
    this.#readBytes = bytes;
  }

  waits(waitMs: number, why: string): void {
    this.#waiting = { why, untilMs: this.#context.clock.monotonicMs() + waitMs };
  }

  note(text: string): void {
    if (this.#context.io.isTTY) this.#context.io.stderr.write(`${text}…\n`);
  }

  end(): void {
    this.#cancel?.();
    if (!this.#context.io.isTTY) return;
    this.#repainter.draw([this.#line()]);
    this.#repainter.end();
  }

  #again(): void {
    const { clock, io } = this.#context;
    if (io.isTTY) this.#repainter.draw([this.#line()]);
    this.#cancel = clock.after(io.isTTY ? REDRAW_MS : LINE_MS, () => {
      if (!io.isTTY) io.stderr.write(`${this.#line()}\n`);
      this.#again();
    });
  }

  #line(): string {
    const { clock, io } = this.#context;
    const columns = io.isTTY ? io.columns - MARGIN_COLUMNS : Infinity;
    const elapsedMs = clock.monotonicMs() - this.#startedAtMs;
    const part = this.#totalBytes === 0 ? 1 : Math.min(1, this.#readBytes / this.#totalBytes);
    const { sent, rejected } = this.#summary;
    const rate = elapsedMs > 0 ? (sent * 1_000) / elapsedMs : 0;
    const facts = [
      `${String(Math.floor(part * 100)).padStart(3)} %`,
      `${count(sent)} sent`,
      `${count(rate)}/s`,
      ...(rejected === 0 ? [] : [`${count(rejected)} rejected`]),
      duration(elapsedMs),
      ...this.#waitFact(),
    ].join('  ');
    if (!io.isTTY || columns < BAR_FROM_COLUMNS) return cut(facts, columns);
    return cut(`${bar(part, Math.min(BAR_COLUMNS_MAX, columns - 50))} ${facts}`, columns);
  }

  #waitFact(): string[] {
    if (this.#waiting === undefined || this.#waiting.untilMs < this.#context.clock.monotonicMs()) return [];
    return [this.#waiting.why];
  }
}

function bar(part: number, columns: number): string {
  const full = Math.round(part * columns);
  return `[${'#'.repeat(full)}${'-'.repeat(columns - full)}]`;
}
