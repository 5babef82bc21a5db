/**
 * Every way in which a socket ends, with the close code and reason that its client is told, and the refusals of an
 * upgrade that only sockets have.
 *
 * 1012 and 1013 mean: come again, with everything after the last ack. 1008 and 1009 are the client's own doing; it will
 * happen again unless something is changed.
 */
import type { SocketEnding } from '../metrics.ts';
import type { Refusal } from '../replies.ts';

export interface Ending {
  code: number;
  /** At most 123 bytes (RFC 6455, section 5.5). */
  reason: string;
}

/** What we say. `client` and `lost` are said by others, or by nobody. */
export const ENDINGS = {
  restart: { code: 1012, reason: 'the gateway restarts: connect again and go on after the last ack' },
  later: { code: 1013, reason: 'a message was refused: connect again and go on after the last ack' },
  grace: { code: 1013, reason: 'the key expired a short while ago: connect again with the new one' },
  key: { code: 1008, reason: 'the key is no longer valid' },
  credit: { code: 1008, reason: 'a message came without credit: wait for {"credit":k}' },
  sequence: {
    code: 1008,
    reason: 'a message is not the next one: count seq up by one, in every message or in none',
  },
  too_large: { code: 1009, reason: 'the message is over the limit: send less at once' },
  silent: { code: 1013, reason: 'nothing was heard of you, no answer to pings either: connect again' },
  slow: { code: 1008, reason: 'you do not read what you are told' },
  error: { code: 1011, reason: 'something failed here: connect again and go on after the last ack' },
} as const satisfies Partial<Record<SocketEnding, Ending>>;
export type OurEnding = keyof typeof ENDINGS;

/** Beside those of any request. */
export const SOCKET_REFUSAL = {
  upgrade: {
    status: '426 Upgrade Required',
    code: 'E_UPGRADE_REQUIRED',
    detail: 'This path is a WebSocket: send the request as an upgrade.',
    reason: 'route',
  },
  session: {
    status: '400 Bad Request',
    code: 'E_SESSION_INVALID',
    detail:
      'A session id is 1 to 128 visible ASCII characters, once, in Mutt-Session or as ?session=; there are no other parameters.',
    reason: 'malformed',
  },
  sockets: {
    status: '503 Service Unavailable',
    code: 'E_SOCKETS_FULL',
    detail: 'Too many sockets are open here; try again.',
    reason: 'budget',
    retryAfterS: 5,
  },
} as const satisfies Record<string, Refusal>;
