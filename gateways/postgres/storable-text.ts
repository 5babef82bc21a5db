/**
 * Makes text and JSON that PostgreSQL can hold.
 *
 * PostgreSQL takes neither the character U+0000 nor half a surrogate pair, in text or in jsonb; hostile events have
 * both. They become U+FFFD, the replacement character. Bytes as received belong into bytea, untouched.
 */

const REPLACEMENT = '\ufffd';
/**
 * In the output of JSON.stringify U+0000 and half surrogates are always escaped, pairs never. An even number of
 * backslashes before it means that it is an escape and not the text of one.
 */
const UNSTORABLE_ESCAPE = /(?<!\\)((?:\\\\)*)\\u(?:0000|d[89a-f][0-9a-f]{2})/g;

/** The text, with what PostgreSQL cannot hold replaced by U+FFFD. */
export function storableText(text: string): string {
  if (!text.includes('\0') && text.isWellFormed()) return text;
  return text.toWellFormed().replaceAll('\0', REPLACEMENT);
}

/** JSON for a jsonb parameter, with what PostgreSQL cannot hold replaced by U+FFFD. */
export function storableJson(value: unknown): string {
  const json = JSON.stringify(value);
  if (!json.includes('\\u')) return json;
  return json.replace(UNSTORABLE_ESCAPE, `$1${REPLACEMENT}`);
}
