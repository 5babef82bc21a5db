/** As spec/actors/match/plain-loop.spec.ts, so often that what is rare shows itself too. */
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { judge } from '../actors/match/judge.ts';

const SETS = 100;
const seed = Date.now() % 1_000_000_007;

describe(`The compiled rule set and the plain loop, very often, seed ${seed}`, function () {
  this.timeout(900_000);

  it('agree on twenty million pairs', () => {
    const verdict = judge({ seed, sets: SETS, rulesPerSet: 300, eventsPerSet: 720 });
    expect(verdict.pairs).to.be.at.least(20_000_000);
    expect(verdict.matching / verdict.pairs).to.be.within(0.05, 0.5);
  });

  it('agree in sets of thousands', () => {
    const verdict = judge({ seed, sets: 2, rulesPerSet: 5_000, eventsPerSet: 200 });
    expect(verdict.matching / verdict.pairs).to.be.within(0.05, 0.5);
  });

  it('agree on messages of 64 KiB', () => {
    const verdict = judge({ seed, sets: 40, rulesPerSet: 300, eventsPerSet: 20, isLong: true });
    expect(verdict.matching)
      .to.be.above(0.05 * verdict.pairs)
      .and.below(verdict.pairs);
  });
});
