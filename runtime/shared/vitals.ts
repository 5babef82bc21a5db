/**
 * Vital signs of one thread in shared memory: readable from outside while it is busy, hung, or dead.
 *
 * The thread writes, its supervisor only reads (and writes `leaseUntilMs`, the one value that goes the other way).
 * Times are of the process-wide monotonic clock (`processMs`), since `performance.now()` starts anew in every thread.
 */
import { SharedText } from './shared-text.ts';

const FIELDS = ['heartbeatAtMs', 'deadlineAtMs', 'leaseUntilMs', 'heapUsedBytes', 'epoch'] as const;
type Field = (typeof FIELDS)[number];
const indexOf = Object.fromEntries(FIELDS.map((name, index) => [name, index])) as Record<Field, number>;

const NUMBERS_BYTES = FIELDS.length * Float64Array.BYTES_PER_ELEMENT;
/** Room for "what it is doing" as UTF-8; longer text is cut. */
const DOING_BYTES_MAX = 248;
const BLOCK_BYTES = NUMBERS_BYTES + SharedText.bytesFor(DOING_BYTES_MAX);

/** Milliseconds of the monotonic clock that all threads and processes of this machine share (`process.hrtime`). */
export function processMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

export class Vitals {
  readonly buffer: SharedArrayBuffer;
  readonly #numbers: Float64Array;
  readonly #doing: SharedText;

  constructor(buffer: SharedArrayBuffer = new SharedArrayBuffer(BLOCK_BYTES)) {
    this.buffer = buffer;
    this.#numbers = new Float64Array(buffer, 0, FIELDS.length);
    this.#doing = new SharedText(buffer, NUMBERS_BYTES, DOING_BYTES_MAX);
  }

  get(field: Field): number {
    return this.#numbers[indexOf[field]] ?? 0;
  }

  set(field: Field, value: number): void {
    this.#numbers[indexOf[field]] = value;
  }

  /** Says that the thread's event loop is alive. */
  beat(): void {
    this.set('heartbeatAtMs', processMs());
  }

  /** What it works on now, for the exit reason should it die of it; empty when idle. */
  set doing(text: string) {
    this.#doing.text = text;
  }

  get doing(): string {
    return this.#doing.text;
  }

  /** A new incarnation begins: everything the last one said of itself goes. */
  begin(epoch: number): void {
    this.doing = '';
    this.set('deadlineAtMs', 0);
    this.set('epoch', epoch);
    this.beat();
  }
}

export interface HangLimits {
  /** Longest silence of the event loop. */
  hangAfterMs: number;
  /** How often the watcher looks. */
  tickMs: number;
}

/**
 * Judges silence. A watcher whose own tick came late (the machine slept, this process was stopped) knows nothing of
 * the others: it judges nobody in that round and counts silence from then on.
 */
export class SilenceJudge {
  readonly #limits: HangLimits;
  #lastTickAtMs: number;
  #blindUntilMs: number;

  constructor(limits: HangLimits, nowMs: number) {
    this.#limits = limits;
    this.#lastTickAtMs = nowMs;
    this.#blindUntilMs = nowMs;
  }

  /** To be called once per tick, before the judging. Answers whether this round may judge. */
  tick(nowMs: number): boolean {
    const lateMs = nowMs - this.#lastTickAtMs - this.#limits.tickMs;
    this.#lastTickAtMs = nowMs;
    if (lateMs > this.#limits.tickMs) {
      this.#blindUntilMs = nowMs;
      return false;
    }
    return true;
  }

  /** How long the other has been silent beyond what is allowed, or undefined while it is well. */
  silentMs(heartbeatAtMs: number, deadlineAtMs: number, nowMs: number): number | undefined {
    const sinceMs = nowMs - Math.max(heartbeatAtMs, this.#blindUntilMs);
    if (sinceMs > this.#limits.hangAfterMs) return sinceMs;
    if (deadlineAtMs === 0) return undefined;
    // Its deadline passed while nobody looked: it gets as long as a silence, or it would never be judged.
    const isMissed = deadlineAtMs <= this.#blindUntilMs;
    const dueAtMs = isMissed ? this.#blindUntilMs + this.#limits.hangAfterMs : deadlineAtMs;
    return nowMs > dueAtMs ? nowMs - deadlineAtMs : undefined;
  }
}
