/**
 * The actor runtime alone: what a message, an actor, and a restart cost on each placement. Every rate stands beside the
 * bare mechanism, measured in turn in the same run.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Worker } from 'node:worker_threads';
import { fileURLToPath } from 'node:url';
import type { ActorRef, ReplyTo } from '../runtime/actor-ref.ts';
import { ActorSystem } from '../runtime/actor-system.ts';
import { ProcessSlot } from '../runtime/process/process-slot.ts';
import { CounterCollector } from '../runtime/shared/counters.ts';
import type { ChildSpec } from '../runtime/supervision/child-spec.ts';
import { localChild } from '../runtime/supervision/local-placement.ts';
import { Supervisor } from '../runtime/supervision/supervisor.ts';
import { ThreadPool } from '../runtime/thread/thread-pool.ts';
import { ThreadSlot } from '../runtime/thread/thread-slot.ts';
import { bareObjects, bareQueue, turns } from './support/bare-runtime.ts';
import { alternately, median, percentile, rateOf } from './support/bench.ts';
import type { BenchRun, Rate } from './support/bench.ts';
import type { ToThreadUnderTest } from './support/thread-under-test.ts';

const MAILBOX = { mailbox: { capacity: 65_536, overflow: 'refuse' as const } };
const BURST = 1_000;
/** Messages on their way to another thread at once: fewer than its mailbox holds. */
const WINDOW = 5_000;
/** The size of a syslog event. */
const PAYLOAD = new Uint8Array(325);
const HEAP_MB_MAX = 256;
const INTENSITY = { restartsMax: 1_000, windowMs: 60_000 };

export default async function runtime(run: BenchRun): Promise<void> {
  const repetitions = run.parameter('repetitions', 1, 7);
  await inThread(run, repetitions);
  await spawning(run, repetitions);
  await acrossThreads(run, repetitions);
  await restarts(run);
  await hangs(run);
}

function report(run: BenchRun, what: string, rate: Rate, baseline: { what: string; rate: Rate }): void {
  run.report({
    what,
    value: rate.perSecond,
    unit: '/s',
    baseline: { what: baseline.what, value: baseline.rate.perSecond },
    details: { 'CPU µs': rate.cpuUs, 'CPU µs of the baseline': baseline.rate.cpuUs },
  });
}

async function inThread(run: BenchRun, repetitions: number): Promise<void> {
  const messages = run.parameter('messages', 20_000, 2_000_000);
  const asks = run.parameter('asks', 2_000, 100_000);
  const rates = await alternately(repetitions, {
    fanIn: () => withSystem((system) => rateOf(messages, () => fanIn(system, messages))),
    pingPong: () => withSystem((system) => rateOf(messages, () => pingPong(system, messages))),
    queue: () => rateOf(messages, () => bareQueue(messages)),
    ask: () => withSystem((system) => rateOf(asks, () => askInTurn(system, asks))),
    turn: () => rateOf(asks, () => turns(asks)),
  });
  const queue = { what: 'a bare queue and handler', rate: rates.queue };
  report(run, 'tell, 4 senders to 1 actor', rates.fanIn, queue);
  report(run, 'tell, ping-pong', rates.pingPong, queue);
  report(run, 'ask, one after the other', rates.ask, { what: 'a turn of the event loop', rate: rates.turn });
}

async function withSystem<T>(work: (system: ActorSystem) => Promise<T>): Promise<T> {
  const system = new ActorSystem();
  try {
    return await work(system);
  } finally {
    await system.stop(1_000);
  }
}

function fanIn(system: ActorSystem, messages: number): Promise<void> {
  const senders = 4;
  return new Promise((resolve) => {
    let handled = 0;
    const sink = system.spawn<number>(
      () => ({
        handle: () => {
          handled += 1;
          if (handled === messages) resolve();
        },
      }),
      MAILBOX,
    );
    for (let sender = 0; sender < senders; sender++) {
      let left = messages / senders;
      system
        .spawn<'go'>(({ self }) => ({
          handle: (go) => {
            // A full mailbox gives the message back: the rest is sent in a later turn.
            for (let sent = 0; sent < BURST && left > 0; sent++, left--) {
              if (sink.tell(left) !== 'accepted') break;
            }
            if (left > 0) self.tell(go);
          },
        }))
        .tell('go');
    }
  });
}

function pingPong(system: ActorSystem, messages: number): Promise<void> {
  return new Promise((resolve) => {
    let pong: ActorRef<number> | undefined = undefined;
    const ping = system.spawn<number>(() => ({
      handle: (left) => {
        if (left <= 0) resolve();
        else pong?.tell(left - 1);
      },
    }));
    pong = system.spawn<number>(() => ({ handle: (left) => void ping.tell(left - 1) }));
    ping.tell(messages);
  });
}

async function askInTurn(system: ActorSystem, asks: number): Promise<void> {
  const echo = system.spawn<{ replyTo: ReplyTo<number>; value: number }>(() => ({
    handle: ({ replyTo, value }) => void replyTo.tell(value),
  }));
  for (let value = 0; value < asks; value++) {
    await echo.ask<number>((replyTo) => ({ replyTo, value }), { timeoutMs: 10_000 });
  }
}

async function spawning(run: BenchRun, repetitions: number): Promise<void> {
  const actors = run.parameter('actors', 2_000, 100_000);
  const spawnAll = async (system: ActorSystem): Promise<void> => {
    let last: ActorRef<ReplyTo<true>> | undefined;
    for (let at = 0; at < actors; at++) {
      last = system.spawn<ReplyTo<true>>(() => ({ handle: (replyTo) => void replyTo.tell(true) }));
    }
    await last?.ask<true>((replyTo) => replyTo, { timeoutMs: 30_000 });
  };
  const rates = await alternately(repetitions, {
    spawn: () => withSystem((system) => rateOf(actors, () => spawnAll(system))),
    objects: () => rateOf(actors, () => bareObjects(actors)),
  });
  report(run, 'spawn', rates.spawn, { what: 'bare objects with a queue', rate: rates.objects });

  const collect = garbageCollector();
  const bytes: number[] = [];
  for (let repetition = 0; repetition < repetitions; repetition++) {
    bytes.push(
      await withSystem(async (system) => {
        collect();
        const before = process.memoryUsage().heapUsed;
        await spawnAll(system);
        collect();
        return (process.memoryUsage().heapUsed - before) / actors;
      }),
    );
  }
  run.report({ what: 'heap per idle actor', value: median(bytes), unit: 'B' });
}

function garbageCollector(): () => void {
  setFlagsFromString('--expose-gc');
  return runInNewContext('gc') as () => void;
}

async function acrossThreads(run: BenchRun, repetitions: number): Promise<void> {
  const messages = run.parameter('threadMessages', 5_000, 200_000);
  const rounds = run.parameter('threadRounds', 500, 20_000);
  const pool = new ThreadPool({ spareThreads: 0, threadsMax: 1, heapMbMax: HEAP_MB_MAX });
  let onReply: (payload: unknown) => void = () => undefined;
  const slot = threadSlot(pool, { onMessage: (payload) => onReply(payload) });
  const running = await slot.start({ epoch: 1, previousExit: undefined });
  const bare = new Worker(new URL('./support/bare-thread.ts', import.meta.url));
  bare.on('message', (payload) => onReply(payload));
  const latencies: { slot: number[]; port: number[] } = { slot: [], port: [] };

  const oneWay = (post: (message: ToThreadUnderTest) => unknown): Promise<Rate> =>
    rateOf(messages, async () => {
      for (let left = messages; left > 0; left -= WINDOW) {
        const until = Math.min(WINDOW, left);
        const counted = new Promise((resolve) => (onReply = resolve));
        for (let sent = 0; sent < until; sent++) post({ what: 'count', until, payload: PAYLOAD });
        await counted;
      }
    });
  const roundTrip = (post: (message: ToThreadUnderTest) => unknown, into: number[]): Promise<Rate> =>
    rateOf(rounds, async () => {
      for (let round = 0; round < rounds; round++) {
        const startedMs = performance.now();
        const answered = new Promise((resolve) => (onReply = resolve));
        post({ what: 'echo', payload: PAYLOAD });
        await answered;
        into.push((performance.now() - startedMs) * 1000);
      }
    });
  const toSlot = (message: ToThreadUnderTest): boolean => slot.post(message);
  const toPort = (message: ToThreadUnderTest): void => bare.postMessage(message);
  const rates = await alternately(repetitions, {
    slotOneWay: () => oneWay(toSlot),
    portOneWay: () => oneWay(toPort),
    slotRound: () => roundTrip(toSlot, latencies.slot),
    portRound: () => roundTrip(toPort, latencies.port),
  });
  report(run, 'to an actor on another thread, 325 B', rates.slotOneWay, {
    what: 'a bare MessagePort',
    rate: rates.portOneWay,
  });
  run.report({
    what: 'round trip to another thread, p50',
    value: percentile(latencies.slot, 0.5),
    unit: 'µs',
    baseline: { what: 'a bare MessagePort', value: percentile(latencies.port, 0.5) },
    details: {
      'p99 µs': percentile(latencies.slot, 0.99),
      'p99 µs of the baseline': percentile(latencies.port, 0.99),
      'CPU µs': rates.slotRound.cpuUs,
    },
  });
  await running.stop(5_000);
  await bare.terminate();
  await pool.close();
}

async function restarts(run: BenchRun): Promise<void> {
  const actorRestarts = run.parameter('restarts.actor', 20, 500);
  const hostRestarts = run.parameter('restarts.host', 1, 25);
  reportTimes(
    run,
    'restart of an actor in its thread',
    await actorRestartTimes(actorRestarts),
    'failure → next message handled',
  );
  for (const spareThreads of [1, 0]) {
    const pool = new ThreadPool({ spareThreads, threadsMax: 1, heapMbMax: HEAP_MB_MAX });
    const slot = threadSlot(pool);
    const times = await killTimes(
      { id: 'thread', start: slot.start, restart: 'permanent', shutdownDeadlineMs: 2_000 },
      hostRestarts,
      (child) => child.kill(),
    );
    await pool.close();
    const what = `restart of a thread, ${spareThreads === 0 ? 'no spare' : 'one spare'}`;
    reportTimes(run, what, times, 'terminated → ready');
  }
  const slot = processSlot(10_000);
  const times = await killTimes(
    { id: 'process', start: slot.start, restart: 'permanent', shutdownDeadlineMs: 2_000 },
    hostRestarts,
    () => {
      // Never without a pid: 0 would be this process's own group.
      if (slot.pid !== undefined) process.kill(slot.pid, 'SIGKILL');
    },
  );
  reportTimes(run, 'restart of a process', times, 'SIGKILL → ready');
}

function reportTimes(run: BenchRun, what: string, timesMs: readonly number[], between: string): void {
  run.report({
    what: `${what}, p50`,
    value: median(timesMs),
    unit: 'ms',
    details: { 'p99 ms': percentile(timesMs, 0.99), between },
  });
}

async function actorRestartTimes(restartsWanted: number): Promise<number[]> {
  type Message = { replyTo: ReplyTo<number> } | 'fail';
  const system = new ActorSystem();
  const child = localChild<Message>(system, 'failing', () => ({
    handle: (message) => {
      if (message === 'fail') throw new Error('asked to');
      message.replyTo.tell(performance.now());
    },
  }));
  const supervisor = new Supervisor({
    id: 'bench',
    strategy: 'oneForOne',
    intensity: { ...INTENSITY, restartsMax: restartsWanted + 1 },
    children: [{ id: 'failing', start: child.start, restart: 'permanent', shutdownDeadlineMs: 1_000 }],
  });
  await supervisor.start();
  const timesMs: number[] = [];
  for (let restart = 0; restart < restartsWanted; restart++) {
    const startedMs = performance.now();
    child.ref.tell('fail');
    const handledMs = await child.ref.ask<number>((replyTo) => ({ replyTo }), { timeoutMs: 5_000 });
    timesMs.push(handledMs - startedMs);
  }
  await supervisor.stop(1_000);
  await system.stop(1_000);
  return timesMs;
}

/** From the death of a supervised child to the readiness of the next incarnation. */
async function killTimes(
  spec: ChildSpec,
  times: number,
  kill: (child: { kill(): void }) => void,
): Promise<number[]> {
  let started: (() => void) | undefined;
  let present = { kill: (): void => undefined };
  const child: ChildSpec = {
    ...spec,
    start: async (request) => {
      const running = await spec.start(request);
      present = { kill: () => running.kill('the benchmark') };
      started?.();
      return running;
    },
  };
  const supervisor = new Supervisor({
    id: 'bench',
    strategy: 'oneForOne',
    intensity: { ...INTENSITY, restartsMax: times + 1 },
    children: [child],
  });
  await supervisor.start();
  const timesMs: number[] = [];
  for (let time = 0; time < times; time++) {
    // Long enough for a spare thread to have been made again.
    await new Promise((resolve) => setTimeout(resolve, 400));
    const isBack = new Promise<void>((resolve) => (started = resolve));
    const startedMs = performance.now();
    kill(present);
    await isBack;
    timesMs.push(performance.now() - startedMs);
  }
  await supervisor.stop(5_000);
  return timesMs;
}

/** From the beginning of an endless loop to the end of the hung thread or process. */
async function hangs(run: BenchRun): Promise<void> {
  const times = run.parameter('hangs', 1, 5);
  const hangAfterMs = run.parameter('hangAfterMs', 1_500, 2_000);
  const pool = new ThreadPool({ spareThreads: 1, threadsMax: 1, heapMbMax: HEAP_MB_MAX });
  const thread = threadSlot(pool, { hangAfterMs });
  const child = processSlot(hangAfterMs);
  for (const [what, slot, hang] of [
    ['a thread', thread, () => thread.post({ what: 'hang' } satisfies ToThreadUnderTest)],
    ['a process', child, () => child.post('hang')],
  ] as const) {
    const timesMs: number[] = [];
    for (let time = 1; time <= times; time++) {
      const running = await slot.start({ epoch: time, previousExit: undefined });
      const startedMs = performance.now();
      hang();
      const reason = await running.exited;
      if (reason.kind !== 'hung') throw new Error(`${what} ended as ${reason.kind}, not as hung.`);
      timesMs.push(performance.now() - startedMs);
    }
    run.report({
      what: `hang of ${what}, begun → ended, p50`,
      value: median(timesMs),
      unit: 'ms',
      details: { 'max ms': Math.max(...timesMs), hangAfterMs },
    });
  }
  await pool.close();
}

function threadSlot(
  pool: ThreadPool,
  options: { hangAfterMs?: number; onMessage?: (payload: unknown) => void } = {},
): ThreadSlot {
  return new ThreadSlot({
    id: 'bench',
    pool,
    moduleUrl: new URL('./support/thread-under-test.ts', import.meta.url).href,
    params: async () => undefined,
    counterLayout: [],
    hangAfterMs: 10_000,
    startTimeoutMs: 10_000,
    ...options,
  });
}

function processSlot(hangAfterMs: number): ProcessSlot {
  return new ProcessSlot({
    id: 'bench',
    entry: fileURLToPath(new URL('./support/process-under-test.ts', import.meta.url)),
    params: () => undefined,
    collector: new CounterCollector(),
    hangAfterMs,
    startTimeoutMs: 10_000,
  });
}
