/**
 * The test command: type check, type-aware lint and format check, beside them every spec, in lanes side by side, against
 * private Redis and PostgreSQL servers. The last line it prints is `N passed, N failed`, whatever happens.
 *
 * Two runs at once share nothing but caches: each has its own directory, ports and marker. Invariant: when it ends,
 * even after Ctrl-C, no process and no file of the run is left; what a killed run left is ended by the next.
 *
 *   --long         also spec/long/**          --host         only spec/host/**
 *   --only <glob>  only the specs it matches  --no-checks    only the specs
 */
import { globSync } from 'node:fs';
import { availableParallelism, constants } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { messageOf } from '../runtime/errors.ts';
import { runChecks } from './support/checks.ts';
import { endLeftoverRuns } from './support/run-directory.ts';
import { runLane } from './support/spec-lane.ts';

const CLONE_DIR = fileURLToPath(new URL('..', import.meta.url));
/** Beyond two, the servers and nodes of the specs would only wait for each other. */
const LANES_MAX = 2;
/** Begun first, since they take longest: a lane that gets one of them last runs on alone. */
const LONGEST = [
  'spec/long/',
  'spec/product/',
  'spec/gateways/',
  'spec/bench/',
  'spec/docs/',
  'spec/supervisors/',
];

interface Tally {
  passed: number;
  failed: number;
}

const tally: Tally = { passed: 0, failed: 0 };
/** What mocha said of each file that failed, said again at the end: a log is often kept from its end only. */
const failedFiles: { file: string; output: string }[] = [];
const tookMs: { file: string; ms: number }[] = [];
const SLOWEST = 20;
const interruption = new AbortController();

function fail(what: string): void {
  tally.failed += 1;
  console.log(`\nFAILED: ${what}`);
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      long: { type: 'boolean', default: false },
      host: { type: 'boolean', default: false },
      only: { type: 'string' },
      'no-checks': { type: 'boolean', default: false },
    },
  });
  const files = specFiles(values);
  if (files.length === 0) fail('no spec matches');
  endLeftoverRuns();
  const isChecked = !values['no-checks'] && values.only === undefined;
  const lanes = Math.min(LANES_MAX, availableParallelism(), files.length);
  // Specs wait more than they compute: the checks take what they leave of the processors.
  const outcomes = await Promise.allSettled([
    isChecked ? check() : undefined,
    ...Array.from({ length: lanes }, () => lane(files)),
  ]);
  for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
}

async function check(): Promise<void> {
  for (const outcome of await runChecks(CLONE_DIR, interruption.signal)) {
    if (outcome.isPassed) tally.passed += 1;
    else fail(`${outcome.name}\n${outcome.output}`);
  }
}

function lane(files: string[]): Promise<void> {
  return runLane({
    cloneDir: CLONE_DIR,
    next: () => files.shift(),
    onOutcome: (file, { passed, failed, output, ms }) => {
      tookMs.push({ file, ms });
      tally.passed += passed;
      tally.failed += failed;
      if (failed > 0) failedFiles.push({ file, output });
      console.log(output);
    },
    onFailure: fail,
    signal: interruption.signal,
  });
}

function specFiles(options: { long: boolean; host: boolean; only?: string | undefined }): string[] {
  const rank = (file: string): number => {
    const found = LONGEST.findIndex((folder) => file.startsWith(folder));
    return found < 0 ? LONGEST.length : found;
  };
  const all = globSync('spec/**/*.spec.ts', { cwd: CLONE_DIR }).sort(
    (a, b) => rank(a) - rank(b) || (a < b ? -1 : 1),
  );
  if (options.only !== undefined) {
    const wanted = new Set(globSync(options.only, { cwd: CLONE_DIR }));
    return all.filter((file) => wanted.has(file));
  }
  if (options.host) return all.filter((file) => file.startsWith('spec/host/'));
  return all.filter(
    (file) => !file.startsWith('spec/host/') && (options.long || !file.startsWith('spec/long/')),
  );
}

/** Of what mocha says of a file: from its count of failures on. */
function failuresIn(output: string): string {
  const lines = output.split('\n');
  return lines
    .slice(
      Math.max(
        0,
        lines.findIndex((line) => /\d+ failing\b/.test(line)),
      ),
    )
    .join('\n');
}

function finish(exitCode?: number): never {
  const slowest = tookMs.sort((a, b) => b.ms - a.ms).slice(0, SLOWEST);
  console.log('\nthe files that took longest:');
  for (const { file, ms } of slowest) console.log(`${(ms / 1_000).toFixed(1).padStart(7)} s  ${file}`);
  for (const { file, output } of failedFiles) console.log(`\nFAILED: ${file}\n${failuresIn(output)}`);
  console.log(`\n${tally.passed} passed, ${tally.failed} failed`);
  process.exit(exitCode ?? (tally.failed === 0 ? 0 : 1));
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    if (interruption.signal.aborted) return;
    fail(`interrupted by ${signal}`);
    interruption.abort(signal);
  });
}

try {
  await main();
} catch (error) {
  fail(`the run itself: ${messageOf(error)}`);
  console.log(error);
}
finish(
  interruption.signal.aborted
    ? 128 + constants.signals[interruption.signal.reason as NodeJS.Signals]
    : undefined,
);
