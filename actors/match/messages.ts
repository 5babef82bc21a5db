/**
 * What passes between match actors and whoever watches their decisions. Types only.
 *
 * Taps are soft state: whoever has them open says so again and again, each time all of them, and a match actor that
 * hears nothing for a while closes them. So nothing has to be told when either side dies.
 */
import type { Handling } from '../event.ts';

/** All given criteria must hold. */
export interface TapFilter {
  /** Whole host name, whatever its case; `*` and `?` are wildcards. */
  host?: string;
  /** As `host`. */
  program?: string;
  /** Id of a rule that matched, the first or a later one. */
  rule?: number;
  decision?: Handling | 'Unmatched';
}

export interface OpenTap {
  /** Never used twice. */
  id: string;
  filter: TapFilter;
}

/** To match actors: the taps that are open now, all of them. */
export interface Taps {
  type: 'taps';
  taps: readonly OpenTap[];
}

/** One decision, for people to look at. An event that is tried again shows again. */
export interface TappedEvent {
  /** RFC 3339, UTC. */
  received_at: string;
  hostname: string;
  program: string | null;
  severity: number | null;
  /** The beginning of it. */
  message: string;
  decision: Handling | 'Unmatched';
  rule_id: number | null;
  rule_version: number | null;
  team: string | null;
  correlation_id: string;
  event_id: string;
}

/** From match actors: what the taps took since the last one of these. */
export interface Tapped {
  type: 'tapped';
  /** In the order they were decided; `taps` are the ids of those that take it. */
  events: { taps: string[]; event: TappedEvent }[];
  /** Decisions that passed a tap's filter and were over its rate, and those that there was no time to look at. */
  dropped: { tap: string; count: number }[];
}
