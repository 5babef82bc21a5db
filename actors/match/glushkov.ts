/**
 * The graph of a regular expression (Glushkov's automaton): one node for each set of characters in it, an edge where one
 * may follow another, and how often there is more than one way. It decides what a backtracking engine would suffer from:
 * whether some text can be read in exponentially many ways, and to what power of its length otherwise.
 *
 * Errs towards refusing: assertions are taken for nothing, large counted repeats for endless ones, and what takes too
 * many steps to judge counts as ambiguous.
 */
import { intersection, setsOverlap } from './regex-syntax.ts';
import type { CodeSet, RegexNode } from './regex-syntax.ts';

/** Repeats in a row that can pass the same text on to each other: the exponent of the time a hostile text can take. */
export const REPEATS_OVERLAPPING_MAX = 4;
/** Counted repeats up to this are judged as what they are; larger ones as if they had no end. */
export const UNROLLED_MAX = 4;
/** Steps after which an expression counts as too complicated to be judged. */
const STEPS_MAX = 2_000_000;
/** Sets of characters an expression may have once its small counted repeats are written out. */
const POSITIONS_MAX = 4096;
const TOO_COMPLICATED = 'it is too complicated to be judged';

/** In how many ways (0, 1, or 2 for more) a thing can be: positions by their number. */
type Ways = Map<number, number>;
interface Edges {
  first: Ways;
  last: Ways;
  /** Ways to match nothing. */
  nullable: number;
}
const MORE_THAN_ONE = 2;

/** The graph of an expression: one node for each set of characters in it, an edge where one may follow another. */
export class Glushkov {
  private readonly sets: CodeSet[] = [];
  private readonly follow: Ways[] = [];
  private countsEmpty = false;
  private steps = 0;

  constructor(tree: RegexNode) {
    this.build(tree);
  }

  /** Why the expression can be read in exponentially many ways; undefined when it cannot. */
  ambiguity(): string | undefined {
    if (this.countsEmpty) return 'a counted repeat in it repeats a part that can match nothing';
    if (this.steps > STEPS_MAX) return TOO_COMPLICATED;
    const component = this.components();
    for (const [from, followers] of this.follow.entries()) {
      for (const [to, ways] of followers) {
        if (ways > 1 && component[from] === component[to]) {
          return 'a repeat in it holds another repeat of the same characters';
        }
      }
    }
    return this.divergence(component) ?? this.overlappingRepeats(component);
  }

  /** Counts the repeats that can pass text on to each other, along the longest such chain. */
  private overlappingRepeats(component: readonly number[]): string | undefined {
    const members = new Map<number, number[]>();
    for (const [position, home] of component.entries()) {
      const isRepeated = [...this.follow[position]!.keys()].some((next) => component[next] === home);
      if (isRepeated) members.set(home, [...(members.get(home) ?? []), position]);
    }
    // Tarjan numbers a component after all it leads to, so the chains behind are known before they are needed.
    const longest = new Map<number, number>();
    for (const [home, positions] of [...members].sort(([a], [b]) => a - b)) {
      let behind = 0;
      for (const [later, laterPositions] of members) {
        const length = longest.get(later) ?? 0;
        if (later >= home || length <= behind) continue;
        const passes = positions.some((p) => laterPositions.some((q) => this.passesOn(p, q, component)));
        if (this.steps > STEPS_MAX) return TOO_COMPLICATED;
        if (passes) behind = length;
      }
      longest.set(home, behind + 1);
    }
    const repeats = Math.max(0, ...longest.values());
    if (repeats <= REPEATS_OVERLAPPING_MAX) return undefined;
    return `${repeats} repeats in a row can take the same text; at most ${REPEATS_OVERLAPPING_MAX} may`;
  }

  /**
   * Whether one text leads from `p` back to `p`, from `p` to `q`, and from `q` back to `q`: then every length of text can
   * be shared out between the two in as many ways as it is long.
   */
  private passesOn(p: number, q: number, component: readonly number[]): boolean {
    const size = this.sets.length;
    const seen = new Set<number>();
    const queue: [number, number, number][] = [[p, p, q]];
    for (let triple = queue.pop(); triple !== undefined; triple = queue.pop()) {
      const [stays, moves, waits] = triple;
      for (const nextStays of this.follow[stays]!.keys()) {
        if (component[nextStays] !== component[p]) continue;
        for (const nextWaits of this.follow[waits]!.keys()) {
          if (++this.steps > STEPS_MAX) return false;
          if (component[nextWaits] !== component[q]) continue;
          const shared = intersection(this.sets[nextStays]!, this.sets[nextWaits]!);
          if (shared.length === 0) continue;
          for (const nextMoves of this.follow[moves]!.keys()) {
            if (++this.steps > STEPS_MAX) return false;
            if (!setsOverlap(shared, this.sets[nextMoves]!)) continue;
            if (nextStays === p && nextMoves === q && nextWaits === q) return true;
            const key = (nextStays * size + nextMoves) * size + nextWaits;
            if (seen.has(key)) continue;
            seen.add(key);
            queue.push([nextStays, nextMoves, nextWaits]);
          }
        }
      }
    }
    return false;
  }

  /** Looks for two ways over the same text that part inside a component and meet again in it. */
  private divergence(component: readonly number[]): string | undefined {
    const size = this.sets.length;
    const seen = new Set<number>();
    const queue: number[] = [];
    const visit = (one: number, other: number): void => {
      const pair = Math.min(one, other) * size + Math.max(one, other);
      if (seen.has(pair)) return;
      seen.add(pair);
      queue.push(pair);
    };
    // Meeting is only bad after parting, so the pairs of a position with itself are where it starts, not what is visited.
    for (let at = 0; at < size; at++) {
      if (this.pairs(at, at, component, (one, other) => one !== other && visit(one, other)))
        return TOO_COMPLICATED;
    }
    for (let pair = queue.pop(); pair !== undefined; pair = queue.pop()) {
      let meets = false;
      const isOver = this.pairs(Math.floor(pair / size), pair % size, component, (one, other) => {
        if (one === other) meets = true;
        else visit(one, other);
      });
      if (meets) return 'a repeat in it can take the same text in more than one way';
      if (isOver) return TOO_COMPLICATED;
    }
    return undefined;
  }

  /** Every pair of followers within the component that can take the same character. True when out of steps. */
  private pairs(
    one: number,
    other: number,
    component: readonly number[],
    found: (one: number, other: number) => unknown,
  ): boolean {
    const home = component[one];
    for (const next of this.follow[one]!.keys()) {
      if (component[next] !== home) continue;
      for (const otherNext of this.follow[other]!.keys()) {
        if (++this.steps > STEPS_MAX) return true;
        if (component[otherNext] !== home) continue;
        if (next === otherNext || setsOverlap(this.sets[next]!, this.sets[otherNext]!))
          found(next, otherNext);
      }
    }
    return false;
  }

  /** The strongly connected component of each position (Tarjan, without recursion). */
  private components(): number[] {
    const size = this.sets.length;
    const order = new Array<number>(size).fill(-1);
    const low = new Array<number>(size).fill(0);
    const component = new Array<number>(size).fill(-1);
    const stack: number[] = [];
    let visited = 0;
    let components = 0;
    for (let root = 0; root < size; root++) {
      if (order[root] !== -1) continue;
      const path = [{ at: root, followers: this.follow[root]!.keys() }];
      order[root] = low[root] = visited++;
      stack.push(root);
      for (let frame = path.at(-1); frame !== undefined; frame = path.at(-1)) {
        const { at, followers } = frame;
        const step = followers.next();
        if (step.done === true) {
          path.pop();
          const parent = path.at(-1);
          if (parent !== undefined) low[parent.at] = Math.min(low[parent.at]!, low[at]!);
          if (low[at] !== order[at]) continue;
          for (let member = stack.pop()!; ; member = stack.pop()!) {
            component[member] = components;
            if (member === at) break;
          }
          components++;
        } else if (order[step.value] === -1) {
          order[step.value] = low[step.value] = visited++;
          stack.push(step.value);
          path.push({ at: step.value, followers: this.follow[step.value]!.keys() });
        } else if (component[step.value] === -1) {
          low[at] = Math.min(low[at]!, order[step.value]!);
        }
      }
    }
    return component;
  }

  private build(node: RegexNode): Edges {
    if (++this.steps > STEPS_MAX || this.sets.length > POSITIONS_MAX) {
      this.steps = STEPS_MAX + 1;
      return { first: new Map(), last: new Map(), nullable: 1 };
    }
    switch (node.kind) {
      case 'set': {
        const position = this.sets.push(node.set) - 1;
        this.follow.push(new Map());
        return { first: new Map([[position, 1]]), last: new Map([[position, 1]]), nullable: 0 };
      }
      case 'empty':
        return { first: new Map(), last: new Map(), nullable: 1 };
      case 'all':
        return node.parts.reduce<Edges>((edges, part) => this.joined(edges, this.build(part)), {
          first: new Map(),
          last: new Map(),
          nullable: 1,
        });
      case 'any': {
        const edges: Edges = { first: new Map(), last: new Map(), nullable: 0 };
        for (const part of node.parts) {
          const { first, last, nullable } = this.build(part);
          addWays(edges.first, first, 1);
          addWays(edges.last, last, 1);
          edges.nullable = Math.min(MORE_THAN_ONE, edges.nullable + nullable);
        }
        return edges;
      }
      case 'repeat': {
        if (node.max <= UNROLLED_MAX) return this.unrolled(node.part, node.min, node.max);
        const edges = this.build(node.part);
        // Beyond its minimum JavaScript refuses an iteration that takes nothing; within it, every one may.
        if (node.min > 1 && edges.nullable > 0 && edges.first.size > 0) this.countsEmpty = true;
        this.link(edges.last, edges.first);
        return { ...edges, nullable: node.min === 0 ? 1 : edges.nullable };
      }
    }
  }

  /** `X{2,4}` as `XX(?:XX?)?`. */
  private unrolled(part: RegexNode, min: number, max: number): Edges {
    let optional: Edges = { first: new Map(), last: new Map(), nullable: 1 };
    for (let copy = min; copy < max; copy++) {
      optional = { ...this.joined(this.build(part), optional), nullable: 1 };
    }
    let edges: Edges = { first: new Map(), last: new Map(), nullable: 1 };
    for (let copy = 0; copy < min; copy++) edges = this.joined(edges, this.build(part));
    return this.joined(edges, optional);
  }

  private joined(left: Edges, right: Edges): Edges {
    this.link(left.last, right.first);
    const first = new Map(left.first);
    addWays(first, right.first, left.nullable);
    const last = new Map(right.last);
    addWays(last, left.last, right.nullable);
    return { first, last, nullable: Math.min(MORE_THAN_ONE, left.nullable * right.nullable) };
  }

  private link(last: Ways, first: Ways): void {
    this.steps += last.size * first.size;
    if (this.steps > STEPS_MAX) return;
    for (const [from, ways] of last) addWays(this.follow[from]!, first, ways);
  }
}

function addWays(to: Ways, from: Ways, times: number): void {
  if (times === 0) return;
  for (const [position, ways] of from) {
    to.set(position, Math.min(MORE_THAN_ONE, (to.get(position) ?? 0) + ways * times));
  }
}
