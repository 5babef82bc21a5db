/**
 * What an operator does to an actor in this thread: suspend, resume, inspect.
 *
 * Between how it ends (ending-cell.ts) and how it runs (actor-cell.ts, which extends this and tells its instance).
 * Invariant: a suspension is the actor's and not the incarnation's, so a restart neither ends it nor lets a message slip
 * through; whoever asked for it is answered once.
 */
import { ActorStatus, statusName } from './actor-status.ts';
import type { ActorStatusName } from './actor-status.ts';
import { CodedError, fromWire } from './errors.ts';
import { describeExit } from './exit-reason.ts';
import type { ExitReason } from './exit-reason.ts';
import { EndingCell } from './ending-cell.ts';
import { plainStateOf } from './inspection.ts';
import type { ActorInspection } from './inspection.ts';
import { Activity } from './local-ref.ts';

export abstract class OperatedCell<M> extends EndingCell<M> {
  abstract readonly messagesHandled: number;

  get statusName(): ActorStatusName {
    return this.status === ActorStatus.running && this.mailbox.isHeld ? 'suspended' : statusName(this.status);
  }

  /** Settles when it is in effect, or when a later call has overtaken it. Errors: as `ActorSystem.suspend`. */
  hold(isHeld: boolean): Promise<void> {
    const annex = this.annexed();
    const isOver = this.status === ActorStatus.draining || (this.isEnding && !annex.isKept);
    if (isOver) return Promise.reject(this.isOver());
    const hold = (annex.hold ??= { sinceMs: 0, waiters: [], isBeingTold: false });
    if (isHeld && !this.mailbox.isHeld) hold.sinceMs = this.clock.wallMs();
    this.mailbox.hold(isHeld);
    const isTold = !this.mailbox.isHoldUntold && !hold.isBeingTold;
    // Without an incarnation there is nothing that could still be at work.
    if (isTold || this.activity === Activity.parked) {
      this.holdIsTold();
      return Promise.resolve();
    }
    const waiter = Promise.withResolvers<void>();
    hold.waiters.push(waiter);
    if (this.activity === Activity.idle) this.schedule();
    return waiter.promise;
  }

  inspect(): ActorInspection {
    if (this.isDead) throw this.isOver();
    const { annex, instance, path } = this;
    const state = instance === undefined ? undefined : plainStateOf(path, instance);
    return {
      path,
      status: this.statusName,
      epoch: annex?.epoch ?? 1,
      ...this.suspension,
      waiting: this.waiting,
      stashed: annex?.stash?.length ?? 0,
      messagesHandled: this.messagesHandled,
      ...(state === undefined ? {} : { state }),
    };
  }

  protected get suspension(): { suspendedSinceMs?: number } {
    const { annex, mailbox } = this;
    return mailbox.isHeld && annex?.hold !== undefined ? { suspendedSinceMs: annex.hold.sinceMs } : {};
  }

  /** The instance knows of a change. If it is the last one, whoever asked is told. */
  protected holdIsTold(): void {
    const hold = this.annex?.hold;
    if (hold === undefined) return;
    hold.isBeingTold = false;
    if (this.mailbox.isHoldUntold && this.activity !== Activity.parked) return;
    for (const { resolve } of hold.waiters.splice(0)) resolve();
  }

  protected settleHold(reason: ExitReason): void {
    const hold = this.annex?.hold;
    if (hold === undefined) return;
    if (hold.isBeingTold) {
      // Else every next incarnation would fail of it too.
      this.mailbox.hold(false);
      this.rejectHold(suspendFailed(this.path, reason));
    } else if (this.annex?.isKept !== true) {
      this.rejectHold(this.isOver());
    }
    this.holdIsTold();
  }

  private isOver(): CodedError {
    return new CodedError('E_ACTOR_STOPPED', `${this.path} is ${this.statusName}`, {
      details: { path: this.path },
    });
  }

  private rejectHold(error: CodedError): void {
    for (const { reject } of this.annex?.hold?.waiters.splice(0) ?? []) reject(error);
  }
}

function suspendFailed(path: string, reason: ExitReason): CodedError {
  return new CodedError(
    'E_SUSPEND_FAILED',
    `${path} ended while it was suspended or resumed: ${describeExit(reason)}`,
    {
      details: { path, exit: reason.kind },
      mend: 'Mend the suspend or resume of the actor; it is not suspended now.',
      ...(reason.kind === 'failed' ? { cause: fromWire(reason.error) } : {}),
    },
  );
}
