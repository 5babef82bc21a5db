/**
 * What the whole product keeps up with, end to end: events stored, matched, audited, and their alerts delivered, while no
 * mailbox grows.
 */
import type { BareServer } from './bare-server.ts';
import { growthPerSecond } from './bench.ts';
import type { BenchRun } from './bench.ts';
import { runHttpLoad } from './http-load.ts';
import type { Cost, Product } from './product.ts';

/** A rate is sustained when the mailboxes hold no more at the end of its last half than this many ms' worth of it. */
const GROWTH_MS_MAX = 400;
const SETTLE_MS_MAX = 120_000;
const LEDGER_LOOKS = 20;

export interface SteadyLoad {
  product: Product;
  destination: BareServer;
  bodies: readonly string[];
  eventsPerBody: number;
  connections: number;
}

export interface HeldRate {
  /** Events stored a second. */
  achieved: number;
  /** Of what is in flight, in events a second over the last half. */
  growth: number;
  isSustained: boolean;
  events: number;
  alerts: number;
  cost: Cost;
}

/** Sends `rate` events a second for `durationMs`, and waits until all are settled. */
export async function holdRate(load: SteadyLoad, rate: number, durationMs: number): Promise<HeldRate> {
  const { product, destination, eventsPerBody } = load;
  await destination.report();
  const before = await product.accepted();
  const inFlight: { atMs: number; value: number }[] = [];
  const { result: report, cost } = await product.costOf(async () => {
    const startedMs = performance.now();
    const watch = setInterval(() => {
      void product.node.ledger().then(
        ({ in_flight: value }) => inFlight.push({ atMs: performance.now() - startedMs, value }),
        () => undefined,
      );
    }, durationMs / LEDGER_LOOKS);
    const done = await runHttpLoad({
      port: product.node.ports.ingest,
      connections: load.connections,
      durationMs,
      warmUpMs: 0,
      bodies: [...load.bodies],
      headers: { 'x-api-key': product.node.ingestKey },
      ratePerSecond: rate / eventsPerBody,
    });
    clearInterval(watch);
    return done;
  });
  const events = (await product.accepted()) - before;
  const achieved = report.perSecond * eventsPerBody;
  const growth = growthPerSecond(inFlight.filter(({ atMs }) => atMs > durationMs / 2));
  const grown = (growth * durationMs) / 2_000;
  const isSustained = achieved >= 0.95 * rate && grown <= (achieved * GROWTH_MS_MAX) / 1_000;
  await product.settled(SETTLE_MS_MAX);
  const { requests: alerts } = await destination.report();
  return { achieved, growth, isSustained, events, alerts, cost };
}

/** The highest sustained rate of those tried; undefined when none was. */
export async function highestSustained(
  run: BenchRun,
  load: SteadyLoad,
  tries: { firstRate: number; steps: number; stepMs: number },
): Promise<HeldRate | undefined> {
  let [rate, low, high] = [tries.firstRate, 0, Infinity];
  let best: HeldRate | undefined;
  for (let step = 0; step < tries.steps; step++) {
    const held = await holdRate(load, rate, tries.stepMs);
    noteHeld(run, rate, held);
    if (held.isSustained) {
      low = rate;
      best = held;
    } else high = rate;
    rate = high === Infinity ? rate * 1.6 : low === 0 ? rate / 1.6 : Math.sqrt(low * high);
  }
  return best;
}

export function noteHeld(run: BenchRun, rate: number, { achieved, growth, isSustained }: HeldRate): void {
  run.note(
    `  at ${Math.round(rate)} events/s: ${Math.round(achieved)} stored, in flight ${growth >= 0 ? '+' : ''}${Math.round(growth)} a second: ${isSustained ? 'sustained' : 'not sustained'}`,
  );
}

/** CPU time per event by process and thread, and the alerts of an event. */
export function costDetails({ cost, events, alerts }: HeldRate): Record<string, number> {
  const parts = [...cost.processes, ...cost.threads].filter(([, ms]) => ms > 0);
  return {
    'alerts/event': alerts / events,
    ...Object.fromEntries(
      parts.sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, ms]) => [`${name} µs`, (ms * 1000) / events]),
    ),
  };
}
