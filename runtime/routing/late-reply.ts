/**
 * A reply address that is given out before it is known where the answer goes: the message must be there before it can be
 * said whom to ask.
 */
import type { ReplyTo, SendResult } from '../actor-ref.ts';

export class LateReply<R> implements ReplyTo<R> {
  /** Set when the member that is asked has made the real one. */
  to: ReplyTo<R> | undefined = undefined;

  tell(reply: R): SendResult<R> {
    return this.to === undefined ? { refused: 'E_REPLY_LATE', message: reply } : this.to.tell(reply);
  }
}
