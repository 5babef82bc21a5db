/**
 * The type check, the type-aware lint and the format check, as the test run does them.
 *
 * A check that passed is not repeated while nothing changed: what it passed on is the hash of every file it can see.
 * (A tool's own cache by file would be wrong here: the types of one file decide the lint of another.)
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { constants, setPriority } from 'node:os';
import { join } from 'node:path';

export interface CheckOutcome {
  name: string;
  isPassed: boolean;
  output: string;
}

interface Check {
  name: string;
  /** Script of a package, and its arguments. */
  script: string;
  args: string[];
}

/** Two lanes for two cores: the lint takes as long as the others together. */
const LANES: readonly (readonly Check[])[] = [
  [{ name: 'lint', script: 'eslint/bin/eslint.js', args: ['.'] }],
  [
    { name: 'types', script: 'typescript/bin/tsc', args: ['--noEmit'] },
    { name: 'format', script: 'prettier/bin/prettier.cjs', args: ['--check', '--log-level', 'warn', '.'] },
  ],
];
const UNSEEN = new Set(['node_modules', 'var', 'coverage', '.git']);

export async function runChecks(cloneDir: string, signal: AbortSignal): Promise<CheckOutcome[]> {
  const state = stateOf(cloneDir);
  const lanes = LANES.map(async (lane) => {
    const outcomes: CheckOutcome[] = [];
    for (const check of lane) outcomes.push(await runCheck(cloneDir, check, state, signal));
    return outcomes;
  });
  return (await Promise.all(lanes)).flat();
}

async function runCheck(
  cloneDir: string,
  check: Check,
  state: string,
  signal: AbortSignal,
): Promise<CheckOutcome> {
  const cacheDir = join(cloneDir, 'var', 'cache', 'checks');
  const mark = join(cacheDir, `${check.name}-${state}`);
  const outcome = (isPassed: boolean, output = ''): CheckOutcome => ({ name: check.name, isPassed, output });
  if (existsSync(mark)) {
    console.log(`  ✔ ${check.name} (unchanged since it passed)`);
    return outcome(true);
  }
  const startedAtMs = performance.now();
  const { code, output } = await run(
    process.execPath,
    [join(cloneDir, 'node_modules', check.script), ...check.args],
    cloneDir,
    signal,
  );
  const seconds = ((performance.now() - startedAtMs) / 1000).toFixed(1);
  console.log(`  ${code === 0 ? '✔' : '✖'} ${check.name} (${seconds} s)`);
  if (code !== 0) return outcome(false, output);
  remember(cacheDir, check.name, mark);
  return outcome(true);
}

function remember(cacheDir: string, name: string, mark: string): void {
  try {
    mkdirSync(cacheDir, { recursive: true });
    for (const old of readdirSync(cacheDir).filter((entry) => entry.startsWith(`${name}-`))) {
      rmSync(join(cacheDir, old), { force: true });
    }
    writeFileSync(mark, '');
  } catch {
    // A clone that this user may not write is checked anew each time.
  }
}

function run(
  file: string,
  args: string[],
  cwd: string,
  signal: AbortSignal,
): Promise<{ code: number | null; output: string }> {
  return new Promise((settle) => {
    const child = spawn(file, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'], signal });
    // The specs beside them have times to keep.
    if (child.pid !== undefined) setPriority(child.pid, constants.priority.PRIORITY_LOW);
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk: Buffer) => (output += chunk.toString('utf8')));
    }
    child.once('error', (error) => settle({ code: null, output: `${output}${error.message}` }));
    child.once('close', (code) => settle({ code, output }));
  });
}

/** The hash of every file's name and content, of the packages and of Node. */
function stateOf(cloneDir: string): string {
  const hash = createHash('sha256').update(process.version);
  const visit = (relative: string): void => {
    for (const entry of readdirSync(join(cloneDir, relative), { withFileTypes: true }).sort((a, b) =>
      a.name < b.name ? -1 : 1,
    )) {
      if (UNSEEN.has(entry.name)) continue;
      const path = join(relative, entry.name);
      if (entry.isDirectory()) visit(path);
      else if (entry.isFile()) hash.update(`\0${path}\0`).update(readFileSync(join(cloneDir, path)));
    }
  };
  visit('.');
  return hash.digest('hex').slice(0, 32);
}
