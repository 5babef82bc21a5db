/**
 * What an actor hears apart from its messages: that an actor it watches is dead for good.
 *
 * Signals have their own lane, before messages. A restart of the watched actor is not its end and sends nothing.
 */
import type { AnyRef } from './actor-ref.ts';
import type { ExitReason } from './exit-reason.ts';

export interface ActorSignal {
  readonly type: 'terminated';
  readonly ref: AnyRef;
  readonly reason: ExitReason;
}
