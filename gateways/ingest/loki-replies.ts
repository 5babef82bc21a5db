/**
 * The replies of Loki's push route: 204 without a body for what was stored, a line of text for what was refused.
 */
import { writeRefused } from './dialect-replies.ts';
import type { DialectReplies } from './dialect-replies.ts';
import { errorsShown } from './replies.ts';

const TEXT_HEADERS = 'text/plain; charset=utf-8\r\nX-Content-Type-Options: nosniff';

export const LOKI_REPLIES: DialectReplies = {
  isToldOfUnreadable: false,

  stored(response, _verdict, { correlationId, closeConnection }) {
    response.writeStatus('204 No Content');
    response.writeHeader('X-Correlation-ID', correlationId);
    // The server can close only behind a reply that it gives a length.
    if (closeConnection) response.end('', true);
    else response.endWithoutBody();
  },

  refused(response, refusal, context) {
    const { verdict } = context;
    const errors = verdict === undefined ? [] : errorsShown(verdict);
    const lines = [
      `${refusal.code}: ${refusal.detail}`,
      ...errors.map(({ index, code, message }) => `record ${index}: ${code}: ${message}`),
    ];
    writeRefused(response, refusal, context, TEXT_HEADERS, `${lines.join('\n')}\n`);
  },
};
