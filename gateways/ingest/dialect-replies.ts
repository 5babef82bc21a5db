/**
 * What the replies of every dialect have in common: one shape for what was stored, one for what was refused.
 *
 * A dialect decides how a reply looks. Which refusal a request gets is decided in replies.ts for all of them, but for one
 * question: whether the sender is to be told of a body that nobody can read.
 */
import type { HttpResponse } from '../http/exchange.ts';
import type { IngestVerdict } from './ingest-port.ts';
import type { Refusal } from './replies.ts';

export interface ReplyContext {
  correlationId: string;
  isDeprecatedRoute: boolean;
  closeConnection: boolean;
}

export interface RefusalContext extends ReplyContext {
  /** The request was HEAD. */
  omitBody?: boolean;
  /** The refusal is about the records of a body; this says which. */
  verdict?: IngestVerdict;
}

export interface DialectReplies {
  /** A body that nobody can read is answered 400 whoever sent it: the dialect says that it is then not sent again. */
  readonly isToldOfUnreadable: boolean;
  /** Everything good is stored, what was bad is parked. */
  stored(response: HttpResponse, verdict: IngestVerdict, context: ReplyContext): void;
  /** Anything else. */
  refused(response: HttpResponse, refusal: Refusal, context: RefusalContext): void;
}

/** The headers that a refusal's status asks for. */
export function headersOf(refusal: Refusal): (readonly [name: string, value: string])[] {
  const headers: (readonly [string, string])[] = [];
  if (refusal.retryAfterS !== undefined) headers.push(['Retry-After', String(refusal.retryAfterS)]);
  if (refusal.reason === 'auth') headers.push(['WWW-Authenticate', 'Bearer realm="ingest"']);
  if (refusal.code === 'E_UPGRADE_REQUIRED')
    headers.push(['Upgrade', 'websocket'], ['Connection', 'Upgrade']);
  if (refusal.reason === 'method') headers.push(['Allow', 'POST']);
  return headers;
}

/** Writes a refusal with a body of the dialect's own. `contentType` must be a constant. */
export function writeRefused(
  response: HttpResponse,
  refusal: Refusal,
  context: RefusalContext,
  contentType: string,
  body: string | Uint8Array,
): void {
  response.writeStatus(refusal.status);
  response.writeHeader('Content-Type', contentType);
  response.writeHeader('X-Correlation-ID', context.correlationId);
  for (const [name, value] of headersOf(refusal)) response.writeHeader(name, value);
  response.end(context.omitBody === true ? '' : body, context.closeConnection);
}
