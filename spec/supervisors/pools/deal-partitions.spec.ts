import { expect } from 'chai';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import { dealPartitions } from '../../../supervisors/pools/deal-partitions.ts';

describe('dealPartitions', () => {
  it('deals them out in turn at first', () => {
    expect(dealPartitions([], 3, 8)).to.deep.equal([
      [0, 3, 6],
      [1, 4, 7],
      [2, 5],
    ]);
  });

  it('takes from each only what the newcomer needs', () => {
    expect(dealPartitions([[0, 1, 2, 3, 4, 5, 6, 7]], 2, 8)).to.deep.equal([
      [0, 1, 2, 3],
      [4, 5, 6, 7],
    ]);
    expect(
      dealPartitions(
        [
          [0, 1, 2, 3],
          [4, 5, 6, 7],
        ],
        3,
        8,
      ),
    ).to.deep.equal([
      [0, 1, 2],
      [4, 5, 6],
      [3, 7],
    ]);
  });

  it('leaves slots without any when there are more slots than partitions', () => {
    expect(dealPartitions([], 3, 2)).to.deep.equal([[0], [1], []]);
  });

  it('gives each partition to one slot, evenly, and moves as few as can be, whatever sizes follow each other', () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 70 }), { minLength: 1, maxLength: 12 });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 256 }), sizes, (partitions, targets) => {
        let shares: number[][] = [];
        for (const slots of targets) {
          const before = shares;
          shares = dealPartitions(before, slots, partitions);
          expect(shares).to.have.length(slots);
          expect(shares.flat().sort((a, b) => a - b)).to.deep.equal(
            Array.from({ length: partitions }, (_, p) => p),
          );
          const lengths = shares.map(({ length }) => length);
          expect(Math.max(...lengths) - Math.min(...lengths)).to.be.at.most(1);
          const kept = shares.map((share, slot) => share.filter((p) => before[slot]?.includes(p)).length);
          const keptAtMost = leastToMove(before, slots, partitions);
          if (before.length > 0) expect(kept.reduce((a, b) => a + b)).to.equal(keptAtMost);
        }
      }),
    );
  });
});

/** How many can stay when no slot may have more than its even share. */
function leastToMove(before: number[][], slots: number, partitions: number): number {
  const least = Math.floor(partitions / slots);
  const kept = before.slice(0, slots).map(({ length }) => Math.min(length, least));
  const couldKeepOneMore = before.slice(0, slots).filter(({ length }) => length > least).length;
  return kept.reduce((a, b) => a + b, 0) + Math.min(couldKeepOneMore, partitions % slots);
}
