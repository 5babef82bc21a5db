/**
 * Refuses regular expressions that a hostile message could hang a match actor with.
 *
 * JavaScript's engine tries one way after the other. Where one text can be read in exponentially many ways, a text that
 * almost matches takes for ever. That is decided here exactly, not by the look of the pattern: the expression becomes a
 * graph of its characters (Glushkov's), and it is refused when some character can be reached from itself along two
 * different ways over the same text. Repeats counted beyond a few are judged as if they had no end.
 *
 * What is left is polynomial: repeats that can pass the same text on to each other (`.*a.*b`). Their number is the
 * exponent, so only a few are allowed.
 */
import { CodedError, messageOf } from '../../runtime/errors.ts';
import { Glushkov, UNROLLED_MAX } from './glushkov.ts';
import { parseRegex, setsOverlap, union } from './regex-syntax.ts';
import type { CodeSet, RegexNode } from './regex-syntax.ts';

export const REGEX_CHARS_MAX = 1024;
/** Optional or alternative parts in a row that can begin alike: the time a text can take doubles with each. */
export const CHOICES_OVERLAPPING_MAX = 12;

/** The flags every rule's expression runs with: simple Unicode folding unless the case counts; no `m`, no `s`. */
function regexFlags(caseSensitive: boolean): string {
  return caseSensitive ? 'u' : 'iu';
}

/**
 * Compiles the expression of a rule after judging it.
 * @throws CodedError E_RULE_REGEX_INVALID when V8 does not take it; E_RULE_REGEX_UNSAFE when it is refused (both permanent).
 */
export function compileSafeRegex(source: string, caseSensitive: boolean): RegExp {
  if (source.length > REGEX_CHARS_MAX) {
    throw unsafe(
      `it has ${source.length} characters, and at most ${REGEX_CHARS_MAX} are taken`,
      'Shorten it or split the rule.',
    );
  }
  const flags = regexFlags(caseSensitive);
  let compiled: RegExp;
  try {
    compiled = new RegExp(source, flags);
  } catch (error) {
    throw new CodedError('E_RULE_REGEX_INVALID', messageOf(error), {
      mend: 'Correct the expression; characters with a meaning of their own, such as { [ ( ) * + ? . |, need a backslash.',
    });
  }
  const tree = parseRegex(source, !caseSensitive);
  const choices = mostOverlapping(choicesIn(tree));
  if (choices > CHOICES_OVERLAPPING_MAX) {
    throw unsafe(
      `${choices} optional or alternative parts in a row can begin with the same character`,
      `Use at most ${CHOICES_OVERLAPPING_MAX}, or make them begin differently.`,
    );
  }
  const ambiguity = new Glushkov(tree).ambiguity();
  if (ambiguity !== undefined) {
    throw unsafe(
      ambiguity,
      'Take a repeat away, or narrow it (\\d or [^,] instead of the dot) until they differ.',
    );
  }
  return compiled;
}

function unsafe(why: string, mend: string): CodedError {
  return new CodedError('E_RULE_REGEX_UNSAFE', `The expression is refused: ${why}.`, { mend });
}

/** What each choice in the tree can begin with, along the way through it that has the most choices. */
function choicesIn(node: RegexNode): CodeSet[] {
  switch (node.kind) {
    case 'set':
    case 'empty':
      return [];
    case 'all':
      return node.parts.reduce<CodeSet[]>((choices, part) => capped(choices, choicesIn(part)), []);
    case 'any': {
      const most = node.parts.map(choicesIn).reduce((a, b) => (b.length > a.length ? b : a), []);
      const firsts = node.parts.map((part) => union(firstSets(part).flat()));
      const isChoice = firsts.some((first, at) =>
        firsts.slice(0, at).some((other) => setsOverlap(first, other)),
      );
      return isChoice ? capped([union(firsts.flat())], most) : most;
    }
    case 'repeat': {
      const inner = choicesIn(node.part);
      if (node.max > UNROLLED_MAX) return inner;
      const choices: CodeSet[] = [];
      const first = union(firstSets(node.part).flat());
      for (let copy = 1; copy <= node.max; copy++) {
        choices.push(...inner.slice(0, CHOICES_COUNTED_MAX - choices.length));
        if (copy > node.min && first.length > 0) choices.push(first);
      }
      return choices;
    }
  }
}

/** Choices beyond this are not counted: there are too many already. */
const CHOICES_COUNTED_MAX = 8 * CHOICES_OVERLAPPING_MAX;

function capped(choices: CodeSet[], more: CodeSet[]): CodeSet[] {
  return [...choices, ...more].slice(0, CHOICES_COUNTED_MAX);
}

/** The sets that the first character of a match may be of. */
function firstSets(node: RegexNode): CodeSet[] {
  switch (node.kind) {
    case 'set':
      return [node.set];
    case 'empty':
      return [];
    case 'any':
      return node.parts.flatMap(firstSets);
    case 'repeat':
      return node.max === 0 ? [] : firstSets(node.part);
    case 'all': {
      const sets: CodeSet[] = [];
      for (const part of node.parts) {
        sets.push(...firstSets(part));
        if (!canBeEmpty(part)) break;
      }
      return sets;
    }
  }
}

function canBeEmpty(node: RegexNode): boolean {
  if (node.kind === 'set') return false;
  if (node.kind === 'empty') return true;
  if (node.kind === 'repeat') return node.min === 0 || canBeEmpty(node.part);
  return node.kind === 'all' ? node.parts.every(canBeEmpty) : node.parts.some(canBeEmpty);
}

/** How many of the sets hold one same character. */
function mostOverlapping(sets: readonly CodeSet[]): number {
  let most = 0;
  // A largest common overlap begins where one of the ranges begins.
  for (const point of new Set(sets.flatMap((set) => set.map(([from]) => from)))) {
    most = Math.max(most, sets.filter((set) => setsOverlap(set, [[point, point]])).length);
  }
  return most;
}
