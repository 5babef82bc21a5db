/**
 * What it costs to know how long things take: the observations of each hot path beside the same work without them, in
 * turns, as CPU time per event or alert.
 */
import type { StoredAlert } from '../actors/forward/messages.ts';
import type { DeliveryOutcome, Destination } from '../actors/ports.ts';
import { INGEST_LAYOUT, IngestDurations } from '../gateways/ingest/metrics.ts';
import { systemClock } from '../runtime/clock.ts';
import { CounterBlock } from '../runtime/shared/counters.ts';
import { FORWARD_COUNTERS, MATCH_COUNTERS } from '../supervisors/threads/counters.ts';
import { MatchLatency, StageLatency, timedDelivery } from '../supervisors/threads/stage-latency.ts';
import { alternately, rateOf } from './support/bench.ts';
import type { BenchRun } from './support/bench.ts';

const OUTCOME: DeliveryOutcome = { kind: 'delivered', status: 200 };

export default async function latency(run: BenchRun): Promise<void> {
  const repetitions = run.parameter('repetitions', 1, 9);
  const rounds = run.parameter('rounds', 1_000, 1_000_000);
  await perRequest(run, repetitions, rounds);
  for (const eventsPerFrame of [1, 100, 1_000]) await perFrame(run, repetitions, rounds, eventsPerFrame);
  await perAlert(run, repetitions, Math.ceil(rounds / 10));
}

/** The gateway's loop, once for each request that is stored. */
async function perRequest(run: BenchRun, repetitions: number, rounds: number): Promise<void> {
  const counters = new CounterBlock(INGEST_LAYOUT);
  const durations = new IngestDurations(counters);
  const { observed, bare } = await alternately(repetitions, {
    observed: () =>
      rateOf(rounds, () => {
        for (let n = 0; n < rounds; n++) durations.stored(n % 50, 1);
      }),
    bare: () =>
      rateOf(rounds, () => {
        for (let n = 0; n < rounds; n++) counters.add(0, 1);
      }),
  });
  report(run, 'a stored request', 'one counter', observed.cpuUs, bare.cpuUs, 1);
}

/** A match thread, for each frame it commits. */
async function perFrame(
  run: BenchRun,
  repetitions: number,
  rounds: number,
  eventsPerFrame: number,
): Promise<void> {
  const { layout, stages, stagesAt } = MATCH_COUNTERS;
  const counters = new CounterBlock(layout);
  const match = new MatchLatency(new StageLatency(counters, stagesAt, stages), systemClock);
  const frames = [{ storedAtMs: systemClock.wallMs() - 20, count: eventsPerFrame }];
  const { observed, bare } = await alternately(repetitions, {
    observed: () =>
      rateOf(rounds, () => {
        for (let n = 0; n < rounds; n++) {
          match.decided(0);
          match.committed(0, frames);
        }
      }),
    bare: () =>
      rateOf(rounds, () => {
        for (let n = 0; n < rounds; n++) counters.add(0, eventsPerFrame);
      }),
  });
  report(
    run,
    `a committed frame of ${eventsPerFrame}, per event`,
    'one counter',
    observed.cpuUs,
    bare.cpuUs,
    eventsPerFrame,
  );
}

/** A forward thread, for each delivery; without the POST, which costs thousands of times as much. */
async function perAlert(run: BenchRun, repetitions: number, rounds: number): Promise<void> {
  const { layout, stages, stagesAt } = FORWARD_COUNTERS;
  const deliver = async (): Promise<DeliveryOutcome> => OUTCOME;
  const stageLatency = new StageLatency(new CounterBlock(layout), stagesAt, stages);
  const receivedAt = new Date(systemClock.wallMs() - 50).toISOString();
  const alerts = Array.from(
    { length: rounds },
    () => ({ alert: { received_at: receivedAt }, attempts: 0 }) as StoredAlert,
  );
  const storedAtMs = systemClock.wallMs() - 10;
  const { observed, bare } = await alternately(repetitions, {
    observed: () =>
      rateOf(rounds, async () => {
        // Anew, or it would know these alerts.
        const timed = timedDelivery(stageLatency, systemClock, deliver);
        for (const alert of alerts) await timed(alert, {} as Destination, storedAtMs);
      }),
    bare: () =>
      rateOf(rounds, async () => {
        for (let n = 0; n < rounds; n++) await deliver();
      }),
  });
  report(run, 'a delivery', 'a function that answers at once', observed.cpuUs, bare.cpuUs, 1);
}

function report(
  run: BenchRun,
  what: string,
  beside: string,
  observedUs: number,
  bareUs: number,
  divisor: number,
): void {
  run.report({
    what,
    value: (observedUs * 1_000) / divisor,
    unit: 'ns CPU',
    baseline: { what: beside, value: (bareUs * 1_000) / divisor },
  });
}
