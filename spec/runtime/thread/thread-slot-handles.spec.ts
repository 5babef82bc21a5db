/**
 * A handle of an incarnation that has ended, beside the one that runs.
 */
import { expect } from 'chai';
import { after, describe, it } from 'mocha';
import { ThreadPool } from '../../../runtime/thread/thread-pool.ts';
import { ThreadSlot } from '../../../runtime/thread/thread-slot.ts';

const moduleUrl = new URL('../../fixtures/faults/breakable-thread.ts', import.meta.url).href;

describe('a handle of a thread that has ended', function () {
  this.timeout(20_000);
  const pool = new ThreadPool({ spareThreads: 1, threadsMax: 2, heapMbMax: 48 });
  after(() => pool.close());

  it('stops nothing of the next incarnation', async () => {
    let answered = Promise.withResolvers<void>();
    const slot = new ThreadSlot({
      id: 'slot',
      pool,
      moduleUrl,
      params: async () => ({}),
      counterLayout: [{ name: 'messages_total', kind: 'counter', help: 'Messages seen.' }],
      hangAfterMs: 5_000,
      startTimeoutMs: 10_000,
      onMessage: () => answered.resolve(),
    });
    const first = await slot.start({ epoch: 1, previousExit: undefined });
    expect(await first.stop(5_000)).to.deep.equal({ kind: 'shutdown' });
    const second = await slot.start({ epoch: 2, previousExit: undefined });
    expect(await first.stop(5_000)).to.deep.equal({ kind: 'shutdown' });
    answered = Promise.withResolvers<void>();
    // Messages arrive in order: had a stop gone before this one, its answer would be the last.
    for (let n = 1; n <= 2; n++) {
      expect(slot.post({ what: 'hello', n })).to.equal(true);
      await Promise.race([answered.promise, second.exited]);
      answered = Promise.withResolvers<void>();
    }
    expect(await Promise.race([second.exited, Promise.resolve('running')])).to.equal('running');
    second.kill('the spec is over');
    expect((await second.exited).kind).to.equal('killed');
  });
});
