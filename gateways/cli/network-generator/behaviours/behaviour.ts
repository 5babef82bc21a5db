/**
 * Something that happens in the network now and then and makes several devices talk for a while.
 */
import type { Dice } from '../dice.ts';
import type { PlannedUtterance } from '../generated-event.ts';
import type { Topology } from '../topology.ts';

export interface Behaviour {
  name: string;
  /** Part of all events that this behaviour makes, 0 to 1. */
  share: number;
  /** How many events one occurrence makes on average at this rate (events/s). */
  eventsMean(ratePerSecond: number): number;
  /** One occurrence. */
  plan(topology: Topology, dice: Dice, ratePerSecond: number): PlannedUtterance[];
}
