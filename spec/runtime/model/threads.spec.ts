/**
 * Few random lives of real threads, ended in every way: afterwards no thread and no file descriptor is left.
 */
import { readdirSync } from 'node:fs';
import { expect } from 'chai';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import { ThreadPool } from '../../../runtime/thread/thread-pool.ts';
import { ThreadSlot } from '../../../runtime/thread/thread-slot.ts';

const PROGRAMS = 3;
const moduleUrl = new URL('../../fixtures/faults/breakable-thread.ts', import.meta.url).href;
const ENDINGS = { stop: 'shutdown', kill: 'killed', exit: 'exited' } as const;

/** Threads and descriptors of this process, as the kernel counts them. */
const held = (what: 'task' | 'fd'): number => readdirSync(`/proc/self/${what}`).length;

async function live(endings: readonly (keyof typeof ENDINGS)[]): Promise<void> {
  const pool = new ThreadPool({ spareThreads: 0, threadsMax: 1, heapMbMax: 48 });
  try {
    const slot = new ThreadSlot({
      id: 'slot',
      pool,
      moduleUrl,
      params: async () => ({}),
      counterLayout: [{ name: 'messages_total', kind: 'counter', help: 'Messages seen.' }],
      hangAfterMs: 5_000,
      startTimeoutMs: 10_000,
    });
    for (const [index, ending] of endings.entries()) {
      const running = await slot.start({ epoch: index + 1, previousExit: undefined });
      if (ending === 'stop') void running.stop(5_000);
      else if (ending === 'kill') running.kill('the program');
      else slot.post({ what: 'exit' });
      expect((await running.exited).kind).to.equal(ENDINGS[ending]);
    }
  } finally {
    await pool.close();
  }
}

describe('Threads under random lives', function () {
  this.timeout(60_000);

  it('leave no thread and no descriptor behind [S-49]', async () => {
    // The first life also opens what this process keeps for all others.
    await live(['stop', 'kill']);
    const before = { task: held('task'), fd: held('fd') };
    const lives = fc.array(fc.constantFrom('stop' as const, 'kill' as const, 'exit' as const), {
      minLength: 2,
      maxLength: 3,
    });
    await fc.assert(
      fc.asyncProperty(lives, async (endings) => {
        await live(endings);
        expect({ task: held('task'), fd: held('fd') }).to.deep.equal(before);
      }),
      { numRuns: PROGRAMS, endOnFailure: true },
    );
  });
});
