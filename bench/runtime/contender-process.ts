/**
 * The process in which one contender is measured: none shares a heap, a compiler or changed globals with another.
 */
import { cpuUs, rateOf } from '../support/bench.ts';
import type { Rate } from '../support/bench.ts';
import { skynetSum } from './contender.ts';
import type { Contender, Operation } from './contender.ts';

export type ToContender = { what: 'rate' | 'heap'; operation: Operation; size: number };
export type FromContender = { rate: Rate } | { bytes: number } | { unable: true } | { error: string };

const { default: contender } = (await import(process.argv[2] ?? '')) as { default: Contender };

async function measure({ what, operation, size }: ToContender): Promise<FromContender> {
  const world = await contender.open();
  const run = world[operation]?.bind(world);
  try {
    if (run === undefined) return { unable: true };
    // What the measurement before has left is not this one's to clean up.
    global.gc?.();
    if (what === 'heap') return { bytes: await heapOf(() => run(size)) };
    let result: unknown;
    const rate = await rateOf(size, async () => {
      result = await run(size);
    });
    if (operation === 'skynet' && result !== skynetSum(size)) {
      return { error: `the skynet of ${size} leaves gave ${String(result)}` };
    }
    return { rate };
  } finally {
    await world.close();
  }
}

async function heapOf(make: () => Promise<unknown>): Promise<number> {
  const before = process.memoryUsage().heapUsed;
  await make();
  global.gc?.();
  return process.memoryUsage().heapUsed - before;
}

process.on('message', (request: ToContender) => {
  void measure(request).then(
    (answer) => process.send?.(answer),
    (error: Error) => process.send?.({ error: error.stack ?? error.message } satisfies FromContender),
  );
});
process.on('disconnect', () => process.exit(0));
process.send?.({ rate: { perSecond: 0, cpuUs: cpuUs() } } satisfies FromContender);
