/** What the parts of the nodes use: read from /proc, and so from outside. */
import { readFileSync, readdirSync } from 'node:fs';
import type { TorturedNode } from './tortured-node.ts';
import type { GrowthFigures } from './run-record.ts';

const PARTS = ['gateway-0', 'admin', 'redis'];
const KIB = 1024;

/** By the name of the node and of the part; a part that does not run is left out. */
export function measureParts(nodes: readonly TorturedNode[]): Map<string, GrowthFigures> {
  const measured = new Map<string, GrowthFigures>();
  for (const node of nodes) {
    const pids: [part: string, pid: number | undefined][] = [
      ['supervisor', node.isRunning ? node.pid : undefined],
      ...PARTS.map((part): [string, number | undefined] => [part, node.pidOf(part)]),
    ];
    for (const [part, pid] of pids) {
      const figures = pid === undefined ? undefined : figuresOf(pid);
      if (figures !== undefined) measured.set(`${node.name} ${part}`, figures);
    }
  }
  return measured;
}

function figuresOf(pid: number): GrowthFigures | undefined {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    const field = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1]);
    return {
      memoryBytes: field('VmRSS') * KIB,
      threads: field('Threads'),
      openFiles: readdirSync(`/proc/${pid}/fd`).length,
    };
  } catch {
    // It has ended, or is another user's.
    return undefined;
  }
}
