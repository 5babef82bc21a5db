/** The frame on disk: what is encoded comes back, and damage never comes back as events. */
import { randomBytes, randomUUID } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { expect } from 'chai';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import {
  FRAME_BODY_BYTES_MAX,
  FRAME_RECORDS_MAX,
  decodeFrame,
  encodeFrame,
} from '../../../actors/ingest/frame.ts';
import type { FrameInput } from '../../../actors/ingest/frame.ts';
import { RECORD_JSON, RECORD_LINE } from '../../../actors/ingest/split-records.ts';
import { formatUuid } from '../../../actors/ingest/uuid-v7.ts';
import { originEntry } from '../../../actors/ingest/origin.ts';
import { codeOf } from '../../../runtime/errors.ts';

const id = Buffer.from('017f22e279b07cc398c4dc0c0c07398f', 'hex');

/** Records cut from larger bodies, as the ingest actor has them. */
const input = fc
  .record({
    kind: fc.constantFrom(RECORD_JSON, RECORD_LINE),
    correlationId: fc.oneof(fc.constantFrom('', 'a', 'corrélation'), fc.uuid()),
    bytes: fc.uint8Array({ maxLength: 600 }),
    before: fc.nat(20),
  })
  .map(({ kind, correlationId, bytes, before }): FrameInput => {
    const body = Buffer.concat([Buffer.alloc(before, 1), bytes, Buffer.alloc(7, 2)]);
    return { kind, correlationId, body, start: before, end: before + bytes.length };
  });

/** An event from `apiKey`, as the ingest thread has it. */
const from = (
  apiKey: string,
  correlationId: string,
  text = '{}',
  sender = '192.0.2.7 rsyslog http',
): FrameInput => ({ ...record(text), correlationId, origin: originEntry(apiKey, sender) });

const record = (text: string): FrameInput => {
  const body = Buffer.from(text);
  return { kind: RECORD_JSON, correlationId: 'c', body, start: 0, end: body.length };
};

function codeOfDecoding(frame: Buffer): string {
  try {
    decodeFrame(frame);
    return 'decoded';
  } catch (error) {
    return codeOf(error);
  }
}

describe('frame', () => {
  it('gives back what was encoded', () => {
    fc.assert(
      fc.property(fc.array(input, { maxLength: 60 }), fc.double({ noNaN: true }), (inputs, receivedAtMs) => {
        const frame = decodeFrame(encodeFrame(id, receivedAtMs, inputs));
        expect(frame.id).to.equal(formatUuid(id));
        expect(Object.is(frame.receivedAtMs, receivedAtMs)).to.equal(true);
        expect(frame.records.map(({ kind, correlationId }) => [kind, correlationId])).to.deep.equal(
          inputs.map(({ kind, correlationId }) => [kind, correlationId]),
        );
        expect(frame.records.every(({ bytes }, at) => bytes.equals(cut(inputs[at]!)))).to.equal(true);
      }),
    );
  });

  it('is smaller than its records when they resemble each other, and never larger than their plain form', () => {
    const alike = Array.from({ length: 100 }, (_, at) =>
      record(`{"hostname":"r${at}","message":"${'down '.repeat(40)}"}`),
    );
    const plainBytes = alike.reduce((sum, { end }) => sum + end, 0);
    expect(encodeFrame(id, 1, alike).length).to.be.below(plainBytes / 10);

    const noise = randomBytes(5000);
    const framed = encodeFrame(id, 1, [
      { kind: RECORD_LINE, correlationId: '', body: noise, start: 0, end: 5000 },
    ]);
    expect(framed.length).to.equal(40 + 2 + 2 + 7 + 5000);
    expect(framed[3]).to.equal(0);
  });

  it('stays readable: a frame of version 1 as the first build wrote it', () => {
    const written = Buffer.from(
      '4d460100' + // M F, version 1, plain
        '40c7d23d' + // checksum
        '017f22e279b07cc398c4dc0c0c07398f' + // frame id
        '0000e06940f37842' + // 2024-05-01T12:00:00Z
        '01000000' + // one record
        '1c000000' + // 28 bytes of body
        '0100' + // one correlation id
        '010063' + // c
        '00' + // JSON
        '0000' + // its correlation id is the first
        '10000000' + // 16 bytes
        '7b22686f73746e616d65223a2268227d',
      'hex',
    );
    expect(encodeFrame(id, 1714564800000, [record('{"hostname":"h"}')]).equals(written)).to.equal(true);
    expect(decodeFrame(written).records[0]?.bytes.toString()).to.equal('{"hostname":"h"}');
  });

  it('gives back who each record came from, whichever order they came in', () => {
    const known = fc.option(fc.constantFrom('edge', 'edge-2', 'größer'), { nil: undefined });
    fc.assert(
      fc.property(
        fc.array(fc.tuple(input, known, fc.constantFrom('http', 'websocket')), { maxLength: 60 }),
        (given) => {
          const inputs = given.map(([each, apiKey, protocol]): FrameInput => ({
            ...each,
            origin: apiKey === undefined ? undefined : originEntry(apiKey, `- unknown ${protocol}`),
          }));
          const { records } = decodeFrame(encodeFrame(id, 1, inputs));
          expect(records.map(({ correlationId, origin }) => [correlationId, origin])).to.deep.equal(
            given.map(([{ correlationId }, apiKey, protocol]) => [
              correlationId,
              apiKey === undefined ? undefined : { apiKey, sender: `- unknown ${protocol}` },
            ]),
          );
          expect(records.every(({ bytes }, at) => bytes.equals(cut(inputs[at]!)))).to.equal(true);
        },
      ),
    );
  });

  it('is read by a program that knows no origins: they are texts that no record names', () => {
    const frame = encodeFrame(id, 1, [
      from('edge', 'c1', '{"a":1}'),
      from('edge-2', 'c2', '{"b":2}'),
      record('{"c":3}'),
    ]);
    expect(readAsFirstBuild(frame)).to.deep.equal([
      ['c1', '{"a":1}'],
      ['c2', '{"b":2}'],
      ['c', '{"c":3}'],
    ]);
  });

  it('grows by less than a byte an event when a request brings a hundred', () => {
    const events = Array.from({ length: 100 }, (_, at) => `{"hostname":"r${at}","message":"m ${at}"}`);
    const origin = originEntry('core-relays', '192.0.2.117 fluent-bit otlp_protobuf');
    const requests = Array.from({ length: 8 }, () => randomUUID());
    const inputs = requests.flatMap((correlationId) =>
      events.map((text) => ({ ...record(text), correlationId })),
    );
    for (const some of [inputs.slice(0, 100), inputs]) {
      const before = encodeFrame(id, 1, some).length;
      const after = encodeFrame(
        id,
        1,
        some.map((each) => ({ ...each, origin })),
      ).length;
      expect((after - before) / some.length).to.be.below(1);
    }
  });

  it('refuses an origin that is cut off, and bounds what a name can put into it', () => {
    const broken = encodeFrame(id, 1, [{ ...record('{}'), origin: '\u0001edge' }]);
    expect(codeOfDecoding(broken)).to.equal('E_FRAME_DAMAGED');
    const long = from('k\u001f\u0001'.repeat(1000), 'c', '{}', 's'.repeat(1000));
    const [decoded] = decodeFrame(encodeFrame(id, 1, [long])).records;
    expect(decoded?.origin).to.deep.equal({ apiKey: 'k  '.repeat(85), sender: 's'.repeat(255) });
  });

  it('trusts no length in it, though the checksum is right', () => {
    const frame = encodeFrame(id, 1, [record('{"hostname":"a"}'), from('edge', 'c', '{"hostname":"b"}')]);
    fc.assert(
      fc.property(
        fc.integer({ min: 32, max: frame.length - 1 }),
        fc.nat(255),
        fc.boolean(),
        (at, byte, claimsZstd) => {
          const changed = Buffer.from(frame);
          changed[at] = byte;
          changed[3] = claimsZstd ? 1 : 0;
          changed.writeUInt32LE(crc32(changed.subarray(8), changed[3]), 4);
          expect(codeOfDecoding(changed)).to.be.oneOf(['E_FRAME_DAMAGED', 'decoded']);
        },
      ),
      { numRuns: 1000 },
    );
  });

  it('refuses a version it does not know, and says which', () => {
    const frame = encodeFrame(id, 1, [record('{}')]);
    frame[2] = 2;
    expect(() => decodeFrame(frame)).to.throw(/version 2/);
    expect(codeOfDecoding(frame)).to.equal('E_FRAME_VERSION');
  });

  it('reads no frame that was changed in a byte or cut', () => {
    const frame = encodeFrame(
      id,
      1,
      Array.from({ length: 30 }, (_, at) => record(`{"hostname":"router-${at}","message":"m"}`)),
    );
    fc.assert(
      fc.property(fc.nat(frame.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
        const changed = Buffer.from(frame);
        changed[at]! ^= flip;
        expect(codeOfDecoding(changed)).to.be.oneOf(['E_FRAME_DAMAGED', 'E_FRAME_VERSION']);
        expect(codeOfDecoding(frame.subarray(0, at))).to.equal('E_FRAME_DAMAGED');
      }),
    );
    expect(codeOfDecoding(Buffer.concat([frame, Buffer.alloc(1)]))).to.equal('E_FRAME_DAMAGED');
  });

  it('never throws anything but its own codes, whatever the bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.boolean(), (bytes, withMagic) => {
        const frame = Buffer.concat([withMagic ? Buffer.from('MF\x01\x00') : Buffer.alloc(0), bytes]);
        expect(codeOfDecoding(frame)).to.be.oneOf(['E_FRAME_DAMAGED', 'E_FRAME_VERSION']);
      }),
    );
  });

  it('refuses to encode more than a frame may hold', () => {
    const one = record('{}');
    expect(() => encodeFrame(id, 1, new Array<FrameInput>(FRAME_RECORDS_MAX + 1).fill(one))).to.throw(
      /65536 records/,
    );
    const large = Buffer.alloc(1024 * 1024);
    const count = FRAME_BODY_BYTES_MAX / large.length;
    const inputs = Array.from({ length: count }, (): FrameInput => ({
      ...one,
      body: large,
      end: large.length,
    }));
    expect(() => encodeFrame(id, 1, inputs)).to.throw(/bytes/);
  });
});

function cut({ body, start, end }: FrameInput): Buffer {
  return body.subarray(start, end);
}

/** What the first build of version 1 read of a plain frame: the correlation id and the bytes of each record. */
function readAsFirstBuild(frame: Buffer): [correlationId: string | undefined, bytes: string][] {
  let at = 42;
  const correlationIds: string[] = [];
  for (let left = frame.readUInt16LE(40); left > 0; left--) {
    const length = frame.readUInt16LE(at);
    correlationIds.push(frame.subarray(at + 2, at + 2 + length).toString());
    at += 2 + length;
  }
  const records: [string | undefined, string][] = [];
  for (let left = frame.readUInt32LE(32); left > 0; left--) {
    const length = frame.readUInt32LE(at + 3);
    const bytes = frame.subarray(at + 7, at + 7 + length).toString();
    records.push([correlationIds[frame.readUInt16LE(at + 1)], bytes]);
    at += 7 + length;
  }
  return records;
}
