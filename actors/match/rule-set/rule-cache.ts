/** What a thread has decoded of a rule set: kept while it is used, and bounded, since expressions take memory. */

/** As many are kept at least, and twice as many at most: with their rows some 25 MB of rules of usual size. */
export const KEPT_MIN = 8192;

/**
 * Two generations: what is asked for moves to the younger one; when that is full, the older one is dropped and the
 * younger one becomes it. So what was not asked for while KEPT_MIN others were goes.
 */
export class RuleCache<T> {
  #young: (T | undefined)[];
  #old: (T | undefined)[];
  #youngCount = 0;
  #oldCount = 0;
  readonly #rules: number;

  constructor(rules: number) {
    this.#rules = rules;
    this.#young = new Array<T | undefined>(rules);
    this.#old = new Array<T | undefined>(rules);
  }

  /** How many are kept, at most: one in both generations counts twice. */
  get size(): number {
    return this.#youngCount + this.#oldCount;
  }

  get(rank: number): T | undefined {
    const young = this.#young[rank];
    if (young !== undefined) return young;
    const old = this.#old[rank];
    return old === undefined ? undefined : this.keep(rank, old);
  }

  keep(rank: number, value: T): T {
    if (this.#youngCount >= KEPT_MIN) {
      this.#old = this.#young;
      this.#oldCount = this.#youngCount;
      this.#young = new Array<T | undefined>(this.#rules);
      this.#youngCount = 0;
    }
    this.#young[rank] = value;
    this.#youngCount++;
    return value;
  }
}
