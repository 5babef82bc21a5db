/** What a writer does about marks, over stores whose answers are lost or held back. */
import { expect } from 'chai';
import { beforeEach, describe, it } from 'mocha';
import type { DurableStore } from '../../../runtime/durable/durable-store.ts';
import type { RangeMark } from '../../../runtime/durable/marking.ts';
import { createMemoryStore } from '../../../runtime/durable/memory-store.ts';
import type { Receipt, Writer, WriterOptions } from '../../../runtime/durable/writer.ts';
import { createWriter } from '../../../runtime/durable/writer.ts';
import { createFaultyStore } from './faulty-store.ts';
import type { FaultyStore } from './faulty-store.ts';
import { ManualClock, markOf, readAll, rejectionOf, settled, WIDE, WINDOW } from './store-under-test.ts';

const QUESTION = { terminal: [], inputLanes: ['in'] };

describe('Writer with marks', () => {
  let inner: DurableStore;
  let store: FaultyStore;

  beforeEach(() => {
    inner = createMemoryStore();
    store = createFaultyStore(inner);
  });

  const open = (options: Partial<WriterOptions<Buffer, string>> = {}): Writer<Buffer, string> =>
    createWriter<Buffer, string>({
      store,
      bounds: () => WIDE,
      cut: (submissions) => {
        const payload = Buffer.concat(submissions.map(({ part }) => part));
        return { payload, tag: payload.toString() };
      },
      onStoreOlder: () => Promise.reject(new Error('not expected')),
      markWindow: () => WINDOW,
      without: (part, gone) => Buffer.from(part.filter((_, at) => !gone.has(at))),
      ...options,
    });
  /** Each character is a message. One mark over all of them, called as given. */
  const submit = (writer: Writer<Buffer, string>, text: string, key?: string): Promise<Receipt<string>> => {
    const marks = key === undefined ? [] : [{ ...markOf(key, text), first: 0, count: text.length }];
    return writer.submit(0, 'in', text.length, Buffer.from(text), marks);
  };
  /** A mark for each character: a message with an id of its own. */
  const submitEach = (writer: Writer<Buffer, string>, text: string): Promise<Receipt<string>> => {
    const marks = [...text].map((char, first): RangeMark => ({ ...markOf(char), first, count: 1 }));
    return writer.submit(0, 'in', text.length, Buffer.from(text), marks);
  };
  const texts = async (): Promise<string[]> =>
    (await readAll(inner)).map(({ payload }) => payload.toString());
  /** Lets a frame of `x` wait at the store, so that what is submitted meanwhile goes into one frame. */
  const busy = async (writer: Writer<Buffer, string>): Promise<() => void> => {
    const gate = Promise.withResolvers<void>();
    store.hold = gate.promise;
    void submit(writer, 'x');
    await settled();
    return () => {
      store.hold = undefined;
      gate.resolve();
    };
  };

  it('resolves a resend through another writer, and stores nothing of it', async () => {
    expect(await submit(open(), 'abc', 'k')).to.deep.equal({
      tag: 'abc',
      firstIndex: 0,
      accepted: 3,
      duplicates: 0,
      reused: [],
    });
    const told: number[][] = [];
    const writer = open({ onAccepted: (...numbers) => told.push(numbers) });
    expect(await submit(writer, 'abc', 'k')).to.deep.equal({
      tag: undefined,
      firstIndex: 0,
      accepted: 3,
      duplicates: 3,
      reused: [],
    });
    // What is answered as stored is what the witness must know of.
    expect(told).to.deep.equal([[0, 3]]);
    expect(await texts()).to.deep.equal(['abc']);
    expect(writer.inFlightBytes).to.equal(0);
  });

  it('asks nothing of the store for what has no mark', async () => {
    const seen: unknown[] = [];
    const writer = open({
      store: {
        ...inner,
        generation: 1,
        append: (requests) => {
          seen.push(...requests.map(({ marks }) => marks));
          return inner.append(requests);
        },
      },
      markWindow: () => {
        throw new Error('not expected');
      },
    });
    expect(await submit(writer, 'a')).to.deep.equal({ tag: 'a', firstIndex: 0, accepted: 1 });
    expect(seen).to.deep.equal([undefined]);
  });

  it('stores the rest of a frame in which some is a resend', async () => {
    await submit(open(), 'bb', 'k');
    const writer = open();
    const release = await busy(writer);
    const waits = [
      submit(writer, 'a'),
      submit(writer, 'bb', 'k'),
      submit(writer, 'cc', 'l'),
      submit(writer, 'd'),
    ];
    release();
    const receipts = await Promise.all(waits);
    expect(receipts.map(({ tag, firstIndex, duplicates }) => [tag, firstIndex, duplicates])).to.deep.equal([
      ['accd', 0, undefined],
      [undefined, 0, 2],
      ['accd', 1, 0],
      ['accd', 3, undefined],
    ]);
    expect(await texts()).to.deep.equal(['bb', 'x', 'accd']);
    expect(writer.inFlightBytes).to.equal(0);
  });

  it('makes one of equal submissions that wait at the same time', async () => {
    const writer = open();
    const release = await busy(writer);
    const waits = [
      submit(writer, 'ab', 'k'),
      submit(writer, 'ab', 'k'),
      submit(writer, 'c'),
      submit(writer, 'ab', 'k'),
    ];
    release();
    const receipts = await Promise.all(waits);
    expect(receipts.map(({ tag, duplicates }) => [tag, duplicates])).to.deep.equal([
      ['abc', 0],
      ['abc', 2],
      ['abc', undefined],
      ['abc', 2],
    ]);
    expect(store.rounds).to.equal(2);
    expect(writer.inFlightBytes).to.equal(0);
  });

  it('rejects equal submissions together: none is told of what is not stored', async () => {
    const writer = open({ bounds: () => ({ ...WIDE, entriesMax: 1 }) });
    const release = await busy(writer);
    const rejections = Promise.all([submit(writer, 'ab', 'k'), submit(writer, 'ab', 'k')].map(rejectionOf));
    release();
    expect((await rejections).map(({ code }) => code)).to.deep.equal(['E_LANE_FULL', 'E_LANE_FULL']);
    expect(writer.inFlightBytes).to.equal(0);
  });

  it('rejects them together at the deadline, and gives their room back', async () => {
    const clock = new ManualClock();
    const writer = open({ clock, deadlineMs: 1_000 });
    store.appendFaults = Array<'refused'>(200).fill('refused');
    const rejections = Promise.all([submit(writer, 'ab', 'k'), submit(writer, 'ab', 'k')].map(rejectionOf));
    await clock.advance(1_200);
    expect((await rejections).map(({ code }) => code)).to.deep.equal(['E_APPEND_LATE', 'E_APPEND_LATE']);
    expect(writer.inFlightBytes).to.equal(0);
  });

  it('stores the same key with another content, and tells that it was reused', async () => {
    const writer = open();
    const release = await busy(writer);
    const waits = [submit(writer, 'ab', 'k'), submit(writer, 'cd', 'k'), submit(writer, 'e', 'l')];
    release();
    const receipts = await Promise.all(waits);
    expect(receipts.map(({ duplicates, reused }) => [duplicates, reused?.length])).to.deep.equal([
      [0, 0],
      [0, 1],
      [0, 0],
    ]);
    expect(await texts()).to.deep.equal(['x', 'abcde']);
    expect(await submit(writer, 'cd', 'k'))
      .to.deep.include({ duplicates: 2 })
      .and.have.property('reused')
      .with.length(1);
  });

  describe('on single messages', () => {
    it('leaves out those that are stored, and moves the marks of the others', async () => {
      await submitEach(open(), 'bd');
      const writer = open();
      expect(await submitEach(writer, 'abcde')).to.deep.include({ tag: 'ace', firstIndex: 0, duplicates: 2 });
      expect(await texts()).to.deep.equal(['bd', 'ace']);
      expect(await submitEach(writer, 'ecaf')).to.deep.include({ tag: 'f', duplicates: 3 });
      expect(await submitEach(writer, 'abcdef')).to.deep.include({ tag: undefined, duplicates: 6 });
      expect((await inner.ledger(0, QUESTION)).accepted).to.equal(6);
      expect(writer.inFlightBytes).to.equal(0);
    });

    it('stores one that comes twice in a submission once', async () => {
      expect(await submitEach(open(), 'aab')).to.deep.include({ tag: 'ab', duplicates: 1 });
    });

    it('tells of a message only when the submission that brings it is stored', async () => {
      let entriesMax = 2;
      const writer = open({ bounds: () => ({ ...WIDE, entriesMax }) });
      const release = await busy(writer);
      const first = submitEach(writer, 'ab');
      const second = submitEach(writer, 'bc');
      release();
      expect(await first).to.deep.include({ tag: 'ab' });
      expect(await rejectionOf(second)).to.have.property('code', 'E_LANE_FULL');
      entriesMax = 3;
      expect(await submitEach(writer, 'bc')).to.deep.include({ tag: 'c', duplicates: 1 });
      expect(await texts()).to.deep.equal(['x', 'ab', 'c']);
    });

    it('says what is missing when the writer cannot leave one out', async () => {
      const writer = createWriter<Buffer, string>({
        store,
        bounds: () => WIDE,
        cut: () => ({ payload: Buffer.from('p'), tag: '' }),
        onStoreOlder: () => Promise.reject(new Error('not expected')),
        markWindow: () => WINDOW,
      });
      await submitEach(writer, 'a');
      expect(await rejectionOf(submitEach(writer, 'ab'))).to.have.property('code', 'E_WRITER_OPTIONS');
      expect(writer.inFlightBytes).to.equal(0);
    });
  });

  describe('when the answer is lost', () => {
    it('counts its own repeat as stored, not as a duplicate', async () => {
      store.appendFaults = ['reply-lost'];
      expect(await submit(open(), 'ab', 'k')).to.deep.include({ tag: 'ab', duplicates: 0 });
      expect(await texts()).to.deep.equal(['ab']);
    });

    it('never lets a late copy of a frame that was a duplicate take the place of the next', async () => {
      await submit(open(), 'ab', 'k');
      // Lost on the way, and then found to be a duplicate: the first copy arrives after everything.
      const copies: (() => Promise<unknown>)[] = [];
      const writer = open({
        store: {
          ...store,
          generation: 1,
          append: async (requests) => {
            if (copies.length > 0) return inner.append(requests);
            copies.push(() => inner.append(requests));
            store.appendFaults = ['request-lost'];
            return store.append(requests);
          },
        },
      });
      const waits = [submit(writer, 'ab', 'k'), submit(writer, 'c')];
      await Promise.all(waits);
      await copies[0]?.();
      await submit(writer, 'd');
      await copies[0]?.();
      expect(await texts()).to.deep.equal(['ab', 'c', 'd']);
    });
  });
});
