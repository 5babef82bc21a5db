/**
 * The control frame on a node of its own: how long a change takes until every worker runs it, over several numbers of
 * workers; how fast the API answers, with nothing else to do and beside ingest at 70 % of what it takes; and how fast
 * ingest answers at that load, with the API idle and with the API at work.
 */
import { NodeUnderTest, until } from '../spec/support/node-under-test.ts';
import { ApiLoad } from './support/api-load.ts';
import type { ApiLoadReport, ApiRequest } from './support/api-load.ts';
import { cpuUs, median, percentile } from './support/bench.ts';
import type { BenchRun } from './support/bench.ts';
import { makeCorpus } from './support/corpus.ts';
import { runHttpLoad } from './support/http-load.ts';
import type { LoadReport } from './support/load.ts';
import { Product } from './support/product.ts';

const RATE_MAX = 100_000;
const BATCH_EVENTS = 100;
const INGEST_SHARE = 0.7;
const APPLIED_MS_MAX = 30_000;
const SETTLE_MS_MAX = 300_000;
/** A page of rules. They match nothing and are not tried. */
const RULES = 50;
/** A setting that every worker is told of, and two values that change nothing here. */
const WATCHED = 'forward.breaker.delayMaxMs';
const VALUES = [30_000, 30_001] as const;

/** What is asked, by name; each is one request. */
const REQUESTS = {
  'one setting': { method: 'GET', path: '/api/v2/config/log.level' },
  '50 rules': { method: 'GET', path: '/api/v2/rules?limit=50' },
  ledger: { method: 'GET', path: '/api/v2/ledger' },
  'a change': { method: 'PUT', path: '/api/v2/teams/bench-host', body: { team: 'BENCH' } },
} as const satisfies Record<string, ApiRequest>;
/**
 * The API at work: of twenty requests eleven are pages, four the ledger, four a setting, and one is a change, which every
 * worker is told of.
 */
const API_WORK: readonly ApiRequest[] = ['NETO', 'NOC'].flatMap((team): ApiRequest[] => [
  ...Array.from({ length: 4 }, (): ApiRequest[] => [
    REQUESTS['50 rules'],
    { method: 'GET', path: '/api/v2/audit-logs?limit=50' },
    REQUESTS.ledger,
    REQUESTS['one setting'],
  ]).flat(),
  REQUESTS['50 rules'],
  { method: 'GET', path: '/api/v2/config-audit?limit=50' },
  REQUESTS['50 rules'],
  { ...REQUESTS['a change'], body: { team } },
]);
/** Whose CPU time is told. */
const PROCESSES = ['gateway', 'admin', 'supervisor', 'redis', 'postgres'];

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

    await addRules(node);
    await latency(run, node, 'idle', requests);
    const bodies = Array.from(
      { length: corpus.events.length / BATCH_EVENTS },
      (_, at) => `[${corpus.events.slice(at * BATCH_EVENTS, (at + 1) * BATCH_EVENTS).join(',')}]`,
    );
    const connections = run.parameter('connections', 8, 32);
    const load: Load = (forMs, ratePerSecond) =>
      runHttpLoad({
        port: node.ports.ingest,
        connections,
        durationMs: forMs,
        bodies,
        headers: { 'x-api-key': node.ingestKey },
        ...(ratePerSecond === undefined ? {} : { ratePerSecond }),
      });
    const { perSecond } = await load(durationMs);
    await node.settled(SETTLE_MS_MAX);
    const loading = load(durationMs * 3, perSecond * INGEST_SHARE);
    await latency(run, node, 'ingest at 70 %', requests);
    const { perSecond: taken } = await loading;
    run.note(
      `ingest beside it: ${Math.round(taken * BATCH_EVENTS)} of ${Math.round(perSecond * BATCH_EVENTS)} events/s`,
    );
    await ingestBesideApi(run, node, () => load(durationMs, perSecond * INGEST_SHARE));
  } finally {
    await node.close();
  }
}

type Load = (forMs: number, ratePerSecond?: number) => Promise<LoadReport>;

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
  for (const [name, { path, method, body }] of Object.entries<ApiRequest>(REQUESTS)) {
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

async function addRules(node: NodeUnderTest): Promise<void> {
  const rules = Array.from({ length: RULES }, (_, at) => ({
    name: `bench-${at}`,
    match_string: `%NEVER-${at}-SEEN`,
    prod_handling: 'Page_and_ticket',
    dev_handling: 'Ignore',
    team_assignment: 'NETO',
    is_active: false,
  }));
  await change(node, '/api/v2/rule-set', { rules, reason: 'benchmark' });
}

interface Beside {
  ingest: LoadReport;
  /** CPU time by process and for the clients together, in shares of a core. */
  cpu: Map<string, number>;
  api?: ApiLoadReport;
}

/** Ingest at one offered load, in turn with nobody at the API and with the API at work. */
async function ingestBesideApi(
  run: BenchRun,
  node: NodeUnderTest,
  load: () => Promise<LoadReport>,
): Promise<void> {
  const repetitions = run.parameter('ingest.repetitions', 1, 3);
  const apiRate = run.parameter('api.requestsPerSecond', 50, 100);
  const [idle, atWork]: [Beside[], Beside[]] = [[], []];
  for (let repetition = 0; repetition < repetitions; repetition++) {
    await node.settled(SETTLE_MS_MAX);
    idle.push(await withCpu(node, load));
    await node.settled(SETTLE_MS_MAX);
    const api = await ApiLoad.start(node, API_WORK, apiRate);
    const measured = await withCpu(node, load);
    atWork.push({ ...measured, api: await api.stop() });
  }
  const idleMs = reportBeside(run, 'ingest at 70 %, API idle, p99', idle);
  reportBeside(run, `ingest at 70 %, API at ${apiRate} requests/s, p99`, atWork, idleMs);
}

async function withCpu(node: NodeUnderTest, load: () => Promise<LoadReport>): Promise<Beside> {
  const own = process.cpuUsage();
  const startedMs = performance.now();
  const { result: ingest, cost } = await new Product(node).costOf(load);
  const elapsedMs = performance.now() - startedMs;
  const clientMs = ingest.clientCpuMs + cpuUs(own) / 1_000;
  const spent = [...cost.processes, ['clients', clientMs] as const];
  return { ingest, cpu: new Map(spent.map(([name, ms]) => [name, ms / elapsedMs])) };
}

/** The middle of the repetitions, value by value. */
function reportBeside(run: BenchRun, what: string, runs: readonly Beside[], idleMs?: number): number {
  const middle = (value: (one: Beside) => number | undefined): number =>
    median(runs.map((one) => value(one) ?? 0));
  const value = middle(({ ingest }) => ingest.latencyMs.p99);
  run.report({
    what,
    value,
    unit: 'ms',
    ...(idleMs === undefined ? {} : { baseline: { what: 'the API idle', value: idleMs } }),
    details: {
      p50: middle(({ ingest }) => ingest.latencyMs.p50),
      'p99.9': middle(({ ingest }) => ingest.latencyMs.p999),
      max: middle(({ ingest }) => ingest.latencyMs.max),
      'events/s': middle(({ ingest }) => ingest.perSecond * BATCH_EVENTS),
      'not stored': middle(({ ingest }) => ingest.unanswered + refused(ingest)),
      ...Object.fromEntries(
        [...PROCESSES, 'clients'].map((name) => [
          `${name} CPU %`,
          middle(({ cpu }) => 100 * (cpu.get(name) ?? 0)),
        ]),
      ),
      ...(runs[0]?.api === undefined
        ? {}
        : {
            'API requests': middle(({ api }) => api?.requests),
            'API failed': middle(({ api }) => api?.failed),
            'API p50': middle(({ api }) => api?.latencyMs.p50),
            'API p99': middle(({ api }) => api?.latencyMs.p99),
            'stream messages': middle(({ api }) => api?.streamed),
          }),
    },
  });
  return value;
}

function refused({ statuses }: LoadReport): number {
  return Object.entries(statuses).reduce((sum, [status, count]) => sum + (status === '200' ? 0 : count), 0);
}
