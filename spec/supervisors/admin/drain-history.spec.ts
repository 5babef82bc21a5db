import { expect } from 'chai';
import fc from 'fast-check';
import { beforeEach, describe, it } from 'mocha';
import { createMemoryStore } from '../../../runtime/durable/memory-store.ts';
import { Books } from '../../../supervisors/admin/books.ts';
import { DrainHistory } from '../../../supervisors/admin/drain-history.ts';
import { appendOne, freshWriterId } from '../../runtime/durable/store-under-test.ts';
import { FakeClock } from '../../support/fake-clock.ts';

describe('DrainHistory', () => {
  let clock: FakeClock;
  let history: DrainHistory;
  beforeEach(() => {
    clock = new FakeClock();
    history = new DrainHistory(clock);
  });
  /** A sample of one mailbox, and some time after it. */
  const note = (depth: number, ms = 5_000): void => {
    history.note(new Map([['a', depth]]));
    clock.advance(ms);
  };

  it('divides what is left by the pace at which it has become less', () => {
    note(1_000);
    note(900);
    note(800);
    expect(history.etaSeconds('a', 700)).to.equal(35);
    expect(history.etaSeconds('a', 1)).to.equal(1);
  });

  it('is 0 for what is empty, also when nothing is known', () => {
    expect(history.etaSeconds('a', 0)).to.equal(0);
  });

  it('is not known before there is a sample old enough to be compared with', () => {
    expect(history.etaSeconds('a', 10)).to.equal(null);
    note(100, 900);
    expect(history.etaSeconds('a', 10)).to.equal(null);
    clock.advance(100);
    expect(history.etaSeconds('a', 10)).to.equal(1);
  });

  it('is null while it stays as it is or grows, and of another mailbox nothing is concluded', () => {
    note(100);
    note(100);
    expect(history.etaSeconds('a', 100)).to.equal(null);
    expect(history.etaSeconds('a', 101)).to.equal(null);
    expect(history.etaSeconds('b', 50)).to.equal(null);
  });

  it('measures a burst from when it was fullest, not from before it came', () => {
    note(0);
    note(0);
    note(1_000);
    note(800);
    expect(history.etaSeconds('a', 600)).to.equal(15);
  });

  it('does not count the time before it began to get emptier', () => {
    for (let samples = 0; samples < 8; samples++) note(1_000);
    expect(history.etaSeconds('a', 900)).to.equal(45);
  });

  it('knows the present pace, not that of more than a minute ago', () => {
    note(1_000_000);
    for (let samples = 0; samples < 13; samples++) note(1_000);
    expect(history.etaSeconds('a', 1_000)).to.equal(null);
  });

  it('keeps a fixed number of samples, however often it is told', () => {
    for (let at = 0; at < 5_000; at++) note(10_000 - at, 100);
    // 10 less per second.
    expect(history.etaSeconds('a', 5_000)).to.equal(500);
  });

  it('is exact for a mailbox that gets emptier evenly, whatever the pace', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 10_000 }),
        fc.integer({ min: 2, max: 30 }),
        (perSecond, seconds) => {
          clock = new FakeClock();
          history = new DrainHistory(clock);
          const total = perSecond * 1_000;
          for (let at = 0; at < seconds; at++) note(total - perSecond * at, 1_000);
          expect(history.etaSeconds('a', total - perSecond * seconds)).to.equal(1_000 - seconds);
        },
      ),
    );
  });
});

describe('Books', () => {
  it('sample by themselves while nobody reads them, until they are stopped', async () => {
    const clock = new FakeClock();
    const store = createMemoryStore();
    const writerId = freshWriterId();
    for (let sequence = 1; sequence <= 3; sequence++)
      await appendOne(store, { writerId, sequence, lane: 'ingest', count: 10 });
    const books = new Books({ store, clock, partitions: 2 });
    await clock.pass(20_000);
    expect(clock.pending).to.equal(1);
    // The last sample is 30 events at least a second ago.
    await clock.pass(1_000);
    expect(books.etaSeconds(0, 'ingest', 15)).to.be.within(1, 6);
    expect(books.etaSeconds(1, 'ingest', 15)).to.equal(null);
    books.stop();
    expect(clock.pending).to.equal(0);
  });

  it('go on sampling after the store was away', async () => {
    const clock = new FakeClock();
    const store = createMemoryStore();
    await appendOne(store, { writerId: freshWriterId(), sequence: 1, lane: 'ingest', count: 10 });
    const ledger = store.ledger.bind(store);
    store.ledger = () => Promise.reject(new Error('away'));
    const books = new Books({ store, clock, partitions: 1 });
    await clock.pass(20_000);
    expect(books.etaSeconds(0, 'ingest', 5)).to.equal(null);
    store.ledger = ledger;
    await clock.pass(11_000);
    expect(books.etaSeconds(0, 'ingest', 5)).to.be.a('number');
    books.stop();
  });
});
