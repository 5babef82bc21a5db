/**
 * Decompresses snappy: the raw block that relays send, and the framed stream.
 *
 * The block decoder is a package in WebAssembly, so a hostile block can at worst be refused. Framing and checksums are
 * read here (google/snappy, framing_format.txt; CRC-32C of RFC 3720). Invariant: what a body claims to hold is checked
 * against a limit, and against what its length can hold at all, before room is made for it.
 */
import { snappyUncompressor } from 'hysnappy';

const STREAM_IDENTIFIER = Buffer.from('ff060000734e61507059', 'hex');
const CHUNK_COMPRESSED = 0x00;
const CHUNK_PLAIN = 0x01;
/** Below it (and above the two kinds of data) chunks must be understood; from it on they may be passed over. */
const CHUNK_SKIPPABLE_FROM = 0x80;
const CHUNK_HEADER_BYTES = 4;
const CHECKSUM_BYTES = 4;
const CHUNK_PLAIN_BYTES_MAX = 65_536;
/** The densest element is a copy of 64 bytes written in 3. */
const EXPANSION_MAX = 22;
/** The decoder's memory never shrinks: after a larger body a new one takes its place. */
const KEPT_BYTES_MAX = 4 * 1024 * 1024;

export type Unsnapped = { kind: 'plain'; body: Buffer } | { kind: 'too_large' } | { kind: 'damaged' };

let uncompress: ReturnType<typeof snappyUncompressor> | undefined;

/** Decompresses one raw block or a whole framed stream, told apart by its first bytes. Never throws. */
export function unsnap(wire: Buffer, bytesMax: number): Unsnapped {
  const isFramed = wire.subarray(0, STREAM_IDENTIFIER.length).equals(STREAM_IDENTIFIER);
  return isFramed ? unsnapFrames(wire, bytesMax) : unsnapBlock(wire, bytesMax);
}

function unsnapBlock(block: Buffer, bytesMax: number): Unsnapped {
  const length = plainLength(block);
  if (length === undefined) return { kind: 'damaged' };
  if (length > bytesMax) return { kind: 'too_large' };
  if (length > block.length * EXPANSION_MAX) return { kind: 'damaged' };
  uncompress ??= snappyUncompressor();
  try {
    const plain = uncompress(block, length);
    return { kind: 'plain', body: Buffer.from(plain.buffer, plain.byteOffset, plain.byteLength) };
  } catch {
    uncompress = undefined;
    return { kind: 'damaged' };
  } finally {
    if (block.length + length > KEPT_BYTES_MAX) uncompress = undefined;
  }
}

function unsnapFrames(wire: Buffer, bytesMax: number): Unsnapped {
  const parts: Buffer[] = [];
  let bytes = 0;
  for (let at = 0; at < wire.length;) {
    if (wire.length - at < CHUNK_HEADER_BYTES) return { kind: 'damaged' };
    const type = wire[at]!;
    const start = at + CHUNK_HEADER_BYTES;
    const end = start + wire.readUIntLE(at + 1, 3);
    if (end > wire.length) return { kind: 'damaged' };
    at = end;
    if (type >= CHUNK_SKIPPABLE_FROM) continue;
    if (type !== CHUNK_COMPRESSED && type !== CHUNK_PLAIN) return { kind: 'damaged' };
    if (end - start < CHECKSUM_BYTES) return { kind: 'damaged' };
    const data = wire.subarray(start + CHECKSUM_BYTES, end);
    const chunk =
      type === CHUNK_PLAIN
        ? ({ kind: 'plain', body: data } as const)
        : unsnapBlock(data, CHUNK_PLAIN_BYTES_MAX);
    if (chunk.kind !== 'plain' || chunk.body.length > CHUNK_PLAIN_BYTES_MAX) return { kind: 'damaged' };
    if (maskedCrc32c(chunk.body) !== wire.readUInt32LE(start)) return { kind: 'damaged' };
    bytes += chunk.body.length;
    if (bytes > bytesMax) return { kind: 'too_large' };
    parts.push(chunk.body);
  }
  return { kind: 'plain', body: Buffer.concat(parts) };
}

/** The length that a block says it has when plain; undefined when that is no number of at most 32 bits. */
function plainLength(block: Buffer): number | undefined {
  let length = 0;
  for (let at = 0; at < 5 && at < block.length; at++) {
    const byte = block[at]!;
    length += (byte & 0x7f) * 2 ** (7 * at);
    if (byte < 0x80) return length < 2 ** 32 ? length : undefined;
  }
  return undefined;
}

const CRC32C_TABLE = Uint32Array.from({ length: 256 }, (_, index) => {
  let crc = index;
  for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  return crc;
});

function maskedCrc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (let at = 0; at < bytes.length; at++) crc = CRC32C_TABLE[(crc ^ bytes[at]!) & 0xff]! ^ (crc >>> 8);
  crc = ~crc >>> 0;
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}
