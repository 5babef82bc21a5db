/**
 * Finds the API key in the headers of a request. The URL is never looked at: it ends in logs.
 */
import type { HttpRequest } from './exchange.ts';

const BEARER = 'bearer ';

/** The key of `X-API-KEY`, else the token of `Authorization: Bearer`, else an empty string. */
export function presentedKey(apiKeyHeader: string, authorizationHeader: string): string {
  return apiKeyHeader === '' ? bearerToken(authorizationHeader) : apiKeyHeader;
}

/** Whether the two headers hold different keys: nobody is known by that. Other schemes than Bearer are a proxy's affair. */
export function areKeysDifferent(apiKeyHeader: string, authorizationHeader: string): boolean {
  if (apiKeyHeader === '' || authorizationHeader === '') return false;
  const token = bearerToken(authorizationHeader);
  return token !== '' && token !== apiKeyHeader;
}

export interface PresentedKey {
  /** Empty when there is none. */
  key: string;
  /** Two different keys: nobody is known by that. */
  isAmbiguous: boolean;
}

/** As `presentedKey`, with repeated headers seen too. */
export function readPresentedKey(request: HttpRequest): PresentedKey {
  const keys = new Set<string>();
  request.forEach((name, value) => {
    const key = name === 'x-api-key' ? value : name === 'authorization' ? bearerToken(value) : '';
    if (key !== '') keys.add(key);
  });
  const [key = ''] = keys;
  return { key, isAmbiguous: keys.size > 1 };
}

function bearerToken(authorizationHeader: string): string {
  if (authorizationHeader.length <= BEARER.length) return '';
  if (authorizationHeader.slice(0, BEARER.length).toLowerCase() !== BEARER) return '';
  return authorizationHeader.slice(BEARER.length).trim();
}
