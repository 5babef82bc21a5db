/**
 * Reads the `Content-Encoding` header into a code. An encoding we do not know is no error here: the body is then
 * unreadable for the threads, and the reply policy for unreadable bodies applies (a relay gets 200 and the raw bytes
 * are parked; anybody else gets 400). 415 would make relays drop data.
 */
import { CONTENT_ENCODINGS } from './ingest-port.ts';

const IDENTITY = CONTENT_ENCODINGS.indexOf('identity');
const GZIP = CONTENT_ENCODINGS.indexOf('gzip');
const UNKNOWN = CONTENT_ENCODINGS.indexOf('unknown');

/** The code (position in CONTENT_ENCODINGS) for a header value. */
export function contentEncodingCodeOf(header: string): number {
  if (header === '') return IDENTITY;
  if (header === 'gzip') return GZIP;
  const folded = header.trim().toLowerCase();
  if (folded === 'x-gzip') return GZIP;
  if (folded === 'zlib') return CONTENT_ENCODINGS.indexOf('deflate');
  const found = (CONTENT_ENCODINGS as readonly string[]).indexOf(folded);
  return found === -1 ? UNKNOWN : found;
}
