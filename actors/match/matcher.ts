/**
 * What decides which rules an event matches. Immutable: a change of the rules makes a new one off the hot path, which
 * replaces the old one between two events.
 */
import type { NormalizedEvent } from '../event.ts';
import type { RuleRow } from '../ports.ts';

export interface Matcher {
  /** The version of the rule set it was compiled from. */
  readonly version: number;
  /**
   * The rules that match, in (priority, id) order: the first that matches, and after each one with `continue` the next.
   * Empty when none does. Never throws.
   */
  match(event: NormalizedEvent): RuleRow[];
}
