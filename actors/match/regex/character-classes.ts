/**
 * All code points, sorted into classes whose members an expression cannot tell apart: two are in one class when every
 * set of the expression holds both of them or neither.
 */
import { CODE_POINT_MAX } from './code-set.ts';
import type { CodeSet } from './code-set.ts';

/** Code points whose class is looked up directly: a text of one byte per character has no others. */
export const DIRECT = 256;
/** Code points of a table that is made when the first of them is met. */
const PAGE = 256;
const BASIC_PLANE = 0x10000;

export class CharacterClasses {
  /** How many classes there are. */
  readonly count: number;
  /** The class of each code point below DIRECT. */
  readonly direct = new Uint16Array(DIRECT);
  /** Where each range of code points begins, and its class. */
  private readonly starts: Int32Array;
  private readonly classes: Uint16Array;
  private readonly pages: (Uint16Array | undefined)[] = [];
  private bytesHeld: number;

  constructor(sets: readonly CodeSet[]) {
    const edges = new Set([0]);
    for (const set of sets) {
      for (const [from, to] of set) {
        edges.add(from);
        if (to < CODE_POINT_MAX) edges.add(to + 1);
      }
    }
    this.starts = Int32Array.from(edges).sort();
    this.classes = new Uint16Array(this.starts.length);
    const sizes = [this.starts.length];
    for (const set of sets) this.split(set, sizes);
    this.count = sizes.length;
    for (let point = 0; point < DIRECT; point++) this.direct[point] = this.found(point);
    this.bytesHeld = this.direct.byteLength + this.starts.byteLength + this.classes.byteLength;
  }

  get bytes(): number {
    return this.bytesHeld;
  }

  /** The class of a code point; a table answers from the second time on. */
  of(codePoint: number): number {
    if (codePoint >= BASIC_PLANE) return this.found(codePoint);
    const page = (this.pages[codePoint >>> 8] ??= this.page(codePoint & ~(PAGE - 1)));
    return page[codePoint & (PAGE - 1)]!;
  }

  /** One code point of each class. */
  samples(): Int32Array {
    const samples = new Int32Array(this.count).fill(-1);
    for (const [at, start] of this.starts.entries()) {
      if (samples[this.classes[at]!] === -1) samples[this.classes[at]!] = start;
    }
    return samples;
  }

  /** The classes that one of the sets consists of. */
  within(set: CodeSet): readonly number[] {
    const found = new Set<number>();
    for (const [from, to] of set) {
      for (let at = this.rangeOf(from); at < this.starts.length && this.starts[at]! <= to; at++) {
        found.add(this.classes[at]!);
      }
    }
    return [...found];
  }

  /** Parts every class of which the set holds some members and not others. */
  private split(set: CodeSet, sizes: number[]): void {
    const inside: number[] = [];
    const insideOf = new Map<number, number>();
    for (const [from, to] of set) {
      for (let at = this.rangeOf(from); at < this.starts.length && this.starts[at]! <= to; at++) {
        inside.push(at);
        const old = this.classes[at]!;
        insideOf.set(old, (insideOf.get(old) ?? 0) + 1);
      }
    }
    const parted = new Map<number, number>();
    for (const [old, count] of insideOf) {
      if (count === sizes[old]) continue;
      sizes[old]! -= count;
      parted.set(old, sizes.push(count) - 1);
    }
    for (const at of inside) this.classes[at] = parted.get(this.classes[at]!) ?? this.classes[at]!;
  }

  private found(codePoint: number): number {
    return this.classes[this.rangeOf(codePoint)]!;
  }

  /** The last range that begins at the code point or before it. */
  private rangeOf(codePoint: number): number {
    let low = 0;
    let high = this.starts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if (this.starts[middle]! <= codePoint) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  private page(from: number): Uint16Array {
    const page = new Uint16Array(PAGE);
    this.bytesHeld += page.byteLength;
    for (let at = 0; at < PAGE; at++) page[at] = this.found(from + at);
    return page;
  }
}
