/**
 * Text that every store takes: PostgreSQL holds neither the character U+0000 nor half a surrogate pair. Each becomes
 * U+FFFD, the replacement character. Not for bytes: those are kept as they came.
 */

const REPLACEMENT = '\uFFFD';

/** `text` with NUL and lone surrogates replaced by U+FFFD; the same string when there is nothing to replace. */
export function storableText(text: string): string {
  const wellFormed = text.isWellFormed() ? text : text.toWellFormed();
  return wellFormed.includes('\0') ? wellFormed.replaceAll('\0', REPLACEMENT) : wellFormed;
}
