/**
 * How long the stages of the way took lately, from the histograms that all threads and gateways of the node keep.
 *
 * Kept by the supervisor, as the rates are: a ring of looks at the buckets, so that what is said is of the last minutes and
 * not of the whole life of the node. Its size is fixed.
 */
import type { LatencyDocument } from '../gateways/admin/metric-documents.ts';
import type { Clock } from '../runtime/clock.ts';
import type { CounterSample } from '../runtime/shared/counters.ts';
import { LATENCY_BOUNDS_S } from '../runtime/shared/histogram.ts';
import { LookRing } from './look-ring.ts';
import { percentile } from './percentile.ts';
import { STAGES, stageMetric } from './threads/stage-latency.ts';
import type { Stage } from './threads/stage-latency.ts';

export interface LatencyHistoryOptions {
  clock: Clock;
  samples: () => readonly CounterSample[];
}

/** Cumulative, in the order of the bounds, the unbounded one last. */
type Counts = Readonly<Record<Stage, readonly number[]>>;

const LOOK_EVERY_MS = 10_000;
const WINDOW_MS = 300_000;
const BOUNDS_MS = [...LATENCY_BOUNDS_S.map((seconds) => seconds * 1_000), Infinity];
/** What is slower than the last bound is at least this. */
const SLOWEST_MS = Math.max(...LATENCY_BOUNDS_S) * 1_000;

export class LatencyHistory {
  readonly #options: LatencyHistoryOptions;
  readonly #ring: LookRing<Counts>;

  constructor(options: LatencyHistoryOptions) {
    this.#options = options;
    const { clock, samples } = options;
    this.#ring = new LookRing({
      clock,
      everyMs: LOOK_EVERY_MS,
      windowMs: WINDOW_MS,
      read: () => countsIn(samples()),
    });
  }

  start(): void {
    this.#ring.start();
  }

  stop(): void {
    this.#ring.stop();
  }

  /** Of the last minutes, as of now. */
  document(): LatencyDocument {
    const { clock, samples } = this.#options;
    const now = countsIn(samples());
    const { oldest } = this.#ring;
    const nowMs = clock.monotonicMs();
    const stages = STAGES.map((stage) => {
      const before = oldest?.value[stage] ?? [];
      const buckets = now[stage].map((count, index) => ({
        boundMs: BOUNDS_MS[index] ?? Infinity,
        count: count - (before[index] ?? 0),
      }));
      const figure = (share: number): number | null => {
        const ms = percentile(buckets, share);
        return ms === undefined ? null : Math.round(Math.min(ms, SLOWEST_MS) * 100) / 100;
      };
      return [stage, { count: buckets.at(-1)?.count ?? 0, p50_ms: figure(0.5), p99_ms: figure(0.99) }];
    });
    return {
      window_seconds: Math.round((nowMs - (oldest?.atMs ?? nowMs)) / 1_000),
      stages: Object.fromEntries(stages) as LatencyDocument['stages'],
    };
  }
}

function countsIn(samples: readonly CounterSample[]): Counts {
  const byName = new Map(samples.map((sample) => [sample.name, sample.values]));
  const counts = STAGES.map((stage) => {
    const values = byName.get(`${stageMetric(stage)}_bucket`) ?? [];
    const byBound = new Map(values.map(({ labels, value }) => [labels['le'], value]));
    return [stage, [...LATENCY_BOUNDS_S.map(String), '+Inf'].map((le) => byBound.get(le) ?? 0)];
  });
  return Object.fromEntries(counts) as Counts;
}
