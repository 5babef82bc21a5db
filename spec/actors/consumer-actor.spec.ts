import { expect } from 'chai';
import { afterEach, beforeEach, describe, it } from 'mocha';
import { consumerActor } from '../../actors/consumer-actor.ts';
import type { ConsumerMessage } from '../../actors/consumer-actor.ts';
import { ActorSystem } from '../../runtime/actor-system.ts';
import { createConsumer } from '../../runtime/durable/consumer.ts';
import type { Consumer } from '../../runtime/durable/consumer.ts';
import type { Token } from '../../runtime/durable/durable-store.ts';
import { createMemoryStore } from '../../runtime/durable/memory-store.ts';
import type { DurableStore } from '../../runtime/durable/durable-store.ts';
import type { ExitReason } from '../../runtime/exit-reason.ts';
import { Supervisor } from '../../runtime/supervision/supervisor.ts';
import { localChild } from '../../runtime/supervision/local-placement.ts';
import { appendOne, delay, freshWriterId, own, readAll, until } from '../runtime/durable/store-under-test.ts';

type Note = { type: 'note'; text: string };

describe('ConsumerActor', () => {
  let store: DurableStore;
  let token: Token;
  let system: ActorSystem;
  let handled: string[];
  let notes: string[];
  let opened: number;
  let writerId: string;
  let sequence: number;

  beforeEach(async () => {
    store = createMemoryStore();
    token = await own(store);
    system = new ActorSystem();
    handled = [];
    notes = [];
    opened = 0;
    writerId = freshWriterId();
    sequence = 0;
  });
  afterEach(() => system.stop(100));

  const put = (text: string) =>
    appendOne(store, { writerId, sequence: ++sequence, payload: Buffer.from(text) });
  const openConsumer = (): Consumer => {
    opened += 1;
    const consumer = createConsumer({
      store,
      lane: 'in',
      blockMs: 50,
      handle: async ({ pieces }) => {
        handled.push(...pieces.map(({ entry }) => entry.payload.toString()));
        return { counters: { done: pieces.length } };
      },
      quarantine: async () => ({}),
    });
    consumer.assign(0, token);
    return consumer;
  };
  const factory = () =>
    consumerActor<Note>({
      openConsumer,
      onMessage: ({ text }) => {
        if (text === 'boom') throw new Error('boom');
        notes.push(text);
      },
    });
  const drained = () => until(async () => (await readAll(store)).length === 0);

  it('consumes from its start to its stop', async () => {
    await put('a');
    const actor = system.spawn(factory());
    await drained();
    await put('b');
    await drained();
    await system.stopActor(actor);
    await put('c');
    expect(handled).to.deep.equal(['a', 'b']);
    expect(await readAll(store)).to.have.length(1);
  });

  it('hands on what it is told', async () => {
    const actor = system.spawn<ConsumerMessage<Note>>(factory());
    actor.tell({ type: 'note', text: 'hello' });
    await until(() => notes.length === 1);
    expect(notes).to.deep.equal(['hello']);
  });

  it('fails with what ended its consumer', async () => {
    const actor = system.spawn(factory());
    const exit = new Promise<ExitReason>((resolve) => actor.onTerminated(resolve));
    await store.acquire(0, token.laneGroup, token.nonce, 60_000);
    await put('a');
    expect(await exit).to.have.nested.property('error.code', 'E_FENCED');
  });

  it('suspended begins nothing, over a restart too; what came meanwhile is consumed in order after it [S-95]', async () => {
    const child = localChild<ConsumerMessage<Note>>(system, 'match', factory());
    const supervisor = new Supervisor({
      id: 'root',
      strategy: 'oneForOne',
      intensity: { restartsMax: 5, windowMs: 1_000 },
      children: [{ id: 'match', start: child.start, restart: 'permanent', shutdownDeadlineMs: 500 }],
    });
    await supervisor.start();
    await put('a');
    await drained();
    await supervisor.suspend(['match']);
    for (const text of ['b', 'c']) await put(text);
    await delay(120);
    expect(handled).to.deep.equal(['a']);
    await supervisor.restartChild('match');
    await put('d');
    await delay(120);
    expect(handled).to.deep.equal(['a']);
    expect(await supervisor.inspect(['match'])).to.deep.include({
      status: 'suspended',
      state: { partitions: [{ partition: 0, lane: 'in', entriesRead: 3, failures: 0 }] },
    });
    await supervisor.resume(['match']);
    await drained();
    expect(handled).to.deep.equal(['a', 'b', 'c', 'd']);
    await supervisor.stop(500);
  });

  it('suspended can be stopped, and loses nothing [S-95]', async () => {
    const actor = system.spawn(factory());
    await system.suspend(actor);
    await put('a');
    await delay(60);
    expect(await system.stopActor(actor, { deadlineMs: 500 })).to.deep.equal({ kind: 'shutdown' });
    expect(handled).to.deep.equal([]);
    expect(await readAll(store)).to.have.length(1);
  });

  it('has a new consumer in its next incarnation, and the old one does nothing more', async () => {
    const child = localChild<ConsumerMessage<Note>>(system, 'match', factory());
    const supervisor = new Supervisor({
      id: 'root',
      strategy: 'oneForOne',
      intensity: { restartsMax: 5, windowMs: 1_000 },
      children: [{ id: 'match', start: child.start, restart: 'permanent', shutdownDeadlineMs: 500 }],
    });
    await supervisor.start();
    child.ref.tell({ type: 'note', text: 'boom' });
    child.ref.tell({ type: 'note', text: 'after' });
    await until(() => notes.length === 1 && opened === 2);
    for (const text of ['a', 'b', 'c']) await put(text);
    await drained();
    expect(handled).to.deep.equal(['a', 'b', 'c']);
    await supervisor.stop(500);
  });
});
