/**
 * The boundaries between two characters of a text, by what assertions can ask of them: what is before (the start, a word
 * character or another) and what is behind (the end, a word character or another). Every boundary is of exactly one of
 * nine kinds, so any combination of assertions is a set of kinds: assertions in a row are the intersection, alternatives
 * the union.
 */

/** A set of kinds of boundaries, as bits: kind `k` is bit `1 << k`. */
export type Boundaries = number;

/** What is before a boundary. */
export const START = 0;
/** What is behind a boundary. */
export const END = 0;
/** What is before or behind: a character that is no word character. */
export const OTHER = 1;
export const WORD = 2;

export const KINDS = 9;
export const EVERYWHERE: Boundaries = (1 << KINDS) - 1;

export function kindOf(before: number, behind: number): number {
  return before * 3 + behind;
}

export const AT_START = where((before) => before === START);
export const AT_END = where((_, behind) => behind === END);
export const WORD_EDGE = where((before, behind) => (before === WORD) !== (behind === WORD));
export const NOT_WORD_EDGE = EVERYWHERE & ~WORD_EDGE;

function where(holds: (before: number, behind: number) => boolean): Boundaries {
  let kinds = 0;
  for (let before = 0; before < 3; before++) {
    for (let behind = 0; behind < 3; behind++) {
      if (holds(before, behind)) kinds |= 1 << kindOf(before, behind);
    }
  }
  return kinds;
}
