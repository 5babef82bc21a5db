import { expect } from 'chai';
import fc from 'fast-check';
import { beforeEach, describe, it } from 'mocha';
import { RateLimiter } from '../../../gateways/http/rate-limiter.ts';
import { ManualClock } from './manual-clock.ts';

describe('RateLimiter', () => {
  let clock: ManualClock;
  let limiter: RateLimiter;

  beforeEach(() => {
    clock = new ManualClock();
    limiter = new RateLimiter({ clock, limits: { requestsPerSecond: 2, burst: 3 }, bucketsMax: 4 });
  });

  it('lets a burst through, then one at a time, and says when', () => {
    expect([1, 2, 3].map(() => limiter.take('a').remaining)).to.deep.equal([2, 1, 0]);
    expect(limiter.take('a')).to.deep.equal({ isAllowed: false, remaining: 0, retryAfterS: 1 });
    clock.advance(499);
    expect(limiter.take('a').isAllowed).to.equal(false);
    clock.advance(1);
    expect(limiter.take('a').isAllowed).to.equal(true);
    expect(limiter.take('a').isAllowed).to.equal(false);
  });

  it('saves no more than a burst, and each name has its own', () => {
    clock.advance(1_000_000);
    expect([1, 2, 3, 4].map(() => limiter.take('a').isAllowed)).to.deep.equal([true, true, true, false]);
    expect(limiter.take('b').isAllowed).to.equal(true);
  });

  it('takes new limits at once, and cuts what was saved', () => {
    limiter.limits = { requestsPerSecond: 1, burst: 1 };
    expect([1, 2].map(() => limiter.take('a').isAllowed)).to.deep.equal([true, false]);
    limiter.limits = { requestsPerSecond: 1_000, burst: 100 };
    clock.advance(100);
    expect(limiter.take('a').remaining).to.equal(99);
  });

  it('keeps a bounded number of buckets: the one used longest ago is forgotten', () => {
    for (let n = 0; n < 3; n++) limiter.take('a');
    for (const name of ['b', 'c', 'd']) limiter.take(name);
    expect(limiter.take('a').isAllowed).to.equal(false);
    for (const name of ['e', 'f', 'g', 'h', 'i']) limiter.take(name);
    expect(limiter.buckets).to.equal(4);
    expect(limiter.take('a').isAllowed).to.equal(true);
  });

  it('never lets more through than the burst and what the time allows, however requests come', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 50 }),
        fc.integer({ min: 1, max: 50 }),
        fc.array(fc.integer({ min: 0, max: 300 }), { maxLength: 200 }),
        (requestsPerSecond, burst, gapsMs) => {
          const time = new ManualClock();
          const each = new RateLimiter({ clock: time, limits: { requestsPerSecond, burst } });
          let allowed = 0;
          let passedMs = 0;
          for (const gapMs of gapsMs) {
            time.advance(gapMs);
            passedMs += gapMs;
            if (each.take('a').isAllowed) allowed += 1;
            expect(allowed).to.be.at.most(burst + (passedMs / 1_000) * requestsPerSecond + 1e-6);
          }
        },
      ),
    );
  });
});
