/** Writers that keep the express lane short, and the order of each key while it is diverted and returns. */
import { expect } from 'chai';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, it } from 'mocha';
import type { Batch, Consumer } from '../../../runtime/durable/consumer.ts';
import type { AppendResult, DurableStore, Token } from '../../../runtime/durable/durable-store.ts';
import { createMemoryStore } from '../../../runtime/durable/memory-store.ts';
import { storeAway } from '../../../runtime/durable/store-errors.ts';
import { specRedisUrl } from '../../support/servers.ts';
import { createFaultyStore } from './faulty-store.ts';
import type { Fault, FaultyStore } from './faulty-store.ts';
import {
  expectAllInOrder,
  handledIn,
  IN,
  joined,
  openConsumer,
  openWriter,
  OVER,
  partOf,
  planOf,
  QUESTION,
  textsIn,
} from './keyed-traffic.ts';
import type { KeyedPart } from './keyed-traffic.ts';
import {
  delay,
  openRedisStore,
  own,
  readAll,
  rejectionOf,
  settled,
  until,
  WIDE,
} from './store-under-test.ts';
import type { Writer } from '../../../runtime/durable/writer.ts';

const FAIR = 16;
const FLOOD = 1;
const QUIET = 2;

describe('Diversion', () => {
  let store: FaultyStore;
  let token: Token;
  let consumer: Consumer | undefined;

  beforeEach(async () => {
    store = createFaultyStore(createMemoryStore());
    token = await own(store, 0, 'owner');
    consumer = undefined;
  });
  afterEach(() => consumer?.stop());

  const submit = (writer: Writer<KeyedPart, string>, ...parts: KeyedPart[]): Promise<unknown> => {
    const part = joined(parts);
    return writer.submit(0, IN, part.messages.length, part);
  };
  const lane = async (name: string): Promise<string[]> =>
    (await readAll(store, name)).flatMap(({ payload }) => textsIn(payload));
  /** The lane is crowded, the flood diverted, and nobody handles anything. */
  const flood = async (writer: Writer<KeyedPart, string>): Promise<void> => {
    await submit(writer, partOf(FLOOD, 0, FAIR / 2));
    await submit(writer, partOf(FLOOD, FAIR / 2, FAIR / 2));
    await submit(writer, partOf(FLOOD, FAIR, 4));
    expect(await lane(OVER)).to.have.length(4);
  };

  describe('of a writer', () => {
    it('stores one submission in two lanes, in order, and settles it when both are stored', async () => {
      const writer = openWriter(store, FAIR);
      await flood(writer);
      await submit(writer, partOf(QUIET, 0, 1), partOf(FLOOD, 20, 2), partOf(QUIET, 1, 1));
      expect((await lane(IN)).slice(FAIR)).to.deep.equal(['2:0', '2:1']);
      expect((await lane(OVER)).slice(4)).to.deep.equal(['1:20', '1:21']);
      expect((await store.ledger(0, QUESTION)).problems).to.deep.equal([]);
    });

    it('learns from another one who is diverted, also with its frame half way', async () => {
      const [one, other] = [openWriter(store, FAIR), openWriter(store, FAIR)];
      await flood(one);
      store.appendFaults = ['reply-lost'];
      await submit(other, partOf(FLOOD, 20, 3), partOf(QUIET, 0, 1));
      expect(await lane(OVER)).to.deep.equal(['1:16', '1:17', '1:18', '1:19', '1:20', '1:21', '1:22']);
      expect((await lane(IN)).slice(-1)).to.deep.equal(['2:0']);
    });

    it('brings what it holds for the overflow lane there, though the key has returned meanwhile', async () => {
      const writer = openWriter(store, FAIR);
      await flood(writer);
      store.appendFaults = ['refused'];
      const [first] = [submit(writer, partOf(FLOOD, 20, 2))];
      await settled();
      consumer = openConsumer(store, token);
      void consumer.run();
      await until(async () => (await store.ledger(0, QUESTION)).measured.divertedKeys === 0);
      await Promise.all([first, submit(writer, partOf(FLOOD, 22, 2), partOf(QUIET, 0, 1))]);
      await until(async () => (await store.ledger(0, QUESTION)).inFlight === 0);
      await expectAllInOrder(store, new Map([[FLOOD, 24]]));
    });

    it('lets no message of a key into the express lane while it holds an earlier one for the other', async () => {
      const writer = openWriter(store, FAIR);
      await flood(writer);
      consumer = openConsumer(store, token);
      void consumer.run();
      await until(async () => (await store.ledger(0, QUESTION)).measured.divertedKeys === 0);
      let isHeld = true;
      const append = store.append.bind(store);
      // The overflow lane alone gets nothing for a while.
      store.append = async (requests) => {
        const results = await append(isHeld ? requests.filter(({ lane: of }) => of !== OVER) : requests);
        return requests.map(({ lane: of }) =>
          isHeld && of === OVER
            ? { status: 'error', error: storeAway('held', 'no') }
            : (results.shift() as AppendResult),
        );
      };
      const earlier = submit(writer, partOf(FLOOD, 20, 1), partOf(QUIET, 0, 1));
      await until(async () => (await handledIn(store)).has(QUIET));
      const later = submit(writer, partOf(FLOOD, 21, 1), partOf(QUIET, 1, 1));
      await until(async () => (await handledIn(store)).get(QUIET)?.length === 2);
      isHeld = false;
      await Promise.all([earlier, later]);
      await until(async () => (await store.ledger(0, QUESTION)).inFlight === 0);
      await expectAllInOrder(store, new Map([[FLOOD, 22]]));
    });

    it('refuses a flood that fills its overflow lane, and goes on storing what is quiet', async () => {
      const writer = openWriter(store, FAIR, {
        bounds: ({ lane: of }) => (of === OVER ? { ...WIDE, messagesMax: 4 } : WIDE),
      });
      await flood(writer);
      const refused = await rejectionOf(submit(writer, partOf(FLOOD, 20, 1)));
      expect(refused).to.deep.include({ code: 'E_LANE_FULL' });
      expect(refused).to.have.nested.property('details.stored', 'no');
      expect(refused).to.have.nested.property('details.lane', OVER);
      await submit(writer, partOf(QUIET, 0, 1));
      const half = await rejectionOf(submit(writer, partOf(FLOOD, 20, 1), partOf(QUIET, 1, 1)));
      expect(half).to.have.nested.property('details.stored', 'unknown');
      expect((await lane(IN)).slice(FAIR)).to.deep.equal(['2:0', '2:1']);
    });

    it('diverts nobody while the lane is short, and asks for no keys', async () => {
      const asked: unknown[] = [];
      const append = store.append.bind(store);
      store.append = (requests) => {
        asked.push(...requests.map(({ diversion }) => diversion));
        return append(requests);
      };
      const writer = openWriter(store, FAIR);
      await submit(writer, partOf(FLOOD, 0, FAIR / 2 - 1));
      await submit(writer, partOf(FLOOD, FAIR / 2 - 1, 1));
      expect(asked).to.deep.equal(Array(2).fill({ version: 0, fairMessages: FAIR }));
    });
  });

  describe('of a consumer', () => {
    it('begins an overflow entry after what was before it in the express lane, after a restart too [S-76]', async () => {
      const writer = openWriter(store, FAIR);
      await flood(writer);
      await submit(writer, partOf(QUIET, 0, 1));
      const handled: string[] = [];
      consumer = openConsumer(store, token, {
        batchMessagesMax: 1,
        handle: async (batch) => {
          handled.push(batch.lane);
          return planOf(batch);
        },
      });
      void consumer.run();
      await until(async () => (await store.ledger(0, QUESTION)).inFlight === 0);
      expect(handled).to.deep.equal([IN, IN, IN, OVER]);
      await expectAllInOrder(
        store,
        new Map([
          [FLOOD, FAIR + 4],
          [QUIET, 1],
        ]),
      );
    });

    it('gives the express lane three batches for one of an overflow lane that waits [S-77]', async () => {
      const writer = openWriter(store, FAIR, { frameMessagesMax: 1 });
      await flood(openWriter(store, FAIR));
      for (let nth = 0; nth < 9; nth += 1) {
        await submit(writer, partOf(QUIET, nth, 1));
        await submit(writer, partOf(FLOOD, FAIR + 4 + nth, 1));
      }
      const handled: string[] = [];
      consumer = openConsumer(store, token, {
        batchMessagesMax: 1,
        handle: async (batch) => {
          handled.push(batch.lane);
          return planOf(batch);
        },
      });
      void consumer.run();
      await until(async () => (await store.ledger(0, QUESTION)).inFlight === 0);
      // Two entries of the flood and nine quiet ones are in the express lane.
      expect(handled.slice(0, 8).join(' ')).to.equal('in in in over in in in over');
      expect(handled.filter((of) => of === IN)).to.have.length(11);
      await expectAllInOrder(
        store,
        new Map([
          [FLOOD, FAIR + 13],
          [QUIET, 9],
        ]),
      );
    });

    it('has one batch of both lanes in hand at a time', async () => {
      const writer = openWriter(store, FAIR, { frameMessagesMax: 2 });
      await flood(writer);
      for (let nth = 0; nth < 4; nth += 1) await submit(writer, partOf(QUIET, nth, 1));
      let inHand = 0;
      let most = 0;
      const seen = new Set<string>();
      consumer = openConsumer(store, token, {
        batchMessagesMax: 2,
        handle: async (batch) => {
          inHand += 1;
          most = Math.max(most, inHand);
          seen.add(batch.lane);
          // What comes meanwhile is read, and waits for its turn.
          if (batch.lane === OVER) await submit(writer, partOf(QUIET, 4, 1));
          await delay(5);
          inHand -= 1;
          return planOf(batch);
        },
      });
      void consumer.run();
      await until(async () => (await store.ledger(0, QUESTION)).inFlight === 0);
      expect([...seen].sort()).to.deep.equal([IN, OVER]);
      expect(most).to.equal(1);
    });

    it('handles both lanes alone when the other is empty [S-77]', async () => {
      const writer = openWriter(store, FAIR);
      consumer = openConsumer(store, token);
      void consumer.run();
      await submit(writer, partOf(QUIET, 0, 3));
      await until(async () => ((await handledIn(store)).get(QUIET) ?? []).length === 3);
      await writer.submit(0, OVER, 2, partOf(FLOOD, 0, 2));
      await until(async () => ((await handledIn(store)).get(FLOOD) ?? []).length === 2);
      await expectAllInOrder(
        store,
        new Map([
          [FLOOD, 2],
          [QUIET, 3],
        ]),
      );
    });

    it('waits for no number that the ids of the express lane jumped over', async () => {
      const writer = openWriter(store, FAIR);
      await submit(writer, partOf(QUIET, 0, 3));
      await store.raiseSequence(0, 5_000);
      await writer.submit(0, OVER, 2, partOf(FLOOD, 0, 2));
      const [entry] = await readAll(store, OVER);
      expect(entry?.overflow?.after, 'no entry of the express lane has this number').to.be.above(1_000_000);
      consumer = openConsumer(store, token);
      void consumer.run();
      await until(async () => ((await handledIn(store)).get(FLOOD) ?? []).length === 2);
      // Again, with a consumer that has committed what was before the jump.
      await store.raiseSequence(0, 10_000);
      await writer.submit(0, OVER, 2, partOf(FLOOD, 2, 2));
      await until(async () => ((await handledIn(store)).get(FLOOD) ?? []).length === 4);
      await expectAllInOrder(
        store,
        new Map([
          [FLOOD, 4],
          [QUIET, 3],
        ]),
      );
    });

    it('quarantines what breaks its handler in the overflow lane, and takes its key back with the rest', async () => {
      const writer = openWriter(store, FAIR);
      await flood(writer);
      const isBroken = ({ pieces }: Batch): boolean =>
        pieces.some(({ entry, lo, hi }) => textsIn(entry.payload).slice(lo, hi).includes('1:18'));
      const broken: string[] = [];
      consumer = openConsumer(store, token, {
        handle: async (batch) => {
          if (isBroken(batch)) throw new Error('boom');
          return planOf(batch);
        },
        quarantine: async ({ entry, index }) => {
          broken.push(textsIn(entry.payload)[index] ?? '');
          return { counters: { quarantined: 1 } };
        },
      });
      void consumer.run();
      await until(async () => (await store.ledger(0, QUESTION)).inFlight === 0);
      expect(broken).to.deep.equal(['1:18']);
      expect((await handledIn(store)).get(FLOOD)).to.deep.equal([...Array(18).keys(), 19]);
      expect((await store.ledger(0, QUESTION)).measured.divertedKeys).to.equal(0);
    });

    it('charges a death to the lane in which it happened', async () => {
      const writer = openWriter(store, FAIR);
      await flood(writer);
      // The ids of the first entries are the same in both lanes.
      await writer.submit(0, OVER, 12, partOf(FLOOD, 20, 12));
      const [first, second] = await readAll(store, OVER);
      expect(second?.id).to.equal('16-12');
      expect((await readAll(store, IN))[1]?.id).to.equal('16-8');
      expect(first?.id).to.equal('4-4');
      consumer = openConsumer(store, token);
      await consumer.release(0);
      const mark = { partition: 0, lane: OVER, firstId: '4-4', lastId: '4-4', lo: 0, hi: 4 };
      consumer.suspend();
      consumer.assign(0, token, { ...mark, reason: 'E_HUNG', message: 'hung' });
      await until(async () => (await store.strikes(0, OVER)).size === 1);
      expect((await store.strikes(0, IN)).size).to.equal(0);
    });

    it('holds both lanes back while it is suspended', async () => {
      const writer = openWriter(store, FAIR);
      await flood(writer);
      consumer = openConsumer(store, token);
      consumer.suspend();
      void consumer.run();
      await until(() => consumer?.describe().every(({ entriesRead }) => entriesRead > 0) === true);
      expect(await readAll(store, 'out')).to.deep.equal([]);
      consumer.resume();
      await until(async () => (await store.ledger(0, QUESTION)).inFlight === 0);
    });
  });

  describe('under random interleavings', () => {
    interface Step {
      key: number;
      writer: 0 | 1;
      bursts: number[];
      /** To the same writer in the same turn, of another key. */
      beside: number;
      faults: (Fault | undefined)[];
      restarts: boolean;
      losesConnection: boolean;
      turns: number;
    }
    const anyStep: fc.Arbitrary<Step> = fc.record({
      key: fc.constantFrom(1, 1, 1, 2, 3),
      writer: fc.constantFrom(0, 1),
      bursts: fc.array(fc.integer({ min: 1, max: 12 }), { minLength: 1, maxLength: 3 }),
      beside: fc.integer({ min: 0, max: 2 }),
      faults: fc.array(fc.constantFrom(undefined, undefined, 'request-lost', 'reply-lost', 'refused'), {
        maxLength: 2,
      }),
      restarts: fc.boolean(),
      losesConnection: fc.constantFrom(false, false, false, true),
      turns: fc.constantFrom(0, 0, 1, 3),
    });

    /** Each key's messages are sent by whatever writer, the next when the last are acknowledged. */
    async function play(inner: DurableStore, steps: readonly Step[]): Promise<number> {
      const faulty = createFaultyStore(inner);
      const writers = [openWriter(faulty, FAIR), openWriter(faulty, FAIR)] as const;
      const sent = new Map<number, number>();
      let mayHandle = 0;
      let diverted = 0;
      let wake = Promise.withResolvers<void>();
      const open = async (): Promise<Consumer> => {
        const opened = openConsumer(faulty, await own(faulty, 0, 'owner'), {
          batchMessagesMax: 6,
          handle: async (batch) => {
            while (mayHandle <= 0) await wake.promise;
            mayHandle -= 1;
            if (batch.lane === OVER) diverted += 1;
            return planOf(batch);
          },
        });
        opened.run().catch(() => undefined);
        return opened;
      };
      const allow = (batches: number): void => {
        mayHandle += batches;
        wake.resolve();
        wake = Promise.withResolvers();
      };
      const partFor = (key: number, count: number): KeyedPart => {
        const nth = sent.get(key) ?? 0;
        sent.set(key, nth + count);
        return partOf(key, nth, count);
      };
      let running = await open();
      for (const { key, writer, bursts, beside, faults, restarts, losesConnection, turns } of steps) {
        faulty.appendFaults = [...faults];
        const quiet = beside === 0 ? [] : [partFor(10 + beside, 1)];
        const waits = bursts.map((count, nth) =>
          submit(writers[writer], ...(nth === 0 ? quiet : []), partFor(key, count)),
        );
        allow(turns);
        if (losesConnection) faulty.loseConnection();
        await Promise.all(waits);
        expect((await faulty.ledger(0, QUESTION)).problems).to.deep.equal([]);
        if (!restarts) continue;
        // As a thread that dies: what it has in hand is not committed, and its successor fences it.
        void running.stop();
        running = await open();
      }
      allow(Infinity);
      await until(async () => (await faulty.ledger(0, QUESTION)).inFlight === 0);
      await running.stop();
      await Promise.all(writers.map((writer) => writer.close()));
      await expectAllInOrder(faulty, sent);
      return diverted;
    }

    it('keeps the order of every key, loses nothing and doubles nothing [S-76]', async function () {
      this.timeout(60_000);
      let diverted = 0;
      await fc.assert(
        fc.asyncProperty(fc.array(anyStep, { minLength: 5, maxLength: 25 }), async (steps) => {
          diverted += await play(createMemoryStore(), steps);
        }),
        { numRuns: 80 },
      );
      expect(diverted, 'it was about diverted keys').to.be.above(80);
    });

    it('does so over Redis [S-76]', async function () {
      this.timeout(60_000);
      let diverted = 0;
      await fc.assert(
        fc.asyncProperty(fc.array(anyStep, { minLength: 10, maxLength: 25 }), async (steps) => {
          const opened = await openRedisStore(await specRedisUrl());
          try {
            diverted += await play(opened.store, steps);
          } finally {
            await opened.close();
          }
        }),
        { numRuns: 8 },
      );
      expect(diverted, 'it was about diverted keys').to.be.above(8);
    });
  });
});
