/**
 * The quick judge of events: it takes what almost everybody sends, and never anything that the exact one would not.
 */
import { expect } from 'chai';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import { decodeRecord } from '../../../actors/ingest/decode-record.ts';
import { HOSTNAME_CHARS_MAX, RECORD_DEPTH_MAX } from '../../../actors/ingest/limits.ts';
import { hostnameHash } from '../../../actors/ingest/partition.ts';
import { PlainEventReader } from '../../../actors/ingest/plain-event.ts';
import { RECORD_JSON, splitRecords } from '../../../actors/ingest/split-records.ts';
import { makeCorpus } from '../../../bench/support/corpus.ts';
import { hostileBody } from '../../fuzz/bodies.ts';

const FIELDS = { hostname: 'r1', message: 'm', timestamp: '2024-05-01T12:00:00Z' };

/** The hash of the host, or undefined when the quick judge leaves the text to the exact one. */
function taken(text: string): number | undefined {
  const body = Buffer.from(text);
  const reader = new PlainEventReader(body);
  return reader.take(0, body.length) === body.length ? reader.hostHash : undefined;
}

const withFields = (fields: object): number | undefined => taken(JSON.stringify({ ...FIELDS, ...fields }));
/** An event whose further member `x` has a value that is written so. */
const withValue = (value: string): number | undefined =>
  taken(`{"hostname":"r1","x":${value},"message":"m","timestamp":1714564800}`);
const HASH = hostnameHash('r1');

describe('Plain events', () => {
  it('are all of the benchmark corpus, whatever stands around them', () => {
    const { events } = makeCorpus();
    const bodies = [
      `[${events.join(',')}]`,
      events.join('\n'),
      events.join(' '),
      `\n ${events.join('\r\n')}\n`,
    ];
    for (const body of bodies) {
      const { records, rejects } = splitRecords(Buffer.from(body), true);
      expect(rejects).to.deep.equal([]);
      expect(records).to.have.length(events.length);
      expect(records.filter(({ hostHash }) => hostHash === undefined)).to.deep.equal([]);
    }
  });

  it('have the host that the exact judge finds', () => {
    expect(withFields({})).to.equal(HASH);
    expect(withFields({ hostname: 'Core-1.NET.Example' })).to.equal(hostnameHash('core-1.net.example'));
    expect(withFields({ hostname: 'h'.repeat(HOSTNAME_CHARS_MAX) })).to.equal(
      hostnameHash('h'.repeat(HOSTNAME_CHARS_MAX)),
    );
  });

  it('may hold any JSON beside the three members', () => {
    const values = [
      '0',
      '-0',
      '-12.5e-3',
      '1E+9',
      'true',
      'false',
      'null',
      '""',
      '"\\u00e9\\n\\"\\\\"',
      '"ü€𐍈"',
    ];
    const nested = ['{}', '[]', '[ ]', '{ "a" : [ 1 , { "b" : [ ] } , "c" ] , "d" : { } }', '[[[]],[{}],""]'];
    for (const value of [...values, ...nested]) expect(withValue(value), value).to.equal(HASH);
  });

  it('have a time in one of the usual forms', () => {
    const times = ['2024-02-29T23:59:59Z', '2024-05-01T12:00:00.123456789Z', '2024-05-01T12:00:00-09:30'];
    for (const timestamp of [...times, 1_714_564_800, 1_714_564_800_123]) {
      expect(withFields({ timestamp }), String(timestamp)).to.equal(HASH);
    }
  });

  it('are not what must be looked at more closely', () => {
    const others = {
      hostname: ['', 'r1.', ' r1', 'r\t', '2001:db8::1', '[r1]', 'münchen', 'a"b', 'a\\', 1, null],
      message: ['', ' m', '\n', 'ü', 1, null],
      timestamp: [
        '',
        '2023-02-29T00:00:00Z',
        '2024-05-01 12:00:00',
        '2024-05-01T24:00:00Z',
        '0024-05-01T12:00:00Z',
      ],
    };
    for (const [name, values] of Object.entries(others)) {
      for (const value of values)
        expect(withFields({ [name]: value }), `${name}: ${value}`).to.equal(undefined);
    }
    for (const timestamp of ['2024-05-01T12:00:60Z', '2024-05-01T12:00:00', '2024-05-01T12:00:00.Z', 12]) {
      expect(withFields({ timestamp }), String(timestamp)).to.equal(undefined);
    }
    expect(withFields({ hostname: 'h'.repeat(HOSTNAME_CHARS_MAX + 1) })).to.equal(undefined);
    for (const missing of Object.keys(FIELDS))
      expect(withFields({ [missing]: undefined })).to.equal(undefined);
    expect(taken('{"hostname":"r1","hostname":"r2","message":"m","timestamp":1714564800}')).to.equal(
      undefined,
    );
    expect(taken('{"hostn\\u0061me":"r2","hostname":"r1","message":"m","timestamp":1714564800}')).to.equal(
      undefined,
    );
  });

  it('are not what is no JSON', () => {
    const values = [
      '',
      '01',
      '-',
      '1.',
      '.5',
      '1e',
      '+1',
      'tru',
      'nul',
      'NaN',
      '"\\x"',
      '"\\u12g4"',
      '"\t"',
      '"',
      '[1,]',
      '[,]',
    ];
    const nested = [
      '{"a"}',
      '{"a":}',
      '{"a":1,}',
      '{1:2}',
      '[1 2]',
      '{"a":1]',
      '[}',
      '[',
      '{',
      '{"a',
      '1,',
      '}',
    ];
    for (const value of [...values, ...nested]) expect(withValue(value), value).to.equal(undefined);
    const deep = RECORD_DEPTH_MAX;
    expect(withValue('['.repeat(deep - 1) + ']'.repeat(deep - 1))).to.equal(HASH);
    expect(withValue('['.repeat(deep) + ']'.repeat(deep))).to.equal(undefined);
  });

  it('are judged the same by the exact judge, whatever the bytes', () => {
    fc.assert(
      fc.property(hostileBody, (body) => {
        const exact = splitRecords(body);
        const quick = splitRecords(body, true);
        expect(quick.rejects).to.deep.equal(exact.rejects);
        expect(quick.records.map((record) => ({ ...record, hostHash: undefined }))).to.deep.equal(
          exact.records,
        );
        for (const { start, end, hostHash } of quick.records) {
          if (hostHash === undefined) continue;
          const verdict = decodeRecord(body, RECORD_JSON, start, end, 0);
          expect(verdict.ok && hostnameHash(verdict.hostname)).to.equal(hostHash);
        }
      }),
      { numRuns: 3_000 },
    );
  });

  it('are judged the same when any one byte of theirs is another', () => {
    const text = Buffer.from(
      '{"hostname":"Core-1.x","a":[1,{"b":"\\u00e9\\n"}],"message":"m \\" ü","timestamp":"2024-05-01T12:00:00.5+01:00","n":-1.5e3,"t":true}',
    );
    expect(taken(text.toString())).to.equal(hostnameHash('core-1.x'));
    // The first one is the brace that it is called for.
    for (let at = 1; at < text.length; at++) {
      for (let byte = 0; byte < 256; byte++) {
        const body = Buffer.from(text);
        body[at] = byte;
        const reader = new PlainEventReader(body);
        const end = reader.take(0, body.length);
        if (end === -1) continue;
        const verdict = decodeRecord(body, RECORD_JSON, 0, end, 0);
        expect(verdict.ok && hostnameHash(verdict.hostname), body.toString()).to.equal(reader.hostHash);
      }
    }
  });
});
