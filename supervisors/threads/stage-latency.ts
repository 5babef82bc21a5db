/**
 * How long events and alerts take from one point of their way to the next, as histograms in the counters of the thread
 * that sees the end of the stage.
 *
 * What begins and ends in one process is measured by its monotonic clock. What does not goes by wall clocks: those of
 * gateway, Redis and this process, which are one where they share a machine. Clocks that disagree make a duration
 * negative: it counts as none at all, and is counted.
 */
import type { StoredAlert } from '../../actors/forward/messages.ts';
import type { DeliveryOutcome, Destination } from '../../actors/ports.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { CounterBlock, CounterDefinition } from '../../runtime/shared/counters.ts';
import { Histogram, LATENCY_BOUNDS_S, histogramLayout } from '../../runtime/shared/histogram.ts';

/** In the order of the way. The first is the gateway's own (gateways/ingest/metrics.ts). */
export const STAGES = [
  'received_to_stored',
  'stored_to_matched',
  'matched_to_committed',
  'committed_to_sent',
  'sent_to_accepted',
  'received_to_accepted',
] as const;
export type Stage = (typeof STAGES)[number];

const HELP: Readonly<Record<Exclude<Stage, 'received_to_stored'>, string>> = {
  stored_to_matched: 'Stored in the mailbox to decided, events.',
  matched_to_committed: 'Decided to committed, events.',
  committed_to_sent: 'Stored in the mailbox of a destination to the begin of the first POST, alerts.',
  sent_to_accepted: 'Begin of the first POST to the answer that took it, alerts.',
  received_to_accepted: 'Receipt of the event to the answer of the destination that took its alert, alerts.',
};
type ThreadStage = keyof typeof HELP;

export function stageMetric(stage: Stage): string {
  return `mutt_${stage}_seconds`;
}

/** What a thread adds to its layout for the stages that end in it. */
export function stageLayout(stages: readonly ThreadStage[]): CounterDefinition[] {
  return [
    ...stages.flatMap((stage) => histogramLayout(stageMetric(stage), HELP[stage], LATENCY_BOUNDS_S)),
    ...stages.map((stage): CounterDefinition => ({
      name: 'mutt_clamped_durations_total',
      labels: { stage },
      kind: 'counter',
      help: 'Durations that clocks which disagree made negative: counted as zero.',
    })),
  ];
}

const CELLS = histogramLayout('', '', LATENCY_BOUNDS_S).length;

export class StageLatency {
  readonly #counters: CounterBlock;
  readonly #stages: ReadonlyMap<ThreadStage, { histogram: Histogram; clampedAt: number }>;

  /** `first`: where the part of `stageLayout(stages)` begins in the thread's layout. */
  constructor(counters: CounterBlock, first: number, stages: readonly ThreadStage[]) {
    this.#counters = counters;
    this.#stages = new Map(
      stages.map((stage, index) => [
        stage,
        {
          histogram: new Histogram(counters, first + index * CELLS, LATENCY_BOUNDS_S),
          clampedAt: first + stages.length * CELLS + index,
        },
      ]),
    );
  }

  observe(stage: ThreadStage, durationMs: number, weight = 1): void {
    const cells = this.#stages.get(stage);
    if (cells === undefined) return;
    if (durationMs < 0) this.#counters.add(cells.clampedAt, weight);
    cells.histogram.observe(Math.max(0, durationMs) / 1_000, weight);
  }
}

interface Decided {
  wallMs: number;
  monotonicMs: number;
}

/** Of a match thread: each event once, when it is committed, however often its batch was decided before. */
export class MatchLatency {
  readonly #latency: StageLatency;
  readonly #clock: Clock;
  /** The last decision of each partition, of which one batch at a time is under way. */
  readonly #decided = new Map<number, Decided>();

  constructor(latency: StageLatency, clock: Clock) {
    this.#latency = latency;
    this.#clock = clock;
  }

  decided(partition: number): void {
    const clock = this.#clock;
    this.#decided.set(partition, { wallMs: clock.wallMs(), monotonicMs: clock.monotonicMs() });
  }

  committed(partition: number, entries: readonly { storedAtMs: number; count: number }[]): void {
    const decided = this.#decided.get(partition);
    // All of it went to quarantine: nothing was decided.
    if (decided === undefined) return;
    this.#decided.delete(partition);
    let events = 0;
    for (const { storedAtMs, count } of entries) {
      this.#latency.observe('stored_to_matched', decided.wallMs - storedAtMs, count);
      events += count;
    }
    this.#latency.observe('matched_to_committed', this.#clock.monotonicMs() - decided.monotonicMs, events);
  }
}

/** `storedAtMs`: when the mailbox of the destination took it, wall clock; absent for one that was set aside meanwhile. */
type Deliver = (
  stored: StoredAlert,
  destination: Destination,
  storedAtMs?: number,
) => Promise<DeliveryOutcome>;

/** Measures what `deliver` does. An alert that is read again, by another thread say, begins anew. */
export function timedDelivery(latency: StageLatency, clock: Clock, deliver: Deliver): Deliver {
  /** When the first POST of those was begun that are still tried; monotonic. */
  const begun = new WeakMap<StoredAlert, number>();
  return async (stored, destination, storedAtMs) => {
    const nowMs = clock.monotonicMs();
    const isFirst = stored.firstFailedAtMs === undefined && !begun.has(stored);
    if (isFirst && storedAtMs !== undefined)
      latency.observe('committed_to_sent', clock.wallMs() - storedAtMs);
    const outcome = await deliver(stored, destination);
    if (outcome.kind === 'delivered') {
      const wallMs = clock.wallMs();
      const begunMs = isFirst ? nowMs : begun.get(stored);
      // One that came back from being set aside knows only when it failed first.
      const sentMs =
        begunMs === undefined ? wallMs - (stored.firstFailedAtMs ?? wallMs) : clock.monotonicMs() - begunMs;
      latency.observe('sent_to_accepted', sentMs);
      const receivedAtMs = Date.parse(stored.alert.received_at);
      if (!Number.isNaN(receivedAtMs)) latency.observe('received_to_accepted', wallMs - receivedAtMs);
    } else if (isFirst) begun.set(stored, nowMs);
    return outcome;
  };
}
