/**
 * What the actors of a thread did last, in shared memory: readable from outside while the thread is busy, and after it
 * has died of whatever it died of.
 *
 * For each actor: what it handles now and since when, its last messages with their handler times and outcomes, how many
 * wait. Never a message's content, only what its type is called. The block belongs to whoever supervises the thread; the
 * thread alone writes, with plain stores. A reader of a living thread may meet an entry half written; that of a dead one
 * finds the last store. Bounded: `ACTORS_MAX` actors, the first ones; what is left out is counted.
 */
import type { Clock } from '../clock.ts';
import { systemClock } from '../clock.ts';
import { SharedText } from './shared-text.ts';
import { processMs } from './vitals.ts';

const ACTORS_MAX = 32;
/** Last messages of each actor; a power of two. */
const ENTRIES_KEPT = 16;
const TYPES_MAX = 128;
const TEXT_BYTES_MAX = 124;
const TEXT_BYTES = SharedText.bytesFor(TEXT_BYTES_MAX);

/** A row of numbers: the five below, then three for each entry (begun, took, type and outcome). */
const COUNT = 0;
const CURRENT = 1;
const SINCE = 2;
const WAITING = 3;
const ACTIVE_AT = 4;
const ENTRIES = 5;
const ENTRY_NUMBERS = 3;
const ROW_NUMBERS = ENTRIES + ENTRIES_KEPT * ENTRY_NUMBERS;

/** The first number of all is how many actors were left out. */
const NUMBERS = 1 + ACTORS_MAX * ROW_NUMBERS;
const NUMBERS_BYTES = NUMBERS * Float64Array.BYTES_PER_ELEMENT;
const BLOCK_BYTES = NUMBERS_BYTES + (ACTORS_MAX + TYPES_MAX) * TEXT_BYTES;

/** Numbers, since one is written for each message. */
export const Recorded = { handled: 0, failed: 1, hung: 2, killed: 3 } as const;
export type Recorded = (typeof Recorded)[keyof typeof Recorded];
export type RecordedOutcome = keyof typeof Recorded;
const OUTCOMES = Object.keys(Recorded) as RecordedOutcome[];
const OUTCOME_COUNT = 4;

/** Stands for every type beyond the bound. */
const OTHER_TYPES = 'other types';

/** One actor's page of the black box, as plain data. All times are wall time. */
export interface ActorRecord {
  actor: string;
  /** When it last began or ended something. */
  activeAtMs: number;
  /** Messages that waited when it last began one. */
  waiting: number;
  /** What it is at, or was at when its thread died. */
  current?: { type: string; sinceMs: number };
  /** Its last messages, oldest first; `n` counts them from its first. */
  last: { n: number; type: string; atMs: number; tookMs: number; outcome: RecordedOutcome }[];
}

/** How much of a black box goes into an exit reason, a tree view, a line of a log. */
export interface TailBounds {
  actorsMax: number;
  entriesMax: number;
}

const TAIL_DEFAULT: TailBounds = { actorsMax: 4, entriesMax: 8 };

export class BlackBox {
  readonly buffer: SharedArrayBuffer;
  readonly numbers: Float64Array;

  constructor(buffer: SharedArrayBuffer = new SharedArrayBuffer(BLOCK_BYTES)) {
    this.buffer = buffer;
    this.numbers = new Float64Array(buffer, 0, NUMBERS);
  }

  /** A new incarnation begins: what the last one left goes. */
  clear(): void {
    this.numbers.fill(0);
    for (let at = 0; at < ACTORS_MAX + TYPES_MAX; at++) this.textAt(at).text = '';
  }

  /** Actors without a page, since there were too many. */
  get actorsLeftOut(): number {
    return this.numbers[0] ?? 0;
  }

  /** Another one than before when anything was written in between. */
  get stamp(): number {
    let stamp = 0;
    for (let row = 0; row < ACTORS_MAX; row++) {
      const at = rowAt(row);
      stamp += 2 * (this.numbers[at + COUNT] ?? 0) + Math.sign(this.numbers[at + CURRENT] ?? 0);
    }
    return stamp;
  }

  /** The actors that were active last, the latest first, and what they did last. */
  tail({ actorsMax, entriesMax }: TailBounds = TAIL_DEFAULT): ActorRecord[] {
    const wallMinusProcessMs = systemClock.wallMs() - processMs();
    const rows = Array.from({ length: ACTORS_MAX }, (_, row) => row)
      .filter((row) => this.number(row, ACTIVE_AT) > 0)
      .sort((a, b) => this.number(b, ACTIVE_AT) - this.number(a, ACTIVE_AT));
    return rows.slice(0, actorsMax).map((row) => this.record(row, entriesMax, wallMinusProcessMs));
  }

  /** Texts of actors, then of types. */
  textAt(index: number): SharedText {
    return new SharedText(this.buffer, NUMBERS_BYTES + index * TEXT_BYTES, TEXT_BYTES_MAX);
  }

  private record(row: number, entriesMax: number, wallMinusProcessMs: number): ActorRecord {
    const wall = (atMs: number): number => Math.round(wallMinusProcessMs + atMs);
    const count = this.number(row, COUNT);
    const kept = Math.min(count, ENTRIES_KEPT, entriesMax);
    const last: ActorRecord['last'] = [];
    for (let n = count - kept; n < count; n++) {
      const at = ENTRIES + (n % ENTRIES_KEPT) * ENTRY_NUMBERS;
      const typeAndOutcome = this.number(row, at + 2);
      last.push({
        n: n + 1,
        type: this.typeOf(Math.floor(typeAndOutcome / OUTCOME_COUNT)),
        atMs: wall(this.number(row, at)),
        tookMs: Math.round(this.number(row, at + 1) * 1_000) / 1_000,
        outcome: OUTCOMES[typeAndOutcome % OUTCOME_COUNT] ?? 'handled',
      });
    }
    const current = this.number(row, CURRENT);
    return {
      actor: this.textAt(row).text,
      activeAtMs: wall(this.number(row, ACTIVE_AT)),
      waiting: this.number(row, WAITING),
      ...(current === 0
        ? {}
        : { current: { type: this.typeOf(current - 1), sinceMs: wall(this.number(row, SINCE)) } }),
      last,
    };
  }

  private number(row: number, at: number): number {
    return this.numbers[rowAt(row) + at] ?? 0;
  }

  private typeOf(id: number): string {
    return id >= TYPES_MAX ? OTHER_TYPES : this.textAt(ACTORS_MAX + id).text;
  }
}

/** The thread's side. */
export class BlackBoxWriter {
  readonly clock: Clock;
  /** From the thread's own clock to the one of all threads. */
  readonly offsetMs: number;
  private readonly box: BlackBox;
  private readonly typeIds = new Map<string, number>();
  /** Rows without a living actor, the longest free first: what a dead actor left stays readable for a while. */
  private readonly freeRows = Array.from({ length: ACTORS_MAX }, (_, row) => row);

  constructor(box: BlackBox, clock: Clock) {
    this.box = box;
    this.clock = clock;
    this.offsetMs = processMs() - clock.monotonicMs();
  }

  /** A page for one actor; undefined when all are taken. */
  open(path: string): ActorRecorder | undefined {
    const { numbers } = this.box;
    const row = this.freeRows.shift();
    if (row === undefined) {
      numbers[0] = this.box.actorsLeftOut + 1;
      return undefined;
    }
    numbers.fill(0, rowAt(row), rowAt(row + 1));
    this.box.textAt(row).text = path;
    return new ActorRecorder(this, numbers, rowAt(row), () => this.freeRows.push(row));
  }

  typeId(type: string): number {
    const known = this.typeIds.get(type);
    if (known !== undefined) return known;
    const id = this.typeIds.size;
    if (id >= TYPES_MAX) return TYPES_MAX;
    this.typeIds.set(type, id);
    this.box.textAt(ACTORS_MAX + id).text = type;
    return id;
  }
}

/** Writes one actor's page: at most one clock reading for each message of a turn, and no allocation. */
export class ActorRecorder {
  /** Gives the page to the next actor that needs one. Once. */
  readonly close: () => void;
  private readonly writer: BlackBoxWriter;
  private readonly numbers: Float64Array;
  private readonly at: number;
  private readonly clock: Clock;
  private readonly offsetMs: number;
  private lastType = '';
  private lastTypeId = 0;
  private nowMs = 0;
  private count = 0;
  private isOpen = false;

  constructor(writer: BlackBoxWriter, numbers: Float64Array, at: number, close: () => void) {
    this.writer = writer;
    this.numbers = numbers;
    this.at = at;
    this.clock = writer.clock;
    this.offsetMs = writer.offsetMs;
    this.close = close;
  }

  /** `goesOn`: at once after the end before, whose time is the time of this begin. */
  begin(type: string, waiting: number, goesOn: boolean): void {
    if (type !== this.lastType) {
      this.lastTypeId = this.writer.typeId(type);
      this.lastType = type;
    }
    if (!goesOn) this.nowMs = this.clock.monotonicMs() + this.offsetMs;
    const { numbers, at, nowMs } = this;
    this.isOpen = true;
    numbers[at + SINCE] = nowMs;
    numbers[at + WAITING] = waiting;
    numbers[at + ACTIVE_AT] = nowMs;
    numbers[at + CURRENT] = this.lastTypeId + 1;
  }

  /** Nothing when nothing was begun. */
  end(outcome: Recorded): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    const { numbers, at, count } = this;
    const beganMs = this.nowMs;
    const nowMs = (this.nowMs = this.clock.monotonicMs() + this.offsetMs);
    const entry = at + ENTRIES + (count & (ENTRIES_KEPT - 1)) * ENTRY_NUMBERS;
    numbers[entry] = beganMs;
    numbers[entry + 1] = nowMs - beganMs;
    numbers[entry + 2] = this.lastTypeId * OUTCOME_COUNT + outcome;
    this.count = count + 1;
    numbers[at + COUNT] = count + 1;
    numbers[at + ACTIVE_AT] = nowMs;
    numbers[at + CURRENT] = 0;
  }
}

function rowAt(row: number): number {
  return 1 + row * ROW_NUMBERS;
}
