/**
 * A child process that dies while it reports: its supervising process must not die of the half line.
 */
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { ProcessSlot } from '../../runtime/process/process-slot.ts';
import { CounterCollector } from '../../runtime/shared/counters.ts';

describe('A child process that dies in the middle of a report', () => {
  it('is told by its exit reason like any other [S-52]', async () => {
    const slot = new ProcessSlot({
      id: 'half-line',
      entry: fileURLToPath(new URL('../fixtures/faults/half-line-child.ts', import.meta.url)),
      params: () => ({}),
      collector: new CounterCollector(),
      hangAfterMs: 5_000,
      startTimeoutMs: 8_000,
    });
    const child = await slot.start({ epoch: 1, previousExit: undefined });
    slot.post('die');
    expect(await child.exited).to.deep.equal({ kind: 'exited', signal: 'SIGKILL' });
  });
});
