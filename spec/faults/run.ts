/**
 * Runs the whole set of faults N times and prints a row for each, and one for all. Exit code 1 when anything was lost
 * or doubled, or anything else was not as it must be.
 *
 *   --runs <n>      how often (1)                 --seed <n>   of the first run; the next ones count on
 *   --faults <a,b>  only these, in random order   --verbose    a line after each fault
 */
import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import { isClean, runFaults, summaryOf } from './fault-run.ts';
import type { Row } from './fault-run.ts';

const COLUMNS = [
  ['seed', 10],
  ['faults', 6],
  ['acknowledged', 12],
  ['handled', 9],
  ['doubled', 7],
  ['lost', 5],
  ['reported lost', 13],
  ['quarantined', 11],
  ['balanced', 8],
  ['slowest restart ms', 18],
] as const;

function line(cells: readonly (string | number)[]): string {
  return cells.map((cell, index) => String(cell).padStart(COLUMNS[index]?.[1] ?? 0)).join('  ');
}

function rowLine(first: string | number, row: Omit<Row, 'seed'>): string {
  return line([
    first,
    row.faults,
    row.acknowledged,
    row.handled,
    row.doubled,
    row.lost,
    row.reported,
    row.quarantined,
    row.balanced ? 'yes' : 'NO',
    Math.round(row.slowestRestartMs),
  ]);
}

// Its servers end with the process, if it ends by itself.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => process.exit(130));

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '1' },
    seed: { type: 'string' },
    faults: { type: 'string' },
    verbose: { type: 'boolean', default: false },
  },
});
const runs = Number(values.runs);
const firstSeed = Number(values.seed ?? randomInt(2 ** 31));
if (!Number.isSafeInteger(runs) || runs < 1 || !Number.isSafeInteger(firstSeed)) {
  console.error('--runs and --seed are whole numbers, --runs at least 1');
  process.exit(2);
}

console.log(line(COLUMNS.map(([name]) => name)));
const rows: Row[] = [];
for (let run = 0; run < runs; run += 1) {
  const row = await runFaults({
    seed: firstSeed + run,
    ...(values.faults === undefined ? {} : { faults: values.faults.split(',') }),
    onFault: (name, accounts, tookMs) => {
      if (values.verbose)
        console.log(`  ${name}: ${Math.round(tookMs)} ms, ${accounts.acknowledged} acknowledged`);
    },
  });
  rows.push(row);
  console.log(rowLine(row.seed, row));
  for (const problem of row.problems) console.log(`  ${problem}`);
}
console.log(rowLine('all', summaryOf(rows)));
process.exitCode = rows.every(isClean) ? 0 : 1;
