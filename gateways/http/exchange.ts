/**
 * What a handler sees of one HTTP exchange: our own words for the part of uWebSockets.js that we use.
 *
 * Types only. Both objects are native and short-lived; see each one's rule.
 */

/** The request head. Valid only until the handler returns or awaits: copy what is needed later. */
export interface HttpRequest {
  /** The value, or an empty string; `name` in lower case. Of a repeated header the first. */
  getHeader(name: string): string;
  /** Every header in the order sent, names in lower case. */
  forEach(visit: (name: string, value: string) => void): void;
  /** Lower case. */
  getMethod(): string;
  /** The path, still percent-encoded, without the query. */
  getUrl(): string;
  /** The part after the question mark; undefined or empty when there is none. */
  getQuery(): string | undefined;
}

/**
 * The answer. Valid until it is ended or aborted; any later use throws. Outside of the handler's own turn every write
 * belongs inside `cork`.
 */
export interface HttpResponse {
  writeStatus(status: string): unknown;
  writeHeader(name: string, value: string): unknown;
  /**
   * Ends the reply. For HEAD give an empty body: the native `endWithoutBody` with arguments leaves the request open in
   * this version, and the server then ends the process.
   */
  end(body?: string | ArrayBuffer | Uint8Array, closeConnection?: boolean): unknown;
  /** Ends a reply that has no body and no length: 204 and 304. Without arguments, see `end`. */
  endWithoutBody(): unknown;
  cork(write: () => void): unknown;
  /** The chunk is emptied when the callback returns: copy it. */
  onData(take: (chunk: ArrayBuffer, isLast: boolean) => void): unknown;
  onAborted(note: () => void): unknown;
  /** Breaks the connection off; the abort handler runs. */
  close(): unknown;
  /** 4 or 16 bytes, a copy. About 0.6 µs: once a request, never once an event. */
  getRemoteAddress(): ArrayBuffer;
}
