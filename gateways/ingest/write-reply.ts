/**
 * Puts the ingest port's replies on the wire. What to say is decided elsewhere.
 *
 * Both functions must run in the handler's own turn or inside `cork`, so that one reply is one write.
 */
import { deprecationHeaders } from '../http/deprecation.ts';
import type { HttpResponse } from '../http/exchange.ts';
import { writeProblem } from '../http/problem.ts';
import { JSON_HEADERS_SMALL } from '../http/security-headers.ts';
import type { Refusal } from './replies.ts';

const DEPRECATION_HEADERS = deprecationHeaders('/api/v2/ingest');

export interface ReplyContext {
  correlationId: string;
  isDeprecatedRoute: boolean;
  closeConnection: boolean;
}

export interface RefusalContext extends ReplyContext {
  /** The request was HEAD. */
  omitBody?: boolean;
  members?: Readonly<Record<string, unknown>>;
}

/** A 200. */
export function writeQueued(response: HttpResponse, body: string, context: ReplyContext): void {
  response.writeHeader('Content-Type', JSON_HEADERS_SMALL);
  response.writeHeader('X-Correlation-ID', context.correlationId);
  if (context.isDeprecatedRoute) {
    for (const [name, value] of DEPRECATION_HEADERS) response.writeHeader(name, value);
  }
  response.end(body, context.closeConnection);
}

/** Anything else: a problem document with the headers its status asks for. */
export function writeRefusal(response: HttpResponse, refusal: Refusal, context: RefusalContext): void {
  const headers: (readonly [string, string])[] = [];
  if (refusal.retryAfterS !== undefined) headers.push(['Retry-After', String(refusal.retryAfterS)]);
  if (refusal.reason === 'auth') headers.push(['WWW-Authenticate', 'Bearer realm="ingest"']);
  if (refusal.reason === 'method') headers.push(['Allow', 'POST']);
  if (context.isDeprecatedRoute) headers.push(...DEPRECATION_HEADERS);
  writeProblem(response, refusal, {
    correlationId: context.correlationId,
    headers,
    closeConnection: context.closeConnection,
    omitBody: context.omitBody ?? false,
    ...(context.members === undefined ? {} : { members: context.members }),
  });
}
