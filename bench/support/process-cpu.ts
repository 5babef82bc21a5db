/**
 * What a tree of processes costs, read from /proc (Linux): CPU time per process and per thread, and resident memory.
 *
 * Threads are told apart by their names, which workers give themselves (runtime/shared/thread-name.ts).
 */
import { readFileSync, readdirSync } from 'node:fs';

/** Linux counts CPU time in hundredths of a second on every platform Node runs on. */
const MS_PER_TICK = 10;

export interface ProcessSample {
  pid: number;
  command: string;
  cpuMs: number;
  rssBytes: number;
  /** By thread id. The first thread of a process has the process's own id. */
  threads: Map<number, { name: string; cpuMs: number }>;
}

/** The process, and everything it and its children have started. */
export function sampleTree(root: number): ProcessSample[] {
  const children = new Map<number, number[]>();
  for (const name of readdirSync('/proc')) {
    const pid = Number(name);
    const parent = Number.isInteger(pid) ? Number(readStat(`/proc/${pid}/stat`)?.fields[1]) : NaN;
    if (!Number.isNaN(parent)) children.set(parent, [...(children.get(parent) ?? []), pid]);
  }
  const samples: ProcessSample[] = [];
  const visit = (pid: number): void => {
    const sample = sampleProcess(pid);
    if (sample !== undefined) samples.push(sample);
    for (const child of children.get(pid) ?? []) visit(child);
  };
  visit(root);
  return samples;
}

function sampleProcess(pid: number): ProcessSample | undefined {
  try {
    const stat = readStat(`/proc/${pid}/stat`);
    if (stat === undefined) return undefined;
    const threads: ProcessSample['threads'] = new Map();
    for (const thread of readdirSync(`/proc/${pid}/task`)) {
      const ofThread = readStat(`/proc/${pid}/task/${thread}/stat`);
      if (ofThread === undefined) continue;
      const cpuMs = scheduledMs(`/proc/${pid}/task/${thread}/schedstat`) ?? cpuMsOf(ofThread);
      threads.set(Number(thread), { name: ofThread.name, cpuMs });
    }
    return {
      pid,
      command: readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim(),
      cpuMs: cpuMsOf(stat),
      rssBytes: Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) * 1024,
      threads,
    };
  } catch {
    // It has ended meanwhile.
    return undefined;
  }
}

/** The name, which may hold anything, and the fields behind it. */
interface Stat {
  name: string;
  fields: string[];
}

function readStat(path: string): Stat | undefined {
  try {
    const text = readFileSync(path, 'utf8');
    const end = text.lastIndexOf(')');
    return { name: text.slice(text.indexOf('(') + 1, end), fields: text.slice(end + 2).split(' ') };
  } catch {
    return undefined;
  }
}

function cpuMsOf({ fields }: Stat): number {
  return (Number(fields[11]) + Number(fields[12])) * MS_PER_TICK;
}

/** In nanoseconds by the scheduler's own count, where the kernel keeps it: ticks are too coarse for short work. */
function scheduledMs(path: string): number | undefined {
  try {
    return Number(readFileSync(path, 'utf8').split(' ')[0]) / 1e6;
  } catch {
    return undefined;
  }
}
