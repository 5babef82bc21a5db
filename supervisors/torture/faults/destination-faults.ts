/** Each way in which a destination can be bad, as a fault of its own; which of two destinations is meant is drawn. */
import { DESTINATION_MODES, DESTINATION_MODE_NAMES } from '../destination-modes.ts';
import { between } from './fault.ts';
import type { FaultKind } from './fault.ts';

const BAD_MS = { min: 1_000, max: 5_000 };

export const DESTINATION_FAULTS: readonly FaultKind[] = DESTINATION_MODE_NAMES.map((mode): FaultKind => ({
  name: `destination-${mode}`,
  what: `a destination ${DESTINATION_MODES[mode].what}`,
  takes: ['strict'],
  recoversAt: 'strict',
  inject: async ({ rig, random }) => {
    const forMs = between(random, BAD_MS.min, BAD_MS.max);
    // The one that gets only the latest of a backlog is bad in the same way for as long, every other time.
    const both =
      random() < 0.5 ? [rig.destinations.strict, rig.destinations.latest] : [rig.destinations.strict];
    await Promise.all(both.map((destination) => destination.misbehave(mode, forMs)));
  },
}));
