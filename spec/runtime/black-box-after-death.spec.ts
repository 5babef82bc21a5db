/**
 * Real threads and processes that die with a message in hand, and what their black boxes tell afterwards.
 */
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { after, describe, it } from 'mocha';
import { withBlackBox } from '../../runtime/exit-reason.ts';
import type { ExitReason } from '../../runtime/exit-reason.ts';
import type { RunningChild } from '../../runtime/placement.ts';
import { ProcessSlot } from '../../runtime/process/process-slot.ts';
import type { ActorRecord } from '../../runtime/shared/black-box.ts';
import { CounterCollector } from '../../runtime/shared/counters.ts';
import { ThreadPool } from '../../runtime/thread/thread-pool.ts';
import { ThreadSlot } from '../../runtime/thread/thread-slot.ts';
import { SECRET } from '../fixtures/runtime/recorded.ts';
import type { Recorded } from '../fixtures/runtime/recorded.ts';

const NOTES = 3;

async function until(condition: () => boolean): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error('the condition did not come true');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

function boxOf(reason: ExitReason): readonly ActorRecord[] {
  return 'blackBox' in reason ? (reason.blackBox ?? []) : [];
}

/** That of a living child. */
function tailOf(child: RunningChild): ActorRecord[] {
  return (child.describe?.()['blackBox'] ?? []) as ActorRecord[];
}

const message = (type: Recorded['type']): Recorded => ({ type, content: SECRET });
const handledNotes = (record: ActorRecord | undefined): number =>
  record?.last.filter(({ type, outcome }) => type === 'note' && outcome === 'handled').length ?? 0;

describe('A black box after the death', function () {
  this.timeout(20_000);

  describe('of a thread', () => {
    const pool = new ThreadPool({ spareThreads: 0, threadsMax: 1, heapMbMax: 48 });
    let handled = 0;
    const slot = new ThreadSlot({
      id: 'slot',
      pool,
      moduleUrl: new URL('../fixtures/runtime/recorded-thread.ts', import.meta.url).href,
      params: async () => undefined,
      counterLayout: [],
      hangAfterMs: 2_500,
      startTimeoutMs: 10_000,
      hasBlackBox: true,
      onMessage: () => handled++,
    });
    after(() => pool.close());

    let epoch = 0;
    for (const [type, kind] of [
      ['loop', 'hung'],
      ['memory', 'outOfMemory'],
      ['exit', 'exited'],
    ] as const) {
      it(`by ${type} tells what it was at and had done before, and nothing of the one before it [S-87] [S-89]`, async () => {
        const child = await slot.start({ epoch: ++epoch, previousExit: undefined });
        expect(tailOf(child).map(({ actor }) => actor)).to.deep.equal(['/recorded']);
        handled = 0;
        for (let note = 0; note < NOTES; note++) slot.post(message('note'));
        // Told from inside the handler, so the box may say a moment later that it has ended.
        await until(() => handled === NOTES && handledNotes(tailOf(child)[0]) === NOTES);
        const toldAtMs = Date.now();
        slot.post(message(type));
        slot.post(message('note'));
        const reason = await child.exited;
        expect(reason.kind).to.equal(kind);
        const [record, ...others] = boxOf(reason);
        expect(others).to.deep.equal([]);
        expect(record?.actor).to.equal('/recorded');
        expect(handledNotes(record)).to.equal(NOTES);
        expect(record?.current?.type).to.equal(type);
        expect(record?.current?.sinceMs).to.be.within(toldAtMs - 5, Date.now());
        expect(JSON.stringify(reason)).to.not.contain(SECRET);
      });
    }

    it('is in no clean exit', async () => {
      const child = await slot.start({ epoch: ++epoch, previousExit: undefined });
      slot.post(message('note'));
      expect(await child.stop(5_000)).to.deep.equal({ kind: 'shutdown' });
      expect(withBlackBox({ kind: 'exited', code: 1 }, [])).to.deep.equal({ kind: 'exited', code: 1 });
    });
  });

  describe('of a process', () => {
    for (const [how, kind] of [
      ['SIGKILL', 'exited'],
      ['loop', 'hung'],
    ] as const) {
      it(`by ${how} tells what it last reported, and nothing of the one before it [S-88] [S-89]`, async () => {
        let handled = 0;
        const slot = new ProcessSlot({
          id: 'child',
          entry: fileURLToPath(new URL('../fixtures/runtime/recorded-child.ts', import.meta.url)),
          params: () => undefined,
          collector: new CounterCollector(),
          hangAfterMs: 1_000,
          startTimeoutMs: 10_000,
          onMessage: () => handled++,
        });
        const child = await slot.start({ epoch: 1, previousExit: undefined });
        for (let note = 0; note < NOTES; note++) slot.post(message('note'));
        await until(() => handled === NOTES && handledNotes(tailOf(child)[0]) === NOTES);
        if (how === 'SIGKILL' && slot.pid !== undefined) process.kill(slot.pid, 'SIGKILL');
        else slot.post(message('loop'));
        const reason = await child.exited;
        expect(reason.kind).to.equal(kind);
        const [record, ...others] = boxOf(reason);
        expect(others).to.deep.equal([]);
        expect(record).to.include({ source: 'main', actor: '/recorded' });
        expect(handledNotes(record)).to.equal(NOTES);
        expect(record?.current?.type).to.equal(how === 'loop' ? 'loop' : undefined);
        expect(JSON.stringify(reason)).to.not.contain(SECRET);

        const next = await slot.start({ epoch: 2, previousExit: reason });
        await until(() => tailOf(next).length > 0);
        expect(handledNotes(tailOf(next)[0])).to.equal(0);
        next.kill('the spec is over');
        await next.exited;
      });
    }
  });
});
