/**
 * What is logged inside a thread and who gets to read it.
 */
import { expect } from 'chai';
import { after, afterEach, beforeEach, describe, it } from 'mocha';
import type { RunningChild } from '../../../runtime/placement.ts';
import { ThreadLog } from '../../../runtime/thread/thread-log.ts';
import type { ThreadLogEntry } from '../../../runtime/thread/thread-log.ts';
import { ThreadPool } from '../../../runtime/thread/thread-pool.ts';
import { ThreadSlot } from '../../../runtime/thread/thread-slot.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { until } from '../durable/store-under-test.ts';

const moduleUrl = new URL('../../fixtures/faults/breakable-thread.ts', import.meta.url).href;

describe('the log of a thread', function () {
  this.timeout(30_000);
  const pool = new ThreadPool({ spareThreads: 1, threadsMax: 2, heapMbMax: 48 });
  let logged: ThreadLogEntry[];
  let slot: ThreadSlot;
  let child: RunningChild;

  beforeEach(async () => {
    logged = [];
    slot = new ThreadSlot({
      id: 'slot',
      pool,
      moduleUrl,
      params: async () => ({}),
      counterLayout: [{ name: 'messages_total', kind: 'counter', help: 'Messages seen.' }],
      hangAfterMs: 5_000,
      startTimeoutMs: 20_000,
      onLog: (entry) => logged.push(entry),
    });
    child = await slot.start({ epoch: 1, previousExit: undefined });
  });
  afterEach(async () => {
    child.kill('the spec is over');
    await child.exited;
  });
  after(() => pool.close());

  it('has a terminate that fails [S-16] [S-75]', async () => {
    slot.post({ what: 'terminate badly' });
    await until(() => logged.some(({ text }) => text === 'terminate failed'), 10_000);
    const entry = logged.find(({ text }) => text === 'terminate failed');
    expect(entry).to.include({ level: 'error' });
    expect(JSON.stringify(entry?.fields)).to.include('E_TOLD_TO').and.include('told to terminate badly');
  });

  it('has an actor that fails, with its reason', async () => {
    slot.post({ what: 'throw' });
    await until(() => logged.some(({ text }) => text.includes('E_TOLD_TO')), 10_000);
  });

  it('has what the module says at the very end, though its fields are of any kind [S-75]', async () => {
    await child.stop(10_000);
    expect(logged.at(-1)).to.deep.equal({
      level: 'warn',
      path: '/',
      text: 'closing',
      fields: {},
      leftOut: 0,
    });
  });

  it('is bounded, and says how much was left out [S-75]', async () => {
    slot.post({ what: 'log', n: 5_000 });
    // The next one to get through comes when a token is there again.
    await until(() => {
      if (logged.length >= 100) slot.post({ what: 'log', n: 1 });
      return logged.some(({ leftOut }) => leftOut > 0);
    }, 20_000);
    const leftOut = logged.reduce((sum, entry) => sum + entry.leftOut, 0);
    expect(logged.length).to.be.below(200);
    expect(leftOut).to.be.above(4_000);
  });
});

describe('ThreadLog', () => {
  it('lets a burst of 100 through, then two a second, and counts the others', () => {
    const clock = new FakeClock();
    const sent: ThreadLogEntry[] = [];
    const log = new ThreadLog((entry) => sent.push(entry), clock);
    for (let n = 0; n < 150; n++) log.write({ level: 'info', path: '/', text: String(n) });
    expect(sent).to.have.length(100);
    clock.advance(1_000);
    for (let n = 0; n < 10; n++) log.write({ level: 'info', path: '/', text: 'later' });
    expect(sent.slice(100).map(({ leftOut }) => leftOut)).to.deep.equal([50, 0]);
  });

  it('cuts what is long, and takes fields of any kind', () => {
    const sent: ThreadLogEntry[] = [];
    const log = new ThreadLog((entry) => sent.push(entry), new FakeClock());
    const circle: Record<string, unknown> = {};
    circle['self'] = circle;
    for (const fields of [{ long: 'x'.repeat(100_000) }, circle, { big: 1n }, { f: () => 1 }]) {
      log.write({ level: 'warn', path: '/', text: 'y'.repeat(5_000), fields });
    }
    for (const entry of sent) expect(structuredClone(entry).text).to.have.length(1_000);
    expect(JSON.stringify(sent).length).to.be.below(20_000);
    expect(sent.map(({ fields }) => Object.keys(fields ?? {}))).to.deep.equal([
      ['cut'],
      ['unprintable'],
      ['unprintable'],
      [],
    ]);
  });
});
