/**
 * The replies of Splunk's HTTP Event Collector: `{"text": …, "code": …}` with the numbers of its own list ("Possible error
 * codes" of "Format events for HTTP Event Collector"). The status is ours where the two differ: a wrong token is 401.
 */
import { JSON_HEADERS_SMALL } from '../http/security-headers.ts';
import type { HttpResponse } from '../http/exchange.ts';
import { writeRefused } from './dialect-replies.ts';
import type { DialectReplies, RefusalContext } from './dialect-replies.ts';
import type { Refusal } from './replies.ts';

const SUCCESS = '{"text":"Success","code":0}';

const TOKEN_DISABLED = { text: 'Token disabled', code: 1 };
const TOKEN_REQUIRED = { text: 'Token is required', code: 2 };
const TOKEN_INVALID = { text: 'Invalid token', code: 4 };
const NO_DATA = { text: 'No data', code: 5 };
const FORMAT_INVALID = { text: 'Invalid data format', code: 6 };
const SERVER_ERROR = { text: 'Internal server error', code: 8 };
const SERVER_BUSY = { text: 'Server is busy', code: 9 };
const HEALTHY = { text: 'HEC is healthy', code: 17 };
const QUEUES_FULL = { text: 'HEC is unhealthy, queues are full', code: 18 };
const SHUTTING_DOWN = { text: 'Server is shutting down', code: 23 };
const ENTITY_TOO_LARGE = { text: 'Request entity too large', code: 27 };

export const HEC_REPLIES: DialectReplies = {
  isToldOfUnreadable: false,

  stored(response, _verdict, { correlationId, closeConnection }) {
    response.writeHeader('Content-Type', JSON_HEADERS_SMALL);
    response.writeHeader('X-Correlation-ID', correlationId);
    response.end(SUCCESS, closeConnection);
  },

  refused(response, refusal, context) {
    const first = context.verdict?.errors[0];
    const body = {
      ...meaningOf(refusal, context),
      ...(first === undefined ? {} : { 'invalid-event-number': first.index }),
      // What is ours, for whoever looks: clients read `code` alone.
      mutt_code: refusal.code,
      detail: refusal.detail,
    };
    writeRefused(response, refusal, context, JSON_HEADERS_SMALL, JSON.stringify(body));
  },
};

/** Answers whether a sender may send now. */
export function writeHecHealth(
  response: HttpResponse,
  state: 'healthy' | 'full' | 'draining',
  context: { correlationId: string; closeConnection: boolean },
): void {
  const body = state === 'healthy' ? HEALTHY : state === 'full' ? QUEUES_FULL : SHUTTING_DOWN;
  if (state !== 'healthy') response.writeStatus('503 Service Unavailable');
  response.writeHeader('Content-Type', JSON_HEADERS_SMALL);
  response.writeHeader('X-Correlation-ID', context.correlationId);
  response.end(JSON.stringify(body), context.closeConnection);
}

function meaningOf({ reason, code }: Refusal, { verdict }: RefusalContext): { text: string; code: number } {
  switch (reason) {
    case 'auth':
      return code === 'E_KEY_MISSING' ? TOKEN_REQUIRED : TOKEN_INVALID;
    case 'scope':
      return TOKEN_DISABLED;
    case 'unreadable':
      return verdict?.errors[0]?.code === 'E_BODY_EMPTY' ? NO_DATA : FORMAT_INVALID;
    case 'too_large':
      return ENTITY_TOO_LARGE;
    case 'draining':
      return SHUTTING_DOWN;
    case 'error':
      return SERVER_ERROR;
    case 'key_grace':
    case 'full':
    case 'budget':
    case 'away':
    case 'timeout':
      return SERVER_BUSY;
    default:
      return FORMAT_INVALID;
  }
}
