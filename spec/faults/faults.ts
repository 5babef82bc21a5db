/**
 * The table of faults: each breaks something for real while messages flow, and tells what was not as it must be.
 * That nothing is lost or doubled is not judged here but by the accounts afterwards.
 */
import { fork } from 'node:child_process';
import { cpSync, rmSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import type { Poison } from '../fixtures/faults/message.ts';
import type { StaleOwnerOrder } from '../fixtures/faults/stale-owner.ts';
import { specDirectory } from '../support/servers.ts';
import { KEY_PREFIX, LEASE_TTL_MS, PARTITIONS } from './pipeline.ts';
import type { Pipeline } from './pipeline.ts';

export interface FaultContext {
  pipeline: Pipeline;
  /** Uniform in [0, 1), from the run's seed. */
  random: () => number;
  /** Acknowledgements to wait for before and after, at least. */
  acknowledgements: number;
}

/** Rejects with what is not as it must be. */
export type Fault = (context: FaultContext) => Promise<void>;

const REFUSALS_MIN = 20;
const FLUSHES = 30;
const POISON_ATTEMPTS_MAX = 5;
/** One for the frame, one for its half, two for the message alone. */
const BISECTING_DEATHS_MIN = 4;

export const FAULTS: Readonly<Record<string, Fault>> = {
  'handler throws': (context) => poison(context, 'throw'),
  'poison loops': (context) => poison(context, 'loop'),
  'poison fills the heap': (context) => poison(context, 'memory'),
  'poison exits': (context) => poison(context, 'exit'),
  'redis killed': withoutRestart(async ({ pipeline }) => {
    pipeline.server.kill('SIGKILL');
    await pipeline.server.exited;
    await pipeline.restartServer();
  }),
  'redis stopped': withoutRestart(async ({ pipeline, random }) => {
    pipeline.server.kill('SIGSTOP');
    // Longer than the submissions' deadlines and the leases' time to live.
    await delay(LEASE_TTL_MS * (1.1 + random() / 2));
    pipeline.server.kill('SIGCONT');
  }),
  'scripts flushed': withoutRestart(async ({ pipeline, random }) => {
    for (let flush = 0; flush < FLUSHES; flush += 1) {
      await pipeline.admin.script('FLUSH');
      await delay(random() * 10);
    }
  }),
  'memory full': withoutRestart(memoryFull),
  'redis older': redisOlder,
  'stale owner': staleOwner,
};

/** What is no fault of a thread must not end one. */
function withoutRestart(breakIt: Fault): Fault {
  return async (context) => {
    const { pipeline, acknowledgements } = context;
    await pipeline.traffic(acknowledgements);
    const before = PARTITIONS.map((partition) => pipeline.epochOf(partition));
    await breakIt(context);
    await pipeline.traffic(acknowledgements);
    const after = PARTITIONS.map((partition) => pipeline.epochOf(partition));
    if (String(after) !== String(before))
      throw new Error(`threads were restarted: epochs ${String(before)} became ${String(after)}`);
  };
}

async function poison({ pipeline, random, acknowledgements }: FaultContext, kind: Poison): Promise<void> {
  await pipeline.traffic(acknowledgements);
  const victim = random() < 0.5 ? 0 : 1;
  const other = 1 - victim;
  const otherEpoch = pipeline.epochOf(other);
  const restarts = pipeline.restartsOf(victim);
  let id: number | undefined;
  for (let attempt = 0; id === undefined && attempt < POISON_ATTEMPTS_MAX; attempt += 1) {
    id = await pipeline.producer.submitAmongOthers(victim, kind);
  }
  if (id === undefined) throw new Error('the poison was never acknowledged');
  const poisonId = id;
  const handledByOther = pipeline.handledBy(other);
  await pipeline.until(`the quarantine of ${kind}`, () => pipeline.isQuarantined(poisonId, victim));
  if (pipeline.handledBy(other) <= handledByOther)
    throw new Error('the other consumer stood still meanwhile');
  if (pipeline.epochOf(other) !== otherEpoch) throw new Error('the other consumer was restarted');
  const deaths = pipeline.restartsOf(victim) - restarts;
  if (kind === 'throw' && deaths > 0) throw new Error('a throw took the thread along');
  if (kind !== 'throw' && deaths < BISECTING_DEATHS_MIN) throw new Error(`found after only ${deaths} deaths`);
  await pipeline.traffic(acknowledgements);
}

async function memoryFull({ pipeline }: FaultContext): Promise<void> {
  const { admin, producer } = pipeline;
  const [, limit = '0'] = (await admin.config('GET', 'maxmemory')) as [string, string];
  const [, used = '0'] = /used_memory:(\d+)/.exec(await admin.info('memory')) ?? [];
  const refused = (): number => producer.refusals.get('E_STORE_MEMORY') ?? 0;
  const before = refused();
  await admin.config('SET', 'maxmemory', used);
  try {
    await pipeline.until('a refusal', () => refused() >= before + REFUSALS_MIN);
    // Commits go through all the same, so what is there drains.
    await admin.config('SET', 'maxmemory', 1);
    await pipeline.until('an empty mailbox at full memory', () => pipeline.isDrained());
  } finally {
    await admin.config('SET', 'maxmemory', limit);
  }
}

async function redisOlder({ pipeline, acknowledgements }: FaultContext): Promise<void> {
  const { producer, witness } = pipeline;
  const copy = `${specDirectory('faults-copy')}/data`;
  await pipeline.traffic(acknowledgements);
  await producer.pause();
  const known = await Promise.all(PARTITIONS.map((partition) => pipeline.acceptedIn(partition)));
  await pipeline.server.stop();
  cpSync(pipeline.dataDir, copy, { recursive: true });
  await pipeline.restartServer();
  producer.start();
  await pipeline.traffic(acknowledgements);

  pipeline.server.kill('SIGKILL');
  await pipeline.server.exited;
  await producer.pause();
  const reportedBefore = producer.lost.length;
  const expected = PARTITIONS.map((partition) => ({
    partition,
    from: (known[partition] ?? 0) + 1,
    to: witness.highest(partition),
  }));
  rmSync(pipeline.dataDir, { recursive: true });
  cpSync(copy, pipeline.dataDir, { recursive: true, preserveTimestamps: true });
  await pipeline.restartServer();
  producer.start();
  await pipeline.traffic(acknowledgements);
  const told = producer.lost.slice(reportedBefore).sort((a, b) => a.partition - b.partition);
  if (JSON.stringify(told) !== JSON.stringify(expected)) {
    throw new Error(`the witness said ${JSON.stringify(told)} where ${JSON.stringify(expected)} is gone`);
  }
}

async function staleOwner({ pipeline, random, acknowledgements }: FaultContext): Promise<void> {
  await pipeline.traffic(acknowledgements);
  const partition = random() < 0.5 ? 0 : 1;
  const token = pipeline.tokens.get(partition);
  if (token === undefined) throw new Error('no token');
  const child = fork(new URL('../fixtures/faults/stale-owner.ts', import.meta.url));
  let isInHand = false;
  let ended: string | undefined;
  child.on('message', (message: { ended?: string }) => {
    isInHand = true;
    ended = message.ended;
  });
  child.once('exit', () => (ended ??= 'its death'));
  try {
    const order: StaleOwnerOrder = {
      redisUrl: pipeline.server.url,
      keyPrefix: KEY_PREFIX,
      partition,
      token,
    };
    child.send(order);
    // It has a batch in hand, and stands still there.
    await pipeline.until('a batch in the hands of the stale owner', () => isInHand);
    child.kill('SIGSTOP');
    const epoch = pipeline.epochOf(partition);
    await pipeline.supervisor.restartChild(`consumer-${partition}`);
    if (pipeline.epochOf(partition) <= epoch) throw new Error('no take-over');
    await pipeline.traffic(acknowledgements);
    child.send('go on');
    child.kill('SIGCONT');
    await pipeline.until('the end of the stale owner', () => ended !== undefined);
    if (ended !== 'E_FENCED') throw new Error(`the stale owner ended with ${ended}`);
  } finally {
    child.kill('SIGCONT');
    child.kill('SIGKILL');
  }
  await pipeline.traffic(acknowledgements);
}
