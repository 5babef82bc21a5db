/**
 * What can be done to a node and to what stands around it, each by its name.
 *
 * Pids come from the node's own tree as it was last seen, and a signal goes only to a process that still belongs to
 * the node's directory. A fault that finds nobody to harm says so and counts as missed.
 */
import { readFileSync, readdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { NodeUnderTest, TreeNode } from '../support/node-under-test.ts';
import { processesOf } from '../support/node-under-test.ts';
import type { Sink, SinkMode } from '../support/sink.ts';

const ACTORS = ['match-0', 'forward-0', 'remediation-0'] as const;
const PROCESSES = ['gateway-0', 'admin', 'redis', 'postgres'] as const;
const SINK_MODES = ['fail', 'hang', 'swallow', 'drop', 'throttle', 'unauthorized'] as const;

export type FaultName =
  | `kill ${(typeof ACTORS)[number] | (typeof PROCESSES)[number] | 'supervisor' | 'node'}`
  | `pause ${(typeof PROCESSES)[number] | 'supervisor'}`
  | `sink ${(typeof SINK_MODES)[number]}`;

export const FAULTS: readonly FaultName[] = [
  ...ACTORS.map((id) => `kill ${id}` as const),
  ...PROCESSES.flatMap((id) => [`kill ${id}`, `pause ${id}`] as const),
  'kill supervisor',
  'kill node',
  'pause supervisor',
  ...SINK_MODES.map((mode) => `sink ${mode}` as const),
];

const PAUSE_MS = 3_000;
const SINK_MS = 2_000;
const WATCH_EVERY_MS = 200;
const START_ATTEMPTS_MAX = 6;
const ACTOR_BACK_MS = 10_000;
const ADMIN_AWAY_MS = 20_000;
const ABSENT_MS = 20_000;

export interface FaultResult {
  name: FaultName;
  /** Of `performance.now()`: from when on things may get well again. */
  overMs: number;
  /** Until the actor had a new epoch, or the node was ready again. */
  backMs?: number;
  missed?: string;
}

export class FaultInjector {
  readonly #node: NodeUnderTest;
  readonly #sink: Sink;
  /** Why a start after a killed supervisor had to be tried again. */
  readonly failedStarts: string[] = [];
  #tree: TreeNode[] = [];
  #isWatching = true;
  readonly #watching: Promise<void>;
  readonly #stopped = new Set<number>();
  #starting: Promise<unknown> = Promise.resolve();

  constructor(node: NodeUnderTest, sink: Sink) {
    this.#node = node;
    this.#sink = sink;
    this.#watching = this.#watch();
  }

  async inject(name: FaultName): Promise<FaultResult> {
    const [verb, target = ''] = name.split(' ');
    if (verb === 'sink') return this.#misbehave(name, target as SinkMode);
    if (verb === 'pause') return this.#pause(name, target);
    if (target === 'supervisor' || target === 'node') return this.#killAndStart(name, target);
    return ACTORS.some((id) => id === target) ? this.#killActor(name, target) : this.#kill(name, target);
  }

  /** Lets everything run again, and waits until the node is ready. */
  async heal(): Promise<void> {
    this.#sink.mode = 'take';
    for (const pid of this.#stopped) signal(pid, 'SIGCONT');
    await this.#node.whenReady();
    this.#isWatching = false;
    await this.#watching;
  }

  async #watch(): Promise<void> {
    while (this.#isWatching) {
      this.#tree = await this.#node.actors().catch(() => this.#tree);
      await sleep(WATCH_EVERY_MS);
    }
  }

  /** The process and, of a server, its own processes; waited for a while when it is being restarted. */
  async #pidsOf(target: string): Promise<number[]> {
    const deadlineMs = performance.now() + ABSENT_MS;
    for (;;) {
      const pid = target === 'supervisor' ? this.#node.pid : this.#tree.find(({ id }) => id === target)?.pid;
      if (pid !== undefined && processesOf(this.#node.dir).includes(pid)) {
        return target === 'postgres' ? [pid, ...childrenOf(pid)] : [pid];
      }
      if (performance.now() > deadlineMs) return [];
      await sleep(WATCH_EVERY_MS);
    }
  }

  async #misbehave(name: FaultName, mode: SinkMode): Promise<FaultResult> {
    this.#sink.mode = mode;
    await sleep(SINK_MS);
    if (this.#sink.mode === mode) this.#sink.mode = 'take';
    return { name, overMs: performance.now() };
  }

  async #kill(name: FaultName, target: string): Promise<FaultResult> {
    const [pid] = await this.#pidsOf(target);
    const overMs = performance.now();
    if (pid === undefined) return { name, overMs, missed: 'it does not run' };
    signal(pid, 'SIGKILL');
    return { name, overMs };
  }

  async #pause(name: FaultName, target: string): Promise<FaultResult> {
    const pids = await this.#pidsOf(target);
    if (pids.length === 0) return { name, overMs: performance.now(), missed: 'it does not run' };
    for (const pid of pids) {
      this.#stopped.add(pid);
      signal(pid, 'SIGSTOP');
    }
    await sleep(PAUSE_MS);
    for (const pid of pids) {
      this.#stopped.delete(pid);
      signal(pid, 'SIGCONT');
    }
    return { name, overMs: performance.now() };
  }

  async #killActor(name: FaultName, target: string): Promise<FaultResult> {
    const askedMs = performance.now();
    for (;;) {
      const overMs = performance.now();
      try {
        const { epoch } = await this.#node.actor(target);
        const { status } = await this.#node.admin(`/api/v2/actors/${target}/restart`, {
          method: 'POST',
          body: { how: 'kill' },
        });
        if (status !== 200) throw new Error(`answered ${status}`);
        return { name, overMs, ...(await this.#whenBack(target, epoch, overMs)) };
      } catch (thrown) {
        if (overMs - askedMs > ADMIN_AWAY_MS) return { name, overMs, missed: (thrown as Error).message };
        await sleep(WATCH_EVERY_MS);
      }
    }
  }

  async #whenBack(target: string, epoch: number, fromMs: number): Promise<{ backMs?: number }> {
    while (performance.now() - fromMs < ACTOR_BACK_MS) {
      const now = await this.#node.actor(target).catch(() => undefined);
      if (now !== undefined && now.epoch > epoch && now.status === 'running') {
        return { backMs: performance.now() - fromMs };
      }
      await sleep(10);
    }
    return {};
  }

  /** One at a time: two who start the same node would get in each other's way. */
  #killAndStart(name: FaultName, target: 'supervisor' | 'node'): Promise<FaultResult> {
    const result = this.#starting.then(() => this.#killAndStartNow(name, target));
    this.#starting = result.catch(() => undefined);
    return result;
  }

  /** As a service manager would: whatever keeps the new one from starting, it is started again. */
  async #killAndStartNow(name: FaultName, target: 'supervisor' | 'node'): Promise<FaultResult> {
    const overMs = performance.now();
    // The supervisor first, so that it starts none of the others again.
    this.#node.kill('SIGKILL');
    if (target === 'node') for (const pid of processesOf(this.#node.dir)) signal(pid, 'SIGKILL');
    await this.#node.exited();
    for (let attempt = 1; ; attempt++) {
      try {
        await this.#node.start();
        return { name, overMs, backMs: performance.now() - overMs };
      } catch (thrown) {
        const { message } = thrown as Error;
        if (attempt === START_ATTEMPTS_MAX) throw thrown;
        this.failedStarts.push(message);
        await sleep(500);
      }
    }
  }
}

/** Signals one part of a node, a server with its own processes; gives what lets it run again. */
export async function signalActor(
  node: NodeUnderTest,
  id: (typeof PROCESSES)[number],
  name: 'SIGSTOP' | 'SIGKILL',
): Promise<() => void> {
  const { pid } = await node.actor(id);
  if (pid === undefined) throw new Error(`${id} has no process`);
  const pids = id === 'postgres' && name === 'SIGSTOP' ? [pid, ...childrenOf(pid)] : [pid];
  for (const each of pids) signal(each, name);
  return () => {
    for (const each of pids) signal(each, 'SIGCONT');
  };
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // It has ended meanwhile.
  }
}

function childrenOf(parent: number): number[] {
  return readdirSync('/proc')
    .map(Number)
    .filter((pid) => {
      if (!Number.isInteger(pid)) return false;
      try {
        const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
        return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]) === parent;
      } catch {
        return false;
      }
    });
}
