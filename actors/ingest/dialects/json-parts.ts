/**
 * Small helpers of the dialects that come as JSON.
 */
import type { EventCollector } from '../event-collector.ts';
import { isFields } from '../known-shapes.ts';
import type { Fields } from '../known-shapes.ts';
import { RECORD_BYTES_MAX } from '../limits.ts';
import { rejected } from '../decode-record.ts';
import { JsonBroken } from './json-cursor.ts';
import type { JsonCursor, JsonPiece } from './json-cursor.ts';

/** What is said of the rest of a body whose structure is lost. */
export const JSON_CUT_OFF = rejected(
  'E_JSON_MALFORMED',
  'The body is no JSON from here on: a quote, brace or bracket is missing, or it was cut off.',
);

/** The object that a piece holds; undefined when it is none, or too large or too deep to be part of a record. */
export function fieldsIn(body: Buffer, piece: JsonPiece | undefined): Fields | undefined {
  if (piece === undefined || piece.isTooDeep || piece.end - piece.start > RECORD_BYTES_MAX) return undefined;
  try {
    const value: unknown = JSON.parse(body.toString('utf8', piece.start, piece.end));
    return isFields(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/**
 * The elements of the array that the cursor stands before, one piece each, until the request is full. A value that is no
 * array has none. When the structure is lost, the rest of the body becomes one reject; false is given back then, and when
 * the request is full: nothing more of the body is to be read.
 */
export function eachElement(
  cursor: JsonCursor,
  into: EventCollector,
  take: (piece: JsonPiece) => void,
): boolean {
  if (cursor.next() !== 'array') {
    cursor.skip();
    return true;
  }
  cursor.enter();
  while (cursor.nextElement()) {
    if (into.isFull(cursor.at, into.body.length)) return false;
    take(cursor.skip());
  }
  return true;
}

/** Runs `read`; where it finds the JSON broken, what has not been taken yet becomes one reject. */
export function untilBroken(cursor: JsonCursor, into: EventCollector, read: () => void): void {
  try {
    read();
  } catch (thrown) {
    if (!(thrown instanceof JsonBroken)) throw thrown;
    into.refuse(JSON_CUT_OFF, Math.min(cursor.at, into.body.length - 1), into.body.length);
  }
}
