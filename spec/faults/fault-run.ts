/**
 * One run of the whole set, in an order drawn from the seed: after each fault everything runs dry and the accounts are
 * taken over all that was ever acknowledged. The row says what came of it.
 */
import { FAULTS } from './faults.ts';
import { Pipeline } from './pipeline.ts';
import type { Accounts } from './pipeline.ts';

export interface RunOptions {
  seed: number;
  /** Names from the table; all when not given. */
  faults?: readonly string[];
  acknowledgements?: number;
  /** Told after each fault. */
  onFault?: (name: string, accounts: Accounts, tookMs: number) => void;
}

export interface Row extends Accounts {
  seed: number;
  faults: number;
  slowestRestartMs: number;
}

/** Longest time from a thread's death to its successor's readiness, on a machine that does other things as well. */
export const RESTART_MS_MAX = 3_000;
export const ACKNOWLEDGEMENTS = 150;

export async function runFaults(options: RunOptions): Promise<Row> {
  const random = randomOf(options.seed);
  const names = shuffled(options.faults ?? Object.keys(FAULTS), random);
  const pipeline = await Pipeline.start();
  const problems: string[] = [];
  let accounts: Accounts | undefined;
  let done = 0;
  try {
    for (const name of names) {
      const beganAtMs = performance.now();
      const fault = FAULTS[name];
      if (fault === undefined)
        throw new Error(`there is no fault ${name}; there are ${Object.keys(FAULTS).join(', ')}`);
      await fault({ pipeline, random, acknowledgements: options.acknowledgements ?? ACKNOWLEDGEMENTS });
      accounts = await pipeline.takeAccounts();
      done += 1;
      options.onFault?.(name, accounts, performance.now() - beganAtMs);
      problems.push(...accounts.problems.map((problem) => `${name}: ${problem}`));
      if (!isClean({ ...accounts, problems: [] })) break;
      pipeline.producer.start();
    }
  } catch (thrown) {
    problems.push(`${names[done] ?? ''}: ${thrown instanceof Error ? thrown.message : String(thrown)}`);
    accounts = await pipeline.takeAccounts().catch(() => accounts);
  } finally {
    await pipeline.stop();
  }
  const { slowestRestartMs } = pipeline;
  if (slowestRestartMs > RESTART_MS_MAX) problems.push(`a restart took ${Math.round(slowestRestartMs)} ms`);
  return { ...(accounts ?? NOTHING), seed: options.seed, faults: done, slowestRestartMs, problems };
}

export function isClean(row: Accounts): boolean {
  return row.lost === 0 && row.doubled === 0 && row.balanced && row.problems.length === 0;
}

const NOTHING: Accounts = {
  acknowledged: 0,
  handled: 0,
  doubled: 0,
  lost: 0,
  reported: 0,
  quarantined: 0,
  balanced: false,
  problems: [],
};

export function summaryOf(rows: readonly Row[]): Omit<Row, 'seed'> {
  const sum = (pick: (row: Row) => number): number => rows.reduce((total, row) => total + pick(row), 0);
  return {
    faults: sum(({ faults }) => faults),
    acknowledged: sum(({ acknowledged }) => acknowledged),
    handled: sum(({ handled }) => handled),
    doubled: sum(({ doubled }) => doubled),
    lost: sum(({ lost }) => lost),
    reported: sum(({ reported }) => reported),
    quarantined: sum(({ quarantined }) => quarantined),
    balanced: rows.every(({ balanced }) => balanced),
    slowestRestartMs: Math.max(0, ...rows.map(({ slowestRestartMs }) => slowestRestartMs)),
    problems: rows.flatMap(({ seed, problems }) => problems.map((problem) => `seed ${seed}: ${problem}`)),
  };
}

/** Mulberry32: small, and the same everywhere. */
function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function shuffled<T>(items: readonly T[], random: () => number): T[] {
  return items
    .map((item) => ({ item, at: random() }))
    .sort((a, b) => a.at - b.at)
    .map(({ item }) => item);
}
