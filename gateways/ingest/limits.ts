/**
 * The bounds of the ingest gateway, with their defaults and what happens at each.
 */
export interface IngestLimits {
  /** A body on the wire; past it 413. */
  bodyBytesMax: number;
  /** Bodies announced or taken and not yet answered, all requests together; past it 503 before reading. */
  inFlightBytesMax: number;
  /** Requests taken and not yet answered; past it 503. At most 65,536. */
  requestsMax: number;
  /** Open connections; a further one is closed at once. */
  connectionsMax: number;
  /** From the head to the last byte of a body; past it the connection is broken off. */
  bodyTimeoutMs: number;
  /** From the last byte of a body to the verdict; past it 503. Longer than any store's own deadline. */
  verdictTimeoutMs: number;
}

export const INGEST_LIMITS: Readonly<IngestLimits> = {
  bodyBytesMax: 16 * 1024 * 1024,
  inFlightBytesMax: 64 * 1024 * 1024,
  requestsMax: 8_192,
  connectionsMax: 8_192,
  bodyTimeoutMs: 30_000,
  verdictTimeoutMs: 30_000,
};

/**
 * A refused body up to this size is read and thrown away, so that the client finds the reply instead of a reset. A
 * larger one, or one of unknown length, has its connection closed after the reply.
 */
export const DISCARD_BYTES_MAX = 64 * 1024 * 1024;
