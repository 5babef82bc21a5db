/**
 * What the live stream shows, as observables: they do work only while somebody is subscribed. They never complete, and
 * what cannot be had at a moment is left out, never an error.
 */
import type { Observable } from 'rxjs';
import type { TapFilter, TappedEvent } from '../../../actors/match/messages.ts';

export interface StreamPort {
  /** About once a second. */
  counters: Observable<CountersDocument>;
  /** What happens in the supervision tree. */
  tree: Observable<object>;
  /** Decisions that pass the filter, and how many were left out because there were too many. */
  tap(filter: TapFilter): Observable<TapNews>;
}

export type TapNews = { event: TappedEvent } | { dropped: number };

/** The names of what is counted. */
export const COUNTED = [
  'accepted',
  'rejected',
  'handled',
  'unmatched',
  'quarantined',
  'alerts',
  'forwarded',
  'failed',
] as const;
export type Counted = (typeof COUNTED)[number];

export interface CountersDocument {
  /** RFC 3339. */
  at: string;
  /** Per second, since the message before. */
  rates: Record<Counted, number>;
  /** Since the node's start. */
  totals: Record<Counted, number>;
  /** Null while Redis or PostgreSQL does not answer. */
  mailboxes: { ingest_events: number; alerts: number; in_flight: number } | null;
}
