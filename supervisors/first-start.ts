/**
 * What a node with a private PostgreSQL gets at its first start, so that the first event visibly becomes an alert:
 * sample rules, and the built-in local sink as its destination. Never again after that: what operators have removed
 * stays removed.
 */
import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { parseConfiguration } from '../actors/match/configuration.ts';
import type { PostgresRuleStore } from '../gateways/postgres/rule-store.ts';

const SAMPLE_RULES = new URL('../gateways/cli/sample-rules.yaml', import.meta.url);
/** The sink is on this machine and takes what it gets: no reason to be slow. */
const SINK_RATE_PER_SECOND = 5_000;
const SINK_CONCURRENCY = 8;

export async function loadSamples(
  store: PostgresRuleStore,
  sink: { adminUrl: string; keyFile: string },
): Promise<void> {
  const document = parse(readFileSync(SAMPLE_RULES, 'utf8')) as Record<string, unknown>;
  const { reason: _, ...configuration } = parseConfiguration({
    ...document,
    destinations: [
      {
        name: 'local',
        kind: 'moogsoft',
        url: `${sink.adminUrl}/api/v2/sink/moogsoft`,
        secret_ref: `file:${sink.keyFile}`,
        rate_per_second: SINK_RATE_PER_SECOND,
        concurrency: SINK_CONCURRENCY,
      },
    ],
  });
  await store.applyConfiguration(configuration, { changedBy: 'first start', reason: 'sample rules' });
}
