/** What the parts of the nodes and their PostgreSQL use: read from /proc, and so from outside. */
import { readFileSync, readdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { GrowthFigures } from './run-record.ts';
import type { TorturedNode } from './tortured-node.ts';
import type { TorturedPostgres } from './tortured-postgres.ts';

const PARTS = ['gateway-0', 'admin', 'redis'];
const KIB = 1024;

/** By the name of the node and of the part; a part that does not run is left out. */
export function measureParts(
  nodes: readonly TorturedNode[],
  postgres: TorturedPostgres,
): Map<string, GrowthFigures> {
  const measured = new Map<string, GrowthFigures>();
  // A process for each connection, and some of its own.
  measured.set('postgres', { connections: postgres.pids.length - 1 });
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
    const directory = `/proc/${pid}/fd`;
    const files = readdirSync(directory);
    return {
      memoryBytes: field('VmRSS') * KIB,
      threads: field('Threads'),
      openFiles: files.length,
      connections: files.filter((file) => isSocket(join(directory, file))).length,
    };
  } catch {
    // It has ended, or is another user's.
    return undefined;
  }
}

function isSocket(file: string): boolean {
  try {
    return readlinkSync(file).startsWith('socket:');
  } catch {
    // Closed meanwhile.
    return false;
  }
}
