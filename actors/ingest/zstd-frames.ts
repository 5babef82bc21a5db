/**
 * Cuts a zstd body into its frames by their headers alone (RFC 8878, section 3), without decompressing.
 *
 * Needed because the decompressor gives whatever it has for a body that is cut off, and stops after the first frame of
 * several: both would lose events under a success. Invariant: what is given back is every frame, each complete.
 */

const MAGIC = 0xfd2fb528;
const SKIPPABLE_MAGIC = 0x184d2a50;
const DICTIONARY_ID_BYTES = [0, 1, 2, 4] as const;
const CONTENT_SIZE_BYTES = [0, 2, 4, 8] as const;
const BLOCK_HEADER_BYTES = 3;
const CHECKSUM_BYTES = 4;
const RLE_BLOCK = 1;
/** Each costs a decompressor; no client sends nearly as many. */
const FRAMES_MAX = 1_000;

/**
 * The frames that hold content, in order; undefined when the body is not whole frames from begin to end, or far too
 * many.
 */
export function zstdFrames(wire: Buffer): Buffer[] | undefined {
  const frames: Buffer[] = [];
  for (let at = 0; at < wire.length;) {
    if (wire.length - at < 8 || frames.length >= FRAMES_MAX) return undefined;
    const magic = wire.readUInt32LE(at);
    const isSkippable = (magic & 0xfffffff0) >>> 0 === SKIPPABLE_MAGIC;
    if (!isSkippable && magic !== MAGIC) return undefined;
    const end = isSkippable ? at + 8 + wire.readUInt32LE(at + 4) : frameEnd(wire, at);
    if (end === undefined || end > wire.length) return undefined;
    if (!isSkippable) frames.push(wire.subarray(at, end));
    at = end;
  }
  return frames.length === 0 ? undefined : frames;
}

function frameEnd(wire: Buffer, start: number): number | undefined {
  const descriptor = wire[start + 4] ?? 0;
  const isSingleSegment = (descriptor & 0x20) !== 0;
  const contentSizeFlag = descriptor >> 6;
  const contentSizeBytes =
    isSingleSegment && contentSizeFlag === 0 ? 1 : (CONTENT_SIZE_BYTES[contentSizeFlag] ?? 0);
  let at =
    start +
    5 +
    (isSingleSegment ? 0 : 1) +
    (DICTIONARY_ID_BYTES[(descriptor & 0x03) as 0 | 1 | 2 | 3] ?? 0) +
    contentSizeBytes;
  for (;;) {
    if (at + BLOCK_HEADER_BYTES > wire.length) return undefined;
    const header = wire.readUIntLE(at, BLOCK_HEADER_BYTES);
    const size = header >> 3;
    at += BLOCK_HEADER_BYTES + (((header >> 1) & 0x03) === RLE_BLOCK ? 1 : size);
    if ((header & 1) === 1) return at + ((descriptor & 0x04) === 0 ? 0 : CHECKSUM_BYTES);
  }
}
