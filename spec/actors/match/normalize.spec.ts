/** One form for every event: what is taken from the fields of senders, what stays as sent, and what never breaks a row. */
import { expect } from 'chai';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import type { NormalizedEvent } from '../../../actors/event.ts';
import { decodeRecord } from '../../../actors/ingest/decode-record.ts';
import { RECORD_JSON, RECORD_LINE } from '../../../actors/ingest/split-records.ts';
import type { RecordKind } from '../../../actors/ingest/split-records.ts';
import { CLOCK_SKEW_MS_MAX, normalizeEvent } from '../../../actors/match/normalize.ts';
import type { NormalizedRecord } from '../../../actors/match/normalize.ts';
import { codeOf } from '../../../runtime/errors.ts';
import { receivedAtMs } from './fixtures.ts';

function normalize(bytes: Buffer, kind: RecordKind = RECORD_JSON): NormalizedRecord {
  return normalizeEvent({ id: 'f-0', receivedAtMs, correlationId: 'c', kind, bytes });
}
function eventFrom(fields: Record<string, unknown>): NormalizedEvent {
  const required = { hostname: 'H1.Example', message: 'm', timestamp: '2024-05-01T12:00:00Z' };
  return normalize(Buffer.from(JSON.stringify({ ...required, ...fields }))).event;
}

describe('normalizeEvent', () => {
  it('gives every known field its place and form', () => {
    const event = eventFrom({
      syslog_severity: 'Error',
      syslog_facility: 'local7',
      program: 'rpd',
      pid: 77,
      msgid: 'M',
      source_ip: '2001:DB8::1',
      trap_oid: '.1.3.6.1',
      varbinds: { a: 1 },
      source: 'snmp',
      structured_data: { x: {} },
      extra: [1],
    });
    expect(event).to.deep.equal({
      id: 'f-0',
      receivedAtMs,
      correlationId: 'c',
      hostname: 'h1.example',
      message: 'm',
      eventTimeMs: receivedAtMs,
      clockSkewed: false,
      textRepaired: false,
      severity: 3,
      facility: 23,
      program: 'rpd',
      pid: '77',
      msgid: 'M',
      sourceIp: '2001:db8::1',
      trapOid: '1.3.6.1',
      varbinds: { a: 1 },
      source: 'snmp',
      structuredData: { x: {} },
      fields: { extra: [1] },
    });
  });

  it('reads severity and facility where the sender knows no others, and leaves them alone where it does', () => {
    expect(eventFrom({ severity: 'warning', facility: 'auth' })).to.deep.include({
      severity: 4,
      facility: 4,
      fields: {},
    });
    expect(eventFrom({ severity: 'bad', facility: 99 }).fields).to.deep.equal({
      severity: 'bad',
      facility: 99,
    });
    expect(eventFrom({ severity: 'crit', syslog_severity: 0 })).to.deep.include({
      severity: 0,
      fields: { severity: 'crit' },
    });
    expect(eventFrom({ severity: 'crit', syslog_severity: 'loud' })).to.deep.include({
      severity: 2,
      fields: { syslog_severity: 'loud' },
    });
  });

  it('strips names with a leading underscore and leaves prototypes alone', () => {
    const bytes =
      '{"hostname":"h","message":"m","timestamp":1,"_retry_count":9,"__proto__":{"polluted":1},"constructor":2}';
    const { event } = normalize(Buffer.from(bytes));
    expect(Object.keys(event.fields)).to.deep.equal(['constructor']);
    expect((event.fields as { polluted?: number }).polluted).to.equal(undefined);
  });

  it('leaves optional fields that make no sense under fields, as sent', () => {
    const odd = {
      syslog_severity: 8,
      syslog_facility: 'x',
      program: 'p'.repeat(256),
      pid: {},
      msgid: '',
      source_ip: '10.0.0',
      trap_oid: '1.x',
      source: 'carrier pigeon',
      n: null,
    };
    const event = eventFrom(odd);
    expect(event.fields).to.deep.equal(odd);
    expect(event).to.not.have.any.keys(
      'severity',
      'facility',
      'program',
      'pid',
      'msgid',
      'sourceIp',
      'trapOid',
      'source',
    );
  });

  it('flags a clock that is more than five minutes away, either way', () => {
    const skewed = (offsetMs: number): boolean =>
      eventFrom({ timestamp: receivedAtMs + offsetMs }).clockSkewed;
    expect([0, CLOCK_SKEW_MS_MAX, -CLOCK_SKEW_MS_MAX].map(skewed)).to.deep.equal([false, false, false]);
    expect([CLOCK_SKEW_MS_MAX + 1, -CLOCK_SKEW_MS_MAX - 1].map(skewed)).to.deep.equal([true, true]);
  });

  it('reads a syslog line', () => {
    const bytes = Buffer.from('<34>1 2024-05-01T12:00:00Z Host su 7 ID [a x="1"] failed');
    const { event, raw } = normalize(bytes, RECORD_LINE);
    expect(JSON.parse(JSON.stringify(event))).to.deep.equal({
      id: 'f-0',
      receivedAtMs,
      correlationId: 'c',
      hostname: 'host',
      message: 'failed',
      eventTimeMs: receivedAtMs,
      clockSkewed: false,
      textRepaired: false,
      source: 'syslog',
      severity: 2,
      facility: 4,
      structuredData: { a: { x: '1' } },
      program: 'su',
      pid: '7',
      msgid: 'ID',
      fields: {},
    });
    expect(raw).to.equal(bytes.toString());
  });

  it('repairs invalid UTF-8, lone surrogates and NUL, which no store takes', () => {
    const bytes = Buffer.concat([
      Buffer.from('{"hostname":"h\\u0000","message":"a\\ud800b\\u0000'),
      Buffer.from([0xff]),
      Buffer.from('","timestamp":1,"program":"p\\u0000"}'),
    ]);
    const { event, raw } = normalize(bytes);
    expect([event.hostname, event.message, event.program]).to.deep.equal([
      'h\uFFFD',
      'a\uFFFDb\uFFFD\uFFFD',
      'p\uFFFD',
    ]);
    expect(raw).to.include('\uFFFD');
    expect(normalize(Buffer.from('<1>May  1 12:00:00 h p: a\0b'), RECORD_LINE).raw).to.not.include('\0');
  });

  it('says whether its text was repaired, and keeps the bytes where the text no longer says them', () => {
    const json = (message: string): Buffer =>
      Buffer.from(`{"hostname":"h","timestamp":1,"message":"${message}"}`);
    const broken = Buffer.concat([json('a').subarray(0, -2), Buffer.from([0xc3]), Buffer.from('"}')]);
    const cases: [Buffer, RecordKind, boolean, boolean][] = [
      [json('plain'), RECORD_JSON, false, false],
      [json('grün \u{1f525}'), RECORD_JSON, false, false],
      // The sender means U+FFFD: nothing was repaired.
      [json('\uFFFD'), RECORD_JSON, false, false],
      [json('\\ufffd'), RECORD_JSON, false, false],
      // Escapes are text: the row says them as they came, only the event had to change.
      [json('\\u0000'), RECORD_JSON, true, false],
      [json('\\ud800'), RECORD_JSON, true, false],
      [broken, RECORD_JSON, true, true],
      [Buffer.from('<1>May  1 12:00:00 h p: gr\xfcn', 'latin1'), RECORD_LINE, true, true],
      [Buffer.from('<1>May  1 12:00:00 h p: a\0b'), RECORD_LINE, true, true],
      [Buffer.from('<1>May  1 12:00:00 h p: grün'), RECORD_LINE, false, false],
    ];
    for (const [bytes, kind, isRepaired, isKept] of cases) {
      const { event, raw, rawBytes } = normalize(bytes, kind);
      expect(event.textRepaired, raw).to.equal(isRepaired);
      if (isKept) expect(rawBytes?.equals(bytes), raw).to.equal(true);
      else expect(rawBytes, raw).to.equal(null);
      if (!isKept) expect(raw).to.equal(bytes.toString());
    }
    expect(eventFrom({ hostname: 'a\0' }).textRepaired).to.equal(true);
    expect(eventFrom({ program: 'a\uD800' }).textRepaired).to.equal(true);
  });

  it('takes severity and facility from a priority where they are not said otherwise', () => {
    expect(eventFrom({ pri: '<131>' })).to.deep.include({ severity: 3, facility: 16, fields: {} });
    expect(eventFrom({ syslog_pri: 34, severity: 'debug' })).to.deep.include({
      severity: 7,
      facility: 4,
      fields: {},
    });
    expect(eventFrom({ pri: 'auth.err', severity: 1, facility: 2 })).to.deep.include({
      severity: 1,
      facility: 2,
      fields: { pri: 'auth.err' },
    });
    expect(eventFrom({ pri: 192 }).fields).to.deep.equal({ pri: 192 });
  });

  it('writes addresses and hosts in one form', () => {
    const event = eventFrom({ hostname: '[2001:DB8:0::1]', source_ip: '::FFFF:10.1.2.3' });
    expect([event.hostname, event.sourceIp]).to.deep.equal(['2001:db8::1', '10.1.2.3']);
    expect(eventFrom({ trap_oid: 'iso.3.6.1.4.1.9' }).trapOid).to.equal('1.3.6.1.4.1.9');
  });

  it('refuses what no gateway lets in, by its own code', () => {
    for (const text of ['', '{', 'null', '[]', '{}', '{"hostname":"h","message":"m","timestamp":"x"}']) {
      expect(() => normalize(Buffer.from(text)), text)
        .to.throw(Error)
        .that.satisfies((error: unknown) => codeOf(error) === 'E_EVENT_UNREADABLE');
    }
    expect(() => normalize(Buffer.from('words'), RECORD_LINE)).to.throw(/no syslog line/);
  });

  it('reads every record that was let in, and gives text that every store takes', () => {
    const known = [
      'hostname',
      'message',
      'timestamp',
      'severity',
      'syslog_severity',
      'program',
      'pid',
      'trap_oid',
      'source_ip',
      '_x',
      'x',
    ];
    const value = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.jsonValue({ maxDepth: 2 }),
      fc.constantFrom('2024-05-01T12:00:00Z', 1714564800, 'err', '.1.3', '10.0.0.1'),
    );
    interface Sent {
      kind: RecordKind;
      bytes: Buffer;
    }
    const json = fc.dictionary(fc.constantFrom(...known), value, { maxKeys: 4 }).map((fields): Sent => {
      const text = JSON.stringify({ hostname: 'h', message: 'm', timestamp: 1, ...fields });
      return { kind: RECORD_JSON, bytes: Buffer.from(text) };
    });
    const line = fc.uint8Array({ maxLength: 60 }).map((bytes): Sent => ({
      kind: RECORD_LINE,
      bytes: Buffer.concat([Buffer.from('<34>May  1 12:00:00 host '), bytes]),
    }));
    fc.assert(
      fc.property(fc.oneof(json, line), ({ kind, bytes }) => {
        if (!decodeRecord(bytes, kind, 0, bytes.length, receivedAtMs).ok) return;
        const { event, raw } = normalize(bytes, kind);
        for (const text of [event.hostname, event.message, event.program ?? '', event.pid ?? '', raw]) {
          expect(text.includes('\0') || !text.isWellFormed()).to.equal(false);
        }
      }),
      { numRuns: 400 },
    );
  });
});
