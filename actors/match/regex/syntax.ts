/**
 * Reads a regular expression (JavaScript's syntax, flags `u` or `iu`) into a tree that means exactly what it means to V8.
 *
 * It only ever sees what V8 has compiled, so it need not refuse bad syntax; it refuses what rules may not use. Groups
 * leave no trace and lazy repeats are greedy ones: whether a text matches does not depend on them.
 */
import { CodedError } from '../../../runtime/errors.ts';
import { AT_END, AT_START, NOT_WORD_EDGE, WORD_EDGE } from './boundary.ts';
import type { Boundaries } from './boundary.ts';
import {
  NO_LINE_END,
  closedUnderCase,
  complement,
  escapedSet,
  propertySet,
  single,
  union,
} from './code-set.ts';
import type { CodeSet } from './code-set.ts';

export type RegexNode =
  | { kind: 'set'; set: CodeSet }
  /** Matches nothing, at the boundaries given. */
  | { kind: 'assertion'; at: Boundaries }
  | { kind: 'all'; parts: RegexNode[] }
  | { kind: 'any'; parts: RegexNode[] }
  | { kind: 'repeat'; part: RegexNode; min: number; max: number };

export interface RegexTree {
  root: RegexNode;
  /** Whether it asks for edges of words, so that it matters which characters are word characters. */
  usesWords: boolean;
}

/** Each costs some 50 ms when it is met for the first time. */
export const PROPERTIES_MAX = 8;

const ASSERTIONS: Readonly<Record<string, Boundaries>> = { '^': AT_START, $: AT_END };
const CONTROL_ESCAPES: Readonly<Record<string, number>> = { t: 9, n: 10, v: 11, f: 12, r: 13, '0': 0 };

/**
 * Parses an expression that V8 has compiled.
 * @throws CodedError E_RULE_REGEX_UNSAFE (permanent) on look-around, back-references and whatever else rules may not use.
 */
export function parseRegex(source: string, ignoreCase: boolean): RegexTree {
  const parser = new RegexParser(Array.from(source), ignoreCase);
  return { root: parser.alternatives(), usesWords: parser.usesWords };
}

class RegexParser {
  usesWords = false;
  private readonly source: readonly string[];
  private readonly ignoreCase: boolean;
  private readonly properties = new Set<string>();
  private at = 0;

  constructor(source: readonly string[], ignoreCase: boolean) {
    this.source = source;
    this.ignoreCase = ignoreCase;
  }

  alternatives(): RegexNode {
    const parts = [this.sequence()];
    while (this.takes('|')) parts.push(this.sequence());
    return parts.length === 1 ? parts[0]! : oneOf(parts);
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
    const assertion = ASSERTIONS[character];
    if (assertion !== undefined) return { kind: 'assertion', at: assertion };
    if (character === '.') return this.set(NO_LINE_END);
    if (character === '(') return this.group();
    // A class has been folded before it was negated.
    if (character === '[') return { kind: 'set', set: this.characterClass() };
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
      this.usesWords = true;
      return { kind: 'assertion', at: escaped === 'b' ? WORD_EDGE : NOT_WORD_EDGE };
    }
    if (/[1-9]/.test(escaped)) throw forbidden(`the back-reference "\\${escaped}"`);
    if (escaped === 'k') throw forbidden('the back-reference "\\k"');
    return this.set(this.escape());
  }

  /** An escape that stands for characters, from after its backslash. */
  private escape(): CodeSet {
    const escaped = this.next();
    const known = escapedSet(escaped, this.ignoreCase);
    if (known !== undefined) return known;
    switch (escaped) {
      case 'p':
      case 'P':
        return this.property(escaped === 'P');
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

  private property(isNegated: boolean): CodeSet {
    this.takes('{');
    const name = this.until('}');
    this.properties.add(name);
    if (this.properties.size > PROPERTIES_MAX) {
      throw new CodedError(
        'E_RULE_REGEX_UNSAFE',
        `The expression is refused: it uses more than ${PROPERTIES_MAX} different Unicode properties.`,
        { mend: 'Use fewer, or split the rule.' },
      );
    }
    return propertySet(name, isNegated);
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
    const ranges: (readonly [number, number])[] = [];
    while (this.at < this.source.length && !this.takes(']')) {
      const low = this.classMember();
      if (this.peek() === '-' && this.source[this.at + 1] !== ']') {
        this.at++;
        ranges.push([low[0]![0], this.classMember()[0]![0]]);
      } else {
        ranges.push(...low);
      }
    }
    // Folding comes before negation: [^a] under `i` excludes A as well.
    const set = this.ignoreCase ? closedUnderCase(union(ranges)) : union(ranges);
    return isNegated ? complement(set) : set;
  }

  private classMember(): CodeSet {
    const character = this.next();
    if (character !== '\\') return single(character.codePointAt(0)!);
    if (this.takes('b')) return single(8);
    return this.escape();
  }

  private set(set: CodeSet): RegexNode {
    return { kind: 'set', set: this.ignoreCase ? closedUnderCase(set) : set };
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

/** Alternatives of one character each are one set. */
function oneOf(parts: readonly RegexNode[]): RegexNode {
  const sets = parts.filter((part) => part.kind === 'set');
  if (sets.length < 2) return { kind: 'any', parts: [...parts] };
  const set: RegexNode = { kind: 'set', set: union(sets.flatMap((part) => part.set)) };
  if (sets.length === parts.length) return set;
  return { kind: 'any', parts: [set, ...parts.filter((part) => part.kind !== 'set')] };
}

function forbidden(construct: string): CodedError {
  return new CodedError('E_RULE_REGEX_UNSAFE', `The expression is refused: it uses ${construct}.`, {
    mend: 'Write it without look-around, back-references and flags of groups.',
  });
}
