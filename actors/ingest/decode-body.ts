/**
 * One request body to records: decompress within bounds, cut, and judge each record.
 */
import { gunzipSync, inflateRawSync, inflateSync, zstdDecompressSync } from 'node:zlib';
import { codeOf } from '../../runtime/errors.ts';
import { decodeRecord } from './decode-record.ts';
import { splitRecords } from './split-records.ts';
import type { RecordKind } from './split-records.ts';
import { zstdFrames } from './zstd-frames.ts';

/** Decompressed size at which a body is refused. */
export const BODY_BYTES_MAX = 64 * 1024 * 1024;

export interface AcceptedRecord {
  kind: RecordKind;
  /** Case-folded. */
  hostname: string;
  start: number;
  end: number;
}
export interface RejectedPart {
  index: number;
  code: string;
  message: string;
  start: number;
  end: number;
}

export type DecodedBody =
  | { kind: 'records'; body: Buffer; accepted: AcceptedRecord[]; rejected: RejectedPart[] }
  | { kind: 'unreadable'; code: string; message: string }
  | { kind: 'too_large' };

/** Never throws. */
export function decodeBody(wire: Buffer, encoding: string, receivedAtMs: number): DecodedBody {
  const inflated = inflate(wire, encoding);
  if (inflated.kind !== 'plain') return inflated;
  const { body } = inflated;
  const split = splitRecords(body);
  if (split.unreadable !== undefined) return { kind: 'unreadable', ...split.unreadable };
  const accepted: AcceptedRecord[] = [];
  const rejected: RejectedPart[] = [...split.rejects];
  for (const { index, kind, start, end } of split.records) {
    const record = decodeRecord(body, kind, start, end, receivedAtMs);
    if (record.ok) accepted.push({ kind, hostname: record.hostname, start, end });
    else rejected.push({ index, code: record.code, message: record.message, start, end });
  }
  if (split.rejects.length > 0) rejected.sort((a, b) => a.index - b.index);
  return { kind: 'records', body, accepted, rejected };
}

function inflate(
  wire: Buffer,
  encoding: string,
): { kind: 'plain'; body: Buffer } | Exclude<DecodedBody, { kind: 'records' }> {
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
      default:
        return {
          kind: 'unreadable',
          code: 'E_ENCODING_UNKNOWN',
          message: 'The Content-Encoding is not known: send identity, gzip, deflate or zstd.',
        };
    }
  } catch (thrown) {
    return codeOf(thrown) === 'ERR_BUFFER_TOO_LARGE' ? { kind: 'too_large' } : damaged(encoding);
  }
}

/** Frame by frame, since several may follow each other (RFC 8878, section 3.1) and each must be whole. */
function inflateZstd(wire: Buffer): ReturnType<typeof inflate> {
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

function damaged(encoding: string): Exclude<DecodedBody, { kind: 'records' }> {
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
