/**
 * Delivering alone: alerts that wait in their lanes in Redis, a forward thread of a whole node that sends them, and a
 * destination that only answers; beside it, in turns, clients that do nothing but POST the same bodies to the same
 * destination, so many at once. Rate and CPU time of each.
 */
import { NodeUnderTest, until } from '../spec/support/node-under-test.ts';
import { Sink } from '../spec/support/sink.ts';
import { BareSender, WAYS } from './support/bare-sender.ts';
import type { Way } from './support/bare-sender.ts';
import { BareServer } from './support/bare-server.ts';
import { median } from './support/bench.ts';
import type { BenchRun, Rate } from './support/bench.ts';
import { makeCorpus } from './support/corpus.ts';
import { Product } from './support/product.ts';
import type { Cost } from './support/product.ts';

const CONCURRENCIES = [1, 8, 64];
const BATCH_EVENTS = 500;
const BODIES = 200;
const RATE_WITHOUT_LIMIT = 1_000_000;
const WAIT_MS_MAX = 120_000;
/** Between two looks at the destination. */
const LOOK_MS = 20;

/** What one run of the product comes to. Beside the forward thread runs what the engine does for it. */
interface Delivered extends Rate {
  parts: { thread: number; helpers: number; redis: number; postgres: number; destination: number };
  /** Of the time, how much the destination was at work. */
  busyRatio: number;
}

export default async function deliver(run: BenchRun): Promise<void> {
  const corpus = makeCorpus();
  run.note(
    `corpus: seed ${corpus.seed}, sha256 ${corpus.sha256}, ${Math.round(corpus.bytesMean)} B an event`,
  );
  const alerts = run.parameter('alerts', 300, 10_000);
  const repetitions = run.parameter('repetitions', 1, 5);
  // Every one of them is an alert.
  const events = corpus.events.map((event, at) => {
    return JSON.stringify({ ...(JSON.parse(String(event)) as object), message: `chassis fan failure ${at}` });
  });
  const node = await NodeUnderTest.start();
  const sender = BareSender.start();
  const destination = await BareServer.start();
  try {
    const bed = new Bed(new Product(node), destination, events);
    await bed.product.configure(destination);
    const bodies = await bed.sampleBodies();
    for (const concurrency of CONCURRENCIES) {
      await bed.configure(`http://127.0.0.1:${destination.port}/alerts`, concurrency);
      const delivered: Delivered[] = [];
      const bare: Record<Way, Rate[]> = { http: [], undici: [], ours: [] };
      // In turns, so that all meet the same neighbours; the first round only warms up.
      for (let repetition = 0; repetition <= repetitions; repetition++) {
        const isCounted = repetition > 0;
        const ofProduct = await bed.deliver(alerts);
        if (isCounted) delivered.push(ofProduct);
        for (const way of WAYS) {
          const url = `http://127.0.0.1:${destination.port}/alerts`;
          const rate = await sender.send({ way, url, bodies, count: alerts, concurrency });
          if (isCounted) bare[way].push(rate);
        }
      }
      report(run, concurrency, delivered, bare);
    }
  } finally {
    await node.close();
    await sender.close();
    await destination.close();
  }
}

class Bed {
  readonly product: Product;
  readonly #destination: BareServer;
  readonly #events: readonly string[];
  #next = 0;

  constructor(product: Product, destination: BareServer, events: readonly string[]) {
    this.product = product;
    this.#destination = destination;
    this.#events = events;
  }

  async configure(url: string, concurrency: number): Promise<void> {
    const { node } = this.product;
    const { status, body } = await node.admin<{ snapshot_version: number }>('/api/v2/rule-set', {
      method: 'PUT',
      body: {
        destinations: [
          {
            ...{ name: 'local', kind: 'moogsoft', url, concurrency, collapse: false },
            rate_per_second: RATE_WITHOUT_LIMIT,
          },
        ],
        reason: 'benchmark',
      },
    });
    if (status !== 200) throw new Error(`The destination was refused: ${JSON.stringify(body)}`);
    await node.whenApplied(body.snapshot_version);
  }

  /** What is posted, as a destination gets it. */
  async sampleBodies(): Promise<string[]> {
    const sink = await Sink.start();
    try {
      await this.configure(sink.url, 8);
      await this.#store(BODIES);
      await until(
        async () => sink.received.length >= BODIES,
        WAIT_MS_MAX,
        () => `${sink.received.length} alerts came`,
      );
      await this.product.settled(WAIT_MS_MAX);
      return sink.received.map(({ body }) => JSON.stringify(body));
    } finally {
      await sink.close();
    }
  }

  /** Has so many wait in their lanes, and lets them go. */
  async deliver(alerts: number): Promise<Delivered> {
    const before = (await this.product.node.ledger()).alerts?.opened ?? 0;
    await this.#hold('pause');
    await this.#store(alerts);
    let opened = 0;
    await until(
      async () => {
        opened = ((await this.product.node.ledger()).alerts?.opened ?? 0) - before;
        return opened >= alerts;
      },
      WAIT_MS_MAX,
      () => `${opened} of ${alerts} alerts wait`,
    );
    await this.#destination.report();
    const { result: came, cost } = await this.product.costOf(async () => {
      await this.#hold('resume');
      return this.#allCome(alerts);
    });
    await this.product.settled(WAIT_MS_MAX);
    return { ...ratesOf(alerts, came.seconds, cost, came.cpuMs) };
  }

  async #allCome(alerts: number): Promise<{ seconds: number; cpuMs: number }> {
    const deadlineMs = performance.now() + WAIT_MS_MAX;
    let [requests, cpuMs, first, last] = [0, 0, Infinity, 0];
    while (requests < alerts) {
      if (performance.now() > deadlineMs) throw new Error(`${requests} of ${alerts} alerts came.`);
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
      const report = await this.#destination.report();
      cpuMs += report.cpuMs;
      if (report.requests === 0) continue;
      requests += report.requests;
      first = Math.min(first, report.firstAtMs);
      last = Math.max(last, report.lastAtMs);
    }
    return { seconds: (last - first) / 1_000, cpuMs };
  }

  async #hold(what: 'pause' | 'resume'): Promise<void> {
    const { node } = this.product;
    const { status, body } = await node.admin(`/api/v2/destinations/local/${what}`, {
      method: 'POST',
      body: what === 'pause' ? { reason: 'benchmark' } : {},
    });
    if (status !== 200) throw new Error(`The destination did not ${what}: ${JSON.stringify(body)}`);
    if (what === 'resume') return;
    const effective = await node.admin<{ snapshot_version: number }>('/api/v2/config/effective');
    await node.whenApplied(effective.body.snapshot_version);
  }

  async #store(count: number): Promise<void> {
    for (let left = count; left > 0; left -= BATCH_EVENTS) {
      const batch = Array.from({ length: Math.min(left, BATCH_EVENTS) }, () => {
        return this.#events[this.#next++ % this.#events.length] ?? '';
      });
      const { status } = await this.product.node.post(`[${batch.join(',')}]`);
      if (status !== 200) throw new Error(`A POST was answered ${status}.`);
    }
  }
}

function ratesOf(alerts: number, seconds: number, { threads, processes }: Cost, serverMs: number): Delivered {
  const perAlert = (ms = 0): number => (ms * 1_000) / alerts;
  const parts = {
    thread: perAlert(threads.get('supervisor/forward')),
    helpers: perAlert(threads.get('supervisor/helpers')),
    redis: perAlert(processes.get('redis')),
    postgres: perAlert(processes.get('postgres')),
    destination: perAlert(serverMs),
  };
  return {
    perSecond: alerts / seconds,
    cpuUs: parts.thread + parts.helpers,
    parts,
    busyRatio: serverMs / (seconds * 1_000),
  };
}

function report(
  run: BenchRun,
  concurrency: number,
  delivered: readonly Delivered[],
  bare: Readonly<Record<Way, readonly Rate[]>>,
): void {
  const perSecond = (rates: readonly Rate[]): number => median(rates.map((rate) => rate.perSecond));
  const cpuUs = (rates: readonly Rate[]): number => median(rates.map((rate) => rate.cpuUs));
  const part = (name: keyof Delivered['parts']): number => median(delivered.map(({ parts }) => parts[name]));
  run.report({
    what: `deliveries, ${concurrency} at once`,
    value: perSecond(delivered),
    unit: '1/s',
    baseline: { what: 'bare node:http', value: perSecond(bare.http) },
    details: {
      'bare undici': perSecond(bare.undici),
      'our client alone': perSecond(bare.ours),
      'destination busy': median(delivered.map(({ busyRatio }) => busyRatio)),
    },
  });
  run.report({
    what: `CPU of a delivery, ${concurrency} at once`,
    value: cpuUs(delivered),
    unit: 'µs',
    baseline: { what: 'bare node:http', value: cpuUs(bare.http) },
    details: {
      'bare undici': cpuUs(bare.undici),
      'our client alone': cpuUs(bare.ours),
      'forward thread': part('thread'),
      helpers: part('helpers'),
      redis: part('redis'),
      postgres: part('postgres'),
      destination: part('destination'),
    },
  });
}
