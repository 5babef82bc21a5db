/**
 * One ref over three transports: the third, a durable mailbox on a real Redis that is really killed, and on a store whose
 * answers can be held back. And the first, a local one, beside it.
 */
import { getEventListeners } from 'node:events';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { ActorSystem } from '../../../runtime/actor-system.ts';
import type { ActorRef } from '../../../runtime/actor-ref.ts';
import { systemClock } from '../../../runtime/clock.ts';
import { DeadLetters } from '../../../runtime/dead-letters.ts';
import type { Bounds, DurableStore } from '../../../runtime/durable/durable-store.ts';
import { createMemoryStore } from '../../../runtime/durable/memory-store.ts';
import { createWriter } from '../../../runtime/durable/writer.ts';
import type { Place } from '../../../runtime/durable/writer.ts';
import { codeOf } from '../../../runtime/errors.ts';
import { DURABLE_GUARANTEE, LOCAL_GUARANTEE } from '../../../runtime/guarantee.ts';
import { WAITING_SENDERS_MAX } from '../../../runtime/limits.ts';
import { decodeMessages, DurableRef, encodeMessages } from '../../../runtime/remote/durable-ref.ts';
import { orders, reports } from '../../fixtures/remote/messages.ts';
import type { Order, Seen } from '../../fixtures/remote/messages.ts';
import { rejectionOf } from '../../support/rejection.ts';
import { specDirectory, startOwnRedis } from '../../support/servers.ts';
import { createFaultyStore } from '../durable/faulty-store.ts';
import { openRedisStore, readAll, settled, until, WIDE } from '../durable/store-under-test.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const MESSAGE_BYTES = Buffer.byteLength(JSON.stringify({ what: 'hello', n: 1 }));

interface Bed {
  ref: DurableRef<Order>;
  deadLetters: DeadLetters;
  unstored: [number, unknown][];
  close: () => Promise<void>;
}

function open(
  store: DurableStore,
  options: {
    windowMessages?: number;
    bounds?: Bounds;
    deadlineMs?: number;
    placeOf?: (order: Order) => Place;
  } = {},
): Bed {
  const { windowMessages = 1_000, bounds = WIDE, deadlineMs = 2_000 } = options;
  const writer = createWriter<Uint8Array, undefined>({
    store,
    bounds: () => bounds,
    cut: (submissions) => ({ payload: encodeMessages(submissions), tag: undefined }),
    onStoreOlder: () => Promise.reject(new Error('not expected')),
    inFlightBytesMax: windowMessages * MESSAGE_BYTES,
    deadlineMs,
  });
  const deadLetters = new DeadLetters();
  const unstored: [number, unknown][] = [];
  const ref = new DurableRef<Order>({
    path: '/durable/orders',
    writer,
    codec: orders,
    placeOf: options.placeOf ?? (({ n }) => ({ partition: n < 0 ? 1 : 0, lane: 'in' })),
    deadLetters,
    clock: systemClock,
    onUnstored: ({ n }, { details }) => unstored.push([n, details['stored']]),
  });
  return { ref, deadLetters, unstored, close: () => writer.close() };
}

async function stored(store: DurableStore): Promise<number[]> {
  const entries = await readAll(store, 'in');
  return entries.flatMap(({ payload }) => decodeMessages(payload, orders).map(({ n }) => n));
}

describe('DurableRef', function () {
  this.timeout(20_000);

  it('answers tell when the message is taken, tellWhenAccepted when it is stored [S-117]', async () => {
    const store = createFaultyStore(createMemoryStore());
    const { ref, close } = open(store);
    const held = Promise.withResolvers<void>();
    store.hold = held.promise;
    expect(ref.tell({ what: 'hello', n: 1 })).to.equal('accepted');
    let isStored = false;
    const waiting = ref.tellWhenAccepted({ what: 'hello', n: 2 }).then((result) => {
      isStored = true;
      return result;
    });
    await settled();
    expect(isStored).to.equal(false);
    held.resolve();
    expect(await waiting).to.equal('accepted');
    await close();
    expect(await stored(store)).to.deep.equal([1, 2]);
    expect(ref.guarantee).to.equal(DURABLE_GUARANTEE);
    expect([String(ref), JSON.stringify({ ref })]).to.deep.equal([ref.path, `{"ref":"${ref.path}"}`]);
  });

  it('refuses beyond its credit, and those who wait get room in order [S-117] [S-116]', async () => {
    const store = createFaultyStore(createMemoryStore());
    const { ref, close } = open(store, { windowMessages: 10 });
    const held = Promise.withResolvers<void>();
    store.hold = held.promise;
    const taken: number[] = [];
    for (let n = 1; n <= 9; n++) {
      if (n > 1) expect(ref.credit).to.equal(11 - n);
      expect(ref.tell({ what: 'hello', n })).to.equal('accepted');
      taken.push(n);
    }
    expect(ref.tell({ what: 'hello', n: 8 })).to.equal('accepted');
    expect(ref.credit).to.equal(0);
    expect(ref.tell({ what: 'hello', n: 9 })).to.deep.equal({
      refused: 'E_MAILBOX_FULL',
      message: { what: 'hello', n: 9 },
    });
    const aborted = new AbortController();
    const gone = ref.tellWhenAccepted({ what: 'hello', n: 7 }, aborted.signal);
    const waiting = [1, 2, 3].map((n) => ref.tellWhenAccepted({ what: 'hello', n }));
    aborted.abort();
    expect(await gone).to.include({ refused: 'E_SEND_ABORTED' });
    held.resolve();
    expect(await Promise.all(waiting)).to.deep.equal(['accepted', 'accepted', 'accepted']);
    expect(await stored(store)).to.deep.equal([...taken, 8, 1, 2, 3]);
    await close();
    expect(ref.credit, 'a closed writer takes nothing').to.equal(0);
  });

  it('keeps the order of one sender at a full window, whatever the sizes [S-117] [S-1]', async () => {
    const store = createFaultyStore(createMemoryStore());
    const { ref, close } = open(store, { windowMessages: 3 });
    const held = Promise.withResolvers<void>();
    store.hold = held.promise;
    const big = (n: number): Order => ({ what: 'x'.repeat(MESSAGE_BYTES), n });
    expect(ref.tell(big(1))).to.equal('accepted');
    const aborted = new AbortController();
    const gone = ref.tellWhenAccepted(big(2), aborted.signal);
    const waiting = [ref.tellWhenAccepted(big(3)), ref.tellWhenAccepted({ what: '', n: 4 })];
    expect(ref.tell({ what: '', n: 5 }), 'there is room, and others wait for it').to.include({
      refused: 'E_MAILBOX_FULL',
    });
    expect(ref.credit).to.equal(0);
    aborted.abort();
    expect(await gone).to.include({ refused: 'E_SEND_ABORTED' });
    held.resolve();
    expect(await Promise.all(waiting)).to.deep.equal(['accepted', 'accepted']);
    expect(ref.tell({ what: '', n: 6 })).to.equal('accepted');
    await close();
    expect(await stored(store)).to.deep.equal([1, 3, 4, 6]);
  });

  it('lets those behind pass when the one that holds them up gives up [S-117]', async () => {
    const store = createFaultyStore(createMemoryStore());
    const { ref, close } = open(store, { windowMessages: 4 });
    const held = Promise.withResolvers<void>();
    store.hold = held.promise;
    expect(ref.tell({ what: 'x'.repeat(MESSAGE_BYTES), n: 1 })).to.equal('accepted');
    const aborted = new AbortController();
    const gone = ref.tellWhenAccepted({ what: 'x'.repeat(2 * MESSAGE_BYTES), n: 2 }, aborted.signal);
    const behind = ref.tellWhenAccepted({ what: '', n: 3 });
    aborted.abort();
    expect(ref.tell({ what: '', n: 4 }), 'nobody waits any more').to.equal('accepted');
    held.resolve();
    expect(await gone).to.include({ refused: 'E_SEND_ABORTED' });
    expect(await behind).to.equal('accepted');
    await close();
    expect(await stored(store)).to.deep.equal([1, 3, 4]);
  });

  it('leaves no listener on the signal of a wait that is over, however it ended [S-117]', async () => {
    const store = createFaultyStore(createMemoryStore());
    const { ref, close } = open(store, { windowMessages: 2 });
    const { signal } = new AbortController();
    const all = Array.from({ length: 30 }, (_, n) => ref.tellWhenAccepted({ what: 'hello', n }, signal));
    expect(getEventListeners(signal, 'abort').length).to.be.greaterThan(20);
    expect(new Set(await Promise.all(all))).to.deep.equal(new Set(['accepted']));
    expect(getEventListeners(signal, 'abort')).to.deep.equal([]);
    const held = Promise.withResolvers<void>();
    store.hold = held.promise;
    const filling = [1, 2].map((n) => ref.tellWhenAccepted({ what: 'hello', n }));
    const late = ref.tellWhenAccepted({ what: 'hello', n: 3 }, signal);
    const closed = close();
    held.resolve();
    expect(await Promise.all(filling)).to.deep.equal(['accepted', 'accepted']);
    expect(await late).to.deep.nested.include({ refused: 'E_NOT_STORED', 'error.code': 'E_WRITER_CLOSED' });
    await closed;
    expect(getEventListeners(signal, 'abort')).to.deep.equal([]);
  });

  it('bounds those who wait [S-117]', async () => {
    const store = createFaultyStore(createMemoryStore());
    const { ref, close } = open(store, { windowMessages: 1 });
    const held = Promise.withResolvers<void>();
    store.hold = held.promise;
    expect(ref.tell({ what: 'hello', n: 0 })).to.equal('accepted');
    const abort = new AbortController();
    const waiting = Array.from({ length: WAITING_SENDERS_MAX }, () =>
      ref.tellWhenAccepted({ what: 'hello', n: 1 }, abort.signal),
    );
    expect(await ref.tellWhenAccepted({ what: 'hello', n: 2 })).to.include({ refused: 'E_MAILBOX_FULL' });
    abort.abort();
    await Promise.all(waiting);
    held.resolve();
    await close();
    expect(await stored(store)).to.deep.equal([0]);
  });

  it('never throws: a closed writer and a message without a place are said in the result [S-4] [S-117]', async () => {
    const places: unknown[] = [
      null,
      undefined,
      {},
      { partition: 1.5, lane: 'in' },
      { partition: 0, lane: 7 },
    ];
    const { ref, close } = open(createMemoryStore(), {
      placeOf: ({ n }) => {
        if (n === -1) throw new Error('planted');
        return places[n] as Place;
      },
    });
    for (let n = -1; n < places.length; n++) {
      for (const result of [ref.tell({ what: '', n }), await ref.tellWhenAccepted({ what: '', n })]) {
        expect(result).to.deep.nested.include({ refused: 'E_ROUTE_KEY', 'error.code': 'E_ROUTE_KEY' });
      }
    }
    await close();
    const other = open(createMemoryStore());
    await other.close();
    const closed = { refused: 'E_NOT_STORED', 'error.code': 'E_WRITER_CLOSED' };
    expect(other.ref.tell({ what: '', n: 1 })).to.deep.nested.include(closed);
    expect(await other.ref.tellWhenAccepted({ what: '', n: 1 })).to.deep.nested.include(closed);
    expect(other.ref.credit).to.equal(0);
  });

  it('says of what was not stored: to whom waits, as a dead letter, and to onUnstored [S-117]', async () => {
    const full = open(createMemoryStore(), { bounds: { entriesMax: 1, bytesMax: 10_000 } });
    expect(await full.ref.tellWhenAccepted({ what: 'hello', n: 1 })).to.equal('accepted');
    const refused = await full.ref.tellWhenAccepted({ what: 'hello', n: 2 });
    expect(typeof refused === 'object' && [refused.refused, refused.error?.code]).to.deep.equal([
      'E_MAILBOX_FULL',
      'E_LANE_FULL',
    ]);
    expect(full.ref.tell({ what: 'hello', n: 3 })).to.equal('accepted');
    await full.close();
    expect(full.unstored).to.deep.equal([[3, 'no']]);
    expect(full.deadLetters.counts()).to.include({ unstored: 1 });

    const store = createFaultyStore(createMemoryStore());
    const lossy = open(store, { deadlineMs: 100 });
    store.hold = new Promise(() => undefined);
    const unknown = await lossy.ref.tellWhenAccepted({ what: 'hello', n: 4 });
    expect(typeof unknown === 'object' && [unknown.refused, unknown.error?.details['stored']]).to.deep.equal([
      'E_NOT_STORED',
      'unknown',
    ]);
  });

  it('cannot be asked, has no end, and sends only what its schema says [S-117] [S-110]', async () => {
    const { ref } = open(createMemoryStore());
    const asked = ref.ask<Seen>((replyTo) => ({ what: 'hello', n: 1, replyTo }), { timeoutMs: 100 });
    expect(codeOf(await rejectionOf(asked))).to.equal('E_ASK_NOT_DURABLE');
    ref.onTerminated()();
    const bad = { what: 'hello', n: 'one' } as unknown as Order;
    expect(ref.tell(bad)).to.include({ refused: 'E_MESSAGE_UNSENDABLE' });
    expect(await ref.tellWhenAccepted(bad)).to.include({ refused: 'E_MESSAGE_UNSENDABLE' });
    const payload = encodeMessages([{ count: 1, part: Buffer.from('{"what":"hello","n":1}') }]);
    expect(decodeMessages(payload, orders)).to.deep.equal([{ what: 'hello', n: 1 }]);
    expect(() => decodeMessages(payload.subarray(0, -1), orders)).to.throw(/ends within its message 0/);
    expect(() => decodeMessages(payload, reports)).to.throw(/not readable by codec reports/);
  });

  describe('on a Redis that is killed', () => {
    it('has stored everything that it accepted, in order [S-117]', async () => {
      const dir = specDirectory('redis');
      let server = await startOwnRedis({ dir, appendFsync: 'always' });
      const opened = await openRedisStore(server.url);
      const { store } = opened;
      const { ref, close } = open(store, { deadlineMs: 8_000 });
      let back: Promise<void> | undefined;
      const revive = async (): Promise<void> => {
        server.kill('SIGKILL');
        await server.exited;
        server = await startOwnRedis({ dir, port: server.port, appendFsync: 'always' });
      };
      const accepted: number[] = [];
      for (let n = 0; n < 400; n++) {
        if (n === 150) back = revive();
        const result = await ref.tellWhenAccepted({ what: 'hello', n });
        if (result === 'accepted') accepted.push(n);
        else expect(result).to.include({ refused: 'E_NOT_STORED' });
      }
      await back;
      const kept = await stored(store);
      expect(kept.filter((n) => accepted.includes(n))).to.deep.equal(accepted);
      expect(new Set(kept).size, 'none twice').to.equal(kept.length);
      expect(accepted.length).to.be.greaterThan(300);
      await close();
      await opened.close();
      await server.stop();
    });
  });
});

describe('The local ref', () => {
  it('says its guarantee and its credit: the room of its mailbox [S-116]', async () => {
    const system = new ActorSystem({ clock: new FakeClock() });
    const ref: ActorRef<number> = system.spawn<number>(() => ({ handle: () => undefined }), {
      mailbox: { capacity: 3, overflow: 'refuse' },
    });
    expect(ref.guarantee).to.equal(LOCAL_GUARANTEE);
    for (let left = 3; left > 0; left--) {
      expect(ref.credit).to.equal(left);
      expect(ref.tell(left)).to.equal('accepted');
    }
    expect(ref.credit).to.equal(0);
    expect(ref.tell(0)).to.include({ refused: 'E_MAILBOX_FULL' });
    await until(() => ref.credit === 3);
    await system.stop();
    expect(ref.credit).to.equal(0);
  });
});
