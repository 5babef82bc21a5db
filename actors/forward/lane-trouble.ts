/**
 * What ails a destination, in the words that the status document, the log and other nodes get. Never what it answered,
 * which may echo what it was sent; only its status, or the error of the connection.
 */
import { PACE_WHY_CHARS_MAX } from '../../runtime/durable/pace.ts';
import type { DeliveryFailure, DeliveryOutcome } from '../ports.ts';

/** Why a destination is not well; the status document and the log use these words. */
export type LaneTrouble =
  /** Several deliveries in a row have failed. */
  | 'failing'
  /** So many that only probes are sent. */
  | 'down'
  /** 401 or 403: nothing but probes until the credential works. */
  | 'unauthorized'
  /** The credential cannot be read here, or not be used. */
  | 'secret_unreadable';

export type Failure = Exclude<DeliveryOutcome, { kind: 'delivered' | 'superseded' }>;

export interface LastFailure {
  reason: DeliveryFailure;
  /** Without secrets and without the destination's words. */
  last_error: string;
}

const ERROR_CHARS_MAX = 200;

export function lastFailure(outcome: Failure): LastFailure {
  return { reason: outcome.reason, last_error: errorOf(outcome) };
}

function errorOf({ status, error }: Failure): string {
  if (status === undefined) return error;
  if (status >= 300 && status <= 399) return `HTTP ${status}, a redirect that is not followed`;
  return `HTTP ${status}`;
}

/** For those who have not seen it themselves; short enough for a `PaceNews`. */
export function whyOf(outcome: Failure): string {
  const { reason, last_error: error } = lastFailure(outcome);
  const text = JSON.stringify({ reason, last_error: error.slice(0, ERROR_CHARS_MAX) } satisfies LastFailure);
  return text.length <= PACE_WHY_CHARS_MAX ? text : JSON.stringify({ reason, last_error: reason });
}

/** Undefined for what another version wrote otherwise. */
export function readWhy(why: string): LastFailure | undefined {
  try {
    const { reason, last_error } = JSON.parse(why) as Partial<LastFailure>;
    if (typeof reason === 'string' && typeof last_error === 'string') return { reason, last_error };
  } catch {
    // Falls through: what cannot be read says nothing.
  }
  return undefined;
}

/** Its credential cannot be read here, or not be used: nothing was sent, and other nodes may well send. */
export function isOfThisNode({ error }: Pick<Failure, 'error'>): boolean {
  return error.startsWith('E_SECRET_');
}

/** What it is while its breaker is open. */
export function openTrouble({ reason }: LastFailure): LaneTrouble {
  return reason === 'auth' ? 'unauthorized' : 'down';
}
