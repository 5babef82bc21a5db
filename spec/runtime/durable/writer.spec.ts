import { expect } from 'chai';
import { beforeEach, describe, it } from 'mocha';
import type { Bounds, DurableStore } from '../../../runtime/durable/durable-store.ts';
import { createMemoryStore } from '../../../runtime/durable/memory-store.ts';
import type { Writer, WriterOptions } from '../../../runtime/durable/writer.ts';
import { createWriter } from '../../../runtime/durable/writer.ts';
import type { FaultyStore } from './faulty-store.ts';
import { createFaultyStore } from './faulty-store.ts';
import {
  commitOf,
  delay,
  inputOf,
  ManualClock,
  own,
  readAll,
  rejectionOf,
  settled,
  WIDE,
} from './store-under-test.ts';

type Options = Partial<WriterOptions<Buffer, number>>;

describe('Writer', () => {
  let store: FaultyStore;
  let frames: number;

  beforeEach(() => {
    store = createFaultyStore(createMemoryStore());
    frames = 0;
  });

  const open = (options: Options = {}): Writer<Buffer, number> =>
    createWriter<Buffer, number>({
      store,
      bounds: () => WIDE,
      cut: (submissions) => {
        frames += 1;
        return { payload: Buffer.concat(submissions.map(({ part }) => part)), tag: frames };
      },
      onStoreOlder: () => Promise.reject(new Error('not expected')),
      ...options,
    });
  const submit = (writer: Writer<Buffer, number>, text: string, partition = 0, lane = 'in') =>
    writer.submit(partition, lane, text.length, Buffer.from(text));
  const texts = async (from: DurableStore = store, lane = 'in'): Promise<string[]> =>
    (await readAll(from, lane)).map(({ payload }) => payload.toString());

  describe('group commit', () => {
    it('puts everything of one turn into one frame, and tells each where it lies', async () => {
      const writer = open();
      const receipts = await Promise.all(['ab', 'c', 'def'].map((text) => submit(writer, text)));
      expect(receipts).to.deep.equal([
        { tag: 1, firstIndex: 0, accepted: 6 },
        { tag: 1, firstIndex: 2, accepted: 6 },
        { tag: 1, firstIndex: 3, accepted: 6 },
      ]);
      expect(await texts()).to.deep.equal(['abcdef']);
    });

    it('cuts the next round when the previous one has returned, with all that came meanwhile [S-60]', async () => {
      const writer = open();
      let release = (): void => {};
      store.hold = new Promise((resolve) => {
        release = resolve;
      });
      const first = submit(writer, 'a');
      await settled();
      const rest = ['b', 'c', 'd'].map((text) => submit(writer, text));
      await settled();
      expect(store.rounds).to.equal(1);
      store.hold = undefined;
      release();
      await Promise.all([first, ...rest]);
      expect(store.rounds).to.equal(2);
      expect(await texts()).to.deep.equal(['a', 'bcd']);
    });

    it('makes one append per partition and lane, in one round', async () => {
      const writer = open();
      await Promise.all([submit(writer, 'a', 0), submit(writer, 'b', 1), submit(writer, 'c', 0, 'other')]);
      expect(store.rounds).to.equal(1);
      expect(await texts()).to.deep.equal(['a']);
      expect(await texts(store, 'other')).to.deep.equal(['c']);
    });

    it('keeps frames within their limits', async () => {
      const writer = open({ frameMessagesMax: 4, frameBytesMax: 1_000 });
      await Promise.all(['ab', 'cd', 'e', 'fghijkl', 'm'].map((text) => submit(writer, text)));
      expect(await texts()).to.deep.equal(['abcd', 'e', 'fghijkl', 'm']);
    });

    it('asks for the limit of a frame before each', async () => {
      let messagesMax = 4;
      const writer = open({ frameMessagesMax: () => messagesMax });
      await Promise.all(['ab', 'cd'].map((text) => submit(writer, text)));
      messagesMax = 2;
      await Promise.all(['ef', 'gh'].map((text) => submit(writer, text)));
      expect(await texts()).to.deep.equal(['abcd', 'ef', 'gh']);
    });

    it('rejects only the submissions whose frame cannot be made', async () => {
      const writer = open({
        frameMessagesMax: 1,
        cut: ([submission]) => {
          const payload = submission?.part ?? Buffer.alloc(0);
          if (payload.toString() === 'b') throw new Error('bad part');
          return { payload, tag: 0 };
        },
      });
      const outcomes = await Promise.allSettled(['a', 'b', 'c'].map((text) => submit(writer, text)));
      expect(outcomes.map(({ status }) => status)).to.deep.equal(['fulfilled', 'rejected', 'fulfilled']);
      expect(await texts()).to.deep.equal(['a', 'c']);
      expect(writer.inFlightBytes).to.equal(0);
    });
  });

  describe('after an error', () => {
    for (const fault of ['request-lost', 'reply-lost', 'refused'] as const) {
      it(`stores once and in order when a ${fault.replace('-', ' is ')} [S-61]`, async () => {
        const writer = open();
        store.appendFaults = [undefined, fault, fault];
        await submit(writer, 'a');
        const second = submit(writer, 'b');
        await settled();
        const third = submit(writer, 'c');
        await Promise.all([second, third]);
        expect(await texts()).to.deep.equal(['a', 'b', 'c']);
      });
    }

    it('says full at once, and stores the next when there is room', async () => {
      const bounds: Bounds = { ...WIDE, entriesMax: 1 };
      const writer = open({ bounds: () => bounds });
      await submit(writer, 'a');
      const error = await rejectionOf(submit(writer, 'b'));
      expect(error).to.deep.include({ code: 'E_LANE_FULL', kind: 'transient' });
      expect(error).to.have.nested.property('details.stored', 'no');
      await store.commit(commitOf(await own(store), { inputs: (await readAll(store)).map(inputOf) }));
      await submit(writer, 'c');
      expect(await texts()).to.deep.equal(['c']);
    });

    it('never lets a late copy of a frame it gave up take the place of another', async () => {
      // The lane is full when the resent frame arrives, so it is given up, while a copy still lies in a buffer.
      const inner = createMemoryStore();
      let bounds: Bounds = { ...WIDE, entriesMax: 1 };
      const copies: (() => Promise<unknown>)[] = [];
      const faulty = createFaultyStore({
        ...inner,
        generation: 1,
        append(requests) {
          if (copies.length === 0 && requests[0]?.payload.toString() === 'lost') {
            copies.push(() => inner.append(requests.map((request) => ({ ...request, bounds: WIDE }))));
            return Promise.resolve(
              requests.map(
                () => ({ status: 'error', error: Object.assign(new Error(), lostReply) }) as never,
              ),
            );
          }
          return inner.append(requests);
        },
      });
      store = faulty;
      const writer = open({ bounds: () => bounds });
      await submit(writer, 'a');
      expect(await rejectionOf(submit(writer, 'lost'))).to.have.property('code', 'E_APPEND_UNKNOWN');
      await copies[0]?.();
      bounds = WIDE;
      await submit(writer, 'b');
      expect(await texts()).to.deep.equal(['a', 'lost', 'b']);
    });

    it('takes a new id when the store has forgotten it', async () => {
      const clock = new ManualClock();
      const inner = createMemoryStore({ clock, writerTtlMs: 20_000 });
      store = createFaultyStore(inner);
      const writer = open({ clock, writerTtlMs: 20_000, deadlineMs: 1_000 });
      await submit(writer, 'a');
      await submit(writer, 'b');
      await clock.advance(25_000);
      await submit(writer, 'c');
      expect(await texts()).to.deep.equal(['a', 'b', 'c']);
    });

    it('goes on after a gap: what it stored before was lost, what it holds is not', async () => {
      let inner = createMemoryStore();
      const writer = open({
        store: { ...inner, generation: 1, append: (requests) => inner.append(requests) },
        onStoreOlder: async (partition, _known, witnessed) => {
          await inner.raiseSequence(partition, witnessed);
        },
      });
      await submit(writer, 'ab');
      await submit(writer, 'c');
      inner = createMemoryStore();
      expect(await submit(writer, 'd')).to.deep.equal({ tag: 3, firstIndex: 0, accepted: 4 });
      expect(await texts(inner)).to.deep.equal(['d']);
    });
  });

  describe('when the store came back older', () => {
    it('reports it before anything is stored, and never repeats a number [S-70]', async () => {
      const reports: number[][] = [];
      const writer = open({
        witnessed: () => 10,
        onStoreOlder: async (...report) => {
          reports.push(report);
          expect(await texts()).to.deep.equal([]);
          await store.raiseSequence(0, 10);
        },
      });
      expect(await submit(writer, 'a')).to.include({ accepted: 11 });
      expect(reports).to.deep.equal([[0, 0, 10]]);
    });

    it('rejects when it cannot be reconciled', async () => {
      const writer = open({
        witnessed: () => 10,
        onStoreOlder: () =>
          Promise.reject(Object.assign(new Error('no'), { code: 'E_NO', kind: 'permanent' })),
      });
      expect(await rejectionOf(submit(writer, 'a'))).to.have.property('code', 'E_NO');
      expect(writer.inFlightBytes).to.equal(0);
    });
  });

  it('waits, and tries again, when the store itself fails', async () => {
    let failures = 0;
    const inner = createMemoryStore();
    const writer = open({
      store: {
        ...inner,
        generation: 1,
        append: (requests) =>
          ++failures <= 2 ? Promise.reject(new Error('planted')) : inner.append(requests),
      },
      deadlineMs: 1_000,
    });
    await submit(writer, 'a');
    expect(await texts(inner)).to.deep.equal(['a']);
    const never = open({
      store: { ...inner, generation: 1, append: () => Promise.reject(new Error('planted')) },
      deadlineMs: 60,
    });
    expect(await rejectionOf(submit(never, 'c'))).to.have.property('code', 'E_APPEND_UNKNOWN');
  });

  describe('when the store does not answer', () => {
    it('rejects at the deadline: unknown what was sent, surely not stored what was not', async () => {
      const clock = new ManualClock();
      const writer = open({ clock, deadlineMs: 1_000 });
      let release = (): void => {};
      store.hold = new Promise((resolve) => {
        release = resolve;
      });
      const sent = submit(writer, 'a');
      await settled();
      const waiting = submit(writer, 'b');
      const rejections = Promise.all([rejectionOf(sent), rejectionOf(waiting)]);
      await clock.advance(1_100);
      const [first, second] = await rejections;
      expect(first).to.have.property('code', 'E_APPEND_UNKNOWN');
      expect(second).to.have.property('code', 'E_APPEND_LATE');
      expect(second).to.have.nested.property('details.stored', 'no');
      store.hold = undefined;
      release();
      await settled();
      await submit(writer, 'c');
      expect(await texts()).to.deep.equal(['a', 'c']);
      expect(writer.inFlightBytes).to.equal(0);
    });

    it('stores nothing of what it called not stored, though the rest of its frame goes on [S-61]', async () => {
      const clock = new ManualClock();
      const writer = open({ clock, deadlineMs: 1_000 });
      let release = (): void => {};
      store.hold = new Promise((resolve) => {
        release = resolve;
      });
      const first = submit(writer, 'a');
      await settled();
      const early = rejectionOf(submit(writer, 'b'));
      await clock.advance(500);
      const later = [submit(writer, 'c'), submit(writer, 'd')];
      store.appendFaults = Array<'refused'>(100).fill('refused');
      store.hold = undefined;
      release();
      await first;
      await clock.advance(600);
      expect(await early).to.have.nested.property('details.stored', 'no');
      store.appendFaults = [];
      await clock.advance(300);
      const receipts = await Promise.all(later);
      expect(receipts.map(({ firstIndex }) => firstIndex)).to.deep.equal([0, 1]);
      expect(await texts()).to.deep.equal(['a', 'cd']);
      expect(writer.inFlightBytes).to.equal(0);
    });

    it('drops a frame nobody waits for any more instead of storing it later', async () => {
      const clock = new ManualClock();
      const writer = open({ clock, deadlineMs: 100 });
      store.appendFaults = Array<'request-lost'>(50).fill('request-lost');
      const rejection = rejectionOf(submit(writer, 'a'));
      await clock.advance(500);
      expect(await rejection).to.have.property('code', 'E_APPEND_UNKNOWN');
      store.appendFaults = [];
      await submit(writer, 'b');
      expect(await texts()).to.deep.equal(['b']);
    });
  });

  describe('bounds', () => {
    it('refuses more than it may hold, and takes again afterwards', async () => {
      const writer = open({ inFlightBytesMax: 4 });
      const first = submit(writer, 'abc');
      expect(await rejectionOf(submit(writer, 'de'))).to.include({
        code: 'E_WRITER_FULL',
        kind: 'transient',
      });
      await first;
      await submit(writer, 'de');
      expect(await texts()).to.deep.equal(['abc', 'de']);
    });

    it('refuses a deadline that outlives the store’s memory of the writer', () => {
      expect(() => open({ deadlineMs: 300_000 }))
        .to.throw()
        .with.property('code', 'E_WRITER_OPTIONS');
    });
  });

  describe('close', () => {
    it('stores what was submitted and takes nothing more', async () => {
      const writer = open();
      const last = submit(writer, 'a');
      await writer.close();
      expect(await last).to.include({ accepted: 1 });
      expect(await rejectionOf(submit(writer, 'b'))).to.have.property('code', 'E_WRITER_CLOSED');
    });

    it('ends at the deadline when the store is away', async () => {
      const writer = open({ deadlineMs: 60 });
      store.appendFaults = Array<'refused'>(1_000).fill('refused');
      const rejection = rejectionOf(submit(writer, 'a'));
      const closing = writer.close();
      await delay(1);
      expect(await rejection).to.have.property('code', 'E_APPEND_LATE');
      await closing;
    });
  });
});

const lostReply = { code: 'E_STORE_AWAY', kind: 'transient', details: { stored: 'unknown' } };
