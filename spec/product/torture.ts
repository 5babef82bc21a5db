/**
 * The torture: whole nodes under traffic, everything in and around them killed, stopped and paused at random, and the
 * books checked afterwards. One row per run; the exit code says whether every run was good.
 *
 *   --runs N      runs in a row (20)         --seed S      of the first run; the next ones count up (random)
 *   --seconds N   traffic per run (15)       --verbose     every fault of a run on a line of its own
 *   --keep         leaves the data and logs of bad runs
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { seededRandom } from '../../supervisors/torture/random.ts';
import { RunDirectory } from '../support/run-directory.ts';
import { FAULTS } from './faults.ts';
import type { FaultInjector, FaultName, FaultResult } from './faults.ts';
import { killRun } from './kill-run.ts';
import type { KillRunRow } from './kill-run.ts';

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '20' },
    seed: { type: 'string' },
    seconds: { type: 'string', default: '15' },
    keep: { type: 'boolean', default: false },
    verbose: { type: 'boolean', default: false },
  },
});
const runs = Number(values.runs);
const seconds = Number(values.seconds);
const firstSeed = Number(values.seed ?? Math.floor(Math.random() * 1e6));

/** A start takes a good part of a run: one of these is enough. */
const STARTS: readonly FaultName[] = ['kill supervisor', 'kill node'];

/** Every kind of fault once, in random order, at random moments. */
function scheduled(seed: number): { name: FaultName; atMs: number }[] {
  // The traffic draws from the same seed; a stream of its own keeps the schedule apart from it.
  const random = seededRandom(seed ^ 0x5bd1e995);
  const spared = STARTS[seed % STARTS.length];
  return FAULTS.filter((name) => name !== spared)
    .map((name) => ({ name, atMs: 500 + random() * (seconds * 1_000 - 1_000) }))
    .sort((a, b) => a.atMs - b.atMs);
}

async function atRandom(injector: FaultInjector, seed: number): Promise<FaultResult[]> {
  const [faults] = await Promise.all([
    Promise.all(
      scheduled(seed).map(async ({ name, atMs }) => {
        await sleep(atMs);
        return injector.inject(name);
      }),
    ),
    sleep(seconds * 1_000),
  ]);
  return faults;
}

function columns(row: KillRunRow): Record<string, string | number> {
  const missed = row.faults.filter((fault) => fault.missed !== undefined).length;
  const recovery = row.recoveryMs.toSorted((a, b) => a - b);
  const restart = (name: FaultName): string => {
    const backMs = row.faults.find((fault) => fault.name === name)?.backMs;
    return backMs === undefined ? '-' : backMs.toFixed(0);
  };
  return {
    seed: row.seed,
    faults: `${row.faults.length - missed}/${row.faults.length}`,
    sent: row.sent,
    resent: row.resent.unanswered + row.resent.answered,
    answered: row.answered,
    unanswered: row.unanswered,
    rows: row.auditRows,
    lost: row.lost,
    doubled: row.doubled,
    'ws answered': row.socketAnswered,
    'ws breaks': row.socketBreaks,
    alerts: row.alerts,
    dead: row.deadLetters,
    repeats: row.repeats,
    balanced: row.balanced ? 'yes' : 'NO',
    'match ms': restart('kill match-0'),
    'forward ms': restart('kill forward-0'),
    'node ms': restart(STARTS[(row.seed + 1) % STARTS.length] ?? 'kill node'),
    '200 again p50': (recovery[Math.floor(recovery.length / 2)] ?? NaN).toFixed(0),
    '200 again max': (recovery.at(-1) ?? NaN).toFixed(0),
    'settled ms': row.settledMs.toFixed(0),
    starts: row.failedStarts.length + 1,
    verdict: row.wrong.length === 0 ? 'good' : 'WRONG',
  };
}

/** What a node has left is found by it, also after Ctrl-C; data that are to be kept are not in it. */
const directory = values.keep ? undefined : new RunDirectory();
Object.assign(process.env, directory?.environment);
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.once(signal, () => void end(130));
}

async function end(exitCode: number): Promise<never> {
  await directory?.remove();
  process.exit(exitCode);
}

let bad = 0;
let isHeaded = false;
for (let run = 0; run < runs; run++) {
  const seed = firstSeed + run;
  try {
    const row = await killRun({ seed, harm: (injector) => atRandom(injector, seed), isBadKept: values.keep });
    const cells = columns(row);
    if (!isHeaded) console.log(Object.keys(cells).join(' | '));
    isHeaded = true;
    console.log(Object.values(cells).join(' | '));
    if (row.wrong.length > 0) {
      bad += 1;
      for (const line of row.wrong) console.log(`  ${line}`);
    }
    for (const text of row.failedStarts)
      console.log(`  a start failed: ${text.trim().split('\n').slice(-2).join(' ')}`);
    if (row.wrong.length > 0 || values.verbose) {
      for (const { name, atMs } of scheduled(seed)) console.log(`  ${atMs.toFixed(0)} ms ${name}`);
      for (const { name, missed } of row.faults) {
        if (missed !== undefined) console.log(`  missed ${name}: ${missed}`);
      }
    }
  } catch (thrown) {
    bad += 1;
    console.log(`${seed} | the run itself failed: ${(thrown as Error).message}`);
    for (const { name, atMs } of scheduled(seed)) console.log(`  ${atMs.toFixed(0)} ms ${name}`);
  }
}
console.log(`\n${runs - bad} of ${runs} runs good`);
await end(bad === 0 ? 0 : 1);
