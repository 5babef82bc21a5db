/** An actor on another thread, reached over its slot's port: one way and there and back, beside a bare MessagePort. */
import { Worker } from 'node:worker_threads';
import { ThreadPool } from '../../runtime/thread/thread-pool.ts';
import { alternately, percentile, rateOf } from '../support/bench.ts';
import type { BenchRun, Rate } from '../support/bench.ts';
import type { ToThreadUnderTest } from '../support/thread-under-test.ts';
import { reportRate } from './report-rate.ts';
import { HEAP_MB_MAX, threadSlot } from './slots.ts';

/** Messages on their way to another thread at once: fewer than its mailbox holds. */
const WINDOW = 5_000;
/** The size of a syslog event. */
const PAYLOAD = new Uint8Array(325);

export async function acrossThreads(run: BenchRun, repetitions: number): Promise<void> {
  const messages = run.parameter('threadMessages', 5_000, 200_000);
  const rounds = run.parameter('threadRounds', 500, 20_000);
  const pool = new ThreadPool({ spareThreads: 0, threadsMax: 1, heapMbMax: HEAP_MB_MAX });
  let onReply: (payload: unknown) => void = () => undefined;
  const slot = threadSlot(pool, { onMessage: (payload) => onReply(payload) });
  const running = await slot.start({ epoch: 1, previousExit: undefined });
  const bare = new Worker(new URL('../support/bare-thread.ts', import.meta.url));
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
  reportRate(run, 'to an actor on another thread, 325 B', rates.slotOneWay, {
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
