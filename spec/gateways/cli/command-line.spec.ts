import { expect } from 'chai';
import { describe, it } from 'mocha';
import { duration, fraction, futureMoment, moment, words } from '../../../gateways/cli/command-line.ts';

const NOW_MS = Date.UTC(2026, 10, 21, 12);
const DAY_MS = 86_400_000;

describe('values of options', () => {
  it('reads spans of time with their units', () => {
    const read = duration(0, 90 * DAY_MS);
    expect(['200ms', '60s', '1.5m', '24h', '90d', '0s'].map(read)).to.deep.equal([
      200,
      60_000,
      90_000,
      DAY_MS,
      90 * DAY_MS,
      0,
    ]);
  });

  for (const text of ['60', 's', '-1s', '1e3s', '1 s', '61s', '', '5 minutes', '1w']) {
    it(`refuses ${JSON.stringify(text)} as a span of time from 1 s to 60 s, and says what is allowed`, () => {
      expect(() => duration(1_000, 60_000)(text)).to.throw('It must be a time from 1s to 1m, such as');
    });
  }

  it('reads parts of a whole', () => {
    expect(['1%', '0.01', '0', '100%', '0.5%'].map(fraction)).to.deep.equal([0.01, 0.01, 0, 1, 0.005]);
    for (const text of ['101%', '-1', 'a', '', '%', '1 %', '1e-2', '.'])
      expect(() => fraction(text), text).to.throw('It must be a part');
  });

  it('reads moments, and spans of time back from now', () => {
    const read = moment(() => NOW_MS);
    expect(
      ['2026-11-21', '2026-11-20T23:30:00+01:00', '2026-11-20T23:30:00.250Z', '24h'].map(read),
    ).to.deep.equal([
      '2026-11-21T00:00:00.000Z',
      '2026-11-20T22:30:00.000Z',
      '2026-11-20T23:30:00.250Z',
      '2026-11-20T12:00:00.000Z',
    ]);
    for (const text of ['yesterday', '2026-13-01', '21.11.2026', '', '1700000000'])
      expect(() => read(text), text).to.throw('It must be a moment');
  });

  it('counts a span of time ahead where an end is meant', () => {
    expect(futureMoment(() => NOW_MS)('1d')).to.equal('2026-11-22T12:00:00.000Z');
    expect(futureMoment(() => NOW_MS)('2027-01-01')).to.equal('2027-01-01T00:00:00.000Z');
  });

  it('reads several words, also of an option that is given again', () => {
    expect(words('read, operate', words('ingest'))).to.deep.equal(['ingest', 'read', 'operate']);
    expect(() => words(' , ')).to.throw('It must name at least one');
  });
});
