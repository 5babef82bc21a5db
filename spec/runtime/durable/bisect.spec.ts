import { expect } from 'chai';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import { nameOfRange, splitRanges } from '../../../runtime/durable/bisect.ts';

describe('splitRanges', () => {
  it('leaves an entry whole that never failed', () => {
    expect(splitRanges(8, {})).to.deep.equal([{ lo: 0, hi: 8 }]);
  });

  it('halves a range that failed', () => {
    expect(splitRanges(8, { '0-8': 1 })).to.deep.equal([
      { lo: 0, hi: 4 },
      { lo: 4, hi: 8 },
    ]);
  });

  it('cuts a known culprit out', () => {
    expect(splitRanges(8, { '5-6': 1 })).to.deep.equal([
      { lo: 0, hi: 5 },
      { lo: 5, hi: 6 },
      { lo: 6, hi: 8 },
    ]);
  });

  it('finds every message at fault, within the logarithm of the size each', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 600 }).chain((count) =>
          fc.record({
            count: fc.constant(count),
            bad: fc.uniqueArray(fc.integer({ min: 0, max: count - 1 }), { maxLength: 5 }),
          }),
        ),
        ({ count, bad }) => {
          const failed: Record<string, number> = {};
          let attempts = 0;
          for (;;) {
            const pieces = splitRanges(count, failed);
            expect(pieces.reduce((sum, { lo, hi }) => sum + hi - lo, 0)).to.equal(count);
            const next = pieces.find(
              (piece) =>
                bad.some((index) => index >= piece.lo && index < piece.hi) &&
                !(piece.hi - piece.lo === 1 && failed[nameOfRange(piece)] !== undefined),
            );
            if (next === undefined) break;
            failed[nameOfRange(next)] = 1;
            attempts += 1;
          }
          for (const index of bad) expect(failed).to.have.property(`${index}-${index + 1}`);
          expect(attempts).to.be.at.most(bad.length * (Math.ceil(Math.log2(count)) + 2));
        },
      ),
    );
  });
});
