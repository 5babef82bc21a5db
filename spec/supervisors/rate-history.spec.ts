import { expect } from 'chai';
import fc from 'fast-check';
import { beforeEach, describe, it } from 'mocha';
import type { Clock } from '../../runtime/clock.ts';
import { RateHistory } from '../../supervisors/rate-history.ts';
import { FakeClock } from '../support/fake-clock.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
/** A full hour. */
const NOON_MS = Date.parse('2026-05-01T12:00:00Z');

describe('RateHistory', () => {
  let nowMs: number;
  let total: number;
  let history: RateHistory;
  const clock: Clock = {
    monotonicMs: () => nowMs,
    wallMs: () => nowMs,
    after: () => () => undefined,
  };

  function begin(atMs: number): void {
    nowMs = atMs;
    total = 1_000_000;
    history = new RateHistory({ clock, total: () => total });
  }
  beforeEach(() => begin(NOON_MS));

  /** Events come evenly. */
  function run(ms: number, perMinute: number, everyMs = 5_000): void {
    for (let passed = 0; passed < ms; passed += everyMs) {
      nowMs += everyMs;
      total += (perMinute * everyMs) / MINUTE_MS;
      history.sample();
    }
  }

  it('knows nothing of the time before it began: what was counted then is no rate', () => {
    const { summary, chart_24h } = history.document();
    expect(summary).to.deep.equal({ current_rate_1m: 0, avg_rate_15m: 0, avg_rate_1h: 0 });
    expect(chart_24h.data).to.deep.equal(new Array(24).fill(0));
    expect(chart_24h.labels[23]).to.equal('12:00');
    expect(chart_24h.labels[0]).to.equal('13:00');
    expect(new Set(chart_24h.labels).size).to.equal(24);
  });

  it('is true from the first minutes on: they are not divided by a quarter of an hour', () => {
    run(3 * MINUTE_MS, 120);
    expect(history.document().summary).to.deep.equal({
      current_rate_1m: 120,
      avg_rate_15m: 120,
      avg_rate_1h: 120,
    });
  });

  it('does not blow up what came in a few seconds', () => {
    nowMs += 1_000;
    total += 50;
    expect(history.document().summary.current_rate_1m).to.equal(50);
  });

  it('counts idle minutes', () => {
    run(HOUR_MS, 60);
    run(5 * MINUTE_MS, 0);
    expect(history.document().summary).to.deep.equal({
      current_rate_1m: 0,
      avg_rate_15m: 40,
      avg_rate_1h: 55,
    });
  });

  it('gives the present hour by what has passed of it, and each hour its own', () => {
    run(HOUR_MS, 100);
    run(HOUR_MS, 10);
    run(15 * MINUTE_MS, 40);
    const { labels, data } = history.document().chart_24h;
    expect(labels.slice(-3)).to.deep.equal(['12:00', '13:00', '14:00']);
    expect(data.slice(-3)).to.deep.equal([100, 10, 40]);
    expect(data.slice(0, 21)).to.deep.equal(new Array(21).fill(0));
  });

  it('spreads what came while nobody sampled over that time', () => {
    nowMs += 2 * HOUR_MS;
    total += 240;
    const { summary, chart_24h } = history.document();
    expect(chart_24h.data.slice(-3)).to.deep.equal([2, 2, 0]);
    expect(summary).to.deep.equal({ current_rate_1m: 2, avg_rate_15m: 2, avg_rate_1h: 2 });
  });

  it('forgets what is older than a day', () => {
    run(30 * MINUTE_MS, 1_000);
    run(24 * HOUR_MS, 1, MINUTE_MS);
    const { data } = history.document().chart_24h;
    expect(data).to.deep.equal(new Array(24).fill(1));
    nowMs += 48 * HOUR_MS;
    const { summary, chart_24h } = history.document();
    expect(summary.avg_rate_1h).to.equal(0);
    expect(chart_24h.data).to.deep.equal(new Array(24).fill(0));
  });

  it('is not made negative by a total that falls', () => {
    run(MINUTE_MS, 60);
    total = 0;
    nowMs += 1_000;
    history.sample();
    expect(Math.min(...history.document().chart_24h.data)).to.be.at.least(0);
    expect(history.document().summary.current_rate_1m).to.be.at.most(60);
  });

  it('goes on under a clock that was set back: what is still to come is out', () => {
    run(2 * HOUR_MS, 600);
    nowMs = NOON_MS + HOUR_MS;
    history.sample();
    run(30 * MINUTE_MS, 60);
    const { labels, data } = history.document().chart_24h;
    expect(labels.slice(-2)).to.deep.equal(['12:00', '13:00']);
    expect(data.at(-2)).to.equal(600);
    // The slot of ten seconds that the clock came back to had been filled before.
    expect(data.at(-1)).to.be.within(60, 64);
  });

  it('agrees with the plain sum of what came, whenever it was sampled and asked', () => {
    const step = fc.record({ ms: fc.integer({ min: 1, max: 20 * MINUTE_MS }), count: fc.nat(5_000) });
    fc.assert(
      fc.property(fc.nat(HOUR_MS), fc.array(step, { minLength: 1, maxLength: 60 }), (offsetMs, steps) => {
        begin(NOON_MS + offsetMs);
        const beganMs = nowMs;
        const came: { fromMs: number; toMs: number; count: number }[] = [];
        for (const { ms, count } of steps) {
          came.push({ fromMs: nowMs, toMs: nowMs + ms, count });
          nowMs += ms;
          total += count;
          history.sample();
        }
        const { labels, data } = history.document().chart_24h;
        const hourMs = Math.floor(nowMs / HOUR_MS) * HOUR_MS;
        labels.forEach((label, index) => {
          const fromMs = Math.max(hourMs - (23 - index) * HOUR_MS, beganMs);
          const toMs = Math.min(hourMs - (22 - index) * HOUR_MS, nowMs);
          const events = came.reduce((sum, part) => {
            const overlapMs = Math.min(toMs, part.toMs) - Math.max(fromMs, part.fromMs);
            return overlapMs <= 0 ? sum : sum + (part.count * overlapMs) / (part.toMs - part.fromMs);
          }, 0);
          const wanted = toMs <= fromMs ? 0 : (events * MINUTE_MS) / Math.max(MINUTE_MS, toMs - fromMs);
          expect(data[index], label).to.be.closeTo(wanted, 0.02);
        });
      }),
      { numRuns: 200 },
    );
  });

  it('samples by itself until it is stopped', () => {
    const fake = new FakeClock();
    let asked = 0;
    const timed = new RateHistory({ clock: fake, total: () => asked++ });
    timed.start();
    timed.start();
    fake.advance(60_000);
    const { pending } = fake;
    expect(asked).to.be.within(7, 61);
    expect(pending).to.equal(1);
    timed.stop();
    expect(fake.pending).to.equal(0);
  });
});
