import { expect } from 'chai';
import fc from 'fast-check';
import { beforeEach, describe, it } from 'mocha';
import { ROW, ROW_STAGE, ROW_WORDS } from '../../../gateways/ingest/ingest-port.ts';
import type { IngestBatch, IngestStatus, IngestVerdict } from '../../../gateways/ingest/ingest-port.ts';
import { IngestThreads } from '../../../supervisors/gateway/ingest-threads.ts';
import type { IngestThread, ToIngestThread } from '../../../supervisors/gateway/ingest-threads.ts';
import { FakeClock } from '../../support/fake-clock.ts';

/** A thread as the port sees it; what it would do with a batch is done by hand. */
class HandThread implements IngestThread {
  readonly id: string;
  isUp = false;
  inbox: ToIngestThread[] = [];

  constructor(id: string) {
    this.id = id;
  }
  post(message: ToIngestThread): boolean {
    if (this.isUp) this.inbox.push(message);
    return this.isUp;
  }
}

function batchOf(firstRequest: number, count: number): IngestBatch {
  const table = new SharedArrayBuffer(count * ROW_WORDS * 4);
  const words = new Uint32Array(table);
  for (let index = 0; index < count; index++) words[index * ROW_WORDS + ROW.request] = firstRequest + index;
  return { count, table, bodies: [new SharedArrayBuffer(8)], keyNames: ['relay'] };
}

function setStage(batch: IngestBatch, index: number, stage: keyof typeof ROW_STAGE): void {
  new Uint32Array(batch.table)[index * ROW_WORDS + ROW.stage] = ROW_STAGE[stage];
}

function stagesOf(batch: IngestBatch): number[] {
  const words = new Uint32Array(batch.table);
  return Array.from({ length: batch.count }, (_, index) => words[index * ROW_WORDS + ROW.stage] ?? -1);
}

const verdict = (request: number, status: IngestStatus = 'stored'): IngestVerdict => ({
  request,
  status,
  accepted: 1,
  rejected: 0,
  errors: [],
});

describe('IngestThreads', () => {
  let clock: FakeClock;
  let a: HandThread;
  let b: HandThread;
  let threads: IngestThreads;
  let heard: [request: number, status: string][];

  beforeEach(() => {
    clock = new FakeClock();
    a = new HandThread('a');
    b = new HandThread('b');
    threads = new IngestThreads(clock);
    threads.add(a);
    threads.add(b);
    heard = [];
    threads.onVerdicts((verdicts) =>
      heard.push(...verdicts.map((v): [number, string] => [v.request, v.status])),
    );
  });
  const up = (thread: HandThread): void => {
    thread.isUp = true;
    threads.threadReady(thread.id);
  };
  const down = (thread: HandThread): void => {
    thread.isUp = false;
    thread.inbox = [];
    threads.threadGone(thread.id);
  };
  const first = (thread: HandThread): ToIngestThread => {
    const [message] = thread.inbox;
    if (message === undefined) throw new Error('no batch came');
    return message;
  };

  it('gives a batch to the thread with the fewest rows and its verdicts to the listener', () => {
    up(a);
    up(b);
    threads.submit(batchOf(1, 3));
    threads.submit(batchOf(10, 1));
    threads.submit(batchOf(20, 1));
    expect([a.inbox.length, b.inbox.length]).to.deep.equal([1, 2]);
    threads.receive({
      type: 'verdicts',
      batchId: first(a).batchId,
      verdicts: [1, 2, 3].map((n) => verdict(n)),
    });
    threads.submit(batchOf(30, 1));
    expect(a.inbox).to.have.length(2);
    expect(heard).to.deep.equal([
      [1, 'stored'],
      [2, 'stored'],
      [3, 'stored'],
    ]);
  });

  it('does not call back in the turn of the submission', () => {
    threads.submit(batchOf(1, 1));
    expect(heard).to.deep.equal([]);
  });

  describe('when a thread dies', () => {
    it('gives untouched rows to the successor and answers those that may be stored with away, once', () => {
      up(a);
      const batch = batchOf(1, 4);
      threads.submit(batch);
      setStage(batch, 0, 'storing');
      setStage(batch, 1, 'decoding');
      down(a);
      expect(heard).to.deep.equal([[1, 'away']]);
      up(b);
      expect(first(b).batch).to.equal(batch);
      expect(stagesOf(batch)).to.deep.equal([
        ROW_STAGE.answered,
        ROW_STAGE.untouched,
        ROW_STAGE.untouched,
        ROW_STAGE.untouched,
      ]);
      threads.receive({
        type: 'verdicts',
        batchId: first(b).batchId,
        verdicts: [1, 2, 3, 4].map((n) => verdict(n)),
      });
      expect(heard).to.deep.equal([
        [1, 'away'],
        [2, 'stored'],
        [3, 'stored'],
        [4, 'stored'],
      ]);
    });

    it('answers a row whose verdict died with the thread that had marked it', () => {
      up(a);
      const batch = batchOf(1, 2);
      threads.submit(batch);
      setStage(batch, 0, 'answered');
      down(a);
      expect(heard).to.deep.equal([[1, 'away']]);
    });

    it('leaves a row alone whose verdict has come', () => {
      up(a);
      const batch = batchOf(1, 2);
      threads.submit(batch);
      setStage(batch, 0, 'answered');
      threads.receive({ type: 'verdicts', batchId: first(a).batchId, verdicts: [verdict(1)] });
      down(a);
      expect(heard).to.deep.equal([[1, 'stored']]);
    });

    it('parks a body that has killed two threads', () => {
      const batch = batchOf(1, 1);
      threads.submit(batch);
      for (const thread of [a, b]) {
        up(thread);
        setStage(batch, 0, 'decoding');
        down(thread);
      }
      expect(stagesOf(batch)).to.deep.equal([ROW_STAGE.parking]);
      up(a);
      expect(first(a).batch).to.equal(batch);
      expect(heard).to.deep.equal([]);
    });

    it('gives what found its port closed to the other thread as soon as the end is known', () => {
      up(a);
      up(b);
      a.isUp = false;
      threads.submit(batchOf(1, 1));
      expect(b.inbox).to.have.length(0);
      down(a);
      expect(b.inbox).to.have.length(1);
    });
  });

  it('counts the threads that take batches', () => {
    expect(threads.threads).to.equal(0);
    up(a);
    up(b);
    expect(threads.threads).to.equal(2);
    void threads.leave('b');
    expect(threads.threads).to.equal(1);
    down(b);
    threads.remove('b');
    expect(threads.threads).to.equal(1);
    down(a);
    expect(threads.threads).to.equal(0);
  });

  describe('when a thread leaves', () => {
    const isSettled = async (leaving: Promise<void>): Promise<boolean> => {
      const pending = Symbol('pending');
      return (await Promise.race([leaving, Promise.resolve(pending)])) !== pending;
    };

    it('gives it nothing new, and waits for what it has', async () => {
      up(a);
      up(b);
      threads.submit(batchOf(1, 2));
      const leaving = threads.leave('a');
      threads.submit(batchOf(10, 1));
      threads.submit(batchOf(20, 1));
      expect([a.inbox.length, b.inbox.length]).to.deep.equal([1, 2]);
      const { batchId } = first(a);
      threads.receive({ type: 'verdicts', batchId, verdicts: [verdict(1)] });
      expect(await isSettled(leaving)).to.equal(false);
      threads.receive({ type: 'verdicts', batchId, verdicts: [verdict(2)] });
      await leaving;
      threads.remove('a');
      threads.submit(batchOf(30, 1));
      expect(a.inbox).to.have.length(1);
      expect(heard.map(([request]) => request)).to.deep.equal([1, 2]);
    });

    it('has nothing to wait for when it is idle or not there', async () => {
      up(a);
      await threads.leave('a');
      await threads.leave('b');
    });

    it('gives what it had to another when it dies instead', async () => {
      up(a);
      up(b);
      threads.submit(batchOf(1, 1));
      const leaving = threads.leave('a');
      down(a);
      await leaving;
      expect(b.inbox).to.have.length(1);
    });

    it('gives nothing to one that was started again meanwhile', () => {
      up(a);
      threads.submit(batchOf(1, 1));
      void threads.leave('a');
      down(a);
      up(a);
      expect(a.inbox).to.have.length(0);
      up(b);
      expect(b.inbox).to.have.length(1);
    });

    it('takes part again when it is added again', () => {
      up(a);
      void threads.leave('a');
      threads.remove('a');
      down(a);
      threads.add(a);
      up(a);
      threads.submit(batchOf(1, 1));
      expect(a.inbox).to.have.length(1);
    });
  });

  describe('without a thread', () => {
    it('keeps batches for the next one', () => {
      threads.submit(batchOf(1, 1));
      clock.advance(2_900);
      up(a);
      expect(a.inbox).to.have.length(1);
      clock.advance(10_000);
      expect(heard).to.deep.equal([]);
    });

    it('answers away after three seconds', () => {
      threads.submit(batchOf(1, 2));
      clock.advance(2_999);
      expect(heard).to.deep.equal([]);
      clock.advance(1);
      expect(heard).to.deep.equal([
        [1, 'away'],
        [2, 'away'],
      ]);
      up(a);
      expect(a.inbox).to.deep.equal([]);
    });

    it('counts the three seconds anew after a thread that came and went', () => {
      threads.submit(batchOf(1, 1));
      clock.advance(1_000);
      up(a);
      clock.advance(1_900);
      down(a);
      clock.advance(2_900);
      expect(heard).to.deep.equal([]);
      clock.advance(100);
      expect(heard).to.deep.equal([[1, 'away']]);
      expect(clock.pending).to.equal(0);
    });
  });

  it('gives every row exactly one verdict, whatever dies when', () => {
    const step = fc.oneof(
      {
        weight: 4,
        arbitrary: fc.record({
          kind: fc.constant('work' as const),
          thread: fc.nat(2),
          rows: fc.nat(6),
          lost: fc.boolean(),
        }),
      },
      {
        weight: 2,
        arbitrary: fc.record({ kind: fc.constant('submit' as const), rows: fc.integer({ min: 1, max: 6 }) }),
      },
      {
        weight: 2,
        arbitrary: fc.record({ kind: fc.constantFrom('up' as const, 'down' as const), thread: fc.nat(2) }),
      },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.nat(4_000) }) },
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const time = new FakeClock();
        const pool = ['a', 'b', 'c'].map((id) => new HandThread(id));
        const port = new IngestThreads(time);
        pool.forEach((thread) => port.add(thread));
        const verdicts = new Map<number, number>();
        port.onVerdicts((all) =>
          all.forEach(({ request }) => verdicts.set(request, (verdicts.get(request) ?? 0) + 1)),
        );
        let requests = 0;
        const work = (thread: HandThread, rows: number, isLost: boolean): void => {
          const [message] = thread.inbox;
          if (message === undefined) return;
          const words = new Uint32Array(message.batch.table);
          const done: IngestVerdict[] = [];
          for (let index = 0; index < message.batch.count && done.length < rows; index++) {
            const at = index * ROW_WORDS;
            if (words[at + ROW.stage] === ROW_STAGE.answered) continue;
            words[at + ROW.stage] = ROW_STAGE.answered;
            done.push(verdict(words[at + ROW.request] ?? 0));
          }
          const next = stagesOf(message.batch).findIndex((stage) => stage !== ROW_STAGE.answered);
          if (next < 0) thread.inbox.shift();
          else setStage(message.batch, next, isLost ? 'decoding' : 'storing');
          // Lost: the thread is about to die between its mark and its word.
          if (!isLost) port.receive({ type: 'verdicts', batchId: message.batchId, verdicts: done });
          else end(thread);
        };
        const end = (thread: HandThread): void => {
          if (!thread.isUp) return;
          thread.isUp = false;
          thread.inbox = [];
          port.threadGone(thread.id);
        };
        for (const each of steps) {
          const thread = pool['thread' in each ? each.thread : 0] as HandThread;
          if (each.kind === 'submit') {
            port.submit(batchOf(requests + 1, each.rows));
            requests += each.rows;
          } else if (each.kind === 'wait') time.advance(each.ms);
          else if (each.kind === 'down') end(thread);
          else if (each.kind === 'up' && !thread.isUp) {
            thread.isUp = true;
            port.threadReady(thread.id);
          } else if (each.kind === 'work' && thread.isUp) work(thread, each.rows, each.lost);
        }
        pool.forEach(end);
        time.advance(3_000);
        expect([...verdicts.values()].every((count) => count === 1)).to.equal(true);
        expect(verdicts.size).to.equal(requests);
        expect(time.pending).to.equal(0);
      }),
      { numRuns: 500 },
    );
  });
});
