/**
 * An expression as sets of positions, one bit each: what a step from one character to the next needs, and nothing else.
 *
 * Most positions of a rule's expression lead to the next one and to no other, so a step shifts all of them at once and
 * looks one by one only at those that lead elsewhere.
 */
import { EVERYWHERE, END, KINDS, OTHER, START, WORD, kindOf } from './boundary.ts';
import type { Boundaries } from './boundary.ts';
import { CharacterClasses, DIRECT } from './character-classes.ts';
import { CODE_POINT_MAX, holds, wordSet } from './code-set.ts';
import type { CodeSet } from './code-set.ts';
import { Positions } from './positions.ts';
import type { RegexTree } from './syntax.ts';

const BEYOND_BASIC: CodeSet = [[0x10000, CODE_POINT_MAX]];
/**
 * V8 looks for a match that takes nothing also between the two units of a character, where `\B` holds; ECMAScript does
 * not. A match of one character or more never begins there. We do as the engine does, whichever way that is.
 */
const LOOKS_INTO_PAIRS = /\B/u.test('a\u{10400}a');

export class Program {
  /** 32-bit words of a set of positions. */
  readonly words: number;
  readonly classes: CharacterClasses;
  /** For each class: whether its characters are WORD or OTHER; all are OTHER where no assertion asks. */
  readonly sides: Uint8Array;
  /** For each class: 1 where its characters are matches by themselves. */
  readonly matching: Uint8Array;
  /** Whether a match may begin elsewhere than at the start of the text. */
  readonly startsLater: boolean;
  /** Whether a match needs a character it may begin with, so that all others can be skipped where none has begun. */
  readonly skips: boolean;
  /** For each code point below DIRECT: 1 when a match may begin with it elsewhere than at the start of the text. */
  readonly beginners = new Uint8Array(DIRECT);
  /** Boundaries at which the expression matches nothing at all. */
  readonly empty: Boundaries;
  /** For each kind of boundary: positions at which a match may end there. */
  private readonly ends: Uint32Array;
  /** For each thing before: positions at which a match may end whatever is behind. */
  private readonly surelyEnds: Uint32Array;
  private readonly surelyEmpty: readonly boolean[];
  /** For each kind of boundary: positions at which a match may begin there. */
  private readonly begins: Uint32Array;
  /** For each class: positions whose set holds it. */
  private readonly members: Uint32Array;
  /** Positions that the next one may follow at every boundary. */
  private readonly shifted: Uint32Array;
  /** Positions that others may follow, or the next one not everywhere; their rows are from rowsFrom[p] to rowsFrom[p + 1]. */
  private readonly branching: Uint32Array;
  private readonly rowsFrom: Uint32Array;
  /** At which boundaries each row counts, and where its set of followers is. */
  private readonly rowsAt: Uint16Array;
  private readonly rowOffsets: Uint32Array;
  private readonly followers: Uint32Array;

  constructor(tree: RegexTree, ignoreCase: boolean) {
    const positions = new Positions(tree.root);
    const size = positions.sets.length;
    const words = (this.words = Math.max(1, Math.ceil(size / 32)));
    const word = wordSet(ignoreCase);
    const sets = [...new Set(positions.sets)];
    const matchesInPairs = LOOKS_INTO_PAIRS && (positions.empty & (1 << kindOf(OTHER, OTHER))) !== 0;
    this.classes = new CharacterClasses([...sets, ...(tree.usesWords ? [word, BEYOND_BASIC] : [])]);
    const samples = this.classes.samples();
    this.matching = Uint8Array.from(samples, (point) => Number(matchesInPairs && holds(BEYOND_BASIC, point)));
    this.sides = Uint8Array.from(samples, (point) => (tree.usesWords && holds(word, point) ? WORD : OTHER));
    this.members = membersOf(positions.sets, this.classes, words);

    this.empty = positions.empty;
    this.begins = new Uint32Array(KINDS * words);
    this.ends = new Uint32Array(KINDS * words);
    for (let kind = 0; kind < KINDS; kind++) {
      for (const [position, at] of positions.first)
        if (at & (1 << kind)) add(this.begins, kind * words, position);
      for (const [position, at] of positions.last)
        if (at & (1 << kind)) add(this.ends, kind * words, position);
    }
    const behind = tree.usesWords ? [END, OTHER, WORD] : [END, OTHER];
    this.surelyEnds = new Uint32Array(3 * words).fill(0xffff_ffff);
    for (let before = 0; before < 3; before++) {
      for (const next of behind) {
        const kind = kindOf(before, next);
        for (let at = 0; at < words; at++)
          this.surelyEnds[before * words + at]! &= this.ends[kind * words + at]!;
      }
    }
    this.surelyEmpty = [START, OTHER, WORD].map((before) =>
      behind.every((next) => this.empty & (1 << kindOf(before, next))),
    );
    const later = EVERYWHERE & ~0b111;
    this.startsLater = (this.empty & later) !== 0 || positions.first.some(([, at]) => (at & later) !== 0);

    this.skips = this.startsLater && (this.empty & later) === 0;
    for (const [position, at] of positions.first) {
      if ((at & later) === 0) continue;
      for (let point = 0; point < DIRECT; point++) {
        if (has(this.members, this.classes.direct[point]! * words, position)) this.beginners[point] = 1;
      }
    }

    this.shifted = new Uint32Array(words);
    this.branching = new Uint32Array(words);
    this.rowsFrom = new Uint32Array(size + 1);
    const rowsAt: number[] = [];
    const rowOffsets: number[] = [];
    const rows = new RowPool(words);
    for (const [position, follow] of positions.follow.entries()) {
      this.rowsFrom[position] = rowsAt.length;
      const byBoundaries = new Map<Boundaries, number[]>();
      for (const [to, at] of follow) {
        if (to === position + 1 && at === EVERYWHERE) add(this.shifted, 0, position);
        else {
          const followers = byBoundaries.get(at);
          if (followers === undefined) byBoundaries.set(at, [to]);
          else followers.push(to);
        }
      }
      if (byBoundaries.size > 0) add(this.branching, 0, position);
      for (const [at, followers] of byBoundaries) {
        rowsAt.push(at);
        rowOffsets.push(rows.offsetOf(followers));
      }
    }
    this.rowsFrom[size] = rowsAt.length;
    this.rowsAt = Uint16Array.from(rowsAt);
    this.rowOffsets = Uint32Array.from(rowOffsets);
    this.followers = rows.all();
  }

  /** Without the classes. */
  get bytes(): number {
    const arrays = [
      this.ends, this.surelyEnds, this.begins, this.members, this.shifted, this.branching, this.rowsFrom, this.rowsAt,
      this.rowOffsets, this.followers, this.sides, this.matching, this.beginners,
    ]; // prettier-ignore
    return arrays.reduce((bytes, array) => bytes + array.byteLength, 0);
  }

  /** Whether a match ends at a boundary of this kind, `from[offset…]` being the positions before it. */
  endsAt(kind: number, from: Uint32Array, offset: number): boolean {
    if (this.empty & (1 << kind)) return true;
    const base = kind * this.words;
    for (let at = 0; at < this.words; at++) if (from[offset + at]! & this.ends[base + at]!) return true;
    return false;
  }

  /** Whether a match has ended whatever is behind. Says no too often rather than too seldom. */
  surelyEndsAfter(before: number, from: Uint32Array, offset: number): boolean {
    if (this.surelyEmpty[before]!) return true;
    const base = before * this.words;
    for (let at = 0; at < this.words; at++) if (from[offset + at]! & this.surelyEnds[base + at]!) return true;
    return false;
  }

  /**
   * Writes to `to` (from its beginning) the positions after a character of `characterClass` that stands behind a boundary
   * of this kind, those before the boundary being `from[offset…]`. Gives back how many words it handled: its cost.
   */
  step(kind: number, characterClass: number, from: Uint32Array, offset: number, to: Uint32Array): number {
    const { words, shifted, branching, begins, members } = this;
    const base = kind * words;
    const inClass = characterClass * words;
    let carry = 0;
    let isBranching = 0;
    for (let at = 0; at < words; at++) {
      const word = from[offset + at]!;
      const moved = word & shifted[at]!;
      isBranching |= word & branching[at]!;
      to[at] = ((moved << 1) | carry | begins[base + at]!) & members[inClass + at]!;
      carry = moved >>> 31;
    }
    if (isBranching === 0) return words;
    let steps = 2 * words;
    for (let at = 0; at < words; at++) {
      let left = from[offset + at]! & branching[at]!;
      while (left !== 0) {
        const bit = 31 - Math.clz32(left);
        left ^= 1 << bit;
        steps += this.branch((at << 5) + bit, kind, inClass, to);
      }
    }
    return steps;
  }

  private branch(position: number, kind: number, inClass: number, to: Uint32Array): number {
    const { words, rowsAt, rowOffsets, followers, members } = this;
    const end = this.rowsFrom[position + 1]!;
    let steps = 1;
    for (let row = this.rowsFrom[position]!; row < end; row++) {
      if ((rowsAt[row]! & (1 << kind)) === 0) continue;
      const offset = rowOffsets[row]!;
      for (let at = 0; at < words; at++) to[at]! |= followers[offset + at]! & members[inClass + at]!;
      steps += words;
    }
    return steps;
  }
}

/** Sets of positions in a row, equal ones once. */
class RowPool {
  private readonly words: number;
  private readonly known = new Map<string, number>();
  private readonly rows: Uint32Array[] = [];

  constructor(words: number) {
    this.words = words;
  }

  offsetOf(positions: readonly number[]): number {
    const row = new Uint32Array(this.words);
    for (const position of positions) add(row, 0, position);
    const key = row.join();
    const known = this.known.get(key);
    if (known !== undefined) return known;
    const offset = (this.rows.push(row) - 1) * this.words;
    this.known.set(key, offset);
    return offset;
  }

  all(): Uint32Array {
    const all = new Uint32Array(this.rows.length * this.words);
    for (const [at, row] of this.rows.entries()) all.set(row, at * this.words);
    return all;
  }
}

function membersOf(ofPositions: readonly CodeSet[], classes: CharacterClasses, words: number): Uint32Array {
  const classesBySet = new Map<CodeSet, readonly number[]>();
  const members = new Uint32Array(classes.count * words);
  for (const [position, set] of ofPositions.entries()) {
    let inSet = classesBySet.get(set);
    if (inSet === undefined) classesBySet.set(set, (inSet = classes.within(set)));
    for (const characterClass of inSet) add(members, characterClass * words, position);
  }
  return members;
}

function has(set: Uint32Array, offset: number, position: number): boolean {
  return (set[offset + (position >>> 5)]! & (1 << (position & 31))) !== 0;
}

function add(set: Uint32Array, offset: number, position: number): void {
  set[offset + (position >>> 5)]! |= 1 << (position & 31);
}
