import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import fc from 'fast-check';
import { snappyCompress } from 'hysnappy';
import { describe, it } from 'mocha';
import { unsnap } from '../../../actors/ingest/snappy.ts';

const MAX = 1024 * 1024;
const IDENTIFIER = Buffer.from('ff060000734e61507059', 'hex');
/** Bits of one byte of CRC-32C at a time: slower than the table it checks, and straight from the definition. */
function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  }
  return ~crc >>> 0;
}
const masked = (crc: number): number => (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;

function chunk(type: number, plain: Uint8Array, data: Uint8Array = plain): Buffer {
  const head = Buffer.alloc(8);
  head[0] = type;
  head.writeUIntLE(data.length + 4, 1, 3);
  head.writeUInt32LE(masked(crc32c(plain)), 4);
  return Buffer.concat([head, data]);
}
const compressed = (plain: Buffer): Buffer => chunk(0, plain, snappyCompress(plain));
const text = (wire: Buffer, max = MAX): string => {
  const plain = unsnap(wire, max);
  return plain.kind === 'plain' ? plain.body.toString() : plain.kind;
};

describe('unsnap', () => {
  it('reads what the reference implementation wrote', () => {
    const wire = readFileSync(new URL('../../fixtures/relays/events.snappy', import.meta.url));
    const lines = text(wire).split('\n');
    expect(lines).to.have.length(200);
    expect(JSON.parse(lines[199] as string)).to.include({ hostname: 'r4', message: 'm 199' });
  });

  it('reads the check value of CRC-32C as published (RFC 3720, appendix B.4)', () => {
    expect(crc32c(Buffer.alloc(32))).to.equal(0x8a9136aa);
  });

  it('reads a framed stream: chunks compressed and plain, padding and what may be passed over', () => {
    const padding = Buffer.from([0xfe, 3, 0, 0, 0, 0, 0]);
    const wire = [
      IDENTIFIER,
      compressed(Buffer.from('one ')),
      padding,
      chunk(1, Buffer.from('two')),
      IDENTIFIER,
    ];
    expect(text(Buffer.concat(wire))).to.equal('one two');
  });

  it('refuses a framed stream that is damaged', () => {
    const good = Buffer.concat([IDENTIFIER, compressed(Buffer.from('one'))]);
    const wrongSum = Buffer.from(good);
    wrongSum[IDENTIFIER.length + 4]! ^= 1;
    expect(text(wrongSum)).to.equal('damaged');
    for (let length = IDENTIFIER.length + 1; length < good.length; length++)
      expect(text(good.subarray(0, length))).to.equal('damaged');
    expect(text(Buffer.concat([good, Buffer.from([0x02, 0, 0, 0])]))).to.equal('damaged');
    const overlong = Buffer.alloc(65_537);
    expect(text(Buffer.concat([IDENTIFIER, chunk(1, overlong)]))).to.equal('damaged');
  });

  it('refuses a bomb by what it claims, before it makes room', () => {
    const claims = (length: number): Buffer => {
      const bytes: number[] = [];
      for (let left = length; ; left = Math.floor(left / 128)) {
        bytes.push(left < 128 ? left : (left % 128) | 0x80);
        if (left < 128) return Buffer.concat([Buffer.from(bytes), Buffer.from('0001', 'hex')]);
      }
    };
    const before = process.memoryUsage();
    expect(text(claims(MAX + 1))).to.equal('too_large');
    expect(text(claims(2 ** 32 - 1))).to.equal('too_large');
    // Under the limit, and still more than so few bytes can hold.
    expect(text(claims(64 * 1024 * 1024), 64 * 1024 * 1024)).to.equal('damaged');
    const after = process.memoryUsage();
    expect(after.external - before.external).to.be.below(8 * MAX);
    expect(text(Buffer.from('ffffffffffffff', 'hex'))).to.equal('damaged');
  });

  it('adds the chunks of a bomb up', () => {
    const one = compressed(Buffer.alloc(65_536));
    expect(text(Buffer.concat([IDENTIFIER, ...Array<Buffer>(16).fill(one)]))).to.have.length(MAX);
    expect(text(Buffer.concat([IDENTIFIER, ...Array<Buffer>(17).fill(one)]))).to.equal('too_large');
  });

  it('gives back what was compressed, and never throws whatever the bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 5_000 }), fc.nat(), fc.nat(255), (plain, at, byte) => {
        const block = Buffer.from(snappyCompress(plain));
        const found = unsnap(block, MAX);
        expect(found.kind === 'plain' && found.body.equals(plain)).to.equal(true);
        block[at % block.length] = byte;
        expect(unsnap(block, MAX)).to.have.property('kind');
        expect(unsnap(Buffer.from(plain), MAX)).to.have.property('kind');
      }),
      { numRuns: 500 },
    );
  });

  it('keeps no room of a large body for the next', () => {
    const large = snappyCompress(Buffer.alloc(30 * MAX));
    for (let round = 0; round < 5; round++) {
      expect(unsnap(Buffer.from(large), 64 * MAX)).to.include({ kind: 'plain' });
      expect(text(Buffer.from(snappyCompress(Buffer.from('small'))))).to.equal('small');
    }
  });
});
