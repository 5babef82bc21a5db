/**
 * What is stored between the match actors, the forward actors and the remediation actor: one JSON document each.
 */
import { CodedError } from '../../runtime/errors.ts';
import type { Alert } from '../event.ts';

/** The lane of alerts that wait for one destination. */
export function alertLane(destination: string): string {
  return `alert:${destination}`;
}

/** The delayed set of alerts that failed at one destination while it took others. */
export function retrySet(destination: string): string {
  return `retry:${destination}`;
}

export function isRetrySet(set: string): boolean {
  return set.startsWith('retry:');
}

/** What all who send to a destination share of its pace. */
export function sharedPaceOf(destination: string): string {
  return `dest:${destination}`;
}

/** Of such a lane or set. */
export function destinationOf(place: string): string {
  return place.slice(place.indexOf(':') + 1);
}

/** The lane of alerts that a destination refused for good. */
export const DEAD_LANE = 'dead';

/** An alert with what delivering it has come to so far. */
export interface StoredAlert {
  alert: Alert;
  attempts: number;
  /** When it first failed while its destination took others, since it is in its lane. */
  triedSinceMs?: number;
  firstFailedAtMs?: number;
  lastFailedAtMs?: number;
  reason?: string;
  error?: string;
  /** How often it was a dead letter and was replayed. */
  replays?: number;
  /** The last time. */
  replayedAtMs?: number;
}

/** Names an alert in its lane: a replayed one is not the one that has left. */
export function laneId({ alert, replays = 0 }: StoredAlert): string {
  return replays === 0 ? alert.id : `${alert.id} ${replays}`;
}

export function encodeStoredAlert(stored: StoredAlert): Buffer {
  return Buffer.from(JSON.stringify(stored), 'utf8');
}

/** Throws `E_ALERT_DAMAGED` for what is not a stored alert. */
export function decodeStoredAlert(payload: Buffer): StoredAlert {
  try {
    const stored = JSON.parse(payload.toString('utf8')) as StoredAlert;
    const { id, destination, signature, event_ids: eventIds } = stored.alert;
    const isWhole = [id, destination, signature].every((text) => typeof text === 'string');
    if (isWhole && Array.isArray(eventIds) && typeof stored.attempts === 'number') return stored;
  } catch {
    // Falls through to the one error for everything that is not a stored alert.
  }
  throw new CodedError('E_ALERT_DAMAGED', 'a stored alert cannot be read', {
    details: { head: payload.subarray(0, 80).toString('latin1') },
  });
}
