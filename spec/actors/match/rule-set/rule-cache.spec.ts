/** What a thread keeps of a rule set stays bounded, and what is used stays. */
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { KEPT_MIN, RuleCache } from '../../../../actors/match/rule-set/rule-cache.ts';

describe('RuleCache', () => {
  it('keeps what is used among many that are not, within its bound', () => {
    const rules = 10 * KEPT_MIN;
    const cache = new RuleCache<{ rank: number }>(rules);
    let most = 0;
    const used = cache.keep(0, { rank: 0 });
    for (let rank = 1; rank < rules; rank++) {
      cache.keep(rank, { rank });
      most = Math.max(most, cache.size);
      if (rank % 1_000 === 0) expect(cache.get(0)).to.equal(used);
    }
    expect(most).to.be.at.most(2 * KEPT_MIN);
    expect(cache.get(1), 'used once, long ago').to.equal(undefined);
    const newest = Array.from({ length: KEPT_MIN / 2 }, (_, at) => rules - 1 - at);
    expect(newest.filter((rank) => cache.get(rank)?.rank !== rank)).to.deep.equal([]);
  });
});
