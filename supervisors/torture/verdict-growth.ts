/**
 * What has grown over a run. A part of a node may keep caches, pools and a warm heap; what it may not do is keep something of
 * each event or of each fault, so the allowances do not depend on how much was sent.
 */
import { Examples } from './examples.ts';
import { findingOf } from './finding.ts';
import type { Finding } from './finding.ts';
import type { GrowthFigures, RunRecord } from './run-record.ts';

const MIB = 1024 * 1024;
/** So much more is allowed: a share of what it was, and something beside. */
const ALLOWANCES: Record<keyof GrowthFigures, { ratio: number; more: number }> = {
  memoryBytes: { ratio: 0.5, more: 128 * MIB },
  threads: { ratio: 0, more: 8 },
  openFiles: { ratio: 0.25, more: 32 },
  connections: { ratio: 0.25, more: 16 },
};

export function judgeGrowth({ begin, end }: RunRecord['growth']): Finding[] {
  const found = new Examples();
  for (const [part, figures] of end) {
    // One that was not there may have been started meanwhile; it has nothing to be compared with.
    const first = begin.get(part);
    if (first === undefined) continue;
    for (const name of Object.keys(ALLOWANCES) as (keyof GrowthFigures)[]) {
      const [before, after] = [first[name], figures[name]];
      const { ratio, more } = ALLOWANCES[name];
      if (before === undefined || after === undefined || after <= before * (1 + ratio) + more) continue;
      found.add(() => `${part}: ${name} ${before} and then ${after}`);
    }
  }
  return findingOf('growth', 'nodes', 'figures have grown', found);
}
