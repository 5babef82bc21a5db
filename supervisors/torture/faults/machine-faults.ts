/** The machine: processors taken by others, clocks that jump; and senders that flood. */
import { spawn } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { between, lasting } from './fault.ts';
import type { FaultKind, Harm } from './fault.ts';

const BUSY_MS = { min: 1_000, max: 4_000 };
const JUMP_MS = { min: 10_000, max: 3_600_000 };
const JUMPED_MS = { min: 1_000, max: 4_000 };
const FLOOD_MS = { min: 500, max: 2_000 };
const FLOOD_EVENTS = 400;

/** Two busy loops for each processor. */
async function takeProcessors({ rig, random, signal }: Harm): Promise<void> {
  const loops = Array.from({ length: 2 * availableParallelism() }, () =>
    spawn(process.execPath, ['-e', 'for (;;);'], {
      env: { ...process.env, ...rig.directory.environment },
      stdio: 'ignore',
    }),
  );
  try {
    await lasting(between(random, BUSY_MS.min, BUSY_MS.max), signal);
  } finally {
    for (const loop of loops) loop.kill('SIGKILL');
  }
}

async function jump({ node, random, signal }: Harm, direction: 1 | -1): Promise<void> {
  node.setClock(direction * between(random, JUMP_MS.min, JUMP_MS.max));
  await lasting(between(random, JUMPED_MS.min, JUMPED_MS.max), signal);
  node.setClock(0);
}

async function flood({ node, traffic, random, signal }: Harm): Promise<void> {
  const host = traffic.newHost('flood');
  const endsAtMs = performance.now() + between(random, FLOOD_MS.min, FLOOD_MS.max);
  while (performance.now() < endsAtMs && !signal.aborted) {
    const made = Array.from({ length: FLOOD_EVENTS }, () => traffic.make(host, false));
    const status = await traffic.post(node, JSON.stringify(made.map(({ document }) => document)));
    if (status === 200) traffic.answered.addAll(made.map(({ event }) => event));
  }
}

export const MACHINE_FAULTS: readonly FaultKind[] = [
  {
    name: 'processors-taken',
    what: 'two busy loops for each processor take it for seconds',
    takes: ['machine'],
    inject: takeProcessors,
  },
  {
    name: 'clock-forward',
    what: 'the wall clock of a node jumps ahead by up to an hour, and back again',
    takes: ['node'],
    inject: (harm) => jump(harm, 1),
  },
  {
    name: 'clock-back',
    what: 'the wall clock of a node jumps back by up to an hour, and ahead again',
    takes: ['node'],
    inject: (harm) => jump(harm, -1),
  },
  {
    name: 'host-floods',
    what: 'one host sends as fast as it can',
    takes: ['node'],
    inject: flood,
  },
];
