import { expect } from 'chai';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import { SHARDS } from '../../../runtime/limits.ts';
import { hashOf, ownerOf, shardOf } from '../../../runtime/routing/shards.ts';

const hashesOf = (members: number): number[] =>
  Array.from({ length: members }, (_, index) => hashOf(`pool-${index}`));
const ownersWith = (members: number): number[] =>
  Array.from({ length: SHARDS }, (_, shard) => ownerOf(shard, hashesOf(members)));

describe('Shards', () => {
  it('gives every key one of the shards, always the same [S-148]', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.integer()), (key) => {
        const shard = shardOf(key);
        expect(shard).to.be.within(0, SHARDS - 1);
        expect(shardOf(String(key))).to.equal(shard);
      }),
    );
    // Fixed for ever: two versions that run beside each other must agree.
    expect([shardOf('a'), shardOf('b'), shardOf(42), shardOf('')]).to.deep.equal([435, 562, 189, 11]);
  });

  it('spreads similar keys over the shards, and shards over the members, evenly [S-148]', () => {
    const perShard = new Array<number>(SHARDS).fill(0);
    for (let key = 0; key < SHARDS * 100; key++) perShard[shardOf(`host-${key}`)]! += 1;
    expect(Math.max(...perShard)).to.be.below(160);
    expect(Math.min(...perShard)).to.be.above(50);
    for (const members of [2, 8, 64]) {
      const perMember = new Array<number>(members).fill(0);
      for (const owner of ownersWith(members)) perMember[owner]! += 1;
      expect(Math.max(...perMember), `${members} members`).to.be.below((SHARDS / members) * 2);
      expect(Math.min(...perMember), `${members} members`).to.be.above(SHARDS / members / 3);
    }
  });

  it('moves only the shards that a new member gets [S-148]', () => {
    for (const members of [1, 2, 7, 31]) {
      const before = ownersWith(members);
      const after = ownersWith(members + 1);
      for (const [shard, owner] of after.entries()) {
        if (owner !== before[shard]) expect(owner).to.equal(members);
      }
      expect(after).to.include(members);
    }
  });

  it('says when there is no member', () => {
    expect(ownerOf(0, [])).to.equal(-1);
  });
});
