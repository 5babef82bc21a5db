import { expect } from 'chai';
import { describe, it } from 'mocha';
import { TokenPurse } from '../../../actors/forward/token-purse.ts';

const RATE = 100_000;

describe('TokenPurse', () => {
  /** Spends one each 10 ms, as what comes one by one does, and asks when it has none. */
  function spendOneByOne(count: number, rate: number): number {
    const purse = new TokenPurse();
    let questions = 0;
    for (let nowMs = 10; nowMs <= count * 10; nowMs += 10) {
      purse.expire(nowMs);
      if (!purse.hasOne(nowMs)) {
        questions += 1;
        purse.add(purse.wanted(1, rate, nowMs), nowMs);
      }
      purse.spend(nowMs);
    }
    return questions;
  }

  it('asks for as many as were used of late, so that what comes one by one does not wait each', () => {
    expect(spendOneByOne(100, RATE)).to.be.lessThan(20);
  });

  it('never asks for more than a twentieth of a second gives', () => {
    expect(spendOneByOne(100, 20)).to.equal(100);
  });

  it('asks for what can be used after a rest', () => {
    const purse = new TokenPurse();
    for (let nowMs = 1; nowMs <= 50; nowMs += 1) {
      purse.add(1, nowMs);
      purse.spend(nowMs);
    }
    expect(purse.wanted(1, RATE, 60_000)).to.equal(1);
  });
});
