/**
 * The text at hand as bytes, when all of it is ASCII: reading those takes half the time of reading a string. The
 * expressions of a thread are run over one message after the other, so the last text is kept.
 */
import { Buffer } from 'node:buffer';

/** Longer texts are read as strings. */
export const ASCII_TEXT_MAX = 64 * 1024;
const UTF8_BYTES_PER_UNIT_MAX = 3;

let buffer: Buffer | undefined;
let last = '';
let isLastAscii = true;

/** The bytes of an ASCII text, valid until the next call; undefined for any other text. */
export function asciiBytes(text: string): Uint8Array | undefined {
  buffer ??= Buffer.alloc(ASCII_TEXT_MAX * UTF8_BYTES_PER_UNIT_MAX);
  if (text !== last) {
    if (text.length > ASCII_TEXT_MAX) return undefined;
    last = text;
    // Every other character takes more bytes than units.
    isLastAscii = buffer.write(text) === text.length;
  }
  return isLastAscii ? buffer : undefined;
}
