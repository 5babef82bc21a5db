/** As spec/fuzz/ingest-path.spec.ts, so often that what is rare shows itself too. */
import fc from 'fast-check';
import { describe, it } from 'mocha';
import { hostileBody } from '../fuzz/bodies.ts';
import { travel } from '../fuzz/ingest-path.ts';

const BODIES = 100_000;

describe('The way of very many hostile bodies', function () {
  this.timeout(900_000);

  it('holds every promise', () => {
    fc.assert(
      fc.property(hostileBody, (body) => void travel(body)),
      { numRuns: BODIES },
    );
  });
});
