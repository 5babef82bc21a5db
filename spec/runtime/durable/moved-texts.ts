/**
 * Numbered texts, `<n>`, that a consumer moves from the lane `in` to the lane `out` while a store is harmed, and what must
 * have become of them in the end.
 */
import { expect } from 'chai';
import { createConsumer } from '../../../runtime/durable/consumer.ts';
import type { DurableStore } from '../../../runtime/durable/durable-store.ts';
import { own, readAll, until, WIDE } from './store-under-test.ts';

export const PARTITIONS = [0, 1];
const QUESTION = { terminal: ['done'], inputLanes: ['in'] };

/** Moves everything until it is stopped. */
export async function moveTexts(
  store: DurableStore,
): Promise<{ stop: () => Promise<void>; ended: Promise<void> }> {
  const consumer = createConsumer({
    store,
    lane: 'in',
    blockMs: 50,
    backOffMaxMs: 50,
    handle: async ({ pieces }) => ({
      counters: { done: pieces.reduce((sum, { lo, hi }) => sum + hi - lo, 0) },
      outputs: pieces.map(({ entry }) => ({ lane: 'out', payload: entry.payload, bounds: WIDE })),
    }),
    quarantine: () => Promise.reject(new Error('nothing is wrong here')),
  });
  for (const partition of PARTITIONS) consumer.assign(partition, await own(store, partition));
  const ended = consumer.run();
  return { stop: () => consumer.stop(), ended };
}

export async function textsIn(store: DurableStore, lane: string): Promise<string[]> {
  const entries = await Promise.all(PARTITIONS.map((partition) => readAll(store, lane, partition)));
  return entries.flat().flatMap(({ payload }) => payload.toString().match(/<\d+>/g) ?? []);
}

/** Drains, and checks that everything acknowledged came out, nothing twice, in a ledger that balances. */
export async function expectMoved(
  store: DurableStore,
  producer: { acknowledged: readonly string[]; unknown: readonly string[]; stop: () => Promise<void> },
  consumer: Awaited<ReturnType<typeof moveTexts>>,
  patienceMs?: number,
): Promise<void> {
  await producer.stop();
  await until(async () => (await textsIn(store, 'in')).length === 0, patienceMs);
  await consumer.stop();
  await consumer.ended;
  const out = await textsIn(store, 'out');
  expect(new Set(out).size, 'nothing twice').to.equal(out.length);
  const arrived = new Set(out);
  expect(
    producer.acknowledged.filter((text) => !arrived.has(text)),
    'nothing lost',
  ).to.deep.equal([]);
  const allowed = new Set([...producer.acknowledged, ...producer.unknown]);
  expect(
    out.filter((text) => !allowed.has(text)),
    'nothing that was refused',
  ).to.deep.equal([]);
  for (const partition of PARTITIONS) {
    expect((await store.ledger(partition, QUESTION)).problems).to.deep.equal([]);
  }
}
