/**
 * The limits of what one request and one record may be. Each one turns the offending record into a reject, never the
 * whole request, and each is told to senders in docs/reference/events.md.
 */

/** Containers nested in each other, the record itself included. */
export const RECORD_DEPTH_MAX = 32;
/** Bytes of one record as received. It bounds the message too. */
export const RECORD_BYTES_MAX = 64 * 1024;
/** Records of one request, unusable ones included. What follows the last of them is one reject. */
export const RECORDS_PER_REQUEST_MAX = 100_000;
/** Characters of a hostname. A DNS name has at most 253. A message is bounded by its record. */
export const HOSTNAME_CHARS_MAX = 255;
/** Of one reject, what is kept; enough to see what it was. One of this size may have been longer. */
export const PARKED_BYTES_MAX = 1024 * 1024;
