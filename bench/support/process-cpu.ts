/**
 * What a tree of processes costs, read from /proc (Linux): CPU time per process and per thread, and resident memory.
 *
 * Threads of Node all have one name, so they are told apart by what they wait for: only event loops wait in epoll. The
 * first is the process's own; the others are workers in the order of their start, which the caller knows and names.
 */
import { readFileSync, readdirSync } from 'node:fs';

/** Linux counts CPU time in hundredths of a second on every platform Node runs on. */
const MS_PER_TICK = 10;

export interface ProcessSample {
  pid: number;
  command: string;
  cpuMs: number;
  rssBytes: number;
  /** Thread id to CPU time. */
  threads: Map<number, number>;
}

/** The process, and everything it and its children have started. */
export function sampleTree(root: number): ProcessSample[] {
  const children = new Map<number, number[]>();
  for (const name of readdirSync('/proc')) {
    const pid = Number(name);
    const parent = Number.isInteger(pid) ? Number(statFields(`/proc/${pid}/stat`)?.[1]) : NaN;
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
    const fields = statFields(`/proc/${pid}/stat`);
    if (fields === undefined) return undefined;
    const threads = new Map<number, number>();
    for (const thread of readdirSync(`/proc/${pid}/task`)) {
      const ofThread = statFields(`/proc/${pid}/task/${thread}/stat`);
      if (ofThread !== undefined) threads.set(Number(thread), cpuMsOf(ofThread));
    }
    return {
      pid,
      command: readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim(),
      cpuMs: cpuMsOf(fields),
      rssBytes: Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) * 1024,
      threads,
    };
  } catch {
    // It has ended meanwhile.
    return undefined;
  }
}

/** The threads that run an event loop, in the order of their start. To be asked while they are idle. */
export function eventLoops(pid: number): number[] {
  return readdirSync(`/proc/${pid}/task`)
    .map(Number)
    .sort((a, b) => a - b)
    .filter((thread) => {
      const at = `/proc/${pid}/task/${thread}`;
      if (!readFileSync(`${at}/comm`, 'utf8').startsWith('node')) return false;
      return thread === pid || readFileSync(`${at}/wchan`, 'utf8').includes('epoll');
    });
}

/** Fields from the third on: the name before them may hold anything. */
function statFields(path: string): string[] | undefined {
  try {
    const text = readFileSync(path, 'utf8');
    return text.slice(text.lastIndexOf(')') + 2).split(' ');
  } catch {
    return undefined;
  }
}

function cpuMsOf(fields: readonly string[]): number {
  return (Number(fields[11]) + Number(fields[12])) * MS_PER_TICK;
}
