/** Sets of code points: what an expression's classes, escapes and Unicode properties stand for, exactly as in V8. */
import { CodedError } from '../../../runtime/errors.ts';
import { caseClasses } from '../fold.ts';

/** Code points, as ascending ranges [from, to] that neither touch nor overlap. Never changed once made. */
export type CodeSet = readonly (readonly [number, number])[];

export const CODE_POINT_MAX = 0x10ffff;

const LINE_ENDS: CodeSet = [[0x0a, 0x0a], [0x0d, 0x0d], [0x2028, 0x2029]]; // prettier-ignore
const DIGITS: CodeSet = [[0x30, 0x39]];
const WORD: CodeSet = [[0x30, 0x39], [0x41, 0x5a], [0x5f, 0x5f], [0x61, 0x7a]]; // prettier-ignore
const BLANKS: CodeSet = [
  [0x09, 0x0d], [0x20, 0x20], [0xa0, 0xa0], [0x1680, 0x1680], [0x2000, 0x200a], [0x2028, 0x2029], [0x202f, 0x202f],
  [0x205f, 0x205f], [0x3000, 0x3000], [0xfeff, 0xfeff],
]; // prettier-ignore

/** What `.` stands for. */
export const NO_LINE_END = complement(LINE_ENDS);

const BY_ESCAPE: ReadonlyMap<string, CodeSet> = new Map([
  ['d', DIGITS],
  ['D', complement(DIGITS)],
  ['s', BLANKS],
  ['S', complement(BLANKS)],
]);

/** What `\d`, `\D`, `\s`, `\S`, `\w` or `\W` stands for. Folding makes ſ and K word characters. */
export function escapedSet(escape: string, ignoreCase: boolean): CodeSet | undefined {
  if (escape === 'w') return wordSet(ignoreCase);
  if (escape === 'W') return complement(wordSet(ignoreCase));
  return BY_ESCAPE.get(escape);
}

/** The characters that `\w` stands for and that `\b` looks for. */
export function wordSet(ignoreCase: boolean): CodeSet {
  return ignoreCase ? closedUnderCase(WORD) : WORD;
}

const asciiSingles: readonly CodeSet[] = Array.from({ length: 128 }, (_, point) => [[point, point]]);

/** The set of one character; for a character of ASCII always the same. */
export function single(codePoint: number): CodeSet {
  return asciiSingles[codePoint] ?? [[codePoint, codePoint]];
}

/** The ranges in order, those that touch or overlap made one. */
export function union(ranges: readonly (readonly [number, number])[]): CodeSet {
  const merged: [number, number][] = [];
  for (const [from, to] of ranges.toSorted((a, b) => a[0] - b[0])) {
    const last = merged.at(-1);
    if (last !== undefined && from <= last[1] + 1) last[1] = Math.max(last[1], to);
    else merged.push([from, to]);
  }
  return merged;
}

export function complement(set: CodeSet): CodeSet {
  const gaps: [number, number][] = [];
  let from = 0;
  for (const [low, high] of set) {
    if (low > from) gaps.push([from, low - 1]);
    from = high + 1;
  }
  if (from <= CODE_POINT_MAX) gaps.push([from, CODE_POINT_MAX]);
  return gaps;
}

export function holds(set: CodeSet, codePoint: number): boolean {
  let low = 0;
  let high = set.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (set[middle]![1] < codePoint) low = middle + 1;
    else high = middle;
  }
  return low < set.length && set[low]![0] <= codePoint;
}

/** How many code points a set holds. */
export function sizeOf(set: CodeSet): number {
  return set.reduce((size, [from, to]) => size + to - from + 1, 0);
}

let casedPoints: Int32Array | undefined;
/** Sets are never changed, and the frequent ones (those of escapes, of the dot, of properties) are always the same. */
const closed = new WeakMap<CodeSet, CodeSet>();

/** The set with all cases of its characters: what it matches under `iu`. */
export function closedUnderCase(set: CodeSet): CodeSet {
  const known = closed.get(set);
  if (known !== undefined) return known;
  casedPoints ??= Int32Array.from(caseClasses().keys()).sort();
  const added: (readonly [number, number])[] = [];
  for (const [from, to] of set) {
    for (let at = firstNotBelow(casedPoints, from); at < casedPoints.length && casedPoints[at]! <= to; at++) {
      for (const other of caseClasses().get(casedPoints[at]!)!) {
        if ((other < from || other > to) && !holds(set, other)) added.push([other, other]);
      }
    }
  }
  const whole = added.length === 0 ? set : union([...set, ...added]);
  closed.set(set, whole);
  closed.set(whole, whole);
  return whole;
}

function firstNotBelow(points: Int32Array, point: number): number {
  let low = 0;
  let high = points.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (points[middle]! < point) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Unicode properties whose sets are kept, the longest unused being let go: some 5 KiB each. */
const PROPERTIES_KEPT_MAX = 256;
const properties = new Map<string, CodeSet>();

/**
 * The characters of a Unicode property, or all others, by what stands between the braces of `\p{…}`, which V8 has taken.
 * V8 itself is asked about every code point, once: some 50 ms.
 */
export function propertySet(name: string, isNegated: boolean): CodeSet {
  const key = isNegated ? `^${name}` : name;
  let set = properties.get(key);
  if (set === undefined) {
    if (!/^[A-Za-z_0-9]+(?:=[A-Za-z_0-9]+)?$/.test(name)) {
      throw new CodedError('E_RULE_REGEX_INVALID', `\\p{${name}} is no Unicode property.`);
    }
    set = isNegated ? complement(propertySet(name, false)) : askedSet(new RegExp(`^\\p{${name}}$`, 'u'));
  }
  properties.delete(key);
  properties.set(key, set);
  if (properties.size > PROPERTIES_KEPT_MAX) properties.delete(properties.keys().next().value!);
  return set;
}

function askedSet(expression: RegExp): CodeSet {
  const ranges: [number, number][] = [];
  let from = -1;
  for (let codePoint = 0; codePoint <= CODE_POINT_MAX; codePoint++) {
    const isIn = expression.test(String.fromCodePoint(codePoint));
    if (isIn && from === -1) from = codePoint;
    else if (!isIn && from !== -1) {
      ranges.push([from, codePoint - 1]);
      from = -1;
    }
  }
  if (from !== -1) ranges.push([from, CODE_POINT_MAX]);
  return ranges;
}
