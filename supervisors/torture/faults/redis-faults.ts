/** The private Redis of a node: away, stopped, slow, without its scripts, without room. */
import { spawnSync } from 'node:child_process';
import { LimitedWrites } from '../limited-writes.ts';
import { between, lasting, persistently } from './fault.ts';
import type { FaultKind, Harm } from './fault.ts';
import { found, kill, partOf, stopFor } from './process-faults.ts';

const SLOW_MS = { min: 2_000, max: 4_000 };
const PAUSE_MS = { min: 50, max: 400 };
const FULL_MS = { min: 1_000, max: 4_000 };
/** What Redis may still take when its memory is filled. */
const ROOM_BYTES = 32 * 1024;

/** Why a limit on what a process may write cannot be set here; undefined: it can. */
export function writesUnlimitable(): string | undefined {
  const { error, status } = spawnSync('prlimit', ['--version'], { stdio: 'ignore' });
  return error === undefined && status === 0
    ? undefined
    : 'there is no prlimit on this machine (package util-linux)';
}

async function slow({ node, random, signal }: Harm): Promise<void> {
  const endsAtMs = performance.now() + between(random, SLOW_MS.min, SLOW_MS.max);
  while (performance.now() < endsAtMs && !signal.aborted) {
    const pauseMs = between(random, PAUSE_MS.min, PAUSE_MS.max);
    await persistently(() => node.redis('CLIENT', 'PAUSE', pauseMs, 'ALL'), signal);
    await lasting(pauseMs + PAUSE_MS.min, signal);
  }
}

async function fillMemory({ node, random, signal }: Harm): Promise<void> {
  const read = async (): Promise<[max: string, used: number]> => {
    const [, max = ''] = (await node.redis('CONFIG', 'GET', 'maxmemory')) as string[];
    const memory = String(await node.redis('INFO', 'memory'));
    return [max, Number(/used_memory:(\d+)/.exec(memory)?.[1])];
  };
  const [max, used] = await persistently(read, signal);
  await node.redis('CONFIG', 'SET', 'maxmemory', used + ROOM_BYTES);
  try {
    await lasting(between(random, FULL_MS.min, FULL_MS.max), signal);
  } finally {
    await persistently(() => node.redis('CONFIG', 'SET', 'maxmemory', max), signal);
  }
}

async function fillDisk(harm: Harm): Promise<void> {
  const { node, random, signal } = harm;
  await found(harm, 'Redis', partOf('redis'));
  // Its supervisor too: what is started again must not find room.
  const chosen = (): number[] => [...(node.isRunning ? [node.pid] : []), ...node.pidsOf('redis')];
  const disk = new LimitedWrites(chosen, () => node.processes);
  disk.fill();
  try {
    await lasting(between(random, FULL_MS.min, FULL_MS.max), signal);
  } finally {
    disk.free();
  }
}

export const REDIS_FAULTS: readonly FaultKind[] = [
  {
    name: 'redis-kill',
    what: 'the Redis of a node gets SIGKILL',
    takes: ['node'],
    inject: (harm) => kill(harm, 'Redis', partOf('redis')),
  },
  {
    name: 'redis-stop',
    what: 'the Redis of a node is stopped and continued',
    takes: ['node'],
    inject: (harm) => stopFor(harm, 'Redis', partOf('redis')),
  },
  {
    name: 'redis-slow',
    what: 'Redis answers late, again and again (CLIENT PAUSE)',
    takes: ['node'],
    inject: slow,
  },
  {
    name: 'redis-scripts-flushed',
    what: 'Redis forgets every script (SCRIPT FLUSH)',
    takes: ['node'],
    inject: async ({ node, signal }) =>
      void (await persistently(() => node.redis('SCRIPT', 'FLUSH', 'SYNC'), signal)),
  },
  {
    name: 'redis-connections-cut',
    what: 'Redis closes every connection (CLIENT KILL)',
    takes: ['node'],
    inject: async ({ node, signal }) =>
      void (await persistently(
        () => node.redis('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes'),
        signal,
      )),
  },
  {
    name: 'redis-memory-full',
    what: 'Redis has no memory left (maxmemory is lowered to what it uses, and raised again)',
    takes: ['node'],
    inject: fillMemory,
  },
  {
    name: 'redis-disk-full',
    what: 'the disk under Redis is full: nothing it writes to a file fits (RLIMIT_FSIZE of 0), nor what is started in its place',
    takes: ['node'],
    impossible: writesUnlimitable,
    inject: fillDisk,
  },
];
