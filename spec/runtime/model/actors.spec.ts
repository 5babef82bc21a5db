/**
 * Random programs of actors (children, supervised ones, watches, timers, asks, stops, kills, failures, hangs, restarts) on
 * the real runtime, each callback and each message compared with a plain model. Ten thousand in spec/long/model.spec.ts.
 */
import fc from 'fast-check';
import { describe, it } from 'mocha';
import { program } from './program.ts';
import { runProgram } from './world.ts';

const PROGRAMS = 300;

describe('Actors under random programs', function () {
  this.timeout(60_000);

  it('lose no message, overlap no callback, end in order and leave nothing behind [S-1] [S-2] [S-3] [S-22] [S-33]', async () => {
    await fc.assert(fc.asyncProperty(program, runProgram), { numRuns: PROGRAMS });
  });
});
