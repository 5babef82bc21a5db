/**
 * Reads a regular expression (JavaScript, `u` flag) into the tree that lint-regex.ts judges.
 *
 * It only ever sees what V8 has compiled, so it need not refuse bad syntax; it refuses what rules may not use. Sets of
 * characters may come out larger than they are (a Unicode property is taken for everything): the lint then errs towards
 * refusing. Assertions (`^`, `$`, `\b`) match nothing here, for the same reason.
 */
import { CodedError } from '../../runtime/errors.ts';

/** Code points, as ascending ranges [from, to] that neither touch nor overlap. */
export type CodeSet = readonly (readonly [number, number])[];

export type RegexNode =
  | { kind: 'set'; set: CodeSet }
  | { kind: 'empty' }
  | { kind: 'all'; parts: RegexNode[] }
  | { kind: 'any'; parts: RegexNode[] }
  | { kind: 'repeat'; part: RegexNode; min: number; max: number };

const CODE_POINT_MAX = 0x10ffff;
const EVERYTHING: CodeSet = [[0, CODE_POINT_MAX]];
const LINE_ENDS: CodeSet = [[0x0a, 0x0a], [0x0d, 0x0d], [0x2028, 0x2029]]; // prettier-ignore
const DIGITS: CodeSet = [[0x30, 0x39]];
const WORD: CodeSet = [[0x30, 0x39], [0x41, 0x5a], [0x5f, 0x5f], [0x61, 0x7a]]; // prettier-ignore
const BLANKS: CodeSet = [
  [0x09, 0x0d], [0x20, 0x20], [0xa0, 0xa0], [0x1680, 0x1680], [0x2000, 0x200a], [0x2028, 0x2029], [0x202f, 0x202f],
  [0x205f, 0x205f], [0x3000, 0x3000], [0xfeff, 0xfeff],
]; // prettier-ignore
const CONTROL_ESCAPES: Readonly<Record<string, number>> = { t: 9, n: 10, v: 11, f: 12, r: 13, '0': 0 };
/** Ranges up to this wide are folded character by character; wider ones beyond ASCII are taken for all of them. */
const FOLD_EACH_MAX = 64;

/**
 * Parses an expression that V8 has compiled.
 * @throws CodedError E_RULE_REGEX_UNSAFE (permanent) on look-around, back-references and whatever else rules may not use.
 */
export function parseRegex(source: string, ignoreCase: boolean): RegexNode {
  const parser = new RegexParser(Array.from(source), ignoreCase);
  return parser.alternatives();
}

export function setsOverlap(a: CodeSet, b: CodeSet): boolean {
  let aAt = 0;
  let bAt = 0;
  while (aAt < a.length && bAt < b.length) {
    const [aFrom, aTo] = a[aAt]!;
    const [bFrom, bTo] = b[bAt]!;
    if (aFrom <= bTo && bFrom <= aTo) return true;
    if (aTo < bTo) aAt++;
    else bAt++;
  }
  return false;
}

export function intersection(a: CodeSet, b: CodeSet): CodeSet {
  const shared: [number, number][] = [];
  let aAt = 0;
  let bAt = 0;
  while (aAt < a.length && bAt < b.length) {
    const [aFrom, aTo] = a[aAt]!;
    const [bFrom, bTo] = b[bAt]!;
    if (aFrom <= bTo && bFrom <= aTo) shared.push([Math.max(aFrom, bFrom), Math.min(aTo, bTo)]);
    if (aTo < bTo) aAt++;
    else bAt++;
  }
  return shared;
}

class RegexParser {
  private readonly source: readonly string[];
  private readonly ignoreCase: boolean;
  private at = 0;

  constructor(source: readonly string[], ignoreCase: boolean) {
    this.source = source;
    this.ignoreCase = ignoreCase;
  }

  alternatives(): RegexNode {
    const parts = [this.sequence()];
    while (this.takes('|')) parts.push(this.sequence());
    return parts.length === 1 ? parts[0]! : { kind: 'any', parts };
  }

  private sequence(): RegexNode {
    const parts: RegexNode[] = [];
    while (this.at < this.source.length && this.peek() !== '|' && this.peek() !== ')') {
      parts.push(this.repeated(this.term()));
    }
    return parts.length === 1 ? parts[0]! : { kind: 'all', parts };
  }

  private repeated(part: RegexNode): RegexNode {
    let min: number;
    let max: number;
    if (this.takes('*')) [min, max] = [0, Infinity];
    else if (this.takes('+')) [min, max] = [1, Infinity];
    else if (this.takes('?')) [min, max] = [0, 1];
    else if (this.takes('{')) {
      const [low, high] = this.until('}').split(',') as [string, string | undefined];
      min = Number(low);
      max = high === undefined ? min : high === '' ? Infinity : Number(high);
    } else return part;
    this.takes('?');
    return { kind: 'repeat', part, min, max };
  }

  private term(): RegexNode {
    const character = this.next();
    if (character === '^' || character === '$') return { kind: 'empty' };
    if (character === '.') return { kind: 'set', set: complement(LINE_ENDS) };
    if (character === '(') return this.group();
    if (character === '[') return this.set(this.characterClass());
    if (character === '\\') return this.escapedTerm();
    return this.set(single(character.codePointAt(0)!));
  }

  private group(): RegexNode {
    if (this.takes('?')) {
      const mark = this.next();
      if (mark === '=' || mark === '!') throw forbidden(`look-ahead "(?${mark}"`);
      if (mark === '<') {
        if (this.peek() === '=' || this.peek() === '!') throw forbidden(`look-behind "(?<${this.peek()}"`);
        this.until('>');
      } else if (mark !== ':') {
        throw forbidden(`the group "(?${mark}"`);
      }
    }
    const inner = this.alternatives();
    this.takes(')');
    return inner;
  }

  private escapedTerm(): RegexNode {
    const escaped = this.peek();
    if (escaped === 'b' || escaped === 'B') {
      this.at++;
      return { kind: 'empty' };
    }
    if (/[1-9]/.test(escaped)) throw forbidden(`the back-reference "\\${escaped}"`);
    if (escaped === 'k') throw forbidden('the back-reference "\\k"');
    return this.set(this.escape());
  }

  /** An escape that stands for characters, from after its backslash. */
  private escape(): CodeSet {
    const escaped = this.next();
    switch (escaped) {
      case 'd':
        return DIGITS;
      case 'D':
        return complement(DIGITS);
      case 'w':
        return WORD;
      case 'W':
        return complement(WORD);
      case 's':
        return BLANKS;
      case 'S':
        return complement(BLANKS);
      case 'p':
      case 'P':
        this.until('}');
        return EVERYTHING;
      case 'x':
        return single(parseInt(this.next() + this.next(), 16));
      case 'c':
        return single(this.next().codePointAt(0)! % 32);
      case 'u':
        if (this.takes('{')) return single(parseInt(this.until('}'), 16));
        return this.surrogates();
      default:
        return single(CONTROL_ESCAPES[escaped] ?? escaped.codePointAt(0)!);
    }
  }

  /** `\uXXXX`, or a pair of them that stands for one character. */
  private surrogates(): CodeSet {
    const unit = this.hex4();
    const isLead = unit >= 0xd800 && unit <= 0xdbff;
    if (isLead && this.peek() === '\\' && this.source[this.at + 1] === 'u') {
      const mark = this.at;
      this.at += 2;
      const trail = this.hex4();
      if (trail >= 0xdc00 && trail <= 0xdfff)
        return single((unit - 0xd800) * 0x400 + trail - 0xdc00 + 0x10000);
      this.at = mark;
    }
    return single(unit);
  }

  private hex4(): number {
    return parseInt(this.next() + this.next() + this.next() + this.next(), 16);
  }

  private characterClass(): CodeSet {
    const isNegated = this.takes('^');
    const ranges: [number, number][] = [];
    while (this.at < this.source.length && !this.takes(']')) {
      const low = this.classMember();
      const isRange = this.peek() === '-' && this.source[this.at + 1] !== ']' && low.length === 1;
      if (isRange) {
        this.at++;
        const high = this.classMember();
        ranges.push([low[0]![0], high.at(-1)![1]]);
      } else {
        for (const [from, to] of low) ranges.push([from, to]);
      }
    }
    // Folding comes before negation: [^a] under `i` excludes A as well.
    const set = this.ignoreCase ? folded(union(ranges)) : union(ranges);
    return isNegated ? complement(set) : set;
  }

  private classMember(): CodeSet {
    const character = this.next();
    if (character !== '\\') return single(character.codePointAt(0)!);
    if (this.takes('b')) return single(8);
    return this.escape();
  }

  private set(set: CodeSet): RegexNode {
    return { kind: 'set', set: this.ignoreCase ? folded(set) : set };
  }

  private peek(): string {
    return this.source[this.at] ?? '';
  }

  private next(): string {
    return this.source[this.at++] ?? '';
  }

  private takes(character: string): boolean {
    if (this.source[this.at] !== character) return false;
    this.at++;
    return true;
  }

  /** The text up to `end`, which is left behind. */
  private until(end: string): string {
    const start = this.at;
    while (this.at < this.source.length && this.source[this.at] !== end) this.at++;
    return this.source.slice(start, this.at++).join('');
  }
}

function forbidden(construct: string): CodedError {
  return new CodedError('E_RULE_REGEX_UNSAFE', `The expression is refused: it uses ${construct}.`, {
    mend: 'Write it without look-around and back-references.',
  });
}

function single(codePoint: number): CodeSet {
  return [[codePoint, codePoint]];
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

function complement(set: CodeSet): CodeSet {
  const gaps: [number, number][] = [];
  let from = 0;
  for (const [low, high] of set) {
    if (low > from) gaps.push([from, low - 1]);
    from = high + 1;
  }
  if (from <= CODE_POINT_MAX) gaps.push([from, CODE_POINT_MAX]);
  return gaps;
}

/** The set with the other cases of its characters. */
function folded(set: CodeSet): CodeSet {
  const ranges: [number, number][] = set.map(([from, to]) => [from, to]);
  for (const [from, to] of set) {
    if (to - from > FOLD_EACH_MAX) {
      addOverlap(ranges, from, to, 0x41, 0x5a, 0x20);
      addOverlap(ranges, from, to, 0x61, 0x7a, -0x20);
      if (to >= 0x80) ranges.push([0x80, CODE_POINT_MAX]);
      continue;
    }
    for (let codePoint = from; codePoint <= to; codePoint++) {
      const character = String.fromCodePoint(codePoint);
      for (const other of [character.toLowerCase(), character.toUpperCase()]) {
        const otherPoint = other.codePointAt(0)!;
        if (other.length === String.fromCodePoint(otherPoint).length) ranges.push([otherPoint, otherPoint]);
      }
    }
  }
  return union(ranges);
}

function addOverlap(
  ranges: [number, number][],
  from: number,
  to: number,
  low: number,
  high: number,
  shift: number,
): void {
  const start = Math.max(from, low);
  const end = Math.min(to, high);
  if (start <= end) ranges.push([start + shift, end + shift]);
}
