import { randomBytes } from 'node:crypto';
import { deflateRawSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { expect } from 'chai';
import fc from 'fast-check';
import { snappyCompress } from 'hysnappy';
import { describe, it } from 'mocha';
import { decodeBody } from '../../../actors/ingest/decode-body.ts';
import type { DecodedBody } from '../../../actors/ingest/decode-body.ts';
import { hostnameHash } from '../../../actors/ingest/partition.ts';
import { BODY_BYTES_MAX } from '../../../actors/ingest/inflate.ts';

const receivedAtMs = Date.parse('2024-05-01T12:00:00Z');
const event = (n: number | string, hostname = 'R1'): string =>
  JSON.stringify({ hostname, message: `m ${n}`, timestamp: '2024-05-01T12:00:00Z' });
const text = Buffer.from(Array.from({ length: 50 }, (_, n) => event(n)).join('\n'));

const ENCODERS: [encoding: string, encode: (plain: Buffer) => Buffer][] = [
  ['identity', (plain) => plain],
  ['gzip', (plain) => gzipSync(plain)],
  ['deflate', (plain) => deflateSync(plain)],
  ['deflate', (plain) => deflateRawSync(plain)],
  ['zstd', (plain) => zstdCompressSync(plain)],
  ['snappy', (plain) => Buffer.from(snappyCompress(plain))],
];

const decode = (wire: Buffer, encoding: string): DecodedBody => decodeBody(wire, encoding, receivedAtMs);
const acceptedIn = (decoded: DecodedBody): number =>
  decoded.kind === 'records' ? decoded.accepted.length : -1;
/** In shared memory, as bodies come from the gateway's loop. */
function shared(bytes: Buffer): Buffer {
  const copy = Buffer.from(new SharedArrayBuffer(bytes.length));
  bytes.copy(copy);
  return copy;
}

describe('decodeBody', () => {
  for (const [encoding, encode] of ENCODERS) {
    it(`reads ${encoding} (${encode(text).length} bytes), from shared memory too`, () => {
      expect(acceptedIn(decode(encode(text), encoding))).to.equal(50);
      expect(acceptedIn(decode(shared(encode(text)), encoding))).to.equal(50);
    });
  }

  for (const [encoding, encode] of ENCODERS.slice(1)) {
    it(`takes ${encoding} that is cut off anywhere for damaged, never for less events`, () => {
      const wire = encode(text);
      for (let length = 0; length < wire.length; length += 7) {
        const decoded = decode(wire.subarray(0, length), encoding);
        expect(decoded, `${length} of ${wire.length}`).to.include({
          kind: 'unreadable',
          code: 'E_ENCODING_DAMAGED',
        });
      }
      expect(decode(wire.subarray(0, wire.length - 1), encoding).kind).to.not.equal('records');
    });

    it(`refuses a bomb in ${encoding} instead of unpacking it`, () => {
      expect(decode(encode(Buffer.alloc(BODY_BYTES_MAX + 1)), encoding)).to.deep.equal({ kind: 'too_large' });
    });
  }

  it('reads all of several gzip members and zstd frames, skippable ones between', () => {
    const second = Buffer.from(`\n${event('last')}`);
    const skippable = Buffer.from('502a4d1803000000616263', 'hex');
    expect(acceptedIn(decode(Buffer.concat([gzipSync(text), gzipSync(second)]), 'gzip'))).to.equal(51);
    const frames = [skippable, zstdCompressSync(text), skippable, zstdCompressSync(second)];
    expect(acceptedIn(decode(Buffer.concat(frames), 'zstd'))).to.equal(51);
    expect(decode(Buffer.concat([...frames, Buffer.from('x')]), 'zstd').kind).to.equal('unreadable');
  });

  it('adds the frames of a zstd bomb up', () => {
    const frame = zstdCompressSync(Buffer.alloc(BODY_BYTES_MAX / 2 + 1));
    expect(decode(Buffer.concat([frame, frame]), 'zstd')).to.deep.equal({ kind: 'too_large' });
    const many = Buffer.concat(Array.from({ length: 2_000 }, () => zstdCompressSync(Buffer.alloc(1))));
    expect(decode(many, 'zstd').kind).to.equal('unreadable');
  });

  it('reads zstd that does not compress, with and without a checksum', () => {
    const record = event(randomBytes(30_000).toString('base64'));
    const plain = Buffer.from(`${record}\n${record}`);
    for (const params of [{}, { 201: 1 }]) {
      expect(acceptedIn(decode(zstdCompressSync(plain, { params }), 'zstd'))).to.equal(2);
    }
  });

  it('names an encoding it does not know', () => {
    for (const encoding of ['br', '', 'GZIP', '__proto__']) {
      expect(decode(text, encoding)).to.include({ kind: 'unreadable', code: 'E_ENCODING_UNKNOWN' });
    }
  });

  it('keeps the good records of a bad body, and rejects in their order', () => {
    const deep = `{"a":${'['.repeat(40)}${']'.repeat(40)}}`;
    const body = Buffer.from([event(1), '{"hostname":"r1"}', deep, event(2, 'r2'), 'words'].join('\n'));
    const decoded = decode(body, 'identity');
    if (decoded.kind !== 'records') throw new Error(decoded.kind);
    expect(decoded.accepted.map(({ hostHash }) => hostHash)).to.deep.equal(['r1', 'r2'].map(hostnameHash));
    expect(decoded.rejected.map(({ index, code }) => [index, code])).to.deep.equal([
      [1, 'E_FIELD_MISSING'],
      [2, 'E_TOO_DEEP'],
      [4, 'E_LINE_UNREADABLE'],
    ]);
    const [first] = decoded.rejected;
    expect(body.toString('utf8', first?.start, first?.end)).to.equal('{"hostname":"r1"}');
  });

  it('never throws, whatever the bytes', () => {
    const encodings = fc.constantFrom('identity', 'gzip', 'deflate', 'zstd', 'snappy', 'other');
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc.tuple(fc.nat(), fc.nat(255)).map(([at, value]) => {
        const wire = zstdCompressSync(text);
        wire[at % wire.length] = value;
        return wire;
      }),
    );
    fc.assert(
      fc.property(bytes, encodings, (wire, encoding) => {
        expect(decode(Buffer.from(wire), encoding)).to.have.property('kind');
      }),
      { numRuns: 1_000 },
    );
  });
});
