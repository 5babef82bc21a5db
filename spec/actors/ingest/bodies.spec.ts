/**
 * Every body of spec/fixtures/bodies, named by its fault, with what must become of it: how many events are kept, and
 * the codes of the parts that are not. The good records of a bad body are what this file protects.
 */
import { readFileSync, readdirSync } from 'node:fs';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { decodeRecord, isUnreadableCode } from '../../../actors/ingest/decode-record.ts';
import { splitRecords } from '../../../actors/ingest/split-records.ts';

const folder = new URL('../../fixtures/bodies/', import.meta.url);
const receivedAtMs = Date.parse('2024-05-01T12:00:00Z');

const JSON_MALFORMED = 'E_JSON_MALFORMED';
const LINE_UNREADABLE = 'E_LINE_UNREADABLE';

/** Name of the body: [events kept, codes of the rejects in order]. */
const expected: Record<string, [number, string[]]> = {
  'array-good': [2, []],
  'array-pretty-printed': [2, []],
  'array-trailing-comma': [2, []],
  'array-empty': [0, []],
  'array-cut-off-in-second-element': [1, [JSON_MALFORMED]],
  'array-cut-off-before-bracket': [2, []],
  'array-cut-off-in-first-element': [0, ['E_BODY_UNREADABLE', JSON_MALFORMED]],
  'array-bracket-only': [0, ['E_BODY_UNREADABLE']],
  'array-missing-quote-then-lines': [2, [JSON_MALFORMED]],
  'array-of-scalars': [0, Array.from({ length: 5 }, () => 'E_NOT_AN_OBJECT')],
  'array-literal-misspelt-in-one': [2, [JSON_MALFORMED]],
  'array-brackets-do-not-pair': [1, [JSON_MALFORMED]],
  'array-followed-by-text': [1, [LINE_UNREADABLE]],
  'object-good': [1, []],
  'object-pretty-printed': [1, []],
  'object-unclosed': [0, ['E_BODY_UNREADABLE', JSON_MALFORMED]],
  'object-only-brace': [0, ['E_BODY_UNREADABLE', JSON_MALFORMED]],
  'object-concatenated': [3, []],
  'object-hostname-missing': [0, ['E_FIELD_MISSING']],
  'object-hostname-null': [0, ['E_FIELD_MISSING']],
  'object-hostname-blank': [0, ['E_FIELD_EMPTY']],
  'object-hostname-number': [0, ['E_FIELD_TYPE']],
  'object-hostname-too-long': [0, ['E_FIELD_TOO_LONG']],
  'object-message-empty': [0, ['E_FIELD_EMPTY']],
  'object-message-object': [0, ['E_FIELD_TYPE']],
  'object-timestamp-missing': [0, ['E_FIELD_MISSING']],
  'object-timestamp-words': [0, ['E_TIMESTAMP_INVALID']],
  'object-timestamp-impossible-day': [0, ['E_TIMESTAMP_INVALID']],
  'object-timestamp-array': [0, ['E_FIELD_TYPE']],
  'object-too-deep': [0, ['E_TOO_DEEP']],
  'object-too-deep-and-unclosed': [0, ['E_BODY_UNREADABLE', JSON_MALFORMED]],
  'object-prototype-names': [0, ['E_FIELD_MISSING']],
  'object-invalid-utf8': [1, []],
  'ndjson-good-crlf': [2, []],
  'ndjson-byte-order-mark': [2, []],
  'ndjson-line-cut-off-in-text': [2, [JSON_MALFORMED]],
  'ndjson-line-cut-off-after-comma': [2, [JSON_MALFORMED]],
  'ndjson-line-cut-off-after-colon': [3, [JSON_MALFORMED]],
  'ndjson-line-end-in-text': [2, [JSON_MALFORMED]],
  'ndjson-words-between': [2, [LINE_UNREADABLE]],
  'ndjson-separated-by-record-separators': [2, []],
  'lines-rfc3164': [2, []],
  'lines-rfc3164-without-pri': [3, []],
  'lines-rfc5424': [2, []],
  'lines-one-is-words': [2, [LINE_UNREADABLE]],
  'lines-one-begins-with-brace': [2, [LINE_UNREADABLE]],
  'lines-one-is-json': [3, []],
  'lines-priority-out-of-range': [0, [LINE_UNREADABLE]],
  'lines-words-only': [0, [LINE_UNREADABLE, LINE_UNREADABLE]],
  'lines-very-long': [1, ['E_RECORD_TOO_LARGE']],
  'lines-latin1': [1, []],
  empty: [0, ['E_BODY_EMPTY']],
  'blank-lines-only': [0, ['E_BODY_EMPTY']],
  'binary-zeros': [0, [LINE_UNREADABLE]],
  'binary-gzip-not-announced': [0, [LINE_UNREADABLE]],
};

function read(body: Buffer): [number, string[]] {
  const split = splitRecords(body);
  const codes: { index: number; code: string }[] = split.rejects.map(({ index, code }) => ({ index, code }));
  let kept = 0;
  for (const { index, kind, start, end } of split.records) {
    const decoded = decodeRecord(body, kind, start, end, receivedAtMs);
    if (decoded.ok) kept++;
    else codes.push({ index, code: decoded.code });
  }
  codes.sort((a, b) => a.index - b.index);
  const unreadable = split.unreadable === undefined ? [] : [split.unreadable.code];
  return [kept, [...unreadable, ...codes.map(({ code }) => code)]];
}

describe('bodies', () => {
  it('has an expectation for every file, and a file for every expectation', () => {
    const names = readdirSync(folder).map((name) => name.replace(/\.body$/, ''));
    expect(names.sort()).to.deep.equal(Object.keys(expected).sort());
  });

  for (const [name, [kept, codes]] of Object.entries(expected)) {
    it(`keeps ${kept} of ${name}${codes.length === 0 ? '' : ` and refuses the rest with ${[...new Set(codes)].join(', ')}`}`, () => {
      expect(read(readFileSync(new URL(`${name}.body`, folder)))).to.deep.equal([kept, codes]);
    });
  }

  it('tells what could not be read from what was read and found wanting', () => {
    expect(['E_JSON_MALFORMED', 'E_LINE_UNREADABLE'].every(isUnreadableCode)).to.equal(true);
    expect(['E_FIELD_MISSING', 'E_NOT_AN_OBJECT', 'E_TOO_DEEP'].some(isUnreadableCode)).to.equal(false);
  });
});
