/**
 * Runs an expression over a text in one pass: a deterministic automaton whose states are made when a text first leads to
 * them, so that a character costs one look into a table.
 *
 * Bounded: states are kept up to AUTOMATON_BYTES_MAX. When they are full, texts that lead to further ones are simulated
 * from there on, without new states; after REFILL_AFTER characters for each state kept have been simulated, all states
 * are dropped and made anew, so that they fit the texts of today. An expression with more states than can be kept thus
 * costs a simulated step per character, and no text costs more steps (words handled) than the meter of the thread allows.
 */
import { CodedError } from '../../../runtime/errors.ts';
import { END, OTHER, START, WORD, kindOf } from './boundary.ts';
import { asciiBytes } from './ascii-text.ts';
import { DIRECT } from './character-classes.ts';
import type { Program } from './program.ts';
import { stepMeter } from './step-meter.ts';

/** What the states of one expression may take. */
export const AUTOMATON_BYTES_MAX = 256 * 1024;
/** What one look into the table that has to be worked out costs beyond its positions, in steps. */
const STATE_STEPS = 64;
/** The same for a simulated character. */
const SIMULATED_STEPS = 8;
const STATES_FIRST = 8;
const STATES_MIN = 32;
const REFILL_AFTER = 32;

// What the table holds instead of a state's offset. Nothing leads back to the first state, so its offset is free.
const UNKNOWN = 0;
const MATCHED = -1;
/** No text that goes on from here can match. */
const DEAD = -2;
const FULL = -3;

const UNASKED = 0;
const YES = 1;
const NO = 2;

export class Automaton {
  private readonly program: Program;
  private readonly stride: number;
  private readonly statesMax: number;
  /** For each state, at its offset (number times stride), the offset of the state after each class. */
  private table: Int32Array;
  /** For each state its positions. */
  private positions: Uint32Array;
  /** For each state what is before it: START, OTHER or WORD. */
  private before: Uint8Array;
  /** For each state whether a text that ends there matches: UNASKED, YES or NO. */
  private atEnd: Uint8Array;
  /** Numbers of states plus one, by the hash of what they are; 0 is free. */
  private hashed: Int32Array;
  private states = 0;
  /** States up to this offset, but for the first one, are idle: nothing has begun, and not everything may begin. */
  private readonly idleUpTo: number;
  /** All but the classes, which grow while they are asked. */
  private ownBytes: number;
  private simulatedUnits = 0;
  private refillCount = 0;
  private steps = 0;
  private next: Uint32Array;
  private current: Uint32Array;

  constructor(program: Program) {
    this.program = program;
    this.stride = program.classes.count;
    this.idleUpTo = program.skips ? WORD * this.stride : 0;
    const bytesEach = 4 * (this.stride + program.words + 2) + 2;
    this.statesMax = Math.max(STATES_MIN, Math.floor(AUTOMATON_BYTES_MAX / bytesEach));
    this.next = new Uint32Array(program.words);
    this.current = new Uint32Array(program.words);
    this.table = new Int32Array(STATES_FIRST * this.stride);
    this.positions = new Uint32Array(STATES_FIRST * program.words);
    this.before = new Uint8Array(STATES_FIRST);
    this.atEnd = new Uint8Array(STATES_FIRST);
    this.hashed = new Int32Array(2 * STATES_FIRST);
    this.ownBytes = this.counted();
    this.makeFirstStates();
  }

  get bytes(): number {
    return this.ownBytes + this.program.classes.bytes;
  }

  /** How often its states were dropped because they no longer fit the texts. */
  get refills(): number {
    return this.refillCount;
  }

  /** @throws CodedError E_RULE_OVER_BUDGET (permanent) when the text takes more than the meter of the thread allows. */
  run(text: string): boolean {
    const { program } = this;
    if (program.surelyEndsAfter(START, this.positions, 0)) return true;
    this.steps = 0;
    if (this.simulatedUnits >= REFILL_AFTER * this.statesMax) this.dropStates();
    try {
      // An expression that is tied to the start has mostly decided before the text is converted.
      const bytes = program.startsLater ? asciiBytes(text) : undefined;
      return bytes === undefined ? this.runOverText(text) : this.runOverBytes(bytes, text);
    } finally {
      stepMeter.add(this.steps, text.length);
    }
  }

  private runOverText(text: string): boolean {
    const { length } = text;
    const { classes } = this.program;
    const { direct } = classes;
    let { table } = this;
    let state = 0;
    for (let at = 0; at < length; at++) {
      const begin = at;
      const unit = text.charCodeAt(at);
      let characterClass: number;
      if (unit < DIRECT) characterClass = direct[unit]!;
      else if ((unit & 0xf800) !== 0xd800) characterClass = classes.of(unit);
      else {
        const codePoint = text.codePointAt(at)!;
        if (codePoint > 0xffff) at++;
        characterClass = classes.of(codePoint);
      }
      let to = table[state + characterClass]!;
      if (to <= 0) {
        if (to === UNKNOWN) {
          to = this.made(state, characterClass, text, begin);
          ({ table } = this);
        }
        if (to === MATCHED) return true;
        if (to === DEAD) return false;
        if (to === FULL) return this.simulated(state / this.stride, text, begin);
      }
      state = to;
    }
    return this.matchesAtEnd(state / this.stride);
  }

  /** The same, `bytes` being the text. Where nothing has begun to match, it looks for the next character that can begin. */
  private runOverBytes(bytes: Uint8Array, text: string): boolean {
    const { length } = text;
    const { classes, beginners, sides } = this.program;
    const { direct } = classes;
    const { idleUpTo, stride } = this;
    let { table } = this;
    let state = 0;
    let at = 0;
    while (at < length) {
      const characterClass = direct[bytes[at]!]!;
      let to = table[state + characterClass]!;
      if (to > idleUpTo) {
        state = to;
        at++;
      } else if (to > 0) {
        at++;
        while (at < length && beginners[bytes[at]!] === 0) at++;
        state = sides[direct[bytes[at - 1]!]!]! * stride;
      } else {
        if (to === UNKNOWN) {
          to = this.made(state, characterClass, text, at);
          ({ table } = this);
        }
        if (to === MATCHED) return true;
        if (to === DEAD) return false;
        if (to === FULL) return this.simulated(state / stride, text, at);
      }
    }
    return this.matchesAtEnd(state / stride);
  }

  private matchesAtEnd(state: number): boolean {
    if (this.atEnd[state] === UNASKED) {
      const kind = kindOf(this.before[state]!, END);
      const isMatch = this.program.endsAt(kind, this.positions, state * this.program.words);
      this.atEnd[state] = isMatch ? YES : NO;
    }
    return this.atEnd[state] === YES;
  }

  /** Works out where a class leads from a state, and writes it into the table. FULL is not written. */
  private made(from: number, characterClass: number, text: string, at: number): number {
    const { program } = this;
    const number = from / this.stride;
    const offset = number * program.words;
    const side = program.sides[characterClass]!;
    const kind = kindOf(this.before[number]!, side);
    let to: number;
    if (program.matching[characterClass] === 1 || program.endsAt(kind, this.positions, offset)) to = MATCHED;
    else {
      this.steps += STATE_STEPS + program.step(kind, characterClass, this.positions, offset, this.next);
      this.checkBudget(text, at);
      if (program.surelyEndsAfter(side, this.next, 0)) to = MATCHED;
      else if (!program.startsLater && this.next.every((word) => word === 0)) to = DEAD;
      else {
        to = this.intern(side);
        if (to === FULL) return FULL;
      }
    }
    this.table[from + characterClass] = to;
    return to;
  }

  /** The offset of the state that is at the positions `next`; made when there is none yet and room for it. */
  private intern(before: number): number {
    const { next } = this;
    let slot = this.hashOf(next, 0, before) & (this.hashed.length - 1);
    for (let found = this.hashed[slot]!; found !== 0; found = this.hashed[slot]!) {
      if (this.isState(found - 1, before)) return (found - 1) * this.stride;
      slot = (slot + 1) & (this.hashed.length - 1);
    }
    if (this.states >= this.statesMax) return FULL;
    const state = this.states++;
    if (state >= this.before.length) this.grow();
    this.positions.set(next, state * this.program.words);
    this.before[state] = before;
    this.file(state);
    return state * this.stride;
  }

  private isState(state: number, before: number): boolean {
    if (this.before[state] !== before) return false;
    const { words } = this.program;
    const offset = state * words;
    for (let at = 0; at < words; at++) if (this.positions[offset + at] !== this.next[at]) return false;
    return true;
  }

  private hashOf(positions: Uint32Array, offset: number, before: number): number {
    let hash = before;
    for (let at = 0; at < this.program.words; at++) {
      hash = Math.imul(hash ^ positions[offset + at]!, 0x9e37_79b1);
      hash ^= hash >>> 15;
    }
    return hash;
  }

  private file(state: number): void {
    const mask = this.hashed.length - 1;
    let slot = this.hashOf(this.positions, state * this.program.words, this.before[state]!) & mask;
    while (this.hashed[slot] !== 0) slot = (slot + 1) & mask;
    this.hashed[slot] = state + 1;
  }

  /** Makes room for twice the states. */
  private grow(): void {
    const held = this.before.length;
    const room = 2 * held;
    const { words } = this.program;
    this.table = enlarged(this.table, new Int32Array(room * this.stride));
    this.positions = enlarged(this.positions, new Uint32Array(room * words));
    this.before = enlarged(this.before, new Uint8Array(room));
    this.atEnd = enlarged(this.atEnd, new Uint8Array(room));
    this.hashed = new Int32Array(2 * room);
    for (let state = 0; state < held; state++) this.file(state);
    this.ownBytes = this.counted();
  }

  private counted(): number {
    const arrays = [this.table, this.positions, this.before, this.atEnd, this.hashed];
    return arrays.reduce((bytes, array) => bytes + array.byteLength, this.program.bytes);
  }

  private dropStates(): void {
    this.table.fill(UNKNOWN);
    this.atEnd.fill(UNASKED);
    this.hashed.fill(0);
    this.states = 0;
    this.simulatedUnits = 0;
    this.refillCount++;
    this.makeFirstStates();
  }

  /** The states without positions: at the start of the text, behind another character, behind a word character. */
  private makeFirstStates(): void {
    this.next.fill(0);
    for (const before of [START, OTHER, WORD]) this.intern(before);
  }

  /** Whether the rest of the text, from `begin` on, leads from a state to a match: without making states. */
  private simulated(state: number, text: string, begin: number): boolean {
    const { program } = this;
    const { classes, sides, words } = program;
    const { length } = text;
    let before = this.before[state]!;
    let current = this.current;
    let next = this.next;
    current.set(this.positions.subarray(state * words, (state + 1) * words));
    this.simulatedUnits += length - begin;
    for (let at = begin; at < length; at++) {
      const codePoint = text.codePointAt(at)!;
      const characterClass = classes.of(codePoint);
      const side = sides[characterClass]!;
      const kind = kindOf(before, side);
      if (program.matching[characterClass] === 1 || program.endsAt(kind, current, 0)) return true;
      this.steps += SIMULATED_STEPS + words + program.step(kind, characterClass, current, 0, next);
      this.checkBudget(text, at);
      [current, next] = [next, current];
      before = side;
      if (codePoint > 0xffff) at++;
    }
    return program.endsAt(kindOf(before, END), current, 0);
  }

  private checkBudget(text: string, at: number): void {
    const { stepsMax } = stepMeter;
    if (this.steps <= stepsMax) return;
    throw new CodedError(
      'E_RULE_OVER_BUDGET',
      `The expression took more than ${stepsMax} steps on a text of ${text.length} characters.`,
      {
        details: { stepsMax, textChars: text.length, charsRead: at },
        mend: 'Make its counted repeats smaller, narrow what it repeats, or split the rule.',
      },
    );
  }
}

function enlarged<T extends Int32Array | Uint32Array | Uint8Array>(from: T, to: T): T {
  to.set(from);
  return to;
}
