/**
 * What one kind of destination is: the request that an alert becomes, and what its answers mean beyond their status.
 *
 * A kind is pure: of (alert, destination, credential, time) it makes the same request for ever. It sends nothing, reads
 * no secret and keeps none: a credential is given to it at the moment of sending.
 */
import type { Alert } from '../../event.ts';
import type { AuthForm, SentOutcome, Destination, WebhookMessage } from '../../ports.ts';
import type { ResponseHead } from '../classify-response.ts';

export interface Sending {
  alert: Alert;
  destination: Destination;
  /** `undefined`: the destination has none. */
  credential: string | undefined;
  /** Wall clock. */
  nowMs: number;
}

/** Fields of a destination that not every kind knows, as people write them. */
export type KindField = 'auth' | 'template' | 'content_type' | 'resolve_after_ms';

export interface Kind {
  /** For people. */
  label: string;
  /** How a credential may go along, the usual way first; empty where the kind has a place of its own for it. */
  auth: readonly AuthForm[];
  needsCredential: boolean;
  fields: readonly KindField[];
  /** Where all of this kind are reached, for who gives no address. */
  defaultUrl?: string;
  /** The address that is posted to. */
  endpoint: (destination: Destination) => string;
  /** Errors: E_SECRET_UNUSABLE, E_TEMPLATE_FAILED. */
  message: (sending: Sending) => WebhookMessage;
  /** What an answer means; undefined where its status says it (classify-response.ts). */
  judge?: (response: ResponseHead) => SentOutcome | undefined;
}

export const JSON_TYPE = { 'content-type': 'application/json' } as const;

/** The address as it is written. */
export function asWritten({ url }: Destination): string {
  return url;
}
