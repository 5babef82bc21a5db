/**
 * The control frame on a node of its own: how long a change takes until every worker runs it, over several numbers of
 * workers, and how fast the API answers, with nothing else to do and beside ingest at 70 % of what it takes.
 */
import { NodeUnderTest, until } from '../spec/support/node-under-test.ts';
import { percentile } from './support/bench.ts';
import type { BenchRun } from './support/bench.ts';
import { makeCorpus } from './support/corpus.ts';
import { runHttpLoad } from './support/http-load.ts';
import type { HttpLoadReport } from './support/http-load.ts';

const RATE_MAX = 100_000;
const BATCH_EVENTS = 100;
const INGEST_SHARE = 0.7;
const APPLIED_MS_MAX = 30_000;
/** A setting that every worker is told of, and two values that change nothing here. */
const WATCHED = 'forward.breaker.delayMaxMs';
const VALUES = [30_000, 30_001] as const;

/** What is asked, by name; each is one request. */
const REQUESTS: Readonly<Record<string, { method: 'GET' | 'PUT'; path: string; body?: object }>> = {
  'one setting': { method: 'GET', path: '/api/v2/config/log.level' },
  '50 rules': { method: 'GET', path: '/api/v2/rules?limit=50' },
  ledger: { method: 'GET', path: '/api/v2/ledger' },
  'a change': { method: 'PUT', path: '/api/v2/teams/bench-host', body: { team: 'BENCH' } },
};

export default async function control(run: BenchRun): Promise<void> {
  const corpus = makeCorpus();
  run.note(
    `corpus: seed ${corpus.seed}, sha256 ${corpus.sha256}, ${Math.round(corpus.bytesMean)} B an event`,
  );
  const changes = run.parameter('changes', 4, 200);
  const requests = run.parameter('requests', 8, 1_000);
  const durationMs = run.parameter('durationMs', 300, 8_000);
  const node = await NodeUnderTest.start();
  try {
    for (const key of ['api.rate.burst', 'api.rate.requestsPerSecond']) {
      await change(node, `/api/v2/config/${key}`, { value: RATE_MAX });
    }
    const threads = [1, run.parameter('matchThreads.some', 2, 4), run.parameter('matchThreads.many', 3, 16)];
    for (const size of threads) await propagation(run, node, size, changes);
    await resize(node, 1);

    await latency(run, node, 'idle', requests);
    const bodies = Array.from(
      { length: corpus.events.length / BATCH_EVENTS },
      (_, at) => `[${corpus.events.slice(at * BATCH_EVENTS, (at + 1) * BATCH_EVENTS).join(',')}]`,
    );
    const load = (forMs: number, ratePerSecond?: number): Promise<HttpLoadReport> =>
      runHttpLoad({
        port: node.ports.ingest,
        path: '/api/v2/ingest',
        connections: 8,
        durationMs: forMs,
        bodies,
        headers: { 'x-api-key': node.ingestKey },
        ...(ratePerSecond === undefined ? {} : { ratePerSecond }),
      });
    const { perSecond } = await load(durationMs);
    await node.settled(120_000);
    const loading = load(durationMs * 3, perSecond * INGEST_SHARE);
    await latency(run, node, 'ingest at 70 %', requests);
    const { perSecond: taken } = await loading;
    run.note(
      `ingest beside it: ${Math.round(taken * BATCH_EVENTS)} of ${Math.round(perSecond * BATCH_EVENTS)} events/s`,
    );
  } finally {
    await node.close();
  }
}

/** From the request of a change to the first sight of all workers at its version. */
async function propagation(run: BenchRun, node: NodeUnderTest, size: number, changes: number): Promise<void> {
  await resize(node, size);
  const samplesMs: number[] = [];
  let workers = 0;
  for (let at = 0; at < changes; at++) {
    const startedMs = performance.now();
    const value = VALUES[at % VALUES.length];
    await change(node, `/api/v2/config/${WATCHED}`, { value });
    workers = await applied(node, value);
    samplesMs.push(performance.now() - startedMs);
  }
  run.report({
    what: `change to every worker, ${size} match threads, p99`,
    value: percentile(samplesMs, 0.99),
    unit: 'ms',
    details: { p50: percentile(samplesMs, 0.5), workers },
  });
}

async function applied(node: NodeUnderTest, value: unknown): Promise<number> {
  const deadlineMs = performance.now() + APPLIED_MS_MAX;
  // Asked without a pause: what is measured is short.
  while (performance.now() < deadlineMs) {
    const { body } = await node.admin<Effective>('/api/v2/config/effective');
    const isEverywhere = body.workers.every(({ version }) => version === body.snapshot_version);
    if (body.settings[WATCHED] === value && isEverywhere) return body.workers.length;
  }
  throw new Error(`A change was not applied within ${APPLIED_MS_MAX} ms.`);
}

interface Effective {
  snapshot_version: number;
  settings: Record<string, unknown>;
  workers: { worker: string; version: number }[];
}

async function resize(node: NodeUnderTest, size: number): Promise<void> {
  await change(node, '/api/v2/config/pool.match.size', { value: size });
  await until(
    async () => {
      const { body } = await node.admin<Effective>('/api/v2/config/effective');
      return body.workers.filter(({ worker }) => worker.startsWith('match-')).length === size;
    },
    APPLIED_MS_MAX,
    () => `there are not ${size} match threads`,
  );
}

async function change(node: NodeUnderTest, path: string, body: object): Promise<void> {
  const reply = await node.admin(path, { method: 'PUT', body, headers: { 'if-match': '*' } });
  if (reply.status !== 200) throw new Error(`${path} was refused: ${JSON.stringify(reply.body)}`);
}

/** One request after the other, as one operator's tool sends them. */
async function latency(run: BenchRun, node: NodeUnderTest, when: string, requests: number): Promise<void> {
  await node.admin('/api/v2/teams/bench-host', { method: 'PUT', body: { team: 'BENCH' } });
  for (const [name, { path, method, body }] of Object.entries(REQUESTS)) {
    const samplesMs: number[] = [];
    for (let at = 0; at < requests; at++) {
      const startedMs = performance.now();
      if (body === undefined) await node.admin(path, { method });
      else await change(node, path, { team: `BENCH-${at}` });
      samplesMs.push(performance.now() - startedMs);
    }
    run.report({
      what: `API, ${name}, ${when}, p99`,
      value: percentile(samplesMs, 0.99),
      unit: 'ms',
      details: { p50: percentile(samplesMs, 0.5) },
    });
  }
}
