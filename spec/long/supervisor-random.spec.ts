/** The random trees of the short run, ten thousand of them. */
import fc from 'fast-check';
import { describe, it } from 'mocha';
import { randomScript, randomTree, tryTree } from '../runtime/supervision/random-tree.ts';

describe('ten thousand supervision trees under random trouble', () => {
  it('keep their law', async function () {
    this.timeout(1_800_000);
    await fc.assert(fc.asyncProperty(randomTree, randomScript, tryTree), { numRuns: 10_000 });
  });
});
