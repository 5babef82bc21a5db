import { expect } from 'chai';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import { evictionOfKey, evictionsOfAll, isOverTotal } from '../../../gateways/postgres/reject-bounds.ts';
import type { KeptRejects, RejectBounds } from '../../../gateways/postgres/reject-bounds.ts';

const bounds = (changes: Partial<RejectBounds> = {}): RejectBounds => ({
  keyRowsMax: 100,
  keyBytesMax: 1_000,
  totalRowsMax: 200,
  totalBytesMax: 2_000,
  ...changes,
});
const kept = (keyName: string, keptRows: number, keptBytes = 0): KeptRejects => ({
  keyName,
  keptRows,
  keptBytes,
});

describe('The bounds of rejects', () => {
  it('leave a key alone that is at its bound, and take a tenth of one that is over it', () => {
    expect(evictionOfKey(kept('a', 100, 1_000), bounds())).to.equal(undefined);
    expect(evictionOfKey(kept('a', 101, 1_000), bounds())).to.deep.equal({
      keyName: 'a',
      rows: 11,
      bytes: 0,
    });
    expect(evictionOfKey(kept('a', 1, 1_001), bounds())).to.deep.equal({
      keyName: 'a',
      rows: 0,
      bytes: 101,
    });
  });

  it('take from those keys that hold most when all hold too much', () => {
    const all = [kept('quiet', 5), kept('loud', 100), kept('louder', 100)];
    expect(isOverTotal({ keptRows: 205, keptBytes: 0 }, bounds())).to.equal(true);
    // 180 are to be left: 5, and the same share for the others.
    expect(evictionsOfAll(all, bounds())).to.deep.equal([
      { keyName: 'loud', rows: 13, bytes: 0 },
      { keyName: 'louder', rows: 13, bytes: 0 },
    ]);
  });

  it('count what a key loses at its own bound before anybody else loses any', () => {
    const all = [kept('flood', 10_000), kept('other', 90)];
    expect(evictionsOfAll(all, bounds()).map(({ keyName }) => keyName)).to.deep.equal(['flood']);
  });

  it('hold for any keys, and never touch one that is within an equal share', () => {
    const key = fc.record({ keptRows: fc.nat(500), keptBytes: fc.nat(5_000) });
    fc.assert(
      fc.property(
        fc.array(key, { maxLength: 12 }),
        fc.integer({ min: 12, max: 400 }),
        fc.integer({ min: 12, max: 4_000 }),
        (keys, totalRowsMax, totalBytesMax) => {
          const all = keys.map((each, nth) => ({ keyName: `key-${nth}`, ...each }));
          const limits = bounds({ totalRowsMax, totalBytesMax });
          const evictions = new Map(evictionsOfAll(all, limits).map((each) => [each.keyName, each]));
          const left = all.map((each) => {
            const { rows = 0, bytes = 0 } = evictions.get(each.keyName) ?? {};
            expect(rows).to.be.within(0, each.keptRows);
            expect(bytes).to.be.within(0, each.keptBytes);
            return { keptRows: each.keptRows - rows, keptBytes: each.keptBytes - bytes };
          });
          for (const each of left) {
            expect(each.keptRows).to.be.at.most(limits.keyRowsMax);
            expect(each.keptBytes).to.be.at.most(limits.keyBytesMax);
          }
          const sum = (pick: (each: { keptRows: number; keptBytes: number }) => number): number =>
            left.reduce((total, each) => total + pick(each), 0);
          const inAll = {
            keptRows: sum(({ keptRows }) => keptRows),
            keptBytes: sum(({ keptBytes }) => keptBytes),
          };
          expect(isOverTotal(inAll, limits)).to.equal(false);
          for (const each of all) {
            const isQuiet =
              each.keptRows <= Math.min(limits.keyRowsMax, Math.floor((totalRowsMax * 0.9) / all.length)) &&
              each.keptBytes <= Math.min(limits.keyBytesMax, Math.floor((totalBytesMax * 0.9) / all.length));
            if (isQuiet) expect(evictions.has(each.keyName)).to.equal(false);
          }
        },
      ),
    );
  });
});
