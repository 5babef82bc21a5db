/**
 * Puts the replies of the native routes on the wire, and says which dialect's replies a request gets. What to say is
 * decided elsewhere.
 *
 * All functions must run in the handler's own turn or inside `cork`, so that one reply is one write.
 */
import { DIALECTS } from '../../actors/ingest/messages.ts';
import type { Dialect } from '../../actors/ingest/messages.ts';
import { deprecationHeaders } from '../http/deprecation.ts';
import { writeProblem } from '../http/problem.ts';
import { JSON_HEADERS_SMALL } from '../http/security-headers.ts';
import type { DialectReplies } from './dialect-replies.ts';
import { headersOf } from './dialect-replies.ts';
import { HEC_REPLIES } from './hec-replies.ts';
import { LOKI_REPLIES } from './loki-replies.ts';
import { OTLP_JSON_REPLIES, OTLP_PROTOBUF_REPLIES } from './otlp-replies.ts';
import { errorsShown, queuedBody } from './replies.ts';

const DEPRECATION_HEADERS = deprecationHeaders('/api/v2/ingest');

export const NATIVE_REPLIES: DialectReplies = {
  isToldOfUnreadable: false,

  stored(response, verdict, context) {
    response.writeHeader('Content-Type', JSON_HEADERS_SMALL);
    response.writeHeader('X-Correlation-ID', context.correlationId);
    if (context.isDeprecatedRoute) {
      for (const [name, value] of DEPRECATION_HEADERS) response.writeHeader(name, value);
    }
    response.end(queuedBody(verdict, context.correlationId), context.closeConnection);
  },

  refused(response, refusal, context) {
    const headers = headersOf(refusal);
    if (context.isDeprecatedRoute) headers.push(...DEPRECATION_HEADERS);
    const { verdict } = context;
    writeProblem(response, refusal, {
      correlationId: context.correlationId,
      headers,
      closeConnection: context.closeConnection,
      omitBody: context.omitBody ?? false,
      ...(verdict === undefined
        ? {}
        : {
            members: {
              accepted: verdict.accepted,
              rejected: verdict.rejected,
              errors: errorsShown(verdict),
            },
          }),
    });
  },
};

const REPLIES: Readonly<Record<Dialect, DialectReplies>> = {
  native: NATIVE_REPLIES,
  otlp_protobuf: OTLP_PROTOBUF_REPLIES,
  otlp_json: OTLP_JSON_REPLIES,
  hec_event: HEC_REPLIES,
  hec_raw: HEC_REPLIES,
  loki_protobuf: LOKI_REPLIES,
  loki_json: LOKI_REPLIES,
};
const BY_CODE = DIALECTS.map((dialect) => REPLIES[dialect]);

/** The replies that the senders of a dialect understand, by its code. */
export function repliesOf(dialectCode: number): DialectReplies {
  return BY_CODE[dialectCode] ?? NATIVE_REPLIES;
}
