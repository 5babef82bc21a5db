/**
 * The response headers that keep a browser from doing anything clever with a reply.
 *
 * Each constant is the value of `Content-Type` with further whole header lines after it: one call into the native
 * server instead of four (about 0.1 µs each). This is safe only because they are constants; a value that comes from
 * outside must never be joined into one.
 */
const API_HEADER_LINES =
  "\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nContent-Security-Policy: default-src 'none'; " +
  "frame-ancestors 'none'\r\nX-Frame-Options: DENY\r\nReferrer-Policy: no-referrer";

export const JSON_PROBLEM_HEADERS = `application/problem+json${API_HEADER_LINES}`;

/** For JSON replies of an API that people may open in a browser. */
export const JSON_HEADERS = `application/json${API_HEADER_LINES}`;

/** For JSON replies to machines, where every byte is multiplied by the request rate. */
export const JSON_HEADERS_SMALL = 'application/json\r\nX-Content-Type-Options: nosniff';

/** For Prometheus text. */
export const TEXT_HEADERS = `text/plain; version=0.0.4; charset=utf-8${API_HEADER_LINES}`;
