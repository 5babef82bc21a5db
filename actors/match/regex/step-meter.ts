/**
 * What the expressions of this thread take, in steps of their engine: whoever runs several of them over one event reads
 * what each took, and limits what the next one may take.
 */

/** Steps that one text may cost beyond one look into the table per character: some 50 ms. */
export const STEPS_MAX = 12_000_000;
let spent = 0;
let stepsMax = STEPS_MAX;

export const stepMeter = {
  /** Since the thread began. */
  get spent(): number {
    return spent;
  },

  /** Of one expression on one text. */
  get stepsMax(): number {
    return stepsMax;
  },

  /** From now on; never more than STEPS_MAX. */
  limit(steps: number): void {
    stepsMax = Math.min(steps, STEPS_MAX);
  },

  /** An expression is through with a text: each look into its table takes about as long as a step. */
  add(steps: number, chars: number): void {
    spent += steps + chars;
  },
};
