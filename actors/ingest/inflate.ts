/**
 * Undoes the Content-Encoding of a body, within bounds.
 *
 * One encoding only: several one after the other are refused as unknown. Invariant: no body, however dense, makes more
 * than `BODY_BYTES_MAX` bytes of memory, and one that is cut off or damaged is never taken for a shorter one (but for a
 * framed snappy stream that is cut between two chunks: its format has no end mark).
 */
import { gunzipSync, inflateRawSync, inflateSync, zstdDecompressSync } from 'node:zlib';
import { codeOf } from '../../runtime/errors.ts';
import { unsnap } from './snappy.ts';
import { zstdFrames } from './zstd-frames.ts';

/** Decompressed size at which a body is refused. */
export const BODY_BYTES_MAX = 64 * 1024 * 1024;

export type Inflated =
  | { kind: 'plain'; body: Buffer }
  | { kind: 'unreadable'; code: string; message: string }
  | { kind: 'too_large' };

/** `encoding` as the gateway names it: identity, gzip, deflate, zstd, snappy, or anything else. Never throws. */
export function inflate(wire: Buffer, encoding: string): Inflated {
  const options = { maxOutputLength: BODY_BYTES_MAX };
  try {
    switch (encoding) {
      case 'identity':
        return { kind: 'plain', body: wire };
      case 'gzip':
        return { kind: 'plain', body: gunzipSync(wire, options) };
      case 'deflate':
        return {
          kind: 'plain',
          body: isZlib(wire) ? inflateSync(wire, options) : inflateRawSync(wire, options),
        };
      case 'zstd':
        return inflateZstd(wire);
      case 'snappy': {
        const plain = unsnap(wire, BODY_BYTES_MAX);
        return plain.kind === 'damaged' ? damaged(encoding) : plain;
      }
      default:
        return {
          kind: 'unreadable',
          code: 'E_ENCODING_UNKNOWN',
          message: 'The Content-Encoding is not known: send identity, gzip, deflate, zstd or snappy.',
        };
    }
  } catch (thrown) {
    return codeOf(thrown) === 'ERR_BUFFER_TOO_LARGE' ? { kind: 'too_large' } : damaged(encoding);
  }
}

/** Frame by frame, since several may follow each other (RFC 8878, section 3.1) and each must be whole. */
function inflateZstd(wire: Buffer): Inflated {
  const frames = zstdFrames(wire);
  if (frames === undefined) return damaged('zstd');
  const parts: Buffer[] = [];
  let bytesLeft = BODY_BYTES_MAX;
  for (const frame of frames) {
    const part = zstdDecompressSync(frame, { maxOutputLength: Math.max(1, bytesLeft) });
    bytesLeft -= part.length;
    if (bytesLeft < 0) return { kind: 'too_large' };
    parts.push(part);
  }
  return { kind: 'plain', body: parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts) };
}

function damaged(encoding: string): Inflated {
  return {
    kind: 'unreadable',
    code: 'E_ENCODING_DAMAGED',
    message: `The body cannot be decompressed as ${encoding}: send it whole, and name its encoding rightly.`,
  };
}

/** `deflate` means zlib (RFC 9110, section 8.4.1.2), but some clients send the bare stream. */
function isZlib(wire: Buffer): boolean {
  return wire.length >= 2 && ((wire[0] ?? 0) & 0x0f) === 8 && wire.readUInt16BE(0) % 31 === 0;
}
