/**
 * Every reply of the ingest port, and which verdict gets which (contract, section Ingest; wire formats, section 6.7).
 *
 * The rule behind the table: a relay takes a 4xx as "drop it" or "stop for ever", so it gets 200 for everything we have
 * kept in any form and 503 for everything that may pass later. Only a person, or a client that asked to be told, gets
 * 400. Never sent: 3xx, 408, 410, 415, 416, 422, 424, 425, 428, 429, 451, 501, 504, 508.
 */
import type { Problem } from '../http/problem.ts';
import type { Shortage } from './fair-share.ts';
import type { IngestVerdict } from './ingest-port.ts';
import type { RequestReason } from './metrics.ts';

/** A reply shows this many errors; the rest is only counted. */
export const ERRORS_SHOWN_MAX = 10;
const ERROR_MESSAGE_MAX = 200;

export interface Refusal extends Problem {
  reason: RequestReason;
  /** Only with 503. */
  retryAfterS?: number;
}

const UNAUTHORIZED = '401 Unauthorized';
const UNAVAILABLE = '503 Service Unavailable';
const TOO_LARGE = '413 Payload Too Large';

/** Everything but success. */
export const REFUSAL = {
  keyMissing: {
    status: UNAUTHORIZED,
    code: 'E_KEY_MISSING',
    detail: 'Send your API key in X-API-KEY or as Authorization: Bearer.',
    reason: 'auth',
  },
  keyUnknown: {
    status: UNAUTHORIZED,
    code: 'E_KEY_UNKNOWN',
    detail: 'This API key is not known here.',
    reason: 'auth',
  },
  keyAmbiguous: {
    status: UNAUTHORIZED,
    code: 'E_KEY_UNKNOWN',
    detail: 'Two different API keys were sent: send one, in X-API-KEY or as Authorization: Bearer.',
    reason: 'auth',
  },
  keyExpired: {
    status: UNAUTHORIZED,
    code: 'E_KEY_EXPIRED',
    detail: 'This API key has expired.',
    reason: 'auth',
  },
  keyGrace: {
    status: UNAVAILABLE,
    code: 'E_KEY_ROTATED',
    detail: 'This API key expired a short while ago; keep your data and send it with the new one.',
    reason: 'key_grace',
    retryAfterS: 60,
  },
  scope: {
    status: '403 Forbidden',
    code: 'E_SCOPE_MISSING',
    detail: 'This API key lacks the scope "ingest".',
    reason: 'scope',
  },
  length: {
    status: '400 Bad Request',
    code: 'E_CONTENT_LENGTH',
    detail: 'Content-Length must come once and be a whole number.',
    reason: 'malformed',
  },
  idempotencyKey: {
    status: '400 Bad Request',
    code: 'E_IDEMPOTENCY_KEY',
    detail: 'Idempotency-Key must come once and be 1 to 256 visible ASCII characters.',
    reason: 'strict',
  },
  route: {
    status: '404 Not Found',
    code: 'E_ROUTE_UNKNOWN',
    detail: 'This port takes POST /api/v2/ingest, /v1/logs, /services/collector and /loki/api/v1/push.',
    reason: 'route',
  },
  method: {
    status: '405 Method Not Allowed',
    code: 'E_METHOD',
    detail: 'Use POST.',
    reason: 'method',
  },
  bodyTooLarge: {
    status: TOO_LARGE,
    code: 'E_BODY_TOO_LARGE',
    detail: 'The body is over the limit on the wire; send less at once.',
    reason: 'too_large',
  },
  decodedTooLarge: {
    status: TOO_LARGE,
    code: 'E_DECODED_TOO_LARGE',
    detail: 'The body is over the limit when decompressed; send less at once.',
    reason: 'too_large',
  },
  requests: {
    status: UNAVAILABLE,
    code: 'E_REQUESTS_FULL',
    detail: 'Too many requests are waiting; try again.',
    reason: 'budget',
    retryAfterS: 1,
  },
  budget: {
    status: UNAVAILABLE,
    code: 'E_BYTES_FULL',
    detail: 'Too many bytes are waiting; try again.',
    reason: 'budget',
    retryAfterS: 1,
  },
  share: {
    status: UNAVAILABLE,
    code: 'E_SHARE_FULL',
    detail: 'As much of yours is waiting as is fair to others; try again.',
    reason: 'share',
    retryAfterS: 1,
  },
  full: {
    status: UNAVAILABLE,
    code: 'E_MAILBOX_FULL',
    detail: 'There is no room for more now; try again.',
    reason: 'full',
    retryAfterS: 2,
  },
  away: {
    status: UNAVAILABLE,
    code: 'E_STORE_AWAY',
    detail: 'The event store is away; try again.',
    reason: 'away',
    retryAfterS: 2,
  },
  timeout: {
    status: UNAVAILABLE,
    code: 'E_VERDICT_LATE',
    detail: 'The events could not be stored in time; try again.',
    reason: 'timeout',
    retryAfterS: 2,
  },
  draining: {
    status: UNAVAILABLE,
    code: 'E_DRAINING',
    detail: 'This server is shutting down; try again.',
    reason: 'draining',
    retryAfterS: 1,
  },
  strict: {
    status: '400 Bad Request',
    code: 'E_RECORDS_INVALID',
    detail: 'At least one record is unusable, and you asked for all or nothing: nothing was stored.',
    reason: 'strict',
  },
  unreadable: {
    status: '400 Bad Request',
    code: 'E_BODY_UNREADABLE',
    detail: 'No record could be read out of the body. Send a JSON object, an array, or one object per line.',
    reason: 'unreadable',
  },
} as const satisfies Record<string, Refusal>;

export const SHORTAGE_REFUSAL: Readonly<Record<Shortage, Refusal>> = {
  bytes: REFUSAL.budget,
  places: REFUSAL.requests,
  share: REFUSAL.share,
};

/** What a verdict means for this client: the reason of a 200, or a refusal. */
export function outcomeOf(
  verdict: IngestVerdict,
  client: { isToldOfUnreadable: boolean; isRelay: boolean },
): 'stored' | 'partial' | 'parked' | Refusal {
  switch (verdict.status) {
    case 'stored':
      return verdict.rejected === 0 ? 'stored' : 'partial';
    case 'unreadable':
      return client.isToldOfUnreadable || !client.isRelay ? REFUSAL.unreadable : 'parked';
    case 'refused':
      return REFUSAL.strict;
    case 'too_large':
      return REFUSAL.decodedTooLarge;
    case 'full':
      return REFUSAL.full;
    case 'away':
      return REFUSAL.away;
  }
}

/** The body of a 200. `correlationId` must be a checked token: it is not escaped. */
export function queuedBody(verdict: IngestVerdict, correlationId: string): string {
  const errors = verdict.errors.length === 0 ? '[]' : JSON.stringify(errorsShown(verdict));
  return (
    `{"status":"queued","accepted":${verdict.accepted},"rejected":${verdict.rejected},` +
    `"correlation_id":"${correlationId}","errors":${errors}` +
    (verdict.isKeyReused === true ? ',"idempotency_key_reused":true}' : '}')
  );
}

/** The first errors, each cut to a length that keeps the reply small: omhttp reads at most 1 MB of it. */
export function errorsShown(verdict: IngestVerdict): { index: number; code: string; message: string }[] {
  return verdict.errors.slice(0, ERRORS_SHOWN_MAX).map(({ index, code, message }) => ({
    index,
    code,
    message: message.length > ERROR_MESSAGE_MAX ? `${message.slice(0, ERROR_MESSAGE_MAX)}…` : message,
  }));
}
