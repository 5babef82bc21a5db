/**
 * Ten minutes of steady traffic, singly and in batches, at a rate that the whole product keeps up with: whether
 * its memory stands still, and whether everything that was answered is accounted for at the end.
 */
import { NodeUnderTest } from '../spec/support/node-under-test.ts';
import { BareServer } from './support/bare-server.ts';
import { growthPerSecond } from './support/bench.ts';
import type { BenchRun } from './support/bench.ts';
import { makeCorpus } from './support/corpus.ts';
import { runHttpLoad } from './support/http-load.ts';
import { Product } from './support/product.ts';

const BATCH_EVENTS = 100;
/** Of the events; the others come in batches. */
const SINGLE_SHARE = 0.05;
/** PostgreSQL's processes share memory, which counts in each as it is touched. */
const OWN_PROCESSES = ['supervisor', 'gateway', 'admin'];
/** Of the time: what is warming up says nothing about growth. */
const WARM_SHARE = 0.2;
const SETTLE_MS_MAX = 120_000;

interface Sample {
  atMs: number;
  bytes: Map<string, number>;
}

export default async function soak(run: BenchRun): Promise<void> {
  const corpus = makeCorpus();
  run.note(
    `corpus: seed ${corpus.seed}, sha256 ${corpus.sha256}, ${Math.round(corpus.bytesMean)} B an event`,
  );
  const durationMs = run.parameter('durationMs', 1_500, 600_000);
  const eventsPerSecond = run.parameter('eventsPerSecond', 2_000, 25_000);
  const sampleEveryMs = run.parameter('sampleEveryMs', 50, 5_000);
  const node = await NodeUnderTest.start();
  const destination = await BareServer.start();
  try {
    const product = new Product(node);
    await product.configure(destination);
    const samples: Sample[] = [];
    const startedMs = performance.now();
    const watch = setInterval(() => {
      samples.push({ atMs: performance.now() - startedMs, bytes: product.memory() });
    }, sampleEveryMs);
    const before = await product.accepted();
    const load = {
      port: node.ports.ingest,
      durationMs,
      warmUpMs: 0,
      headers: { 'x-api-key': node.ingestKey },
    };
    const reports = await Promise.all([
      runHttpLoad({
        ...load,
        connections: 16,
        bodies: corpus.events.map(String),
        ratePerSecond: eventsPerSecond * SINGLE_SHARE,
      }),
      runHttpLoad({
        ...load,
        connections: 16,
        bodies: Array.from(
          { length: corpus.events.length / BATCH_EVENTS },
          (_, at) => `[${corpus.events.slice(at * BATCH_EVENTS, (at + 1) * BATCH_EVENTS).join(',')}]`,
        ),
        ratePerSecond: (eventsPerSecond * (1 - SINGLE_SHARE)) / BATCH_EVENTS,
      }),
    ]);
    clearInterval(watch);
    const { in_flight: left, lost, balanced } = await node.ledger();
    await product.settled(SETTLE_MS_MAX);
    const accepted = (await product.accepted()) - before;
    run.report({
      what: 'soak, events stored',
      value: accepted,
      unit: 'events',
      details: {
        'events/s': (accepted * 1_000) / durationMs,
        'in flight at the end': left,
        lost,
        balanced: String(balanced),
        unanswered: reports.reduce((sum, { unanswered }) => sum + unanswered, 0),
        'p99 ms': Math.max(...reports.map(({ latencyMs }) => latencyMs.p99)),
      },
    });
    reportGrowth(
      run,
      samples.filter(({ atMs }) => atMs >= WARM_SHARE * durationMs),
    );
  } finally {
    await node.close();
    await destination.close();
  }
}

/** Of our own processes together, and of each one and each server by itself. */
function reportGrowth(run: BenchRun, samples: readonly Sample[]): void {
  const percentPerMinute = (roles: readonly string[]): number => {
    const sums = samples.map(({ atMs, bytes }) => ({
      atMs,
      value: roles.reduce((sum, role) => sum + (bytes.get(role) ?? 0), 0),
    }));
    const mean = sums.reduce((sum, { value }) => sum + value, 0) / sums.length;
    return (100 * 60 * growthPerSecond(sums)) / mean;
  };
  const roles = [...(samples[0]?.bytes.keys() ?? [])];
  const last = samples.at(-1)?.bytes;
  run.report({
    what: 'soak, growth of RSS, own processes',
    value: percentPerMinute(OWN_PROCESSES),
    unit: '% per minute',
    details: {
      ...Object.fromEntries(roles.map((role) => [role, percentPerMinute([role])])),
      ...Object.fromEntries(
        roles.map((role) => [`${role} MiB at the end`, (last?.get(role) ?? 0) / 1024 ** 2]),
      ),
      samples: samples.length,
    },
  });
}
