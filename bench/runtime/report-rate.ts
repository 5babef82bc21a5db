/** One row: a rate beside another of the same run. */
import type { BenchRun, Rate } from '../support/bench.ts';

export function reportRate(
  run: BenchRun,
  what: string,
  rate: Rate,
  baseline: { what: string; rate: Rate },
  details: Record<string, number | string> = {},
): void {
  run.report({
    what,
    value: rate.perSecond,
    unit: '/s',
    baseline: { what: baseline.what, value: baseline.rate.perSecond },
    details: { 'CPU µs': rate.cpuUs, 'CPU µs of the baseline': baseline.rate.cpuUs, ...details },
  });
}
