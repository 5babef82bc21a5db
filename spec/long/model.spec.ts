/** As spec/runtime/model/actors.spec.ts, so often that what is rare shows itself too. */
import fc from 'fast-check';
import { describe, it } from 'mocha';
import { program } from '../runtime/model/program.ts';
import { runProgram } from '../runtime/model/world.ts';

const PROGRAMS = 10_000;

describe('Actors under very many random programs', function () {
  this.timeout(600_000);

  it('lose no message, overlap no callback, end in order and leave nothing behind', async () => {
    await fc.assert(fc.asyncProperty(program, runProgram), { numRuns: PROGRAMS });
  });
});
