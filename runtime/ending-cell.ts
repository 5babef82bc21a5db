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
import { NOTHING } from './envelope.ts';
import { CodedError, toWire } from './errors.ts';
import { describeExit, isAbnormal } from './exit-reason.ts';
import type { ExitReason } from './exit-reason.ts';
import { ACTOR_DEPTH_MAX } from './limits.ts';
import { LocalIncarnation } from './local-incarnation.ts';
import { Activity } from './local-ref.ts';
import { askRefused } from './pending-asks.ts';
import { Recorded } from './shared/black-box.ts';
import { stopDeadlineFault } from './stop-deadline.ts';
import type { ActorFacts } from './system-view.ts';
import { isThenable, promiseOf } from './thenable.ts';

/** The children of an actor, or the top-level actors of a system (no owner). */
export type Family = CellFamily<EndingCell<unknown>, EndingCell<unknown> | undefined>;

const SHUTDOWN: ExitReason = { kind: 'shutdown' };
const NORMAL: ExitReason = { kind: 'normal' };

export abstract class EndingCell<M> extends LocalIncarnation<M> implements FamilyMember {
  elder: this | undefined = undefined;
  younger: this | undefined = undefined;
  protected status: ActorStatus = ActorStatus.unstarted;
  protected instance: ActorInstance<M> | undefined = undefined;
  protected readonly family: Family;

  constructor(host: CellHost, family: Family, options: SpawnOptions) {
    super(host, options);
    this.family = family;
  }

  protected get isEnding(): boolean {
    return this.status >= ActorStatus.stopping;
  }

  /** What it says of itself, as plain data. */
  abstract facts(): ActorFacts;

  get descendants(): Family | undefined {
    return this.annex?.children;
  }

  protected get isServing(): boolean {
    return this.status === ActorStatus.running || this.status === ActorStatus.draining;
  }

  protected get trapsExits(): boolean {
    if (this.options.trapExits !== true) return false;
    return this.instance === undefined || this.instance.onSignal !== undefined;
  }

  get isDead(): boolean {
    return this.status === ActorStatus.stopped;
  }

  /** No incarnation will follow the present one; without one the actor is dead at once. Safe to call again. */
  abandon(reason: ExitReason): void {
    const { annex } = this;
    if (annex === undefined || !annex.isKept) return;
    annex.isKept = false;
    const hasNone = this.status === ActorStatus.down || this.status === ActorStatus.unstarted;
    if (hasNone) this.die(annex.previousExit ?? reason);
  }

  /**
   * Asks the present incarnation to end, and kills it at the deadline. Settles when it has ended. Safe to call again.
   * Errors: `E_OPTIONS_INVALID` (rejection).
   */
  stop(deadlineMs: number, drain = false): Promise<ExitReason> {
    const fault = stopDeadlineFault(deadlineMs);
    if (fault !== undefined) return Promise.reject(fault);
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

  /** What is held back cannot be drained, and an actor that has not begun begins only for what waits. */
  protected get canDrain(): boolean {
    return !this.mailbox.isHeld && (this.instance !== undefined || this.waiting > 0);
  }

  /** Ends the present incarnation at once; while its code is on the stack, as soon as that returns. */
  kill(by: string): void {
    if (this.activity === Activity.parked) return;
    if (this.activity === Activity.onStack) this.mailbox.raiseKill(by);
    else this.killNow(by);
  }

  protected failed(thrown: unknown): void {
    this.endAbnormally(this.chargedReason({ kind: 'failed', error: toWire(thrown) }));
  }

  protected hung(silentMs: number, doing: string): void {
    // From here on the handler that hangs is stale: whatever it still does or returns is ignored.
    this.generation++;
    this.instance = undefined;
    this.endAbnormally(this.chargedReason({ kind: 'hung', silentMs, doing }));
  }

  protected endAbnormally(reason: ExitReason): void {
    this.host.counters.failed++;
    this.annex?.recorder?.end(reason.kind === 'hung' ? Recorded.hung : Recorded.failed);
    this.log('error', describeExit(reason), { reason });
    this.endInHand('failed', reason);
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

  /**
   * The end of a chain of actors runs through all its levels on one stack, so there is a bound. Counted at each spawn: kept
   * in each actor it would cost each its bytes. Throws `E_ACTORS_TOO_DEEP`.
   */
  protected admitLevelBelow(): void {
    let depth = 1;
    for (let { owner } = this.family; owner !== undefined; owner = owner.family.owner) depth++;
    if (depth < ACTOR_DEPTH_MAX) return;
    throw new CodedError('E_ACTORS_TOO_DEEP', `an actor has at most ${ACTOR_DEPTH_MAX - 1} above it`, {
      kind: 'defect',
      mend: 'Find what spawns a child in every child. Actors that only talk to one another need not be nested.',
    });
  }

  private endChildrenThenSelf(): void {
    const child = this.annex?.children?.youngest;
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
    this.annex?.recorder?.begin('a stop', this.mailbox.length, false);
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
    promiseOf(pending).then(
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
    let child = this.annex?.children?.youngest;
    while (child !== undefined) {
      // A child whose code is on the stack ends when that returns, so the list is walked and not emptied.
      const next: EndingCell<unknown> | undefined = child.elder;
      child.kill(`its parent was killed: ${by}`);
      child = next;
    }
    const annex = this.annexed();
    annex.recorder?.end(Recorded.killed);
    const before = annex.exitReason;
    // A failure that was being cleaned up stays what it was: the cut-off only ended the clean-up.
    if (before !== undefined && isAbnormal(before)) {
      this.host.counters.terminateFailures++;
    } else {
      annex.exitReason = { kind: 'killed', by };
      this.host.counters.killed++;
      this.endInHand('killed', annex.exitReason);
    }
    this.finish();
  }

  /** The incarnation is over: nothing of it counts any more. */
  private finish(): void {
    const annex = this.annexed();
    const reason = annex.exitReason ?? NORMAL;
    annex.recorder?.end(Recorded.handled);
    this.generation++;
    this.instance = undefined;
    this.inHand = NOTHING;
    this.activity = Activity.parked;
    annex.previousExit = reason;
    annex.exitReason = undefined;
    this.dropIncarnation();
    if (annex.stash !== undefined && annex.stash.length > 0) this.mailbox.putBack(annex.stash.takeAll());
    this.cancelDeadlines();
    annex.abortController?.abort();
    annex.abortController = undefined;
    this.mailbox.clearUrgent();
    this.settleHold(reason);
    const waiters = annex.exitWaiters;
    annex.exitWaiters = [];
    if (annex.isKept) {
      this.status = ActorStatus.down;
      this.mailbox.reopen();
      this.breakLinks(reason, false);
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
    annex.recorder?.close();
    annex.recorder = undefined;
    annex.previousExit = reason;
    mailbox.close();
    const held = annex.redelivery?.giveBack() ?? NOTHING;
    if (held !== NOTHING) this.lost(held, 'left', 'E_ACTOR_STOPPED');
    while (mailbox.length > 0) this.lost(mailbox.take(), 'left', 'E_ACTOR_STOPPED');
    mailbox.release();
    annex.asks?.failAll(() => askRefused('E_ACTOR_STOPPED', this.path));
    this.breakLinks(reason, true);
    host.counters.ended++;
    if (this.options.name !== undefined) host.registry.release(this.options.name, this);
    this.family.remove(this);
    const { listeners } = annex;
    annex.listeners = undefined;
    if (listeners !== undefined) for (const listener of listeners) listener(reason);
    this.family.owner?.childEnded();
  }

  /** The incarnation has ended, and with it what an operator has begun with it, or not. */
  protected abstract settleHold(reason: ExitReason): void;

  protected terminateFailed(thrown: unknown): void {
    this.host.counters.terminateFailures++;
    this.annex?.recorder?.end(Recorded.failed);
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
