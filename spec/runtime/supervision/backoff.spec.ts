import { expect } from 'chai';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import { Backoff } from '../../../runtime/supervision/backoff.ts';
import { thrownBy } from '../../support/rejection.ts';

const OPTIONS = { initialMs: 100, maxMs: 1_000, resetAfterMs: 5_000 };

describe('Backoff', () => {
  it('doubles up to its cap', () => {
    const backoff = new Backoff({ ...OPTIONS, jitter: 'none' }, () => 0);
    expect([0, 0, 0, 0, 0, 0].map(() => backoff.next(0))).to.deep.equal([100, 200, 400, 800, 1_000, 1_000]);
  });

  it('begins anew after a quiet time since the last wait was over, and not a moment earlier', () => {
    for (const [quietMs, delayMs] of [
      [4_999, 200],
      [5_000, 100],
    ] as const) {
      const backoff = new Backoff({ ...OPTIONS, jitter: 'none' }, () => 0);
      backoff.next(0);
      expect(backoff.next(100 + quietMs)).to.equal(delayMs);
    }
  });

  it('begins anew when told to', () => {
    const backoff = new Backoff({ ...OPTIONS, jitter: 'none' }, () => 0);
    backoff.next(0);
    backoff.reset();
    expect(backoff.next(0)).to.equal(100);
  });

  it('stays within its bounds for every option, chance and time', () => {
    fc.assert(
      fc.property(
        fc.record({
          initialMs: fc.integer({ min: 1, max: 10_000 }),
          maxMs: fc.integer({ min: 10_000, max: 100_000 }),
          factor: fc.double({ min: 1, max: 100, noNaN: true }),
          jitter: fc.constantFrom('full' as const, 'equal' as const, 'none' as const),
          resetAfterMs: fc.integer({ min: 1, max: 100_000 }),
        }),
        fc.array(fc.tuple(fc.nat(10_000), fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })), {
          maxLength: 100,
        }),
        (options, failures) => {
          let chance = 0;
          const backoff = new Backoff(options, () => chance);
          let nowMs = 0;
          let stepMs = options.initialMs;
          let overMs = 0;
          failures.forEach(([passedMs, random], index) => {
            nowMs += passedMs;
            chance = random;
            if (index > 0 && nowMs - overMs >= options.resetAfterMs) stepMs = options.initialMs;
            const delayMs = backoff.next(nowMs);
            expect(delayMs).to.be.at.most(stepMs * (1 + 1e-9));
            if (options.jitter === 'equal') expect(delayMs).to.be.at.least((stepMs / 2) * (1 - 1e-9));
            if (options.jitter === 'none') expect(delayMs).to.be.closeTo(stepMs, stepMs * 1e-9);
            expect(delayMs).to.be.within(0, options.maxMs);
            overMs = nowMs + delayMs;
            stepMs = Math.min(options.maxMs, stepMs * options.factor);
          });
        },
      ),
    );
  });

  it('does not accept a random source outside [0, 1)', () => {
    expect(thrownBy(() => new Backoff(OPTIONS, () => 1).next(0)).code).to.equal('E_ASSERT');
  });
});
