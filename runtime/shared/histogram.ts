/**
 * A histogram written out in a counter block: cumulative buckets, the sum of what was observed, and how often.
 *
 * An observation is a few plain stores whatever it counts for, so what is known of a batch at once is observed once, with
 * the number of its messages as the weight. As all counters of a block it outlives the thread that writes it.
 */
import type { CounterBlock, CounterDefinition } from './counters.ts';

/** Upper bounds in seconds for waits and deliveries: from a millisecond to an hour. */
export const LATENCY_BOUNDS_S = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300, 3_600,
] as const;

/** The part of a layout that belongs to one histogram of seconds. `boundsS`: upper bounds, ascending. */
export function histogramLayout(name: string, help: string, boundsS: readonly number[]): CounterDefinition[] {
  return [
    ...[...boundsS.map(String), '+Inf'].map((le): CounterDefinition => ({
      name: `${name}_bucket`,
      labels: { le },
      kind: 'counter',
      help,
    })),
    { name: `${name}_sum`, kind: 'counter', help },
    { name: `${name}_count`, kind: 'counter', help },
  ];
}

/** Writes the histogram whose part of the layout begins at `first`. */
export class Histogram {
  readonly #counters: Pick<CounterBlock, 'add'>;
  readonly #first: number;
  readonly #boundsS: readonly number[];

  constructor(counters: Pick<CounterBlock, 'add'>, first: number, boundsS: readonly number[]) {
    this.#counters = counters;
    this.#first = first;
    this.#boundsS = boundsS;
  }

  /** `weight`: how many messages it took so long. */
  observe(seconds: number, weight = 1): void {
    const bounds = this.#boundsS;
    const end = bounds.length;
    this.#counters.add(this.#first + end, weight);
    for (let at = end - 1; at >= 0 && seconds <= (bounds[at] ?? 0); at--) {
      this.#counters.add(this.#first + at, weight);
    }
    this.#counters.add(this.#first + end + 1, seconds * weight);
    this.#counters.add(this.#first + end + 2, weight);
  }
}
