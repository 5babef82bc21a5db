/**
 * The whole way with a thousand rules, for minutes: the rate at which events are stored, matched, audited and their alerts
 * delivered while no mailbox grows; and with ten thousand, how long a rule's change takes until every worker runs it.
 */
import { NodeUnderTest } from '../spec/support/node-under-test.ts';
import { makeRules } from './rules/rule-corpus.ts';
import { BareServer } from './support/bare-server.ts';
import { percentile } from './support/bench.ts';
import type { BenchRun } from './support/bench.ts';
import { makeCorpus } from './support/corpus.ts';
import { Product } from './support/product.ts';
import { costDetails, highestSustained, holdRate, noteHeld } from './support/sustained.ts';
import type { SteadyLoad } from './support/sustained.ts';

const BATCH_EVENTS = 1_000;
const APPLIED_MS_MAX = 30_000;
/** Of the highest rate found by short tries, for minutes. */
const HELD_SHARES = [0.95, 0.85, 0.75];

export default async function wholeWay(run: BenchRun): Promise<void> {
  const corpus = makeCorpus();
  run.note(
    `corpus: seed ${corpus.seed}, sha256 ${corpus.sha256}, ${Math.round(corpus.bytesMean)} B an event`,
  );
  const size = run.parameter('rules', 100, 1_000);
  const node = await NodeUnderTest.start();
  const destination = await BareServer.start();
  try {
    const product = new Product(node);
    await product.configure(destination, rulesOf(size));
    await hold(run, size, {
      product,
      destination,
      bodies: Array.from(
        { length: corpus.events.length / BATCH_EVENTS },
        (_, at) => `[${corpus.events.slice(at * BATCH_EVENTS, (at + 1) * BATCH_EVENTS).join(',')}]`,
      ),
      eventsPerBody: BATCH_EVENTS,
      connections: run.parameter('connections', 4, 16),
    });
    const many = run.parameter('rules.many', 200, 10_000);
    await product.configure(destination, rulesOf(many));
    await ruleChanges(run, node, many);
  } finally {
    await node.close();
    await destination.close();
  }
}

async function hold(run: BenchRun, size: number, load: SteadyLoad): Promise<void> {
  const found = await highestSustained(run, load, {
    firstRate: run.parameter('firstRate', 2_000, 40_000),
    steps: run.parameter('steps', 1, 6),
    stepMs: run.parameter('stepMs', 800, 10_000),
  });
  const durationMs = run.parameter('held.durationMs', 800, 300_000);
  for (const share of found === undefined ? [] : HELD_SHARES) {
    const rate = found!.achieved * share;
    const held = await holdRate(load, rate, durationMs);
    noteHeld(run, rate, held);
    if (!held.isSustained && run.isFull && share !== HELD_SHARES.at(-1)) continue;
    run.report({
      what: `whole way, ${size.toLocaleString('en-US')} rules, 5 % matching, held for ${Math.round(durationMs / 1_000)} s`,
      value: held.achieved,
      unit: 'events/s',
      details: { 'in flight, events/s': held.growth, ...costDetails(held) },
    });
    return;
  }
  run.note('whole way: no rate tried was sustained');
}

/** From the request of a change to the first sight of it on every worker. */
async function ruleChanges(run: BenchRun, node: NodeUnderTest, size: number): Promise<void> {
  const { body } = await node.admin<{ items: { id: number; version: number }[] }>('/api/v2/rules?limit=1');
  const rule = body.items[0]!;
  let { version } = rule;
  const samplesMs: number[] = [];
  const savedMs: number[] = [];
  const changes = run.parameter('changes', 2, 30);
  for (let at = 0; at < changes; at++) {
    const { snapshot_version: before } = await effective(node);
    const startedMs = performance.now();
    const saved = await node.admin<{ version: number }>(`/api/v2/rules/${rule.id}`, {
      method: 'PUT',
      body: { ...rule, priority: 50 + at },
      headers: { 'if-match': `"${version}"` },
    });
    if (saved.status !== 200) throw new Error(`The rule was refused: ${JSON.stringify(saved.body)}`);
    ({ version } = saved.body);
    savedMs.push(performance.now() - startedMs);
    await applied(node, before);
    samplesMs.push(performance.now() - startedMs);
  }
  run.report({
    what: `rule change to every worker, ${size.toLocaleString('en-US')} rules, p50`,
    value: percentile(samplesMs, 0.5),
    unit: 'ms',
    details: { 'max ms': Math.max(...samplesMs), 'of it until answered, p50 ms': percentile(savedMs, 0.5) },
  });
}

async function applied(node: NodeUnderTest, before: number): Promise<void> {
  const deadlineMs = performance.now() + APPLIED_MS_MAX;
  // Asked without a pause: what is measured is short.
  while (performance.now() < deadlineMs) {
    const { snapshot_version: now, workers } = await effective(node);
    if (now > before && workers.every(({ version }) => version >= now)) return;
  }
  throw new Error(`A change of a rule was not applied within ${APPLIED_MS_MAX} ms.`);
}

async function effective(
  node: NodeUnderTest,
): Promise<{ snapshot_version: number; workers: { version: number }[] }> {
  const { body } = await node.admin<{ snapshot_version: number; workers: { version: number }[] }>(
    '/api/v2/config/effective',
  );
  return body;
}

/** As the API takes them. */
function rulesOf(size: number): Record<string, unknown>[] {
  return makeRules(size).map(({ id: _, version: __, ...fields }) => fields);
}
