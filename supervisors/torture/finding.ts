/** What a verdict finds: what is wrong, where, how often, with examples. */
import { Examples } from './examples.ts';
import { nameOf } from './known-event.ts';
import type { KnownEvent } from './known-event.ts';

export type FindingKind =
  /** Answered, and in no terminal state. */
  | 'event missing'
  | 'event in two states'
  | 'event never sent'
  | 'event misjudged'
  | 'alert missing'
  | 'alert without row'
  | 'alert doubled'
  | 'dedup key'
  | 'order'
  | 'dead letter'
  | 'ledger'
  | 'witness'
  | 'growth'
  | 'left over'
  /** What was recorded is not enough for a verdict, or makes no sense. */
  | 'record'
  /** These three are found while a run lasts, and by nothing here. */
  | 'recovery'
  | 'stop'
  | 'traffic';

export interface Finding {
  kind: FindingKind;
  where: string;
  what: string;
  count: number;
  /** A few of them. */
  examples: readonly string[];
}

/** One finding for all of a kind; none when nothing was. */
export function findingOf(kind: FindingKind, where: string, what: string, found: Examples): Finding[] {
  return found.count === 0 ? [] : [{ kind, where, what, count: found.count, examples: found.texts }];
}

/** Those of the events that are so, by their names. */
export function eventsThat(
  events: Iterable<KnownEvent>,
  isSo: (event: KnownEvent) => boolean,
  describe: (event: KnownEvent) => string = nameOf,
): Examples {
  const found = new Examples();
  for (const event of events) if (isSo(event)) found.add(() => describe(event));
  return found;
}
