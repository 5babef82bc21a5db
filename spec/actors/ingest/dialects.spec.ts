/**
 * The dialects against what is hostile or broken: nothing throws, hangs or takes memory without bound, and every record
 * of a body is either kept or parked. What relays really send is in spec/gateways/ingest/relays.spec.ts.
 */
import { readFileSync } from 'node:fs';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { encode } from '@msgpack/msgpack';
import { expect } from 'chai';
import fc from 'fast-check';
import { snappyCompress } from 'hysnappy';
import { describe, it } from 'mocha';
import { decodeBody } from '../../../actors/ingest/decode-body.ts';
import type { BodyContext, DecodedBody } from '../../../actors/ingest/decode-body.ts';
import { hostnameHash } from '../../../actors/ingest/partition.ts';
import { RECORD_BYTES_MAX, RECORDS_PER_REQUEST_MAX } from '../../../actors/ingest/limits.ts';
import { DIALECTS } from '../../../actors/ingest/messages.ts';
import type { Dialect } from '../../../actors/ingest/messages.ts';
import { normalizeEvent } from '../../../actors/match/normalize.ts';

type Records = Extract<DecodedBody, { kind: 'records' }>;

const MIB = 1024 * 1024;
const receivedAtMs = Date.parse('2024-05-01T12:00:00Z');
const NS = '1714564800000000000';

const decode = (body: Uint8Array | string, context: BodyContext = {}, encoding = 'identity'): DecodedBody =>
  decodeBody(Buffer.from(body as Uint8Array), encoding, receivedAtMs, context);
function records(body: Uint8Array | string, dialect?: Dialect): Records {
  const decoded = decode(body, dialect === undefined ? {} : { dialect });
  if (decoded.kind !== 'records') throw new Error(JSON.stringify(decoded));
  return decoded;
}
const codes = ({ rejected }: Records): string[] => rejected.map(({ code }) => code);
const partsOf = ({ rejected, body }: Records): string[] =>
  rejected.map(({ start, end }) => body.toString('latin1', start, end));
const texts = ({ accepted }: Records): string[] =>
  accepted.map(({ body, start, end }) => body.toString('utf8', start, end));

/** A message of protobuf: length-delimited fields by number, in the order given. */
function message(...fields: [field: number, value: Uint8Array | string][]): Uint8Array {
  const writer = new BinaryWriter();
  for (const [field, value] of fields) {
    writer.tag(field, WireType.LengthDelimited).bytes(typeof value === 'string' ? Buffer.from(value) : value);
  }
  return writer.finish();
}
const stringValue = (text: string): Uint8Array => message([1, text]);
const keyValue = (key: string, value: Uint8Array): Uint8Array => message([1, key], [2, value]);
const otlp = (
  records: Uint8Array[],
  resource = message([1, keyValue('host.name', stringValue('r1'))]),
): Uint8Array =>
  message([1, message([1, resource], [2, Buffer.concat(records.map((record) => message([2, record])))])]);
const otlpRecord = (text: string): Uint8Array => message([5, stringValue(text)]);

/** A good and a bad record of each dialect, and how a body of several is made of them. */
const MIXES: Record<
  string,
  { dialect?: Dialect; good: string; bad: string; join: (parts: string[]) => string }
> = {
  'Kafka REST': {
    good: '{"value":{"hostname":"r1","message":"m","timestamp":1714564800}}',
    bad: '{"value":{"hostname":"r1"}}',
    join: (parts) => `{"records":[${parts.join(',')}]}`,
  },
  'OTLP JSON': {
    dialect: 'otlp_json',
    good: '{"body":{"stringValue":"m"}}',
    bad: '{"severityNumber":9}',
    join: (parts) =>
      `{"resourceLogs":[{"resource":{"attributes":[{"key":"host.name","value":{"stringValue":"r1"}}]},` +
      `"scopeLogs":[{"logRecords":[${parts.join(',')}]}]}]}`,
  },
  HEC: {
    dialect: 'hec_event',
    good: '{"event":"m","host":"r1"}',
    bad: '{"event":"","host":"r1"}',
    join: (parts) => parts.join(''),
  },
  Loki: {
    dialect: 'loki_json',
    good: `["${NS}","m"]`,
    bad: '["never","m"]',
    join: (parts) => `{"streams":[{"stream":{"host":"r1"},"values":[${parts.join(', ')}]}]}`,
  },
  Alertmanager: {
    good: '{"labels":{"host":"r1","alertname":"A"},"startsAt":"2024-05-01T12:00:00Z"}',
    bad: '{"labels":{},"startsAt":"2024-05-01T12:00:00Z"}',
    join: (parts) => `{"receiver":"r","alerts":[${parts.join(',')}],"groupLabels":{},"version":"4"}`,
  },
};

describe('Every dialect', () => {
  for (const [name, { dialect, good, bad, join }] of Object.entries(MIXES)) {
    it(`keeps the good records of ${name} and parks each bad one as it came, in their order`, () => {
      fc.assert(
        fc.property(fc.array(fc.boolean(), { minLength: 1, maxLength: 40 }), (isGood) => {
          const found = records(join(isGood.map((is) => (is ? good : bad))), dialect);
          expect(found.accepted).to.have.length(isGood.filter(Boolean).length);
          expect(found.rejected.map(({ index }) => index)).to.deep.equal(
            isGood.flatMap((is, index) => (is ? [] : [index])),
          );
          expect(partsOf(found).every((part) => part === bad)).to.equal(true);
        }),
        { numRuns: 50 },
      );
    });

    it(`loses nothing of ${name} that is cut off: what comes before is kept, the rest is parked`, () => {
      const body = join([good, good, good]);
      for (let length = 1; length < body.length; length++) {
        const decoded = decode(body.slice(0, length), dialect === undefined ? {} : { dialect });
        if (decoded.kind !== 'records') continue;
        const whole = body.slice(0, length).split(good).length - 1;
        expect(decoded.accepted.length, `${length}`).to.be.within(Math.max(0, whole - 1), whole);
        // Between two records nothing is missing.
        if (join(Array<string>(whole).fill(good)).length === length) continue;
        expect(decoded.rejected.length, `${length}`).to.be.at.least(1);
        expect(decoded.rejected.at(-1)?.end).to.equal(length);
      }
    });
  }

  it('keeps the good records of MessagePack and parks the others as they came', () => {
    const good = { hostname: 'r1', message: 'm' };
    const bad = encode([1, { a: 1 }]);
    const found = records(
      Buffer.concat([encode([1, good]), bad, encode([2, good]), encode(7), encode([1, 2, 3])]),
    );
    expect(found.accepted).to.have.length(2);
    expect(codes(found)).to.deep.equal(['E_FIELD_MISSING', 'E_NOT_AN_OBJECT', 'E_NOT_AN_OBJECT']);
    expect(partsOf(found)[0]).to.equal(Buffer.from(bad).toString('latin1'));
    const cut = Buffer.concat([encode([1, good]), encode([2, good]).subarray(0, -1)]);
    expect(codes(records(cut))).to.deep.equal(['E_MSGPACK_MALFORMED']);
    expect(records(cut).accepted).to.have.length(1);
  });

  it('keeps the good records of protobuf beside broken ones, and what comes after a broken message', () => {
    const broken = Buffer.from('2aff01', 'hex');
    const found = records(
      otlp([otlpRecord('a'), broken, otlpRecord('b'), message([3, 'no body'])]),
      'otlp_protobuf',
    );
    expect(texts(found).map((text) => (JSON.parse(text) as { message: string }).message)).to.deep.equal([
      'a',
      'b',
    ]);
    expect(codes(found)).to.deep.equal(['E_PROTOBUF_MALFORMED', 'E_FIELD_MISSING']);
    expect(partsOf(found)[0]).to.equal(broken.toString('latin1'));

    const twice = Buffer.concat([
      otlp([otlpRecord('a')]),
      message([1, Buffer.from('12ff01', 'hex')]),
      otlp([otlpRecord('b')]),
    ]);
    expect(records(twice, 'otlp_protobuf').accepted).to.have.length(2);
    expect(codes(records(twice, 'otlp_protobuf'))).to.deep.equal(['E_PROTOBUF_MALFORMED']);
    const cut = twice.subarray(0, -3);
    expect(records(cut, 'otlp_protobuf').accepted).to.have.length(1);
    expect(codes(records(cut, 'otlp_protobuf')).at(-1)).to.equal('E_PROTOBUF_MALFORMED');
  });

  it('never throws and always accounts for a body, whatever the bytes', () => {
    const fixture = (name: string): Buffer =>
      readFileSync(new URL(`../../fixtures/relays/${name}`, import.meta.url));
    const seeds = [
      fixture('otlp-logs.pb'),
      fixture('otlp-logs-json.body'),
      fixture('loki-push.snappy'),
      Buffer.from(encode([1, { hostname: 'r1', message: 'm', list: [1, [2, { a: null }]] }])),
      ...Object.values(MIXES).map(({ join, good, bad }) => Buffer.from(join([good, bad, good]))),
    ];
    const mutated = fc
      .tuple(
        fc.constantFrom(...seeds),
        fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 6 }),
        fc.nat(400),
      )
      .map(([seed, changes, cut]) => {
        const bytes = Buffer.from(seed);
        for (const [at, byte] of changes) bytes[at % bytes.length] = byte;
        return cut < bytes.length && cut % 3 === 0 ? bytes.subarray(0, cut) : bytes;
      });
    const bodies = fc.oneof(
      mutated,
      fc.uint8Array({ maxLength: 300 }),
      fc.json().map((text) => Buffer.from(text)),
    );
    const hints = fc.constantFrom('', 'r1', 'r1\nsshd\nauth\nerr', '\n\n\n\n\n');
    fc.assert(
      fc.property(bodies, fc.constantFrom(...DIALECTS), hints, (bytes, dialect, hint) => {
        const decoded = decode(bytes, { dialect, hint });
        if (decoded.kind !== 'records') return;
        for (const { kind, body, start, end } of decoded.accepted) {
          // Whatever is let in can be read when it is matched.
          normalizeEvent({
            id: 'f-0',
            receivedAtMs,
            correlationId: 'c',
            kind,
            bytes: body.subarray(start, end),
          });
        }
        for (const { start, end } of decoded.rejected) {
          expect(start >= 0 && start <= end && end <= decoded.body.length).to.equal(true);
        }
      }),
      { numRuns: 4_000 },
    );
  }).timeout(60_000);
});

describe('A hostile body', function () {
  this.timeout(30_000);

  /** What it takes: no more than a second on a machine that does other things too, and little memory. */
  function cheaply(run: () => DecodedBody): DecodedBody {
    const startedMs = performance.now();
    const before = process.memoryUsage();
    const decoded = run();
    const after = process.memoryUsage();
    expect(performance.now() - startedMs).to.be.below(3_000);
    expect(after.heapUsed + after.external - before.heapUsed - before.external).to.be.below(512 * MIB);
    return decoded;
  }

  it('of MessagePack that claims to hold more than there is makes no room', () => {
    for (const head of ['ddffffffff', 'dfffffffff', 'c6ffffffff', 'dbffffffff', 'c9ffffffff00']) {
      const body = Buffer.concat([Buffer.from(`9201${head}`, 'hex'), Buffer.alloc(1_000, 0x01)]);
      expect(cheaply(() => decode(body)).kind, head).to.not.equal('too_large');
    }
    // Every header claims the largest array that the bytes behind it could hold.
    const nested = Buffer.alloc(16 * MIB);
    for (let at = 0; at + 5 <= nested.length; at += 5) nested.writeUIntBE(0xdd0000ffff, at, 5);
    cheaply(() => decode(Buffer.concat([Buffer.from('9281a161', 'hex'), nested])));
  });

  it('of lists in lists is looked at once, not once a level', () => {
    const depth = 4 * MIB;
    const body = Buffer.concat([Buffer.alloc(depth, 0x92), Buffer.alloc(depth + 1, 0x90)]);
    const decoded = cheaply(() => decode(body));
    if (decoded.kind !== 'records') throw new Error(decoded.kind);
    expect(decoded.accepted).to.deep.equal([]);
    expect(decoded.rejected.length).to.be.at.least(1);
  });

  it('that nests is refused by its depth', () => {
    let value: unknown = 1;
    for (let depth = 0; depth < 40; depth++) value = [value];
    expect(codes(records(encode([1, { hostname: 'r1', message: 'm', value }])))).to.deep.equal([
      'E_TOO_DEEP',
    ]);
    const deep = `${'['.repeat(40)}${']'.repeat(40)}`;
    const kafka = `{"records":[{"value":{"hostname":"r1","message":"m","timestamp":1,"deep":${deep}}}]}`;
    expect(codes(records(kafka))).to.deep.equal(['E_TOO_DEEP']);
    let any = stringValue('x');
    for (let depth = 0; depth < 40; depth++) any = message([5, message([1, any])]);
    const attribute = message([5, stringValue('m')], [6, keyValue('deep', any)]);
    expect(codes(records(otlp([attribute]), 'otlp_protobuf'))).to.deep.equal(['E_TOO_DEEP']);
    // A megabyte of opening brackets, where a parser that calls itself would run out of stack.
    for (const dialect of DIALECTS) cheaply(() => decode(`{"streams":${'['.repeat(MIB)}`, { dialect }));
  });

  it('whose shared part is repeated in every record is refused, not written out', () => {
    const large = message(
      [1, keyValue('host.name', stringValue('r1'))],
      [1, keyValue('x', stringValue('y'.repeat(50_000)))],
    );
    const many = Array.from({ length: 20_000 }, () => otlpRecord('m'));
    expect(cheaply(() => decode(otlp(many, large), { dialect: 'otlp_protobuf' }))).to.deep.equal({
      kind: 'too_large',
    });
    const stream = { stream: { host: 'r1', x: 'y'.repeat(50_000) }, values: many.map(() => [NS, 'm']) };
    const loki = JSON.stringify({ streams: [stream] });
    expect(cheaply(() => decode(loki, { dialect: 'loki_json' }))).to.deep.equal({ kind: 'too_large' });
  });

  it('whose shared part is over a record is refused record by record', () => {
    const large = message(
      [1, keyValue('host.name', stringValue('r1'))],
      [1, keyValue('x', stringValue('y'.repeat(70_000)))],
    );
    const many = Array.from({ length: 50_000 }, () => otlpRecord('m'));
    const decoded = cheaply(() => decode(otlp(many, large), { dialect: 'otlp_protobuf' }));
    if (decoded.kind !== 'records') throw new Error(decoded.kind);
    expect([...new Set(codes(decoded))]).to.deep.equal(['E_RECORD_TOO_LARGE']);
    expect(decoded.rejected).to.have.length(50_000);
  });

  it('of very many empty parts is read in linear time', () => {
    const resource: [number, Uint8Array] = [1, message([1, keyValue('x', stringValue('y'.repeat(50_000)))])];
    const scopes = Buffer.from('1200'.repeat(4 * MIB), 'hex');
    const logs = Buffer.concat([message(resource), scopes]);
    cheaply(() => decode(message([1, logs]), { dialect: 'otlp_protobuf' }));
    cheaply(() => decode(Buffer.from('0a00'.repeat(4 * MIB), 'hex'), { dialect: 'otlp_protobuf' }));
    cheaply(() => decode(`{"resourceLogs":[${'{},'.repeat(2 * MIB)}{}]}`, { dialect: 'otlp_json' }));
    cheaply(() => decode(`{"streams":[${'{},'.repeat(2 * MIB)}{}]}`, { dialect: 'loki_json' }));
  });

  it('of millions of members that nobody asks for is refused as a whole', () => {
    const fields = Buffer.from('3801'.repeat(8 * MIB), 'hex');
    const members = `${'"a":1,'.repeat(3 * MIB)}"b":1`;
    const bodies: [string | Uint8Array, Dialect][] = [
      [fields, 'otlp_protobuf'],
      [message([1, fields]), 'otlp_protobuf'],
      [message([1, message([2, fields])]), 'otlp_protobuf'],
      [message([1, fields]), 'loki_protobuf'],
      [`{"resourceLogs":[{"scopeLogs":[{${members}}]}]}`, 'otlp_json'],
      [`{"streams":[{${members}}]}`, 'loki_json'],
      [`{"records":[{${members}}]}`, 'native'],
    ];
    for (const [body, dialect] of bodies) {
      expect(
        cheaply(() => decode(body, { dialect })),
        dialect,
      ).to.include({ kind: 'unreadable' });
    }
  });

  it('of more records than a request may hold is cut there, and the rest parked as one', () => {
    const count = RECORDS_PER_REQUEST_MAX + 5;
    const bodies: [string | Uint8Array, Dialect][] = [
      [`{"records":[${Array<string>(count).fill('{"value":1}').join(',')}]}`, 'native'],
      [Buffer.alloc(count, 0x07), 'native'],
      [
        `{"resourceLogs":[{"scopeLogs":[{"logRecords":[${Array<string>(count).fill('{}').join(',')}]}]}]}`,
        'otlp_json',
      ],
      [otlp(Array.from({ length: count }, () => otlpRecord('m'))), 'otlp_protobuf'],
      ['{"a":1}'.repeat(count), 'hec_event'],
      [`{"streams":[{"values":[${Array<string>(count).fill('[]').join(',')}]}]}`, 'loki_json'],
    ];
    bodies[1] = [Buffer.concat([encode([[1, {}]]), Buffer.alloc(count, 0x07)]), 'native'];
    for (const [body, dialect] of bodies) {
      const decoded = cheaply(() => decode(body, { dialect }));
      if (decoded.kind !== 'records') throw new Error(`${dialect}: ${JSON.stringify(decoded)}`);
      expect(decoded.accepted.length + decoded.rejected.length, dialect).to.equal(
        RECORDS_PER_REQUEST_MAX + 1,
      );
      expect(decoded.rejected.at(-1)?.code, dialect).to.equal('E_TOO_MANY_RECORDS');
    }
  });

  it('of a record that is too large parks that one', () => {
    const long = 'x'.repeat(RECORD_BYTES_MAX);
    const event = { hostname: 'r1', message: long, timestamp: 1 };
    const bodies: [string | Uint8Array, Dialect][] = [
      [JSON.stringify({ records: [{ value: event }] }), 'native'],
      [JSON.stringify({ records: [{ value: JSON.stringify(event) }] }), 'native'],
      [encode([1, event]), 'native'],
      [otlp([otlpRecord(long)]), 'otlp_protobuf'],
      [JSON.stringify({ event: long, host: 'r1' }), 'hec_event'],
      [JSON.stringify({ streams: [{ stream: { host: 'r1' }, values: [[NS, long]] }] }), 'loki_json'],
    ];
    for (const [body, dialect] of bodies)
      expect(codes(records(body, dialect)), dialect).to.deep.equal(['E_RECORD_TOO_LARGE']);
  });
});

describe('A dialect', () => {
  it('takes labels and names of a stranger as data, never as parts of an object', () => {
    const kafka =
      '{"records":[{"value":{"hostname":"r1","message":"m","timestamp":1,"__proto__":{"hostname":"x"}}}]}';
    expect(records(kafka).accepted[0]?.hostHash).to.equal(hostnameHash('r1'));
    const attributes = [keyValue('__proto__', stringValue('x')), keyValue('constructor', stringValue('y'))];
    const record = message([5, stringValue('m')], ...attributes.map((one): [number, Uint8Array] => [6, one]));
    expect(texts(records(otlp([record]), 'otlp_protobuf'))[0]).to.include(
      '"__proto__":"x","constructor":"y"',
    );
    expect(({} as Record<string, unknown>)['x']).to.equal(undefined);
  });

  it('is told apart by the bytes where the label lies', () => {
    const { join, good } = MIXES['OTLP JSON']!;
    expect(records(join([good]), 'otlp_protobuf').accepted).to.have.length(1);
    expect(records(otlp([otlpRecord('m')]), 'otlp_json').accepted).to.have.length(1);
    expect(records(join([good])).accepted).to.have.length(1);
    const loki = MIXES['Loki']!.join([MIXES['Loki']!.good]);
    expect(records(loki).accepted).to.have.length(1);
    expect(records(loki, 'loki_protobuf').accepted).to.have.length(1);
  });

  it('does not take an event for an envelope whose name its first field has', () => {
    for (const name of ['records', 'receiver', 'resourceLogs', 'streams']) {
      for (const value of ['1', '"x"', '[]', '{}', 'null']) {
        const event = `{"${name}":${value},"hostname":"r1","message":"m","timestamp":1}`;
        const { accepted, rejected } = records(event);
        expect([accepted.length, rejected.length], event).to.deep.equal([1, 0]);
      }
    }
  });

  it('says what a body is not, when there is nothing of it in there', () => {
    const bodies: [string | Uint8Array, Dialect][] = [
      ['words', 'otlp_json'],
      ['', 'otlp_json'],
      ['{"a":1}', 'otlp_json'],
      [Buffer.from('3801', 'hex'), 'otlp_protobuf'],
      ['words', 'loki_json'],
      ['{}', 'loki_json'],
      ['', 'loki_protobuf'],
      [snappyCompress(Buffer.from('words')), 'loki_protobuf'],
      [' \n', 'hec_event'],
      ['', 'hec_raw'],
    ];
    for (const [body, dialect] of bodies) {
      expect(decode(body, { dialect }).kind, `${dialect} ${String(body)}`).to.equal('unreadable');
    }
    // Nothing to say is no fault where the format knows an empty request.
    expect(records('{}', 'otlp_json')).to.deep.include({ accepted: [], rejected: [] });
    expect(records('', 'otlp_protobuf')).to.deep.include({ accepted: [], rejected: [] });
    expect(records('{"resourceLogs":[]}', 'otlp_json')).to.deep.include({ accepted: [], rejected: [] });
  });

  it('takes host and more from beside the body only for what does not say them itself', () => {
    const hint = 'r9\nsshd\nauth\nerr';
    const read = (body: string): Record<string, unknown> => {
      const decoded = decode(body, { hint });
      if (decoded.kind !== 'records') throw new Error(decoded.kind);
      const [first] = decoded.accepted;
      return first === undefined ? {} : { host: first.hostHash, text: texts(decoded)[0] };
    };
    expect(read('just words')).to.include({ host: hostnameHash('r9') });
    expect(read('{"message":"m","timestamp":1}')).to.include({ host: hostnameHash('r9') });
    expect(read('{"hostname":"r1","message":"m","timestamp":1}')['text']).to.equal(
      '{"hostname":"r1","message":"m","timestamp":1}',
    );
    expect(read('<34>May  1 12:00:00 r1 su: x')).to.include({ host: hostnameHash('r1') });
    expect(read('{"message":"m"}')).to.deep.equal({});
  });
});
