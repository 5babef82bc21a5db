/**
 * Finds the API key in the headers of a request. The URL is never looked at: it ends in logs.
 */
import type { HttpRequest } from './exchange.ts';

const BEARER = 'bearer ';
const SPLUNK = 'splunk ';
const BASIC = 'basic ';

/**
 * Where in `Authorization` a key may be. `splunk`: as a token of that scheme, or the password of Basic, as Splunk's event
 * collector takes them; `password`: the password of Basic. Always as a bearer token.
 */
export type KeySchemes = 'bearer' | 'splunk' | 'password';

/** The key of `X-API-KEY`, else the one of `Authorization`, else an empty string. */
export function presentedKey(
  apiKeyHeader: string,
  authorizationHeader: string,
  schemes: KeySchemes = 'bearer',
): string {
  return apiKeyHeader === '' ? authorizationKey(authorizationHeader, schemes) : apiKeyHeader;
}

/**
 * Whether the two headers hold different keys: nobody is known by that. Schemes that are not taken here are a proxy's
 * affair, and Basic is beside a key in `X-API-KEY`.
 */
export function areKeysDifferent(
  apiKeyHeader: string,
  authorizationHeader: string,
  schemes: KeySchemes = 'bearer',
): boolean {
  if (apiKeyHeader === '' || authorizationHeader === '') return false;
  const token =
    bearerToken(authorizationHeader) || (schemes === 'splunk' ? tokenOf(authorizationHeader, SPLUNK) : '');
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

function authorizationKey(header: string, schemes: KeySchemes): string {
  const token = bearerToken(header);
  if (token !== '' || schemes === 'bearer') return token;
  const splunk = schemes === 'splunk' ? tokenOf(header, SPLUNK) : '';
  return splunk === '' ? basicPassword(header) : splunk;
}

function bearerToken(authorizationHeader: string): string {
  return tokenOf(authorizationHeader, BEARER);
}

/** `scheme` in lower case, with the space behind it. */
function tokenOf(header: string, scheme: string): string {
  if (header.length <= scheme.length) return '';
  if (header.slice(0, scheme.length).toLowerCase() !== scheme) return '';
  return header.slice(scheme.length).trim();
}

function basicPassword(header: string): string {
  const decoded = Buffer.from(tokenOf(header, BASIC), 'base64').toString('latin1');
  const colon = decoded.indexOf(':');
  return colon === -1 ? '' : decoded.slice(colon + 1);
}
