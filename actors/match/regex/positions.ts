/**
 * The graph of an expression (Glushkov's automaton): one position for each set of characters in it, an edge where one may
 * follow another, with the boundaries between the two at which it may. Counted repeats are written out.
 */
import { CodedError } from '../../../runtime/errors.ts';
import { EVERYWHERE } from './boundary.ts';
import type { Boundaries } from './boundary.ts';
import type { CodeSet } from './code-set.ts';
import type { RegexNode } from './syntax.ts';

/** Sets of characters an expression may have once its counted repeats are written out. */
export const POSITIONS_MAX = 2000;
/** Edges it may have: rows of parts that may all be left out have one for every pair. */
export const EDGES_MAX = 100_000;

/** Positions by their number, each with boundaries. */
type Ends = readonly (readonly [position: number, at: Boundaries])[];

interface Fragment {
  first: Ends;
  last: Ends;
  /** Where it may match nothing. */
  empty: Boundaries;
}

const NOTHING: Fragment = { first: [], last: [], empty: EVERYWHERE };

export class Positions {
  readonly sets: CodeSet[] = [];
  /** For each position those that may follow it. */
  readonly follow: Map<number, Boundaries>[] = [];
  readonly first: Ends;
  readonly last: Ends;
  /** Where the expression matches nothing at all. */
  readonly empty: Boundaries;
  private edges = 0;

  /** @throws CodedError E_RULE_REGEX_UNSAFE (permanent) when the expression is too large. */
  constructor(root: RegexNode) {
    const { first, last, empty } = this.build(root);
    this.first = first;
    this.last = last;
    this.empty = empty;
  }

  private build(node: RegexNode): Fragment {
    switch (node.kind) {
      case 'set': {
        if (this.sets.length >= POSITIONS_MAX) {
          throw tooLarge(`it stands for more than ${POSITIONS_MAX} characters in a row`);
        }
        const ends: Ends = [[this.sets.push(node.set) - 1, EVERYWHERE]];
        this.follow.push(new Map());
        return { first: ends, last: ends, empty: 0 };
      }
      case 'assertion':
        return { first: [], last: [], empty: node.at };
      case 'all':
        return node.parts.reduce<Fragment>((left, part) => this.joined(left, this.build(part)), NOTHING);
      case 'any': {
        const parts = node.parts.map((part) => this.build(part));
        return {
          first: parts.flatMap(({ first }) => first),
          last: parts.flatMap(({ last }) => last),
          empty: parts.reduce((empty, part) => empty | part.empty, 0),
        };
      }
      case 'repeat':
        return this.repeat(node.part, node.min, node.max);
    }
  }

  private repeat(part: RegexNode, min: number, max: number): Fragment {
    if (max === 0) return NOTHING;
    const once = this.build(part);
    const isOptional = min === 0 || once.empty === EVERYWHERE;
    // Without characters a second time asks for nothing that the first has not.
    if (once.first.length === 0) return isOptional ? NOTHING : once;
    const needed = isOptional ? 0 : min;
    const copies = [once];
    const wanted = max === Infinity ? Math.max(needed, 1) : max;
    while (copies.length < wanted) copies.push(this.build(part));
    if (max === Infinity) {
      const final = copies.at(-1)!;
      this.link(final.last, final.first);
      if (isOptional) copies[0] = { ...final, empty: EVERYWHERE };
      return copies.reduce((left, copy) => this.joined(left, copy), NOTHING);
    }
    // X{1,3} is X(X(X)?)?: what is optional need not match nothing itself, so each copy leads to the next one only.
    let tail = NOTHING;
    for (let at = copies.length - 1; at >= needed; at--) {
      tail = { ...this.joined({ ...copies[at]!, empty: 0 }, tail), empty: EVERYWHERE };
    }
    const head = copies.slice(0, needed).reduce((left, copy) => this.joined(left, copy), NOTHING);
    return this.joined(head, tail);
  }

  private joined(left: Fragment, right: Fragment): Fragment {
    if (left === NOTHING) return right;
    if (right === NOTHING) return left;
    this.link(left.last, right.first);
    return {
      first: left.empty === 0 ? left.first : [...left.first, ...narrowed(right.first, left.empty)],
      last: right.empty === 0 ? right.last : [...right.last, ...narrowed(left.last, right.empty)],
      empty: left.empty & right.empty,
    };
  }

  private link(last: Ends, first: Ends): void {
    this.edges += last.length * first.length;
    if (this.edges > EDGES_MAX) throw tooLarge('too many of its parts can follow one another');
    for (const [from, leaving] of last) {
      const followers = this.follow[from]!;
      for (const [to, entering] of first) {
        const at = leaving & entering;
        if (at !== 0) followers.set(to, (followers.get(to) ?? 0) | at);
      }
    }
  }
}

function narrowed(ends: Ends, at: Boundaries): Ends {
  if (at === EVERYWHERE) return ends;
  return ends.flatMap(([position, where]) => ((where & at) === 0 ? [] : [[position, where & at] as const]));
}

function tooLarge(why: string): CodedError {
  return new CodedError('E_RULE_REGEX_UNSAFE', `The expression is refused: ${why}.`, {
    mend: 'Make its counted repeats smaller, or split the rule.',
  });
}
