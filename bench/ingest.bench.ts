/**
 * The ingest port: what it stores and what that costs, by events per request and by form of the body, at both
 * acknowledgement levels; beside what the machine can do at all. Everything runs on this machine at once, the load
 * generator included, which is named apart. Matching is suspended while ingest is measured, and the mailbox drains
 * between: docs/reference/performance.md says what each row means.
 */
import { gzipSync } from 'node:zlib';
import { Redis } from 'ioredis';
import { specDirectory, startOwnRedis } from '../spec/support/servers.ts';
import { NodeUnderTest } from '../spec/support/node-under-test.ts';
import { BareServer } from './support/bare-server.ts';
import { startBarePath } from './support/bare-path.ts';
import { median, rateOf } from './support/bench.ts';
import type { BenchRun, Rate } from './support/bench.ts';
import { makeCorpus } from './support/corpus.ts';
import { runHttpLoad } from './support/http-load.ts';
import type { LoadReport } from './support/load.ts';
import { Product } from './support/product.ts';
import type { Cost } from './support/product.ts';
import { runSocketLoad } from './support/socket-load.ts';

/** Of the capacity found, the share at which latency is measured. */
const LATENCY_SHARE = 0.7;
const SETTLE_MS_MAX = 600_000;
/** The load generator's own. */
const CLIENT_WARM_UP_MS = 200;
const BATCH_EVENTS = 100;

interface Shape {
  name: string;
  /** In one request or message. */
  events: number;
  bodies: string[];
  /** The bodies are base64, and sent as the bytes they stand for. */
  isBinary?: boolean;
  headers?: Record<string, string>;
  isSocket?: boolean;
  /** Beside the bare path, which reads nothing but JSON. */
  isCompared?: boolean;
  connections: number;
}

export default async function ingest(run: BenchRun): Promise<void> {
  const corpus = makeCorpus();
  run.note(
    `corpus: seed ${corpus.seed}, sha256 ${corpus.sha256}, ${Math.round(corpus.bytesMean)} B an event`,
  );
  const warmUpMs = run.parameter('warmUpMs', 50, 2_000);
  const shapes = shapesOf(run, corpus.events);
  const [single, , batched] = shapes as [Shape, Shape, Shape];

  await parsing(run, [single, batched]);
  const nothing = await BareServer.start();
  const bareRedis = await startOwnRedis({ appendFsync: 'always', dir: specDirectory('bare') });
  const barePath = await startBarePath(bareRedis.url, 'bare');
  const connection = new Redis(bareRedis.url);
  const node = await NodeUnderTest.start();
  try {
    const subject: Subject = { run, product: new Product(node), level: 'fsynced' };
    await subject.product.configure(nothing);
    for (const shape of shapes) {
      const isHeadline = shape.isCompared === true;
      await warmUp(subject, shape, warmUpMs);
      const rounds: Stored[] = [];
      const bare: number[] = [];
      const answered: Rate[] = [];
      const repetitions = isHeadline ? run.parameter('repetitions', 1, 3) : 1;
      for (let repetition = 0; repetition < repetitions; repetition++) {
        if (isHeadline) {
          answered.push(await answering(run, nothing, shape));
          if (repetition === 0) await load(run, barePath.port, shape, undefined, { forMs: warmUpMs });
          bare.push((await load(run, barePath.port, shape)).perSecond * shape.events);
          await connection.flushall();
        }
        rounds.push(await stored(subject, shape));
      }
      report(subject, shape, rounds, isHeadline ? median(bare) : undefined);
      if (!isHeadline) continue;
      run.report({
        what: `answered without work, ${shape.name}`,
        value: median(answered.map(({ perSecond }) => perSecond)),
        unit: 'events/s',
        details: { 'server CPU µs/event': median(answered.map(({ cpuUs }) => cpuUs)) },
      });
      await latency(subject, shape, median(rounds.map(({ perSecond }) => perSecond)));
    }
    await besideMatching(subject, batched);
  } finally {
    await node.close();
    await barePath.close();
    connection.disconnect();
    await bareRedis.stop();
  }
  try {
    // A second node costs more time than all small values together.
    if (run.isFull) await written(run, nothing, shapes, warmUpMs);
    else run.note('stored, written: only with --full');
  } finally {
    await nothing.close();
  }
}

function shapesOf(run: BenchRun, events: readonly Buffer[]): Shape[] {
  const few = run.parameter('connections.few', 4, 32);
  const many = run.parameter('connections.many', 16, 256);
  const sockets = run.parameter('connections.sockets', 4, 16);
  const grouped = (size: number, join: (group: string[]) => string): string[] =>
    Array.from({ length: Math.floor(events.length / size) }, (_, at) =>
      join(events.slice(at * size, (at + 1) * size).map(String)),
    );
  const array = (size: number): string[] => grouped(size, (group) => `[${group.join(',')}]`);
  const lines = (size: number): string[] => grouped(size, (group) => group.map(syslogLine).join('\n'));
  const ofArray = (size: number, connections: number): Shape => ({
    name: size === 1 ? 'JSON, 1 a request' : `JSON array, ${size} a request`,
    events: size,
    bodies: size === 1 ? events.map(String) : array(size),
    isCompared: size === 1 || size === BATCH_EVENTS,
    connections,
  });
  return [
    ofArray(1, many),
    ofArray(10, run.parameter('connections.some', 8, 64)),
    ofArray(BATCH_EVENTS, few),
    ofArray(1_000, run.parameter('connections.fewest', 2, 8)),
    {
      name: `NDJSON, ${BATCH_EVENTS} a request`,
      events: BATCH_EVENTS,
      bodies: grouped(BATCH_EVENTS, (group) => group.join('\n')),
      connections: few,
    },
    {
      name: `gzip array, ${BATCH_EVENTS} a request`,
      events: BATCH_EVENTS,
      bodies: array(BATCH_EVENTS).map((body) => gzipSync(body).toString('base64')),
      isBinary: true,
      headers: { 'Content-Encoding': 'gzip' },
      connections: few,
    },
    {
      name: 'syslog line, 1 a request',
      events: 1,
      bodies: lines(1),
      headers: { 'Content-Type': 'text/plain' },
      connections: many,
    },
    {
      name: `syslog lines, ${BATCH_EVENTS} a request`,
      events: BATCH_EVENTS,
      bodies: lines(BATCH_EVENTS),
      headers: { 'Content-Type': 'text/plain' },
      connections: few,
    },
    {
      name: 'WebSocket, 1 a message',
      events: 1,
      bodies: events.map(String),
      isSocket: true,
      connections: sockets,
    },
    {
      name: `WebSocket, ${BATCH_EVENTS} a message`,
      events: BATCH_EVENTS,
      bodies: array(BATCH_EVENTS),
      isSocket: true,
      connections: sockets,
    },
  ];
}

/** The same event as RFC 5424 says it. */
function syslogLine(event: string): string {
  const { timestamp, hostname, program, syslog_facility, syslog_severity, message } = JSON.parse(
    event,
  ) as Record<string, string>;
  const priority = Number(syslog_facility) * 8 + Number(syslog_severity);
  return `<${priority}>1 ${timestamp} ${hostname} ${program} - - - ${message}`;
}

/** What reading the same bodies costs at the very least, in one process that does nothing else. */
async function parsing(run: BenchRun, shapes: readonly Shape[]): Promise<void> {
  for (const { name, events, bodies } of shapes) {
    const buffers = bodies.map((body) => Buffer.from(body));
    const rounds = run.parameter('parse.rounds', 1, 50);
    const { perSecond, cpuUs } = await rateOf(rounds * buffers.length * events, () => {
      for (let round = 0; round < rounds; round++) {
        for (const buffer of buffers) JSON.parse(buffer.toString());
      }
    });
    run.report({
      what: `JSON.parse alone, ${name}`,
      value: perSecond,
      unit: 'events/s',
      details: { 'CPU µs/event': cpuUs },
    });
  }
}

async function answering(run: BenchRun, server: BareServer, shape: Shape): Promise<Rate> {
  await server.report();
  const { perSecond } = await load(run, server.port, shape);
  const { cpuMs, requests } = await server.report();
  return { perSecond: perSecond * shape.events, cpuUs: (cpuMs * 1_000) / (requests * shape.events) };
}

/** A node, and what its answers promise. */
interface Subject {
  run: BenchRun;
  product: Product;
  level: 'fsynced' | 'written';
}

/** Requests or messages per second, over `connections` of them. */
function load(
  run: BenchRun,
  port: number,
  shape: Shape,
  key?: string,
  { forMs, eventsPerSecond }: { forMs?: number; eventsPerSecond?: number } = {},
): Promise<LoadReport> {
  const options = {
    port,
    connections: shape.connections,
    durationMs: forMs ?? run.parameter('durationMs', 500, 3_000),
    warmUpMs: CLIENT_WARM_UP_MS,
    bodies: shape.bodies,
    ...(shape.isBinary === true ? { isBinary: true } : {}),
    headers: { ...shape.headers, ...(key === undefined ? {} : { 'x-api-key': key }) },
    ...(eventsPerSecond === undefined ? {} : { ratePerSecond: eventsPerSecond / shape.events }),
  };
  return shape.isSocket === true ? runSocketLoad(options) : runHttpLoad(options);
}

/** What is measured is not the compiling of the code. */
async function warmUp({ run, product: { node } }: Subject, shape: Shape, forMs: number): Promise<void> {
  await load(run, node.ports.ingest, shape, node.ingestKey, { forMs });
}

interface Stored {
  perSecond: number;
  report: LoadReport;
  /** Stored meanwhile, the generator's warm-up included. */
  events: number;
  cost: Cost;
  queued: { events: number; bytes: number };
}

/** One load with matching suspended, and what is left of it afterwards drained. */
async function stored({ run, product }: Subject, shape: Shape, eventsPerSecond?: number): Promise<Stored> {
  const { node } = product;
  await product.settled(SETTLE_MS_MAX);
  await product.suspendMatching();
  const before = await product.accepted();
  const { result: report, cost } = await product.costOf(() =>
    load(run, node.ports.ingest, shape, node.ingestKey, {
      ...(eventsPerSecond === undefined ? {} : { eventsPerSecond }),
    }),
  );
  const [events, queued] = [(await product.accepted()) - before, await product.queued()];
  await product.resumeMatching();
  refuseRefusals(report);
  return { perSecond: report.perSecond * shape.events, report, events, cost, queued };
}

function refuseRefusals({ statuses, broken }: LoadReport): void {
  if (Object.keys(statuses).some((status) => status !== '200') || broken > 0) {
    throw new Error(`Not everything was stored: ${JSON.stringify(statuses)}, ${broken} broken.`);
  }
}

function report({ run, level }: Subject, shape: Shape, rounds: Stored[], bare: number | undefined): void {
  const sorted = rounds.sort((a, b) => a.perSecond - b.perSecond);
  const middle = sorted[sorted.length >> 1] as Stored;
  const { p50, p99, p999 } = middle.report.latencyMs;
  run.report({
    what: `stored, ${level}, ${shape.name}`,
    value: middle.perSecond,
    unit: 'events/s',
    ...(bare === undefined ? {} : { baseline: { what: 'the bare path', value: bare } }),
    details: { 'p50 ms': p50, 'p99 ms': p99, 'p99.9 ms': p999, ...queuedBytes(middle) },
  });
  const perEvent = (ms: number | undefined): number => ((ms ?? 0) * 1_000) / middle.events;
  const { processes, threads } = middle.cost;
  const { clientCpuMs, requests } = middle.report;
  run.report({
    what: `CPU, ${level}, ${shape.name}`,
    value: perEvent(processes.get('gateway')) + perEvent(processes.get('redis')),
    unit: 'µs/event',
    details: {
      'gateway loop': perEvent(threads.get('gateway/main')),
      'ingest threads': perEvent(threads.get('gateway/ingest')),
      'gateway helpers': perEvent(threads.get('gateway/helpers')),
      redis: perEvent(processes.get('redis')),
      'load generator': (clientCpuMs * 1_000) / (requests * shape.events),
    },
  });
}

/** Of the events that wait in the mailbox when the load has ended, if they are enough to tell. */
function queuedBytes({ queued: { events, bytes } }: Stored): Record<string, number> {
  return events < BATCH_EVENTS ? {} : { 'queued B/event': bytes / events };
}

/** How long answers take at 70 % of what was reached, counted from when each request was due. */
async function latency(subject: Subject, shape: Shape, capacity: number): Promise<void> {
  const { report } = await stored(subject, shape, LATENCY_SHARE * capacity);
  const { p50, p99, p999 } = report.latencyMs;
  subject.run.report({
    what: `answer at 70 %, ${subject.level}, ${shape.name}, p99`,
    value: p99,
    unit: 'ms',
    details: {
      'p50 ms': p50,
      'p99.9 ms': p999,
      'events/s': report.perSecond * shape.events,
      unanswered: report.unanswered,
    },
  });
}

/** The same with the match thread and PostgreSQL at work on the same cores. */
async function besideMatching({ run, product }: Subject, shape: Shape): Promise<void> {
  const { node } = product;
  await product.settled(SETTLE_MS_MAX);
  const report = await load(run, node.ports.ingest, shape, node.ingestKey);
  refuseRefusals(report);
  const { p50, p99, p999 } = report.latencyMs;
  run.report({
    what: `stored beside matching, fsynced, ${shape.name}`,
    value: report.perSecond * shape.events,
    unit: 'events/s',
    details: { 'p50 ms': p50, 'p99 ms': p99, 'p99.9 ms': p999 },
  });
}

/** The same with a Redis that flushes once a second, and replies that promise no more than that. */
async function written(
  run: BenchRun,
  destination: BareServer,
  shapes: readonly Shape[],
  warmUpMs: number,
): Promise<void> {
  const redis = await startOwnRedis({ appendFsync: 'everysec', dir: specDirectory('written') });
  const bareRedis = await startOwnRedis({ appendFsync: 'everysec', dir: specDirectory('bare-written') });
  const barePath = await startBarePath(bareRedis.url, 'bare');
  const node = await NodeUnderTest.prepare({ REDIS_URL: redis.url, MUTT_ACK_LEVEL: 'written' });
  try {
    await node.start();
    const subject: Subject = { run, product: new Product(node, redis), level: 'written' };
    await subject.product.configure(destination);
    for (const shape of shapes) {
      await warmUp(subject, shape, warmUpMs);
      const bare =
        shape.isCompared === true
          ? (await load(run, barePath.port, shape)).perSecond * shape.events
          : undefined;
      report(subject, shape, [await stored(subject, shape)], bare);
    }
  } finally {
    await node.close();
    await redis.stop();
    await barePath.close();
    await bareRedis.stop();
  }
}
