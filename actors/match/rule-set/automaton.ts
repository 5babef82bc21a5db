/**
 * One automaton (Aho and Corasick, CACM 18, 1975) for all literals: finds every one of them that a text holds in one
 * pass over it, however many they are.
 *
 * States near the root, where almost all text stays, and those that branch much are dense: a row of targets, one step a
 * unit. The others are sparse: their few edges and the state to fall back to. A fall back leads to a shallower state, and
 * a unit takes a state at most one deeper, so that a text of n units takes at most 2n steps, hostile or not.
 *
 * A state is its offset in `cells`:
 *   dense   [target of class 0 (the root), of class 1, …, output]
 *   sparse  [output, state to fall back to, class of edge 0 and the number of the others above it, target of edge 0,
 *           then class and target of each other edge, by class]
 * A target has its sign bit set when texts of its state end with a literal. `output` is the longest such literal or -1;
 * `nextLiterals` gives for a literal the longest other one that it ends with. Both are walked only up to a literal that
 * this text has shown before: its suffixes are known then too.
 */

import { foldTable } from '../fold.ts';

/** What literals are made of. Class 0 is every unit that is in none of them. */
export interface Alphabet {
  /** For each UTF-16 unit, as sent, the class of what it folds to. */
  classOf: Uint16Array;
  classes: number;
}

export interface Automaton extends Alphabet {
  cells: Int32Array;
  /** States from here on are sparse. */
  sparseFrom: number;
  /** For each literal the longest other one that it ends with, or -1. */
  nextLiterals: Int32Array;
  states: number;
}

/** Rows beyond this depth are dense only where a state has this many edges. Measured: more of either fills the caches. */
const DENSE_DEPTH = 2;
const DENSE_EDGES_MIN = 4;
/** 16 MiB: what is over it is sparse, whatever it looks like. */
const DENSE_CELLS_MAX = 4 * 1024 * 1024;
export const STATE_MASK = 0x7fff_ffff;
export const ENDS_LITERAL = ~STATE_MASK;
/** The most that a literal's unit takes of the image: a sparse record of one edge, and that edge in another's record. */
export const UNIT_BYTES_MAX = 5 * 4;
export const DENSE_BYTES_MAX = DENSE_CELLS_MAX * 4;

function alphabetOf(literals: readonly string[]): Alphabet {
  const used = new Set<number>();
  for (const literal of literals) {
    for (let at = 0; at < literal.length; at++) used.add(literal.charCodeAt(at));
  }
  const folds = foldTable();
  const classOf = new Uint16Array(folds.length);
  let classes = 1;
  // Ascending with the unit: literals in order of their units are in order of their classes.
  for (const unit of [...used].sort((a, b) => a - b)) classOf[unit] = classes++;
  for (const unit of (foldedUnits ??= unitsFolded(folds))) classOf[unit] = classOf[folds[unit]!]!;
  return { classOf, classes };
}

/** The units that fold to another one: some 1,400 of 65,536. */
let foldedUnits: readonly number[] | undefined;

function unitsFolded(folds: Uint16Array): number[] {
  return [...folds.keys()].filter((unit) => folds[unit] !== unit);
}

/** @param literals folded, not empty, distinct, in order of their UTF-16 units. A literal is known by its place there. */
export function buildAutomaton(literals: readonly string[]): Automaton {
  const alphabet = alphabetOf(literals);
  const trie = new Trie(literals, alphabet);
  return { ...alphabet, ...new Layout(trie, alphabet.classes).fill(literals.length), states: trie.size };
}

/** The literals as a tree; its nodes are numbered along its branches, so that a branch lies together. */
class Trie {
  readonly firstChild: Int32Array;
  readonly nextSibling: Int32Array;
  readonly classAt: Uint16Array;
  /** The literal that ends at the node, or -1. */
  readonly literalAt: Int32Array;
  size = 1;

  constructor(literals: readonly string[], { classOf }: Alphabet) {
    const units = literals.reduce((sum, literal) => sum + literal.length, 1);
    this.firstChild = new Int32Array(units);
    this.nextSibling = new Int32Array(units);
    this.classAt = new Uint16Array(units);
    this.literalAt = new Int32Array(units).fill(-1);
    const path: number[] = [0];
    let before = '';
    for (const [number, literal] of literals.entries()) {
      let depth = 0;
      while (depth < before.length && literal.charCodeAt(depth) === before.charCodeAt(depth)) depth++;
      for (let at = depth; at < literal.length; at++) {
        const node = this.size++;
        this.classAt[node] = classOf[literal.charCodeAt(at)]!;
        // Where this literal leaves the one before, the node there is its older sibling.
        if (at === depth && at < before.length) this.nextSibling[path[at + 1]!] = node;
        else this.firstChild[path[at]!] = node;
        path[at + 1] = node;
      }
      this.literalAt[path[literal.length]!] = number;
      before = literal;
    }
  }

  childrenOf(node: number): number {
    let children = 0;
    for (let child = this.firstChild[node]!; child !== 0; child = this.nextSibling[child]!) children++;
    return children;
  }
}

class Layout {
  readonly #trie: Trie;
  readonly #classes: number;
  /** All nodes, by depth; where each depth begins. */
  readonly #byDepth: Int32Array;
  readonly #depths: number[] = [0, 1];
  readonly #stateOf: Int32Array;
  readonly #fallbackOf: Int32Array;
  readonly #outputOf: Int32Array;
  readonly #cells: Int32Array;
  readonly #sparseFrom: number;

  constructor(trie: Trie, classes: number) {
    this.#trie = trie;
    this.#classes = classes;
    this.#byDepth = new Int32Array(trie.size);
    this.#fallbackOf = new Int32Array(trie.size);
    this.#outputOf = new Int32Array(trie.size).fill(-1);
    this.#stateOf = new Int32Array(trie.size).fill(-1);
    this.#sortByDepth();
    this.#sparseFrom = this.#placeDense();
    this.#cells = new Int32Array(this.#placeSparse());
  }

  /** Fills the cells depth by depth: what a state falls back to is complete before it. */
  fill(literals: number): Pick<Automaton, 'cells' | 'sparseFrom' | 'nextLiterals'> {
    const nextLiterals = new Int32Array(literals).fill(-1);
    const depths = this.#depths;
    this.#writeState(0);
    for (let depth = 1; depth + 1 < depths.length; depth++) {
      for (let at = depths[depth - 1]!; at < depths[depth]!; at++) {
        this.#linkChildren(this.#byDepth[at]!, nextLiterals);
      }
      for (let at = depths[depth]!; at < depths[depth + 1]!; at++) this.#writeState(this.#byDepth[at]!);
    }
    return { cells: this.#cells, sparseFrom: this.#sparseFrom, nextLiterals };
  }

  #sortByDepth(): void {
    const { firstChild, nextSibling, size } = this.#trie;
    let end = 1;
    for (let from = 0; end < size;) {
      const to = end;
      for (; from < to; from++) {
        const node = this.#byDepth[from]!;
        for (let child = firstChild[node]!; child !== 0; child = nextSibling[child]!) {
          this.#byDepth[end++] = child;
        }
      }
      this.#depths.push(end);
    }
  }

  #placeDense(): number {
    const cellsEach = this.#classes + 1;
    let cells = 0;
    for (let depth = 0; depth + 1 < this.#depths.length; depth++) {
      for (let at = this.#depths[depth]!; at < this.#depths[depth + 1]!; at++) {
        if (at > 0 && cells + cellsEach > DENSE_CELLS_MAX) return cells;
        const node = this.#byDepth[at]!;
        if (depth > DENSE_DEPTH && this.#trie.childrenOf(node) < DENSE_EDGES_MIN) continue;
        this.#stateOf[node] = cells;
        cells += cellsEach;
      }
    }
    return cells;
  }

  #placeSparse(): number {
    let cells = this.#sparseFrom;
    for (let node = 0; node < this.#trie.size; node++) {
      if (this.#stateOf[node] !== -1) continue;
      this.#stateOf[node] = cells;
      cells += 3 + Math.max(0, 2 * this.#trie.childrenOf(node) - 1);
    }
    return cells;
  }

  /** Finds what the children of `node` fall back to and end with, and leads its edges to them. */
  #linkChildren(node: number, nextLiterals: Int32Array): void {
    const { firstChild, nextSibling, classAt, literalAt } = this.#trie;
    const state = this.#stateOf[node]!;
    const cells = this.#cells;
    let edge = 0;
    for (let child = firstChild[node]!; child !== 0; child = nextSibling[child]!, edge++) {
      const unitClass = classAt[child]!;
      const fallback = node === 0 ? 0 : this.#step(this.#fallbackOf[node]!, unitClass);
      const inherited = this.#outputAt(fallback);
      const own = literalAt[child]!;
      if (own !== -1) nextLiterals[own] = inherited;
      const output = own === -1 ? inherited : own;
      this.#fallbackOf[child] = fallback;
      this.#outputOf[child] = output;
      const target = this.#stateOf[child]! | (output === -1 ? 0 : ENDS_LITERAL);
      if (state < this.#sparseFrom) cells[state + unitClass] = target;
      else if (edge === 0) {
        cells[state + 2]! |= unitClass;
        cells[state + 3] = target;
      } else {
        cells[state + 2 + 2 * edge] = unitClass;
        cells[state + 3 + 2 * edge] = target;
      }
    }
  }

  /** All of a state but its own edges. */
  #writeState(node: number): void {
    const cells = this.#cells;
    const state = this.#stateOf[node]!;
    const fallback = this.#fallbackOf[node]!;
    if (state >= this.#sparseFrom) {
      cells[state] = this.#outputOf[node]!;
      cells[state + 1] = fallback;
      cells[state + 2] = Math.max(0, this.#trie.childrenOf(node) - 1) << 16;
      return;
    }
    if (fallback < this.#sparseFrom) cells.copyWithin(state, fallback, fallback + this.#classes);
    else for (let of = 1; of < this.#classes; of++) cells[state + of] = stepFrom(this.#parts, fallback, of);
    cells[state + this.#classes] = this.#outputOf[node]!;
  }

  get #parts(): Pick<Automaton, 'cells' | 'sparseFrom'> {
    return { cells: this.#cells, sparseFrom: this.#sparseFrom };
  }

  #step(state: number, unitClass: number): number {
    return stepFrom(this.#parts, state, unitClass) & STATE_MASK;
  }

  #outputAt(state: number): number {
    return this.#cells[state < this.#sparseFrom ? state + this.#classes : state]!;
  }
}

/** Where `state` goes on a unit of the class, which is not 0: a target, with its sign bit. */
function stepFrom(
  { cells, sparseFrom }: Pick<Automaton, 'cells' | 'sparseFrom'>,
  state: number,
  unitClass: number,
): number {
  let from = state;
  while (from >= sparseFrom) {
    const target = edgeOf(cells, from, unitClass);
    if (target !== NO_EDGE) return target;
    from = cells[from + 1]!;
  }
  return cells[from + unitClass]!;
}

/** No target: a sparse state's edges never lead to the root. */
export const NO_EDGE = 0;

/** The target of a sparse state's edge for units of the class (not 0), or NO_EDGE. */
export function edgeOf(cells: Int32Array, state: number, unitClass: number): number {
  const head = cells[state + 2]!;
  if ((head & 0xffff) === unitClass) return cells[state + 3]!;
  let count = head >>> 16;
  if (count === 0) return NO_EDGE;
  let first = 0;
  while (count > 0) {
    const half = count >>> 1;
    const at = state + 4 + 2 * (first + half);
    const found = cells[at]!;
    if (found === unitClass) return cells[at + 1]!;
    if (found < unitClass) {
      first += half + 1;
      count -= half + 1;
    } else count = half;
  }
  return NO_EDGE;
}
