/**
 * How an actor in this thread ends: stop, kill, failure, hang; its children before it; and its death.
 *
 * Not how it begins and runs (actor-cell.ts, which extends this). An end goes through `end` (children, `terminate`) or
 * straight through `killNow`, and always through `finish`, where the reason is reported. Invariant: `finish` runs once for
 * each incarnation, and afterwards its generation is stale.
 */
import type { ActorInstance, SpawnOptions } from './actor.ts';
import { ActorStatus } from './actor-status.ts';
import type { CellFamily, FamilyMember } from './cell-family.ts';
import type { CellHost } from './cell-host.ts';
import { toWire } from './errors.ts';
import { describeExit, isAbnormal } from './exit-reason.ts';
import type { ExitReason } from './exit-reason.ts';
import { LocalIncarnation } from './local-incarnation.ts';
import { Activity } from './local-ref.ts';
import { askRefused } from './pending-asks.ts';
import { isThenable } from './thenable.ts';

/** The children of an actor, or the top-level actors of a system (no owner). */
export type Family = CellFamily<EndingCell<unknown>, EndingCell<unknown> | undefined>;

const SHUTDOWN: ExitReason = { kind: 'shutdown' };
const NORMAL: ExitReason = { kind: 'normal' };

export abstract class EndingCell<M> extends LocalIncarnation<M> implements FamilyMember {
  elder: this | undefined = undefined;
  younger: this | undefined = undefined;
  protected status: ActorStatus = ActorStatus.unstarted;
  protected instance: ActorInstance<M> | undefined = undefined;
  protected children: Family | undefined = undefined;
  protected readonly family: Family;

  constructor(host: CellHost, family: Family, options: SpawnOptions) {
    super(host, options);
    this.family = family;
  }

  protected get isEnding(): boolean {
    return this.status >= ActorStatus.stopping;
  }

  get isDead(): boolean {
    return this.status === ActorStatus.stopped;
  }

  /** No incarnation will follow the present one; without one the actor is dead at once. Safe to call again. */
  abandon(reason: ExitReason): void {
    const { annex } = this;
    if (annex === undefined || !annex.isKept) return;
    annex.isKept = false;
    const hasNone = this.status === ActorStatus.suspended || this.status === ActorStatus.unstarted;
    if (hasNone) this.die(annex.previousExit ?? reason);
  }

  /** Asks the present incarnation to end, and kills it at the deadline. Settles when it has ended. Safe to call again. */
  stop(deadlineMs: number, drain = false): Promise<ExitReason> {
    const annex = this.annexed();
    if (this.activity === Activity.parked) return Promise.resolve(annex.previousExit ?? SHUTDOWN);
    return new Promise((resolve) => {
      annex.exitWaiters.push(resolve);
      this.armDeadline(deadlineMs, () => this.kill(`it did not stop within ${deadlineMs} ms`));
      this.requestStop(SHUTDOWN, drain);
    });
  }

  stopSelf(): void {
    this.requestStop(NORMAL, false);
  }

  protected requestStop(reason: ExitReason, drain: boolean): void {
    if (this.status >= ActorStatus.stopping) return;
    this.mailbox.raiseStop({ reason, drain });
    if (this.activity === Activity.idle) this.schedule();
  }

  /** Ends the present incarnation at once; while its code is on the stack, as soon as that returns. */
  kill(by: string): void {
    if (this.activity === Activity.parked) return;
    if (this.activity === Activity.onStack) this.mailbox.raiseKill(by);
    else this.killNow(by);
  }

  protected failed(thrown: unknown): void {
    this.endAbnormally({ kind: 'failed', error: toWire(thrown) });
  }

  protected hung(silentMs: number, doing: string): void {
    // From here on the handler that hangs is stale: whatever it still does or returns is ignored.
    this.generation++;
    this.instance = undefined;
    this.endAbnormally({ kind: 'hung', silentMs, doing });
  }

  protected endAbnormally(reason: ExitReason): void {
    this.host.counters.failed++;
    this.log('error', describeExit(reason), { reason });
    this.loseInHand('failed', reason);
    this.end(reason);
  }

  /** From here on no message is handled: children end, youngest first, then `terminate`, then the incarnation is over. */
  protected end(reason: ExitReason): void {
    this.status = ActorStatus.stopping;
    const annex = this.annexed();
    annex.exitReason = reason;
    if (!annex.isKept) this.mailbox.close();
    this.dropIncarnation();
    if (this.awaitOwn()) this.endChildrenThenSelf();
  }

  private endChildrenThenSelf(): void {
    const child = this.children?.youngest;
    if (child !== undefined) {
      this.armEndDeadline();
      child.requestStop(SHUTDOWN, false);
      return;
    }
    const { generation, instance } = this;
    if (instance?.terminate === undefined) {
      this.finish();
      return;
    }
    this.activity = Activity.onStack;
    let pending: unknown;
    try {
      pending = instance.terminate(this.annex?.exitReason ?? SHUTDOWN);
    } catch (thrown) {
      this.terminateFailed(thrown);
    }
    if (!isThenable(pending)) {
      this.finish();
      return;
    }
    pending.then(
      () => {
        if (this.generation === generation) this.finish();
        else this.host.counters.staleSettles++;
      },
      (thrown: unknown) => {
        this.terminateFailed(thrown);
        if (this.generation === generation) this.finish();
      },
    );
    if (this.awaitOwn()) this.armEndDeadline();
  }

  private childEnded(): void {
    if (this.status === ActorStatus.stopping && this.activity === Activity.awaiting)
      this.endChildrenThenSelf();
  }

  protected killNow(by: string): void {
    // Not awaiting any more: the end of its last child must not go on to a clean end in the midst of this one.
    this.activity = Activity.onStack;
    let child = this.children?.youngest;
    while (child !== undefined) {
      // A child whose code is on the stack ends when that returns, so the list is walked and not emptied.
      const next: EndingCell<unknown> | undefined = child.elder;
      child.kill(`its parent was killed: ${by}`);
      child = next;
    }
    const annex = this.annexed();
    const before = annex.exitReason;
    // A failure that was being cleaned up stays what it was: the cut-off only ended the clean-up.
    if (before !== undefined && isAbnormal(before)) {
      this.host.counters.terminateFailures++;
    } else {
      annex.exitReason = { kind: 'killed', by };
      this.host.counters.killed++;
      this.loseInHand('killed', annex.exitReason);
    }
    this.finish();
  }

  /** The incarnation is over: nothing of it counts any more. */
  private finish(): void {
    const annex = this.annexed();
    const reason = annex.exitReason ?? NORMAL;
    this.generation++;
    this.instance = undefined;
    this.inHand = undefined;
    this.activity = Activity.parked;
    annex.previousExit = reason;
    annex.exitReason = undefined;
    this.dropIncarnation();
    this.cancelDeadlines();
    annex.abortController?.abort();
    annex.abortController = undefined;
    this.mailbox.clearUrgent();
    const waiters = annex.exitWaiters;
    annex.exitWaiters = [];
    if (annex.isKept) {
      this.status = ActorStatus.suspended;
      this.mailbox.reopen();
    } else {
      this.die(reason);
    }
    annex.owner?.exited(reason);
    for (const waiter of waiters) waiter(reason);
  }

  /** The actor is dead for good: what waits for it is told, what it held is given back. */
  private die(reason: ExitReason): void {
    const { host, mailbox } = this;
    const annex = this.annexed();
    this.status = ActorStatus.stopped;
    annex.previousExit = reason;
    mailbox.close();
    while (mailbox.length > 0) this.lost(mailbox.take(), 'left', 'E_ACTOR_STOPPED');
    mailbox.release();
    annex.asks?.failAll(() => askRefused('E_ACTOR_STOPPED', this.path));
    host.counters.ended++;
    if (this.options.name !== undefined) host.registry.release(this.options.name, this);
    this.family.remove(this);
    const { listeners } = annex;
    annex.listeners = undefined;
    if (listeners !== undefined) for (const listener of listeners) listener(reason);
    this.family.owner?.childEnded();
  }

  protected terminateFailed(thrown: unknown): void {
    this.host.counters.terminateFailures++;
    this.log('error', 'terminate failed', { error: toWire(thrown) });
  }

  /** Its own promise wakes it from here; a kill that was raised while its code was on the stack is served first. */
  protected awaitOwn(): boolean {
    this.activity = Activity.awaiting;
    const by = this.mailbox.takeKill();
    if (by === undefined) return true;
    this.killNow(by);
    return false;
  }
}
