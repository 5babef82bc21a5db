/**
 * The whole product from POST to webhook, on a node of its own in a temporary directory: what it stores, delivers,
 * costs and holds. Everything runs on this machine at once, the load generator and the destination included, which are
 * named apart. docs/reference/performance.md says what each row means.
 */
import { Redis } from 'ioredis';
import { specDirectory, startOwnRedis } from '../spec/support/servers.ts';
import { NodeUnderTest } from '../spec/support/node-under-test.ts';
import { BareServer } from './support/bare-server.ts';
import { startBarePath } from './support/bare-path.ts';
import { median } from './support/bench.ts';
import type { BenchRun, Rate } from './support/bench.ts';
import { makeCorpus } from './support/corpus.ts';
import { STAMP, runHttpLoad } from './support/http-load.ts';
import type { LoadReport } from './support/load.ts';
import { Product } from './support/product.ts';
import type { Cost } from './support/product.ts';
import { lookAtStages, mediansBetween } from './support/stages.ts';
import { costDetails, highestSustained } from './support/sustained.ts';
import type { SteadyLoad } from './support/sustained.ts';

const BATCH_EVENTS = 100;
/** POSTs of which it is known how long their alerts take. */
const TIMED_RATE = 100;
/** Of the sustained rate, beside them. */
const LOADS = [0, 0.1, 0.5, 0.8];
/** The load generator's own. */
const CLIENT_WARM_UP_MS = 200;
const SETTLE_MS_MAX = 120_000;

interface Shape {
  name: string;
  events: number;
  bodies: string[];
  connections: number;
}

type Load = (port: number, shape: Shape, key?: string, forMs?: number) => Promise<LoadReport>;

export default async function pipeline(run: BenchRun): Promise<void> {
  const corpus = makeCorpus();
  run.note(
    `corpus: seed ${corpus.seed}, sha256 ${corpus.sha256}, ${Math.round(corpus.bytesMean)} B an event`,
  );
  const durationMs = run.parameter('durationMs', 250, 5_000);
  const warmUpMs = run.parameter('warmUpMs', 50, 5_000);
  const repetitions = run.parameter('repetitions', 1, 3);
  const single: Shape = {
    name: 'single-event POSTs',
    events: 1,
    bodies: corpus.events.map(String),
    connections: run.parameter('connections.single', 32, 256),
  };
  const batched: Shape = {
    name: `${BATCH_EVENTS}-event POSTs`,
    events: BATCH_EVENTS,
    bodies: Array.from(
      { length: corpus.events.length / BATCH_EVENTS },
      (_, at) => `[${corpus.events.slice(at * BATCH_EVENTS, (at + 1) * BATCH_EVENTS).join(',')}]`,
    ),
    connections: run.parameter('connections.batched', 4, 32),
  };
  const load: Load = (port, shape, key, forMs = durationMs) =>
    runHttpLoad({
      port,
      connections: shape.connections,
      durationMs: forMs,
      warmUpMs: CLIENT_WARM_UP_MS,
      bodies: shape.bodies,
      headers: key === undefined ? {} : { 'x-api-key': key },
    });

  const destination = await BareServer.start();
  const product = new Product(await NodeUnderTest.prepare());
  const { node } = product;
  const barePathRedis = await startOwnRedis();
  const bareRedis = new Redis(barePathRedis.url);
  const barePath = await startBarePath(barePathRedis.url, 'bare');
  try {
    await timeToReady(run, product);
    await product.configure(destination);
    reportMemory(run, 'RSS when idle', product);

    for (const shape of [single, batched]) {
      const stored: Stored[] = [];
      const nothing: Rate[] = [];
      const bare: number[] = [];
      // What is measured is not the compiling of the code.
      await load(barePath.port, shape, undefined, warmUpMs);
      await load(node.ports.ingest, shape, node.ingestKey, warmUpMs);
      for (let repetition = 0; repetition < repetitions; repetition++) {
        await product.settled(SETTLE_MS_MAX);
        nothing.push(await answering(destination, () => load(destination.port, shape)));
        bare.push((await load(barePath.port, shape)).perSecond * shape.events);
        await bareRedis.flushall();
        stored.push(await storedBy(product, shape, () => load(node.ports.ingest, shape, node.ingestKey)));
      }
      reportStored(run, 'fsynced', shape, stored, { nothing, bare: median(bare) });
      if (shape === batched) reportQueued(run, stored);
      await product.settled(SETTLE_MS_MAX);
    }
    reportMemory(run, 'RSS after load', product);

    const sustained = await sustainedRate(run, {
      product,
      destination,
      bodies: batched.bodies,
      eventsPerBody: batched.events,
      connections: batched.connections,
    });
    await latency(run, product, destination, corpus.events, batched, sustained);
  } finally {
    await node.close();
    await barePath.close();
    bareRedis.disconnect();
    await barePathRedis.stop();
  }
  try {
    // A second node costs more time than all small values together.
    if (run.isFull) await written(run, destination, [single, batched], load, warmUpMs);
    else run.note('stored, written: only with --full');
  } finally {
    await destination.close();
  }
}

async function timeToReady(run: BenchRun, { node }: Product): Promise<void> {
  const timed = async (): Promise<number> => {
    const startedMs = performance.now();
    await node.start();
    return performance.now() - startedMs;
  };
  run.report({ what: 'time to ready, first start', value: await timed(), unit: 'ms' });
  const warm: number[] = [];
  const starts = run.parameter('starts', 1, 3);
  for (let start = 0; start < starts; start++) {
    await node.stop();
    warm.push(await timed());
  }
  run.report({ what: 'time to ready, later start', value: median(warm), unit: 'ms' });
}

/** What reading and answering the same requests costs when nothing is done about them. */
async function answering(server: BareServer, work: () => Promise<LoadReport>): Promise<Rate> {
  await server.report();
  const { perSecond } = await work();
  const { cpuMs, requests } = await server.report();
  return { perSecond, cpuUs: (cpuMs * 1000) / requests };
}

interface Stored {
  perSecond: number;
  report: LoadReport;
  /** Of the node, per event stored meanwhile (warm-up included). */
  events: number;
  cost: Cost;
  queued: { events: number; bytes: number };
}

async function storedBy(product: Product, shape: Shape, work: () => Promise<LoadReport>): Promise<Stored> {
  const before = await product.accepted();
  const { result: report, cost } = await product.costOf(work);
  const queued = await product.queued();
  const events = (await product.accepted()) - before;
  const refused = Object.keys(report.statuses).filter((status) => status !== '200');
  if (refused.length > 0 || report.broken > 0) {
    throw new Error(
      `Not every POST was stored: ${JSON.stringify(report.statuses)}, ${report.broken} broken.`,
    );
  }
  return { perSecond: report.perSecond * shape.events, report, events, cost, queued };
}

function reportStored(
  run: BenchRun,
  level: string,
  shape: Shape,
  stored: readonly Stored[],
  baseline?: { nothing: Rate[]; bare: number },
): void {
  const sorted = [...stored].sort((a, b) => a.perSecond - b.perSecond);
  const middle = sorted[sorted.length >> 1] as Stored;
  const { p50, p99 } = middle.report.latencyMs;
  run.report({
    what: `stored, ${level}, ${shape.name}`,
    value: middle.perSecond,
    unit: 'events/s',
    ...(baseline === undefined ? {} : { baseline: { what: 'the bare path', value: baseline.bare } }),
    details: { 'reply p50 ms': p50, 'p99 ms': p99 },
  });
  if (baseline !== undefined) {
    run.report({
      what: `answered without work, ${shape.name}`,
      value: median(baseline.nothing.map(({ perSecond }) => perSecond)) * shape.events,
      unit: 'events/s',
      details: { 'server CPU µs/event': median(baseline.nothing.map(({ cpuUs }) => cpuUs)) / shape.events },
    });
  }
  const perEvent = (ms: number): number => (ms * 1000) / middle.events;
  const rows = [...middle.cost.processes, ...middle.cost.threads].filter(([, ms]) => ms > 0);
  const { clientCpuMs, requests } = middle.report;
  run.report({
    what: `CPU, ${level}, ${shape.name}`,
    value: perEvent([...middle.cost.processes.values()].reduce((sum, ms) => sum + ms, 0)),
    unit: 'µs/event',
    details: {
      ...Object.fromEntries(
        rows.sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, ms]) => [name, perEvent(ms)]),
      ),
      'load generator': (clientCpuMs * 1000) / (requests * shape.events),
    },
  });
}

/** What the ingest mailbox held right after the load, when it held enough to tell. */
function reportQueued(run: BenchRun, stored: readonly Stored[]): void {
  const most = stored.map(({ queued }) => queued).sort((a, b) => b.events - a.events)[0];
  if (most === undefined || most.events < BATCH_EVENTS) {
    run.note('bytes per queued event: nothing was queued when the load ended');
    return;
  }
  run.report({
    what: 'Redis memory per queued event',
    value: most.bytes / most.events,
    unit: 'B',
    details: { events: most.events },
  });
}

function reportMemory(run: BenchRun, what: string, product: Product): void {
  const memory = [...product.memory()].map(([role, bytes]) => [role, bytes / 1024 ** 2] as const);
  run.report({
    what,
    value: memory.reduce((sum, [, mb]) => sum + mb, 0),
    unit: 'MiB',
    details: Object.fromEntries(memory),
  });
}

async function sustainedRate(run: BenchRun, load: SteadyLoad): Promise<number> {
  const firstRate = run.parameter<number>('sustained.firstRate', 2_000, 12_000);
  const best = await highestSustained(run, load, {
    firstRate,
    steps: run.parameter('sustained.steps', 1, 6),
    stepMs: run.parameter('sustained.stepMs', 800, 10_000),
  });
  if (best === undefined) {
    run.note('end to end: no rate tried was sustained');
    return firstRate;
  }
  run.report({
    what: 'end to end, sustained, 20 rules, 5 % matching',
    value: best.achieved,
    unit: 'events/s',
    details: costDetails(best),
  });
  return best.achieved;
}

/** From when a POST was due to the arrival of its alert: some matching events a second, alone and beside shares of the load. */
async function latency(
  run: BenchRun,
  product: Product,
  destination: BareServer,
  events: readonly Buffer[],
  shape: Shape,
  sustained: number,
): Promise<void> {
  const durationMs = run.parameter('latency.durationMs', 400, 20_000);
  const headers = { 'x-api-key': product.node.ingestKey };
  const port = product.node.ports.ingest;
  const bodies = events.slice(0, 500).map((event) => {
    const parsed = JSON.parse(String(event)) as object;
    return JSON.stringify({ ...parsed, message: `chassis fan failure ${STAMP}` });
  });
  for (const load of LOADS) {
    await destination.report();
    const before = await lookAtStages(product.node);
    const [timed, beside] = await Promise.all([
      runHttpLoad({
        ...{ port, connections: 8, durationMs, warmUpMs: 0, bodies, headers },
        ratePerSecond: TIMED_RATE,
        isStamped: true,
      }),
      load === 0
        ? undefined
        : runHttpLoad({
            ...{ port, connections: shape.connections, durationMs, warmUpMs: 0, headers },
            bodies: shape.bodies,
            ratePerSecond: (load * sustained) / shape.events,
          }),
    ]);
    await product.settled(SETTLE_MS_MAX);
    const stages = mediansBetween(before, await lookAtStages(product.node));
    const { latencyMs } = await destination.report();
    const what = `POST to webhook, ${load * 100} % load`;
    run.report({
      what: `${what}, p50`,
      value: latencyMs.p50,
      unit: 'ms',
      details: {
        'reply p50 ms': timed.latencyMs.p50,
        alerts: latencyMs.count,
        'beside events/s': (beside?.perSecond ?? 0) * shape.events,
        ...stages,
      },
    });
    run.report({
      what: `${what}, p99`,
      value: latencyMs.p99,
      unit: 'ms',
      details: { 'reply p99 ms': timed.latencyMs.p99, 'max ms': latencyMs.max },
    });
  }
}

/** The same with a Redis that flushes once a second, and replies that promise no more than that. */
async function written(
  run: BenchRun,
  destination: BareServer,
  shapes: readonly Shape[],
  load: Load,
  warmUpMs: number,
): Promise<void> {
  const redis = await startOwnRedis({ appendFsync: 'everysec', dir: specDirectory('written') });
  const node = await NodeUnderTest.prepare({ REDIS_URL: redis.url, MUTT_ACK_LEVEL: 'written' });
  try {
    await node.start();
    const product = new Product(node, redis);
    await product.configure(destination);
    for (const shape of shapes) {
      await load(node.ports.ingest, shape, node.ingestKey, warmUpMs);
      await product.settled(SETTLE_MS_MAX);
      const stored = await storedBy(product, shape, () => load(node.ports.ingest, shape, node.ingestKey));
      reportStored(run, 'written', shape, [stored]);
      await product.settled(SETTLE_MS_MAX);
    }
  } finally {
    await node.close();
    await redis.stop();
  }
}
