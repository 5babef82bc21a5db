/**
 * Destinations that somebody holds: what status and partitions say of them beside what the threads have found out.
 */
import { alertLane } from '../actors/forward/messages.ts';
import { holdAt } from '../actors/ports.ts';
import type { Destination } from '../actors/ports.ts';
import type { Pause } from './partition-owners.ts';

/** One line of `destinations` in the status document, as those that are not well have. */
export interface HeldDestination {
  name: string;
  state: 'paused' | 'muted';
  reason: 'operator';
  /** Who, and why. */
  last_error: string;
  /** RFC 3339. */
  since: string;
  until: string | null;
}

export function heldDestinations(destinations: readonly Destination[], nowMs: number): HeldDestination[] {
  return destinations.flatMap((destination) => {
    const hold = holdAt(destination, nowMs);
    if (hold === undefined) return [];
    const { kind, by, reason, sinceMs, untilMs } = hold;
    return {
      name: destination.name,
      state: kind === 'pause' ? ('paused' as const) : ('muted' as const),
      reason: 'operator' as const,
      last_error: `${by}: ${reason}`,
      since: new Date(sinceMs).toISOString(),
      until: untilMs === null ? null : new Date(untilMs).toISOString(),
    };
  });
}

/** Of the mailboxes whose alerts wait for that. */
export function pausesOf(held: readonly HeldDestination[]): Pause[] {
  return held
    .filter(({ state }) => state === 'paused')
    .map(({ name, last_error: who, since, until }) => ({
      mailbox: alertLane(name),
      reason: 'destination_paused',
      detail: `${name} is paused by ${who}; its alerts wait until ${until ?? 'it is resumed'}.`,
      since,
      until,
    }));
}
