/** Texts in the lengths that destinations allow, counted in UTF-16 units, which are never fewer than characters. */
import { hash } from 'node:crypto';

const HASH_CHARS = 16;

/** The beginning of `text`, never half of a character. */
export function clip(text: string, charsMax: number): string {
  if (text.length <= charsMax) return text;
  const end = (text.charCodeAt(charsMax - 1) & 0xfc00) === 0xd800 ? charsMax - 1 : charsMax;
  return text.slice(0, end);
}

/** A key that things are folded by: one that is too long is cut and ends in a hash, so that different ones stay so. */
export function clipKey(key: string, charsMax: number): string {
  if (key.length <= charsMax) return key;
  return `${clip(key, charsMax - HASH_CHARS - 1)}~${hash('sha256', key, 'hex').slice(0, HASH_CHARS)}`;
}
