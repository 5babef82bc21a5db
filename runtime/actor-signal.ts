/**
 * What an actor hears apart from its messages: that an actor it watches is dead for good, or that one it is linked to has
 * failed.
 *
 * Signals have their own lane, before messages. A restart of a watched actor is not its end and sends nothing; a link
 * belongs to an incarnation, and ends with it.
 */
import type { AnyRef } from './actor-ref.ts';
import type { ExitReason } from './exit-reason.ts';

export interface ActorSignal {
  /** `terminated`: watched. `linkBroken`: linked, and heard of only with `trapExits`. */
  readonly type: 'terminated' | 'linkBroken';
  readonly ref: AnyRef;
  readonly reason: ExitReason;
}
