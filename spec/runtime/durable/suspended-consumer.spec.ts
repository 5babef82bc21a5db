import { expect } from 'chai';
import { it } from 'mocha';
import { createConsumer } from '../../../runtime/durable/consumer.ts';
import type { Consumer } from '../../../runtime/durable/consumer.ts';
import { createMemoryStore } from '../../../runtime/durable/memory-store.ts';
import { CodedError } from '../../../runtime/errors.ts';
import { appendOne, delay, freshWriterId, own, readAll, until, WIDE } from './store-under-test.ts';

it('A suspended consumer commits what is in hand and begins nothing, retries included, until resumed [S-95]', async () => {
  const store = createMemoryStore();
  const token = await own(store);
  const writerId = freshWriterId();
  for (const [at, text] of ['a', 'b', 'c'].entries()) {
    await appendOne(store, { writerId, sequence: at + 1, count: 1, payload: Buffer.from(text) });
  }
  const gate = Promise.withResolvers<void>();
  const handled: string[] = [];
  const failing = new Set(['b']);
  const consumer: Consumer = createConsumer({
    store,
    lane: 'in',
    batchEntriesMax: 1,
    backOffMinMs: 1,
    backOffMaxMs: 5,
    blockMs: 200,
    handle: async ({ pieces }) => {
      const text = pieces.map(({ entry }) => entry.payload.toString()).join('');
      handled.push(text);
      if (text === 'a') await gate.promise;
      if (failing.delete(text)) {
        consumer.suspend();
        throw new CodedError('E_AWAY', 'planted', { kind: 'transient' });
      }
      return { counters: { done: 1 }, outputs: [{ lane: 'out', payload: Buffer.from(text), bounds: WIDE }] };
    },
    quarantine: async () => ({}),
  });
  const outputs = async (): Promise<string> =>
    (await readAll(store, 'out')).map(({ payload }) => payload.toString()).join('');
  consumer.assign(0, token);
  const run = consumer.run();

  await until(() => handled.length === 1);
  consumer.suspend();
  gate.resolve();
  await until(async () => (await outputs()) === 'a');
  await delay(40);
  expect(handled).to.deep.equal(['a']);
  consumer.resume();
  await until(() => handled.length === 2);
  await delay(40);
  expect(handled).to.deep.equal(['a', 'b']);
  consumer.resume();
  await until(async () => (await readAll(store)).length === 0);
  expect(handled).to.deep.equal(['a', 'b', 'b', 'c']);
  expect(await outputs()).to.equal('abc');
  await consumer.stop();
  await run;
});
