/** As ours.ts, with a black box that records what every actor does. */
import { systemClock } from '../../../runtime/clock.ts';
import { BlackBox, BlackBoxWriter } from '../../../runtime/shared/black-box.ts';
import type { Contender } from '../contender.ts';
import { Ours } from './ours.ts';

export default {
  open: () => new Ours({ blackBox: new BlackBoxWriter(new BlackBox(), systemClock) }),
} satisfies Contender;
