import { expect } from 'chai';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import { RestartIntensity } from '../../../runtime/supervision/restart-intensity.ts';
import { thrownBy } from '../../support/rejection.ts';

describe('RestartIntensity', () => {
  it('bears the maximum within the window and not one more [S-33]', () => {
    const intensity = new RestartIntensity({ restartsMax: 2, windowMs: 1_000 });
    expect([0, 500, 999].map((nowMs) => intensity.record(nowMs))).to.deep.equal([true, true, false]);
  });

  it('forgets a restart exactly when it is as old as the window [S-33]', () => {
    const intensity = new RestartIntensity({ restartsMax: 1, windowMs: 1_000 });
    expect([0, 1_000, 1_999.5].map((nowMs) => intensity.record(nowMs))).to.deep.equal([true, true, false]);
  });

  it('counts a slow drip that never has a quiet window between two failures', () => {
    const intensity = new RestartIntensity({ restartsMax: 3, windowMs: 1_000 });
    expect([0, 300, 600, 900].map((nowMs) => intensity.record(nowMs))).to.deep.equal([
      true,
      true,
      true,
      false,
    ]);
  });

  it('bears none at all when the maximum is 0', () => {
    expect(new RestartIntensity({ restartsMax: 0, windowMs: 1 }).record(0)).to.equal(false);
  });

  it('agrees with a list of all restarts, for every window and every sequence', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 6 }),
        fc.integer({ min: 1, max: 100 }),
        fc.array(fc.nat(60), { maxLength: 100 }),
        (restartsMax, windowMs, gaps) => {
          const intensity = new RestartIntensity({ restartsMax, windowMs });
          const all: number[] = [];
          let nowMs = 0;
          for (const gap of gaps) {
            nowMs += gap;
            all.push(nowMs);
            const inWindow = all.filter((timeMs) => nowMs - timeMs < windowMs).length;
            expect(intensity.record(nowMs)).to.equal(inWindow <= restartsMax);
            expect(intensity.inWindow(nowMs)).to.equal(Math.min(inWindow, restartsMax + 1));
          }
        },
      ),
    );
  });

  it('does not accept a maximum or a window that means nothing', () => {
    for (const options of [
      { restartsMax: -1, windowMs: 1 },
      { restartsMax: 0.5, windowMs: 1 },
      { restartsMax: 1, windowMs: 0 },
    ]) {
      expect(thrownBy(() => new RestartIntensity(options)).code).to.equal('E_ASSERT');
    }
  });
});
