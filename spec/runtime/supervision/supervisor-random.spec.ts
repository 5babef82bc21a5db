/**
 * Supervisors under random failures, failed starts, ignored stops, requests and leaps of time (random-tree.ts has the law).
 */
import fc from 'fast-check';
import { describe, it } from 'mocha';
import { randomScript, randomTree, tryTree } from './random-tree.ts';

describe('a supervision tree under random trouble', () => {
  it('keeps its law, whatever happens [S-29] [S-33] [S-125] [S-126]', async function () {
    this.timeout(60_000);
    await fc.assert(fc.asyncProperty(randomTree, randomScript, tryTree), { numRuns: 300 });
  });
});
