/**
 * `npm run bench [-- NAME…] [--full] [--json FILE]`: runs the benchmarks, all of them or the ones named.
 */
import { writeFileSync } from 'node:fs';
import { BenchReport } from './support/bench.ts';
import type { Bench } from './support/bench.ts';

const BENCHES: Readonly<Record<string, () => Promise<{ default: Bench }>>> = {
  runtime: () => import('./runtime.bench.ts'),
  durable: () => import('./durable.bench.ts'),
  pipeline: () => import('./pipeline.bench.ts'),
  ingest: () => import('./ingest.bench.ts'),
  soak: () => import('./soak.bench.ts'),
  control: () => import('./control.bench.ts'),
  audit: () => import('./audit.bench.ts'),
  rules: () => import('./rules.bench.ts'),
  'whole-way': () => import('./whole-way.bench.ts'),
  deliver: () => import('./deliver.bench.ts'),
  latency: () => import('./latency.bench.ts'),
  remediation: () => import('./remediation.bench.ts'),
};

const args = process.argv.slice(2);
const isFull = args.includes('--full');
const jsonAt = args.indexOf('--json');
const jsonFile = jsonAt === -1 ? undefined : args[jsonAt + 1];
const names = args.filter((arg, index) => !arg.startsWith('--') && (jsonAt === -1 || index !== jsonAt + 1));
const unknown = names.filter((name) => !(name in BENCHES));
if (unknown.length > 0) {
  console.error(
    `No benchmark is called ${unknown.join(', ')}; there are ${Object.keys(BENCHES).join(', ')}.`,
  );
  process.exit(2);
}

const reports: BenchReport[] = [];
for (const name of names.length > 0 ? names : Object.keys(BENCHES)) {
  console.log(
    `${name}${isFull ? ' (full)' : ' (small values: they show that it works, not how fast it is; add --full)'}`,
  );
  const report = new BenchReport(name, isFull);
  await (await BENCHES[name]?.())?.default(report);
  reports.push(report);
}
if (jsonFile !== undefined) writeFileSync(jsonFile, `${JSON.stringify(reports, null, 2)}\n`);
