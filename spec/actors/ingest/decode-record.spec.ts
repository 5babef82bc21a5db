/** Which records are events: the required fields, their messages to people, and any bytes at all. */
import { expect } from 'chai';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import { decodeRecord } from '../../../actors/ingest/decode-record.ts';
import type { DecodedRecord, RejectedRecord } from '../../../actors/ingest/decode-record.ts';
import { RECORD_JSON, RECORD_LINE } from '../../../actors/ingest/split-records.ts';

const receivedAtMs = Date.parse('2024-05-01T12:00:00Z');
const event = { hostname: 'Router-1.Example', message: 'link down', timestamp: '2024-05-01T12:00:00Z' };

function decode(record: unknown): DecodedRecord | RejectedRecord {
  const body = Buffer.from(typeof record === 'string' ? record : JSON.stringify(record));
  return decodeRecord(body, RECORD_JSON, 0, body.length, receivedAtMs);
}

describe('decodeRecord', () => {
  it('takes an event and gives its host case-folded', () => {
    expect(decode(event)).to.deep.equal({ ok: true, hostname: 'router-1.example' });
  });

  it('reads only its own part of the body', () => {
    const body = Buffer.from(`xx${JSON.stringify(event)}yy`);
    expect(decodeRecord(body, RECORD_JSON, 2, body.length - 2, receivedAtMs).ok).to.equal(true);
  });

  it('takes a syslog line', () => {
    const body = Buffer.from('<34>May  1 11:59:59 Router-2 su: failed');
    expect(decodeRecord(body, RECORD_LINE, 0, body.length, receivedAtMs)).to.deep.equal({
      ok: true,
      hostname: 'router-2',
    });
  });

  it('refuses a host of a syslog line that is too long', () => {
    const body = Buffer.from(`<34>May  1 11:59:59 ${'h'.repeat(256)} su: failed`);
    expect(decodeRecord(body, RECORD_LINE, 0, body.length, receivedAtMs)).to.include({
      code: 'E_FIELD_TOO_LONG',
    });
  });

  it('takes an event whose optional fields make no sense', () => {
    expect(decode({ ...event, syslog_severity: 'loud', trap_oid: 5, source_ip: [], pid: {} }).ok).to.equal(
      true,
    );
  });

  it('takes invalid UTF-8', () => {
    const body = Buffer.concat([
      Buffer.from('{"hostname":"h'),
      Buffer.from([0xff, 0xc3]),
      Buffer.from('","message":"m","timestamp":1}'),
    ]);
    expect(decodeRecord(body, RECORD_JSON, 0, body.length, receivedAtMs).ok).to.equal(true);
  });

  const faults: [string, unknown, string, RegExp][] = [
    ['broken JSON', '{"hostname":}', 'E_JSON_MALFORMED', /not valid JSON/],
    ['an array', [], 'E_NOT_AN_OBJECT', /not a JSON object/],
    ['null', null, 'E_NOT_AN_OBJECT', /not a JSON object/],
    ['no hostname', { ...event, hostname: undefined }, 'E_FIELD_MISSING', /^hostname/],
    ['no message', { ...event, message: null }, 'E_FIELD_MISSING', /^message/],
    ['no timestamp', { ...event, timestamp: null }, 'E_FIELD_MISSING', /^timestamp/],
    ['a blank hostname', { ...event, hostname: '\u00a0\n' }, 'E_FIELD_EMPTY', /^hostname/],
    ['a blank message', { ...event, message: '  ' }, 'E_FIELD_EMPTY', /^message/],
    ['an empty timestamp', { ...event, timestamp: '' }, 'E_FIELD_EMPTY', /^timestamp/],
    ['a number for a hostname', { ...event, hostname: 5 }, 'E_FIELD_TYPE', /^hostname/],
    ['a list for a message', { ...event, message: ['m'] }, 'E_FIELD_TYPE', /^message/],
    ['a boolean for a timestamp', { ...event, timestamp: true }, 'E_FIELD_TYPE', /^timestamp/],
    [
      'a hostname of 256 characters',
      { ...event, hostname: 'h'.repeat(256) },
      'E_FIELD_TOO_LONG',
      /^hostname has 256/,
    ],
    ['a timestamp that is none', { ...event, timestamp: 'May' }, 'E_TIMESTAMP_INVALID', /^timestamp/],
  ];
  for (const [name, record, code, message] of faults) {
    it(`refuses ${name} with ${code}, naming the field and the remedy`, () => {
      const decoded = decode(record) as RejectedRecord;
      expect(decoded.code).to.equal(code);
      expect(decoded.message).to.match(message);
      expect(decoded.message, 'a remedy after the colon').to.match(/: \S/);
    });
  }

  it('takes a hostname of 255 characters', () => {
    expect(decode({ ...event, hostname: 'h'.repeat(255) }).ok).to.equal(true);
  });

  it('never throws, whatever the bytes', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 300 }),
        fc.constantFrom(RECORD_JSON, RECORD_LINE),
        (bytes, kind) => {
          const body = Buffer.from(bytes);
          expect(decodeRecord(body, kind, 0, body.length, receivedAtMs).ok).to.be.a('boolean');
        },
      ),
    );
    fc.assert(
      fc.property(fc.json(), (text) => {
        expect(decode(text).ok).to.be.a('boolean');
      }),
    );
  });
});
