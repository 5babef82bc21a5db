/**
 * The test command: type check, type-aware lint and format check, then every spec against one private Redis and one
 * private PostgreSQL. The last line it prints is `N passed, N failed`, whatever happens.
 *
 * Two runs at once share nothing but caches: each has its own directory, ports and marker. Invariant: when it ends,
 * even after Ctrl-C, no process and no file of the run is left; what a killed run left is ended by the next.
 *
 *   --long         also spec/long/**          --host         only spec/host/**
 *   --only <glob>  only the specs it matches  --no-checks    only the specs
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { globSync } from 'node:fs';
import { constants } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { messageOf } from '../runtime/errors.ts';
import { startPrivatePostgres } from '../supervisors/embedded/postgres.ts';
import type { PrivateServer } from '../supervisors/embedded/private-server.ts';
import { startPrivateRedis } from '../supervisors/embedded/redis.ts';
import { runChecks } from './support/checks.ts';
import { RunDirectory, endLeftoverRuns } from './support/run-directory.ts';

const CLONE_DIR = fileURLToPath(new URL('..', import.meta.url));
/** How long specs may keep the process alive after the last one: what then still holds it was left open. */
const EXIT_GRACE_MS = 10_000;

interface Tally {
  passed: number;
  failed: number;
}

const tally: Tally = { passed: 0, failed: 0 };
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
  if (!values['no-checks'] && values.only === undefined) {
    for (const check of await runChecks(CLONE_DIR, interruption.signal)) {
      if (check.isPassed) tally.passed += 1;
      else fail(`${check.name}\n${check.output}`);
    }
  }
  if (interruption.signal.aborted || files.length === 0) return;
  const run = new RunDirectory();
  try {
    await runSpecs(files, run);
  } finally {
    const left = await run.remove();
    // Specs that were cut short had no chance to clean up; what they left has just been ended.
    if (!interruption.signal.aborted) for (const line of left) fail(`left running by the specs: ${line}`);
  }
}

function specFiles(options: { long: boolean; host: boolean; only?: string | undefined }): string[] {
  const all = globSync('spec/**/*.spec.ts', { cwd: CLONE_DIR }).sort();
  if (options.only !== undefined) {
    const wanted = new Set(globSync(options.only, { cwd: CLONE_DIR }));
    return all.filter((file) => wanted.has(file));
  }
  if (options.host) return all.filter((file) => file.startsWith('spec/host/'));
  return all.filter(
    (file) => !file.startsWith('spec/host/') && (options.long || !file.startsWith('spec/long/')),
  );
}

async function runSpecs(files: string[], run: RunDirectory): Promise<void> {
  const servers: PrivateServer[] = [];
  try {
    const started = await Promise.allSettled([
      startPrivateRedis({ dir: run.path('redis') }),
      startPrivatePostgres({ dir: run.path('postgres') }),
    ]);
    for (const outcome of started) {
      if (outcome.status === 'fulfilled') servers.push(outcome.value);
    }
    const refused = started.find((outcome) => outcome.status === 'rejected');
    if (refused !== undefined) throw refused.reason;
    const [redis, postgres] = servers;
    if (interruption.signal.aborted) return;
    const child = spawn(
      process.execPath,
      [fileURLToPath(new URL('./support/mocha-child.ts', import.meta.url)), ...files],
      {
        cwd: CLONE_DIR,
        stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
        env: {
          ...process.env,
          ...run.environment,
          MUTT_SPEC_REDIS_URL: redis?.url,
          MUTT_SPEC_DATABASE_URL: postgres?.url,
        },
      },
    );
    await follow(child);
  } finally {
    await Promise.all(servers.map((server) => server.stop()));
  }
}

/** Takes the child's count, and its death without one as a failure. */
async function follow(child: ChildProcess): Promise<void> {
  let counted: Tally | undefined;
  let isTooLate = false;
  let timer: NodeJS.Timeout | undefined;
  child.on('message', (message) => {
    counted = message as Tally;
    timer = setTimeout(() => {
      isTooLate = true;
      // It says what holds it, and goes.
      child.kill('SIGUSR2');
      setTimeout(() => child.kill('SIGKILL'), EXIT_GRACE_MS).unref();
    }, EXIT_GRACE_MS);
  });
  const interrupt = (): void => {
    child.kill('SIGKILL');
  };
  interruption.signal.addEventListener('abort', interrupt);
  const ending = await new Promise<string>((settle) => {
    child.once('exit', (code, signal) => settle(signal ?? `code ${code}`));
    child.once('error', (error) => settle(error.message));
  });
  clearTimeout(timer);
  tally.passed += counted?.passed ?? 0;
  tally.failed += counted?.failed ?? 0;
  if (interruption.signal.aborted) return;
  if (counted === undefined) fail(`the spec process ended before it was done (${ending})`);
  else if (isTooLate) fail('the specs left something open that keeps their process alive (named above)');
}

function finish(exitCode?: number): never {
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
