/**
 * Finds the API key in the headers of a request. The URL is never looked at: it ends in logs.
 */
const BEARER = 'bearer ';

/**
 * The key of `X-API-KEY`, else the token of `Authorization: Bearer`, else an empty string. When both are there
 * `X-API-KEY` counts, because proxies add `Authorization` of their own.
 */
export function presentedKey(apiKeyHeader: string, authorizationHeader: string): string {
  if (apiKeyHeader !== '') return apiKeyHeader;
  if (authorizationHeader.length <= BEARER.length) return '';
  if (authorizationHeader.slice(0, BEARER.length).toLowerCase() !== BEARER) return '';
  return authorizationHeader.slice(BEARER.length).trim();
}
