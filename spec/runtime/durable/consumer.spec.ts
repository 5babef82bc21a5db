import { expect } from 'chai';
import { afterEach, beforeEach, describe, it } from 'mocha';
import type {
  Batch,
  Consumer,
  ConsumerOptions,
  Offence,
  Suspect,
} from '../../../runtime/durable/consumer.ts';
import { createConsumer } from '../../../runtime/durable/consumer.ts';
import type { CommitPlan, CommitRequest, Token } from '../../../runtime/durable/durable-store.ts';
import { createMemoryStore } from '../../../runtime/durable/memory-store.ts';
import { storeAway } from '../../../runtime/durable/store-errors.ts';
import { CodedError } from '../../../runtime/errors.ts';
import type { FaultyStore } from './faulty-store.ts';
import { createFaultyStore } from './faulty-store.ts';
import {
  appendOne,
  commitOf,
  delay,
  freshWriterId,
  own,
  readAll,
  rejectionOf,
  settled,
  until,
  WIDE,
} from './store-under-test.ts';

const QUESTION = { terminal: ['done', 'quarantined'], inputLanes: ['in'] };

/** Entries are texts; each character is a message. */
describe('Consumer', () => {
  let store: FaultyStore;
  let token: Token;
  let consumer: Consumer;
  let writerId: string;
  let sequence: number;
  let handled: string[];
  let quarantined: string[];

  beforeEach(async () => {
    store = createFaultyStore(createMemoryStore());
    token = await own(store);
    writerId = freshWriterId();
    sequence = 0;
    handled = [];
    quarantined = [];
  });
  afterEach(() => consumer?.stop());

  const put = async (...texts: string[]): Promise<void> => {
    for (const text of texts) {
      sequence += 1;
      await appendOne(store, { writerId, sequence, count: text.length, payload: Buffer.from(text) });
    }
  };
  const textOf = (batch: Batch): string =>
    batch.pieces.map(({ entry, lo, hi }) => entry.payload.toString().slice(lo, hi)).join('');
  const plan = (text: string): CommitPlan => ({
    counters: { done: text.length },
    outputs: [...text].map((letter) => ({ lane: 'out', payload: Buffer.from(letter), bounds: WIDE })),
  });
  const open = (options: Partial<ConsumerOptions> = {}, suspect?: Suspect): Promise<void> => {
    consumer = createConsumer({
      store,
      lane: 'in',
      handle: async (batch) => {
        handled.push(textOf(batch));
        return plan(textOf(batch));
      },
      quarantine: async ({ entry, index }: Offence) => {
        quarantined.push(entry.payload.toString()[index] ?? '');
        return { counters: { quarantined: 1 } };
      },
      backOffMinMs: 1,
      backOffMaxMs: 5,
      blockMs: 200,
      ...options,
    });
    consumer.assign(0, token, suspect);
    return consumer.run();
  };
  const outputs = async (): Promise<string> =>
    (await readAll(store, 'out')).map(({ payload }) => payload.toString()).join('');
  const drained = (): Promise<void> => until(async () => (await readAll(store)).length === 0);
  const isBalanced = async (): Promise<void> => {
    const ledger = await store.ledger(0, QUESTION);
    expect(ledger.problems).to.deep.equal([]);
    expect(ledger.inFlight).to.equal(0);
  };
  /** Breaks on a letter, without saying which message it was. */
  const breakOn = (letters: string, error = (): Error => new Error('boom')) => ({
    handle: async (batch: Batch): Promise<CommitPlan> => {
      const text = textOf(batch);
      handled.push(text);
      if ([...letters].some((letter) => text.includes(letter))) throw error();
      return plan(text);
    },
  });

  describe('in order', () => {
    it('handles and commits everything once, many entries at a time', async () => {
      await put('ab', 'cd', 'e');
      const run = open();
      await drained();
      await put('f', 'gh');
      await drained();
      await consumer.stop();
      await run;
      expect(await outputs()).to.equal('abcdefgh');
      expect(handled.join('')).to.equal('abcdefgh');
      expect(handled[0]).to.equal('abcde');
      await isBalanced();
    });

    it('keeps batches within their limits, and asks for one that can change before each', async () => {
      await put('ab', 'cd', 'ef', 'ghijk', 'l', 'mn', 'op');
      let messagesMax = 4;
      const onCommitted = (): void => void (messagesMax = handled.length < 4 ? 4 : 2);
      void open({ batchEntriesMax: 2, batchMessagesMax: () => messagesMax, onCommitted });
      await drained();
      expect(handled).to.deep.equal(['abcd', 'ef', 'ghijk', 'lmn', 'op']);
    });

    it('reads no further ahead than its limit of bytes while a batch is in hand', async () => {
      await put(...Array.from({ length: 40 }, () => 'x'.repeat(100)));
      let asked = 0;
      const read = store.read.bind(store);
      store.read = async (positions, options) => {
        const entries = await read(positions, options);
        asked += entries.length;
        return entries;
      };
      const gate = Promise.withResolvers<void>();
      void open({
        readBytesMax: 300,
        handle: async (batch) => {
          handled.push(textOf(batch));
          await gate.promise;
          return plan('');
        },
      });
      await until(() => handled.length === 1);
      // Everything that it would read beyond that is here already, so a few turns of the event loop are enough.
      for (let turn = 0; turn < 100; turn++) await settled();
      const ahead = asked;
      gate.resolve();
      await drained();
      expect(ahead).to.be.at.most(6);
    });

    it('serves new partitions while it waits for old ones, and lets partitions go', async () => {
      void open();
      await delay(20);
      const other = await own(store, 1);
      await appendOne(store, { partition: 1, writerId, sequence: 1, payload: Buffer.from('x') });
      consumer.assign(1, other);
      await until(() => handled.includes('x'));
      await consumer.release(1);
      await appendOne(store, { partition: 1, writerId, sequence: 2, payload: Buffer.from('y') });
      await put('a');
      await drained();
      await delay(20);
      expect(handled).to.deep.equal(['x', 'a']);
    });

    it('shows what it handles, and nothing when it does not', async () => {
      await put('abc');
      const marks: unknown[] = [];
      void open({ onProgress: (partition, mark) => marks.push([partition, mark]) });
      await drained();
      await until(() => marks.length === 2);
      expect(marks).to.deep.equal([
        [0, { partition: 0, lane: 'in', firstId: '3-3', lastId: '3-3', lo: 0, hi: 3 }],
        [0, undefined],
      ]);
    });
  });

  describe('when something is away', () => {
    it('waits out transient errors without charging a strike [S-69]', async () => {
      await put('a');
      let failures = 3;
      const waits: (string | undefined)[] = [];
      void open({
        handle: async (batch) => {
          failures -= 1;
          if (failures >= 0) throw new CodedError('E_DB_AWAY', 'away', { kind: 'transient' });
          return plan(textOf(batch));
        },
        onWaiting: (_partition, reason) => waits.push(reason?.code),
      });
      await drained();
      await until(() => waits.length === 4);
      expect(waits).to.deep.equal(['E_DB_AWAY', 'E_DB_AWAY', 'E_DB_AWAY', undefined]);
      expect((await store.strikes(0, 'in')).size).to.equal(0);
      await isBalanced();
    });

    for (const fault of ['request-lost', 'reply-lost', 'refused'] as const) {
      it(`commits once when a ${fault.replace('-', ' is ')} [S-65]`, async () => {
        await put('ab', 'c');
        store.commitFaults = [fault, fault];
        void open({ batchEntriesMax: 1 });
        await drained();
        expect(await outputs()).to.equal('abc');
        await isBalanced();
      });
    }

    it('passes over nothing when a commit that was given up arrives late and covers half of the next [S-65]', async () => {
      const commit = store.commit.bind(store);
      const attempts: CommitRequest[] = [];
      store.commit = async (request) => {
        attempts.push(request);
        if (attempts.length === 1) {
          await put('cd');
          store.loseConnection();
          throw storeAway('lost', 'unknown');
        }
        const [first] = attempts;
        if (attempts.length === 2 && first !== undefined) {
          await commit({ ...first, generation: store.generation });
        }
        return commit(request);
      };
      await put('ab');
      void open();
      await drained();
      expect(attempts.map(({ inputs }) => inputs?.length)).to.deep.equal([1, 2, 1]);
      expect(await outputs()).to.equal('abcd');
      await isBalanced();
    });

    it('reads again from the head instead of committing what it read before', async () => {
      await put('a');
      let isFirst = true;
      void open({
        handle: async (batch) => {
          handled.push(textOf(batch));
          if (isFirst) store.loseConnection();
          isFirst = false;
          return plan(textOf(batch));
        },
      });
      await drained();
      expect(handled).to.deep.equal(['a', 'a']);
      expect(await outputs()).to.equal('a');
      await isBalanced();
    });

    for (const [title, isRaised] of [
      ['waits for room in a full output lane', false],
      ['goes on when the bound of a full output lane is raised', true],
    ] as const) {
      it(`${title}, and handles nothing twice for it`, async () => {
        const bounds = { ...WIDE, entriesMax: 1 };
        await put('a', 'b');
        void open({
          batchEntriesMax: 1,
          handle: async (batch) => {
            handled.push(textOf(batch));
            const output = { lane: 'out', payload: Buffer.from(textOf(batch)), bounds };
            return { counters: { done: 1 }, outputs: [output] };
          },
        });
        await until(() => handled.length === 2);
        await delay(20);
        const [out, ...others] = await readAll(store, 'out');
        expect(others).to.deep.equal([]);
        expect(await readAll(store)).to.have.length(1);
        if (isRaised) bounds.entriesMax = 2;
        else await store.commit(commitOf(token, { inputs: [{ lane: 'out', id: out?.id ?? '', bytes: 1 }] }));
        await drained();
        expect(handled).to.deep.equal(['a', 'b']);
      });
    }

    it('begins nothing while its lease is not surely valid', async () => {
      await put('a');
      let isValid = false;
      void open({ mayAct: () => isValid });
      await delay(30);
      expect(handled).to.deep.equal([]);
      isValid = true;
      await drained();
    });
  });

  describe('when it is fenced', () => {
    it('ends with E_FENCED and has written nothing [S-66]', async () => {
      await put('a');
      await store.acquire(0, token.laneGroup, token.nonce, 60_000);
      expect(await rejectionOf(open())).to.include({ code: 'E_FENCED' });
      expect(await outputs()).to.equal('');
      expect(await readAll(store)).to.have.length(1);
    });
  });

  describe('a message that breaks its handler', () => {
    it('is found by halves and quarantined with its history; the rest goes on in order [S-69]', async () => {
      await put('abcdefgX', 'hi');
      void open(breakOn('X'));
      await drained();
      expect(quarantined).to.deep.equal(['X']);
      expect(await outputs()).to.equal('abcdefghi');
      expect((await store.strikes(0, 'in')).size).to.equal(0);
      await isBalanced();
    });

    it('does not make others pay: each message alone gets its strikes, good pieces are handled once', async () => {
      await put('XbcY');
      void open({ ...breakOn('XY'), strikesMax: 2 });
      await drained();
      expect(quarantined).to.deep.equal(['X', 'Y']);
      expect(await outputs()).to.equal('bc');
      expect(handled).to.deep.equal(['XbcY', 'Xb', 'X', 'X', 'b', 'cY', 'c', 'Y', 'Y']);
      await isBalanced();
    });

    it('is quarantined after its strikes when the error names it', async () => {
      await put('abXd');
      const histories: number[] = [];
      void open({
        handle: async (batch) => {
          const text = textOf(batch);
          handled.push(text);
          const index = text.indexOf('X');
          const lo = batch.pieces[0]?.lo ?? 0;
          if (index >= 0)
            throw new CodedError('E_BAD', 'bad', { kind: 'permanent', details: { index: lo + index } });
          return plan(text);
        },
        quarantine: async ({ history }) => {
          histories.push(history.total, ...history.latest.map(({ lo }) => lo));
          return { counters: { quarantined: 1 } };
        },
      });
      await drained();
      expect(handled).to.deep.equal(['abXd', 'ab', 'X', 'X', 'd']);
      expect(histories).to.deep.equal([3, 2, 2, 2]);
      expect(await outputs()).to.equal('abd');
      await isBalanced();
    });

    it('charges no entry of a batch that broke as a whole, but tries each alone', async () => {
      await put('a', 'X', 'b');
      void open(breakOn('X'));
      await drained();
      expect(handled).to.deep.equal(['aXb', 'a', 'X', 'X', 'X', 'b']);
      expect(quarantined).to.deep.equal(['X']);
      expect(await outputs()).to.equal('ab');
    });

    it('is tried again when it cannot be quarantined, never dropped', async () => {
      await put('X');
      let failures = 2;
      void open({
        ...breakOn('X'),
        quarantine: async () => {
          failures -= 1;
          if (failures >= 0) throw new Error('the database is away');
          quarantined.push('X');
          return { counters: { quarantined: 1 } };
        },
      });
      await drained();
      expect(quarantined).to.deep.equal(['X']);
      await isBalanced();
    });

    it('may break by a plan that no store can take', async () => {
      await put('aXb');
      void open({
        handle: async (batch) => {
          const text = textOf(batch);
          return text.includes('X') ? { ...plan(text), counters: { 'not a name': 1 } } : plan(text);
        },
      });
      await drained();
      expect(quarantined).to.deep.equal(['X']);
      expect(await outputs()).to.equal('ab');
    });

    it('survives when it recovers before its last strike', async () => {
      await put('X');
      let failures = 2;
      void open({
        handle: async (batch) => {
          failures -= 1;
          if (failures >= 0) throw new Error('boom');
          return plan(textOf(batch));
        },
      });
      await drained();
      expect(quarantined).to.deep.equal([]);
      expect(await outputs()).to.equal('X');
    });
  });

  describe('after a crash in the middle of handling', () => {
    it('goes on with the halves, incarnation by incarnation, until the offender is alone [S-69]', async () => {
      await put('abcdXfgh');
      let suspect: Suspect | undefined;
      let crashes = 0;
      for (;;) {
        token = await own(store, 0, token.nonce);
        // The thread dies in the handler: it never settles, and all that is left is the progress mark.
        const died = Promise.withResolvers<void>();
        let mark: Suspect | undefined;
        const dying = createConsumer({
          store,
          lane: 'in',
          blockMs: 20,
          onProgress: (_partition, at) => {
            mark = at === undefined ? undefined : { ...at, reason: 'E_THREAD_DIED', message: 'died' };
          },
          handle: async (batch) => {
            if (!textOf(batch).includes('X')) return plan(textOf(batch));
            died.resolve();
            return new Promise(() => {});
          },
          quarantine: async ({ index, history }) => {
            expect(history.total).to.equal(crashes);
            quarantined.push(String(index));
            return { counters: { quarantined: 1 } };
          },
        });
        dying.assign(0, token, suspect);
        void dying.run().catch(() => {});
        const outcome = await Promise.race([
          died.promise.then(() => 'died'),
          drained().then(() => 'drained'),
        ]);
        if (outcome === 'drained') {
          await dying.stop();
          break;
        }
        crashes += 1;
        suspect = mark;
        // Its handler never settles, so there is no end to wait for; it only must not read on.
        void dying.stop();
      }
      expect(crashes).to.equal(6);
      expect(quarantined).to.deep.equal(['4']);
      expect(await outputs()).to.equal('abcdfgh');
      await isBalanced();
    });

    it('charges nothing when several entries were in hand: each is tried alone', async () => {
      await put('a', 'b', 'c', 'd');
      void open(
        {},
        {
          partition: 0,
          lane: 'in',
          firstId: '1-1',
          lastId: '3-1',
          lo: 0,
          hi: 1,
          reason: 'E_THREAD_DIED',
          message: 'died',
        },
      );
      await drained();
      expect(handled).to.deep.equal(['a', 'b', 'c', 'd']);
      expect((await store.strikes(0, 'in')).size).to.equal(0);
    });
  });

  describe('stop', () => {
    it('commits what is in hand first', async () => {
      await put('a', 'b');
      let begun = (): void => {};
      const hasBegun = new Promise<void>((resolve) => {
        begun = resolve;
      });
      const run = open({
        batchEntriesMax: 1,
        handle: async (batch) => {
          handled.push(textOf(batch));
          begun();
          await delay(20);
          return plan(textOf(batch));
        },
      });
      await hasBegun;
      await consumer.stop();
      await run;
      expect(handled).to.deep.equal(['a']);
      expect(await outputs()).to.equal('a');
      expect(await readAll(store)).to.have.length(1);
    });
  });
});
