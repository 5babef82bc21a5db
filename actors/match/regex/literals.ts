/**
 * The literals that an expression requires: texts of which every text that matches holds at least one. They let a rule
 * set look for the literals of all rules at once and run an expression only where one of its own was found.
 *
 * An expression is a row of parts. Those that stand for a few texts each are multiplied out along the row; of all
 * stretches of the row, and of the choices inside it, the most telling one is taken.
 */
import { foldText } from '../fold.ts';
import { sizeOf } from './code-set.ts';
import type { CodeSet } from './code-set.ts';
import type { RegexNode } from './syntax.ts';

/** A shorter literal is in too many texts to tell anything. */
export const LITERAL_UNITS_MIN = 2;
export const LITERAL_UNITS_MAX = 32;
/** Literals of which one is required. */
export const LITERALS_MAX = 64;
/** What a unit more is worth against twice as many literals: a unit of [0-9] is not worth ten literals, one of [ab] is. */
const UNIT_WORTH = 2.5;
/** Characters in different cases: a set of more than this is more than LITERALS_MAX after folding. */
const SET_SIZE_MAX = 4 * LITERALS_MAX;

/** Parts of a row that are looked at. */
const ROW_MAX = 2048;

/** Texts, one of which a part of a match is. More than LITERALS_MAX are not known (undefined). */
type Texts = readonly string[] | undefined;

// The sets of single characters and of escapes are the same in all expressions.
const foldedTexts = new WeakMap<CodeSet, Texts>();
const plainTexts = new WeakMap<CodeSet, Texts>();

/** @returns in UTF-16 units of at least LITERAL_UNITS_MIN, folded by `foldText` when the case is ignored; [] when none is known */
export function requiredLiterals(root: RegexNode, ignoreCase: boolean): readonly string[] {
  const literals = new LiteralFinder(ignoreCase).required(root) ?? [];
  return literals.filter((one) => !literals.some((other) => other !== one && one.includes(other)));
}

class LiteralFinder {
  private readonly ignoreCase: boolean;
  private readonly textsByNode = new Map<RegexNode, Texts>();
  private readonly requiredByNode = new Map<RegexNode, Texts>();

  constructor(ignoreCase: boolean) {
    this.ignoreCase = ignoreCase;
  }

  /** The most telling set of literals of which one is in every match of the node. */
  required(node: RegexNode): Texts {
    if (this.requiredByNode.has(node)) return this.requiredByNode.get(node);
    const row: Texts[] = [];
    const literals = [...this.lay(node, row), bestStretch(row)].reduce(better, undefined);
    this.requiredByNode.set(node, literals);
    return literals;
  }

  /** Appends to `row` what the node stands for, part by part; gives back what is required inside of parts not known. */
  private lay(node: RegexNode, row: Texts[]): Texts[] {
    if (row.length >= ROW_MAX) {
      row[ROW_MAX - 1] = undefined;
      return [];
    }
    switch (node.kind) {
      case 'set':
        row.push(this.textsOfSet(node.set));
        return [];
      case 'assertion':
        return [];
      case 'all':
        return node.parts.flatMap((part) => this.lay(part, row));
      case 'any': {
        const texts = this.texts(node);
        row.push(texts);
        return texts === undefined ? [joinedTexts(node.parts.map((part) => this.required(part)))] : [];
      }
      case 'repeat': {
        const texts = this.texts(node);
        if (texts !== undefined) {
          row.push(texts);
          return [];
        }
        if (node.min === 0) {
          row.push(undefined);
          return [];
        }
        // X{2,} begins with XX and ends with it; what is between is not known.
        const copies = Math.min(node.min, LITERAL_UNITS_MAX);
        const inner = this.lay(node.part, row);
        for (let copy = 1; copy < copies; copy++) this.lay(node.part, row);
        if (node.max === node.min && copies === node.min) return inner;
        row.push(undefined);
        for (let copy = 0; copy < copies; copy++) this.lay(node.part, row);
        return inner;
      }
    }
  }

  /** All texts that a node can be, when they are few. */
  private texts(node: RegexNode): Texts {
    if (this.textsByNode.has(node)) return this.textsByNode.get(node);
    const texts = this.textsOf(node);
    this.textsByNode.set(node, texts);
    return texts;
  }

  private textsOf(node: RegexNode): Texts {
    switch (node.kind) {
      case 'set':
        return this.textsOfSet(node.set);
      case 'assertion':
        return [''];
      case 'all':
        return node.parts.reduce<Texts>((texts, part) => product(texts, texts && this.texts(part)), ['']);
      case 'any':
        return joinedTexts(node.parts.map((part) => this.texts(part)));
      case 'repeat': {
        if (node.max > LITERAL_UNITS_MAX) return undefined;
        const once = this.texts(node.part);
        let texts: Texts = [''];
        let all: Texts = node.min === 0 ? [''] : [];
        for (let copy = 1; copy <= node.max && texts !== undefined; copy++) {
          texts = product(texts, once);
          if (copy >= node.min) all = joinedTexts([all, texts]);
        }
        return texts && all;
      }
    }
  }

  private textsOfSet(set: CodeSet): Texts {
    const known = this.ignoreCase ? foldedTexts : plainTexts;
    if (known.has(set)) return known.get(set);
    let texts: Texts;
    if (sizeOf(set) <= SET_SIZE_MAX) {
      const found = new Set<string>();
      for (const [from, to] of set) {
        for (let point = from; point <= to; point++) {
          const character = String.fromCodePoint(point);
          found.add(this.ignoreCase ? foldText(character) : character);
        }
      }
      texts = limited([...found]);
    }
    known.set(set, texts);
    return texts;
  }
}

function product(left: Texts, right: Texts): Texts {
  if (left?.length === 1 && right?.length === 1) return limited([left[0]! + right[0]!]);
  if (left === undefined || right === undefined || left.length * right.length > LITERALS_MAX)
    return undefined;
  return limited([...new Set(left.flatMap((before) => right.map((behind) => before + behind)))]);
}

function joinedTexts(parts: readonly Texts[]): Texts {
  const all = new Set<string>();
  for (const texts of parts) {
    if (texts === undefined) return undefined;
    for (const text of texts) all.add(text);
  }
  return limited([...all]);
}

function limited(texts: readonly string[]): Texts {
  return texts.length <= LITERALS_MAX && texts.every(({ length }) => length <= LITERAL_UNITS_MAX)
    ? texts
    : undefined;
}

function better(one: Texts, other: Texts): Texts {
  return worth(other) > worth(one) ? other : one;
}

function worth(literals: Texts): number {
  if (literals === undefined || literals.length === 0) return -Infinity;
  const shortest = literals.reduce((least, { length }) => Math.min(least, length), Infinity);
  return worthOf(shortest, literals.length);
}

function worthOf(shortest: number, count: number): number {
  return shortest < LITERAL_UNITS_MIN ? -Infinity : shortest * UNIT_WORTH - Math.log2(count);
}

/** Of all stretches of known parts the most telling one, multiplied out. */
function bestStretch(row: readonly Texts[]): Texts {
  const shortestOf = row.map(
    (texts) => texts?.reduce((least, { length }) => Math.min(least, length), Infinity) ?? 0,
  );
  const longestOf = row.map((texts) => texts?.reduce((most, { length }) => Math.max(most, length), 0) ?? 0);
  let best = { worth: -Infinity, from: 0, to: 0 };
  for (let from = 0; from < row.length; from++) {
    let count = 1;
    let shortest = 0;
    let longest = 0;
    for (let to = from; to < row.length; to++) {
      count *= row[to]?.length ?? 0;
      shortest += shortestOf[to]!;
      longest += longestOf[to]!;
      if (count === 0 || count > LITERALS_MAX || longest > LITERAL_UNITS_MAX) break;
      const itsWorth = worthOf(shortest, count);
      if (itsWorth > best.worth) best = { worth: itsWorth, from, to: to + 1 };
    }
  }
  return row.slice(best.from, best.to).reduce<Texts>(product, best.worth === -Infinity ? undefined : ['']);
}
