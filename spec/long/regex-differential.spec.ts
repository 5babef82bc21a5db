/** A million pairs of random expressions and texts against V8. */
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { compareWithV8 } from '../actors/match/regex/differential.ts';

const PAIRS = 1_000_000;

describe('Regular expressions of rules, at length', () => {
  const seed = Math.floor(Math.random() * 2 ** 31);

  it(`mean what V8 says on a million random pairs (seed ${seed})`, () => {
    const { pairs, matches, withLiterals, differences } = compareWithV8(seed, PAIRS);
    console.log(`      ${pairs} pairs, ${matches} matches, ${withLiterals} expressions with literals`);
    expect(differences).to.deep.equal([]);
    expect(matches / pairs).to.be.within(0.2, 0.8);
  }).timeout(1_800_000);
});
