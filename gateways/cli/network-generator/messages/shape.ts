/**
 * A shape of message that devices of one platform say when nothing is wrong, and how often.
 */
import type { Dice } from '../dice.ts';
import type { Utterance } from '../generated-event.ts';
import type { Device } from '../topology.ts';

export interface Shape {
  /** How often, relative to the other shapes of the platform. */
  weight: number;
  say(device: Device, dice: Dice): Utterance;
}

/** Facility numbers of RFC 5424, section 6.2.1. */
export const FACILITY = {
  kernel: 0,
  mail: 2,
  daemon: 3,
  auth: 4,
  cron: 9,
  authpriv: 10,
  local4: 20,
  local7: 23,
} as const;
