/**
 * The links of one incarnation: actors that share its fate.
 *
 * Not watching, which only tells. Whoever is restarted fast links to others of its group that are still about to end of
 * the same failure: such a link is for their next incarnation, or the failure would go round for ever.
 * Invariant: who is in `to` or `next` has this one in its own; a broken link is in none, and in `broken` until its signal
 * has been served or is not wanted any more.
 */
import type { AnyRef } from './actor-ref.ts';
import type { ActorSignal } from './actor-signal.ts';
import { CodedError, fromWire } from './errors.ts';
import { describeExit } from './exit-reason.ts';
import type { ExitReason } from './exit-reason.ts';
import { LINKS_PER_ACTOR_MAX } from './limits.ts';

export class Links<Cell extends AnyRef> {
  readonly to = new Set<Cell>();
  /** Linked to the incarnation that follows. */
  readonly next = new Set<Cell>();
  readonly broken = new Set<ActorSignal>();

  /** Errors: `E_LINKS_FULL`. */
  assertRoom(path: string): void {
    if (this.to.size + this.next.size + this.broken.size < LINKS_PER_ACTOR_MAX) return;
    throw new CodedError('E_LINKS_FULL', `${path} has ${LINKS_PER_ACTOR_MAX} links`, {
      kind: 'defect',
      mend: 'Unlink what is over, or let a supervisor restart the group.',
    });
  }

  /** True when it was linked to the present incarnation. */
  remove(other: Cell): boolean {
    this.next.delete(other);
    return this.to.delete(other);
  }

  /** What is on its way about it is not wanted any more. */
  forget(ref: AnyRef): void {
    for (const signal of this.broken) if (signal.ref === ref) this.broken.delete(signal);
  }
}

/** Its length does not grow along a chain of links. */
export function linked(path: string, reason: ExitReason): CodedError {
  const how = reason.kind === 'failed' ? `failed with ${reason.error.code}` : describeExit(reason);
  const plain = reason.kind === 'failed' ? { kind: reason.kind, code: reason.error.code } : reason;
  return new CodedError('E_LINKED', `${path}, to which it is linked, ended: ${how}`, {
    details: { path, reason: plain },
    ...(reason.kind === 'failed' ? { cause: fromWire(reason.error) } : {}),
  });
}
