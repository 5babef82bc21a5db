/**
 * The headers of what is served only for old clients: since when it is deprecated (RFC 9745), until when it is served
 * at least (RFC 8594), and what takes its place (RFC 8288).
 */

/** 2026-01-01. */
const DEPRECATION = '@1767225600';
/** The predecessor promised 12 months after deprecation. */
const SUNSET = 'Fri, 31 Dec 2027 23:59:59 GMT';

/** `successor` is a path; a template such as `/rules/{id}` too. */
export function deprecationHeaders(successor: string): readonly (readonly [name: string, value: string])[] {
  return [
    ['Deprecation', DEPRECATION],
    ['Sunset', SUNSET],
    ['Link', `<${successor}>; rel="successor-version"`],
  ];
}
