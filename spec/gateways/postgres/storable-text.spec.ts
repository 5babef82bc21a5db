import { expect } from 'chai';
import fc from 'fast-check';
import { after, before, describe, it } from 'mocha';
import { bytesArray, plainArray, textArray } from '../../../gateways/postgres/array-literal.ts';
import { storableJson, storableText } from '../../../gateways/postgres/storable-text.ts';
import { SERVER_TIMEOUT_MS, ownDatabase } from './own-database.ts';
import type { OwnDatabase } from './own-database.ts';

/** Text with everything PostgreSQL dislikes, often. */
const hostileText = fc
  .array(
    fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.constantFrom(
        '\0',
        '\ud800',
        '\udc00',
        '\\',
        '\\u0000',
        '\\\\u0000',
        '"',
        '{',
        '}',
        ',',
        'NULL',
        '\ufffd',
      ),
    ),
    { maxLength: 8 },
  )
  .map((parts) => parts.join(''));

function replaced(text: string): string {
  return text.toWellFormed().replaceAll('\0', '\ufffd');
}

describe('storable text', function () {
  this.timeout(SERVER_TIMEOUT_MS);
  let database: OwnDatabase;
  before(async () => {
    database = await ownDatabase({ isMigrated: false });
  });
  after(() => database.drop());

  it('comes back from text[] as it was, with U+0000 and half surrogates as U+FFFD', () =>
    fc.assert(
      fc.asyncProperty(fc.array(fc.option(hostileText)), async (texts) => {
        const literal = textArray(texts.map((text) => (text === null ? null : storableText(text))));
        const [row] = await database.sql('SELECT $1::text[] AS back', [literal]);
        expect(row?.['back']).to.deep.equal(texts.map((text) => (text === null ? null : replaced(text))));
      }),
      { numRuns: 200 },
    ));

  it('comes back from jsonb as it was, with U+0000 and half surrogates as U+FFFD', () =>
    fc.assert(
      fc.asyncProperty(hostileText, hostileText, async (first, second) => {
        const value = [{ key: first }, second];
        const literal = textArray([storableJson(value)]);
        const [row] = await database.sql('SELECT (($1::text[])[1])::jsonb AS back', [literal]);
        expect(row?.['back']).to.deep.equal([{ key: replaced(first) }, replaced(second)]);
      }),
      { numRuns: 200 },
    ));

  it('leaves the text of an escape alone', () => {
    expect(storableJson('\\u0000')).to.equal(JSON.stringify('\\u0000'));
    expect(storableJson('\\\0')).to.equal('"\\\\\ufffd"');
  });
});

describe('array literals', function () {
  this.timeout(SERVER_TIMEOUT_MS);
  let database: OwnDatabase;
  before(async () => {
    database = await ownDatabase({ isMigrated: false });
  });
  after(() => database.drop());

  it('carry numbers and booleans with their gaps', async () => {
    const [row] = await database.sql('SELECT $1::bigint[]::text AS numbers, $2::boolean[] AS flags', [
      plainArray([0, -1, null, 8_640_000_000_000_000]),
      plainArray([true, null, false]),
    ]);
    expect(row).to.deep.equal({ numbers: '{0,-1,NULL,8640000000000000}', flags: [true, null, false] });
  });

  it('carry bytes, also those of a view into a larger buffer', () =>
    fc.assert(
      fc.asyncProperty(fc.array(fc.uint8Array()), async (given) => {
        const views = given.map((bytes) => new Uint8Array([1, ...bytes, 2]).subarray(1, bytes.length + 1));
        const [row] = await database.sql<{ back: Buffer[] }>('SELECT $1::bytea[] AS back', [
          bytesArray(views),
        ]);
        expect(row?.back.map((bytes) => [...bytes])).to.deep.equal(given.map((bytes) => [...bytes]));
      }),
      { numRuns: 50 },
    ));
});
