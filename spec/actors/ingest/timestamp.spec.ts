/** Which values are times, and which moment they mean. */
import { expect } from 'chai';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import { parseTimestamp } from '../../../actors/ingest/timestamp.ts';

const noonMs = Date.UTC(2024, 4, 1, 12, 0, 0);

describe('parseTimestamp', () => {
  it('reads what every RFC 3339 writer writes', () => {
    const bounds = {
      min: new Date('0001-01-01T00:00:00Z'),
      max: new Date('9999-12-31T23:59:59.999Z'),
      noInvalidDate: true,
    };
    fc.assert(
      fc.property(fc.date(bounds), (date) => {
        expect(parseTimestamp(date.toISOString())).to.equal(date.getTime());
      }),
    );
  });

  it('reads offsets, fractions of any length, a space or small letters, and no zone as UTC', () => {
    for (const text of [
      '2024-05-01T12:00:00Z',
      '2024-05-01 12:00:00z',
      '2024-05-01t14:00:00+02:00',
      '2024-05-01T07:30:00-0430',
      '2024-05-01T12:00:00',
      '2024-05-01T12:00:00.0Z',
      '2024-05-01T12:00:00.000000000Z',
      '2024-05-01T11:59:60Z',
    ]) {
      expect(parseTimestamp(text), text).to.equal(noonMs);
    }
    expect(parseTimestamp('2024-05-01T12:00:00.1239999+00:00')).to.equal(noonMs + 123);
  });

  it('reads seconds and milliseconds since 1970, as a number or a text', () => {
    for (const value of [
      noonMs / 1000,
      noonMs,
      String(noonMs / 1000),
      String(noonMs),
      `${noonMs / 1000}.000`,
    ]) {
      expect(parseTimestamp(value), String(value)).to.equal(noonMs);
    }
    expect(parseTimestamp(1.5)).to.equal(1500);
  });

  it('reads every millisecond exactly, whatever the unit and the type', () => {
    const bounds = { min: 1e11, max: 1e14 - 1 };
    fc.assert(
      fc.property(fc.integer(bounds), (atMs) => {
        expect(parseTimestamp(atMs)).to.equal(atMs);
        expect(parseTimestamp(atMs / 1000)).to.equal(atMs);
        expect(parseTimestamp((atMs / 1000).toFixed(3))).to.equal(atMs);
        expect(parseTimestamp(atMs * 1000)).to.equal(atMs);
        // A number of nanoseconds is no integer a double can hold; its text is rounded by less than a microsecond.
        expect(parseTimestamp(`${atMs}500000`)).to.equal(atMs);
        expect(parseTimestamp(`${atMs}500`)).to.equal(atMs);
      }),
      { numRuns: 2000 },
    );
  });

  it('takes the unit from the size: seconds, milliseconds, microseconds, nanoseconds', () => {
    expect([1e11 - 1, 1e11, 1e14 - 1, 1e14, 1e17 - 1e6, 1e17].map(parseTimestamp)).to.deep.equal([
      99_999_999_999_000,
      1e11,
      1e14 - 1,
      1e11,
      1e14 - 1_000,
      1e11,
    ]);
  });

  it('reads the fraction behind a comma', () => {
    expect(parseTimestamp('2024-05-01T12:00:00,25Z')).to.equal(noonMs + 250);
  });

  it('refuses what is no time', () => {
    for (const value of [
      '',
      ' ',
      'now',
      '2024-05-01',
      '2024-13-01T00:00:00Z',
      '2024-00-10T00:00:00Z',
      '2023-02-29T00:00:00Z',
      '1900-02-29T00:00:00Z',
      '2024-04-31T00:00:00Z',
      '2024-05-01T24:00:00Z',
      '2024-05-01T12:60:00Z',
      '2024-05-01T12:00:61Z',
      '2024-05-01T12:00:00.Z',
      '2024-05-01T12:00:00+2',
      '2024-05-01T12:00:00+25:00',
      '2024-05-01T12:00:00Zulu',
      '0000-05-01T00:00:00Z',
      '0001-01-01T00:00:00+01:00',
      '9999-12-31T23:59:59-01:00',
      '1e3',
      '-5',
      '0x10',
      -1,
      Number.NaN,
      Infinity,
      1e21,
      '1'.repeat(22),
      '2024-05-01T12:00:00,Z',
      null,
      undefined,
      true,
      [],
      {},
    ]) {
      expect(parseTimestamp(value), JSON.stringify(value)).to.equal(undefined);
    }
  });

  it('gives a time of the years 1 to 9999 or undefined for anything', () => {
    fc.assert(
      fc.property(fc.anything(), (value) => {
        const atMs = parseTimestamp(value);
        if (atMs !== undefined) expect(Number.isSafeInteger(atMs)).to.equal(true);
      }),
    );
  });
});
