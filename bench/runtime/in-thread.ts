/**
 * Messages and actors within one thread: ours beside the bare mechanism, a bare MessagePort and the actor libraries for
 * Node, measured in turn, each in a process of its own.
 */
import { readFileSync } from 'node:fs';
import { alternately, median } from '../support/bench.ts';
import type { BenchRun, Rate } from '../support/bench.ts';
import type { Operation } from './contender.ts';
import { ContenderHost } from './contender-host.ts';
import { reportRate } from './report-rate.ts';

const { comedy, nact, xstate } = (
  JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
    devDependencies: Record<string, string>;
  }
).devDependencies;

/** Beside ours. `share`: of our number of operations, so that a slow one does not take minutes. */
const OTHERS = [
  { name: 'supervised', url: new URL('./contenders/supervised.ts', import.meta.url), share: 1 },
  { name: 'with a black box', url: new URL('./contenders/recorded.ts', import.meta.url), share: 1 },
  { name: 'a bare MessagePort', url: new URL('./contenders/message-port.ts', import.meta.url), share: 0.1 },
  { name: `nact ${nact}`, url: new URL('./contenders/nact.ts', import.meta.url), share: 0.1 },
  { name: `XState ${xstate}`, url: new URL('./contenders/xstate.ts', import.meta.url), share: 0.1 },
  { name: `comedy ${comedy}`, url: new URL('./contenders/comedy.ts', import.meta.url), share: 0.01 },
] as const;

interface Field {
  ours: ContenderHost;
  bare: ContenderHost;
  others: { host: ContenderHost; share: number }[];
}

export async function inThread(run: BenchRun, repetitions: number): Promise<void> {
  const field: Field = {
    ours: new ContenderHost('ours', new URL('./contenders/ours.ts', import.meta.url)),
    bare: new ContenderHost('bare', new URL('./contenders/bare.ts', import.meta.url)),
    others: OTHERS.map(({ name, url, share }) => ({ host: new ContenderHost(name, url), share })),
  };
  try {
    await telling(run, field, repetitions);
    await spawning(run, field, repetitions);
    await skynet(run, field);
  } finally {
    for (const host of [field.ours, field.bare, ...field.others.map(({ host }) => host)]) host.end();
  }
}

async function telling(run: BenchRun, field: Field, repetitions: number): Promise<void> {
  const messages = run.parameter('messages', 20_000, 2_000_000);
  const asks = run.parameter('asks', 2_000, 100_000);
  const queue = 'a bare queue and handler';
  await compare(run, field, 'fanIn', 'tell, 4 senders to 1 actor', messages, repetitions, queue);
  await compare(run, field, 'pingPong', 'tell, ping-pong', messages, repetitions, queue);
  const turn = 'a turn of the event loop';
  await compare(run, field, 'askInTurn', 'ask, one after the other', asks, repetitions, turn);
}

async function spawning(run: BenchRun, field: Field, repetitions: number): Promise<void> {
  const actors = run.parameter('actors', 2_000, 100_000);
  await compare(run, field, 'spawnAll', 'spawn', actors, repetitions, 'bare objects with a queue');
  const heapOf = async (host: ContenderHost, size: number): Promise<number | undefined> => {
    const bytes: number[] = [];
    // The first one also loads and compiles.
    for (let repetition = 0; repetition <= repetitions; repetition++) {
      const held = await host.heapBytes('spawnAll', size);
      if (held === undefined) return undefined;
      if (repetition > 0) bytes.push(held / size);
    }
    return median(bytes);
  };
  const ours = (await heapOf(field.ours, actors)) ?? NaN;
  run.report({ what: 'heap per idle actor', value: ours, unit: 'B' });
  for (const { host, share } of field.others) {
    const value = await heapOf(host, Math.round(actors * share));
    if (value === undefined) continue;
    const baseline = { what: 'ours', value: ours };
    run.report({ what: `heap per idle actor, ${host.name}`, value, unit: 'B', baseline });
  }
}

/** The whole tree at once: a million leaves for us, for the others what they bear. */
async function skynet(run: BenchRun, { ours, others }: Field): Promise<void> {
  const leaves = run.parameter('skynet.leaves', 1_000, 1_000_000);
  const leavesOfOthers = run.parameter('skynet.leavesOfOthers', 100, 100_000);
  const leavesOfComedy = run.parameter('skynet.leavesOfComedy', 10, 1_000);
  const rateOf = async (host: ContenderHost, size: number): Promise<Rate | undefined> => {
    const small = await host.rate('skynet', size / 10);
    return small === undefined ? undefined : host.rate('skynet', size);
  };
  const rate = (await rateOf(ours, leaves)) as Rate;
  const details = (of: Rate, size: number): Record<string, number> => ({
    leaves: size,
    's in all': size / of.perSecond,
    'CPU µs': of.cpuUs,
  });
  run.report({ what: 'skynet, leaves', value: rate.perSecond, unit: '/s', details: details(rate, leaves) });
  for (const { host } of others) {
    const size = host.name.startsWith('comedy') ? leavesOfComedy : leavesOfOthers;
    const other = await rateOf(host, size);
    if (other === undefined) continue;
    run.report({
      what: `skynet, leaves, ${host.name}`,
      value: other.perSecond,
      unit: '/s',
      baseline: { what: 'ours', value: rate.perSecond },
      details: details(other, size),
    });
  }
}

async function compare(
  run: BenchRun,
  { ours, bare, others }: Field,
  operation: Operation,
  what: string,
  size: number,
  repetitions: number,
  bareIs: string,
): Promise<void> {
  const able: typeof others = [];
  for (const other of others) {
    if ((await other.host.rate(operation, Math.round((size * other.share) / 10))) !== undefined)
      able.push(other);
  }
  const of =
    (host: ContenderHost, share = 1) =>
    async (): Promise<Rate> =>
      (await host.rate(operation, Math.round(size * share))) as Rate;
  const rates = await alternately(repetitions, {
    ours: of(ours),
    bare: of(bare),
    ...Object.fromEntries(able.map(({ host, share }) => [host.name, of(host, share)])),
  });
  reportRate(run, what, rates.ours, { what: bareIs, rate: rates.bare });
  for (const { host } of able) {
    const rate = (rates as Record<string, Rate>)[host.name] as Rate;
    reportRate(run, `${what}, ${host.name}`, rate, { what: 'ours', rate: rates.ours });
  }
}
