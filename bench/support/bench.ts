/**
 * What every benchmark shares: parameters with a small and a full value, distributions, and results as rows that are
 * printed and kept as JSON. Benches report; they never fail on time.
 */
import { cpus, totalmem } from 'node:os';

export interface BenchRun {
  /** The real figures; otherwise small values that only show that the bench works. */
  isFull: boolean;
  /** Picks the value for this run and notes it with the results. */
  parameter<T extends number | string>(name: string, small: T, full: T): T;
  report(row: ResultRow): void;
  note(text: string): void;
}

export interface ResultRow {
  what: string;
  value: number;
  unit: string;
  /** The bare mechanism measured in the same run, for the ratio. */
  baseline?: { what: string; value: number };
  details?: Record<string, number | string>;
}

export type Bench = (run: BenchRun) => Promise<void>;

export class BenchReport implements BenchRun {
  readonly isFull: boolean;
  readonly name: string;
  readonly rows: ResultRow[] = [];
  readonly parameters: Record<string, number | string> = {};
  readonly notes: string[] = [];

  constructor(name: string, isFull: boolean) {
    this.name = name;
    this.isFull = isFull;
  }

  parameter<T extends number | string>(name: string, small: T, full: T): T {
    const value = this.isFull ? full : small;
    this.parameters[name] = value;
    return value;
  }

  report(row: ResultRow): void {
    this.rows.push(row);
    console.log(`  ${formatRow(row)}`);
  }

  note(text: string): void {
    this.notes.push(text);
    console.log(`  ${text}`);
  }

  toJSON(): object {
    return {
      bench: this.name,
      full: this.isFull,
      node: process.version,
      cores: cpus().length,
      cpu: cpus()[0]?.model,
      memoryBytes: totalmem(),
      parameters: this.parameters,
      notes: this.notes,
      rows: this.rows,
    };
  }
}

function formatRow({ what, value, unit, baseline, details }: ResultRow): string {
  const parts = [`${what.padEnd(48)} ${formatNumber(value).padStart(12)} ${unit}`];
  if (baseline !== undefined) {
    parts.push(
      `(${((100 * value) / baseline.value).toFixed(0)} % of ${baseline.what}: ${formatNumber(baseline.value)})`,
    );
  }
  for (const [name, detail] of Object.entries(details ?? {})) {
    parts.push(`${name} ${typeof detail === 'number' ? formatNumber(detail) : detail}`);
  }
  return parts.join('  ');
}

function formatNumber(value: number): string {
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString('en-US');
  return value.toPrecision(3);
}

/** The value below which the share `p` of the samples lies. */
export function percentile(samples: readonly number[], p: number): number {
  const sorted = [...samples].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(p * sorted.length))] ?? NaN;
}

/** The middle one: what a single odd repetition cannot move. */
export function median(samples: readonly number[]): number {
  return percentile(samples, 0.5);
}

/** How fast a number rises, by least squares over the samples. */
export function growthPerSecond(samples: readonly { atMs: number; value: number }[]): number {
  const meanMs = samples.reduce((sum, { atMs }) => sum + atMs, 0) / samples.length;
  const mean = samples.reduce((sum, { value }) => sum + value, 0) / samples.length;
  let [upper, lower] = [0, 0];
  for (const { atMs, value } of samples) {
    upper += (atMs - meanMs) * (value - mean);
    lower += (atMs - meanMs) ** 2;
  }
  return lower === 0 ? 0 : (1000 * upper) / lower;
}

export interface Rate {
  perSecond: number;
  /** CPU time of this whole process, helper threads included. */
  cpuUs: number;
}

/** Runs the work, which does `operations` things, and gives what it did per second and spent per operation. */
export async function rateOf(operations: number, work: () => unknown): Promise<Rate> {
  const cpu = process.cpuUsage();
  const startedMs = performance.now();
  await work();
  const seconds = (performance.now() - startedMs) / 1000;
  return { perSecond: operations / seconds, cpuUs: cpuUs(cpu) / operations };
}

/**
 * Measures several ways in turn, again and again, so that all of them meet the same neighbours on the machine; after
 * one round that only warms up. Gives the median of each.
 */
export async function alternately<Way extends string>(
  repetitions: number,
  ways: Readonly<Record<Way, () => Promise<Rate>>>,
): Promise<Record<Way, Rate>> {
  const names = Object.keys(ways) as Way[];
  const rates = new Map<Way, Rate[]>(names.map((name) => [name, []]));
  for (let repetition = 0; repetition <= repetitions; repetition++) {
    for (const name of names) {
      const rate = await ways[name]();
      if (repetition > 0) rates.get(name)?.push(rate);
    }
  }
  return Object.fromEntries(
    names.map((name) => {
      const all = rates.get(name) ?? [];
      return [
        name,
        {
          perSecond: median(all.map(({ perSecond }) => perSecond)),
          cpuUs: median(all.map((rate) => rate.cpuUs)),
        },
      ];
    }),
  ) as Record<Way, Rate>;
}

/** CPU time of this process in µs since `since`. */
export function cpuUs(since?: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(since);
  return user + system;
}
