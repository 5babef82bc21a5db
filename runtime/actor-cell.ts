/**
 * An actor in this thread: how it begins and how it runs.
 *
 * The cell is its own ref, which saves an object per actor and a hop per message; whoever holds it as `ActorRef` sees
 * only that. Its layers, to be read in this order: local-ref.ts (what others do with it), local-incarnation.ts (what one
 * incarnation holds), ending-cell.ts (how it ends), this. Not a supervisor: when an incarnation ends, the reason goes to
 * the owner, if there is one, and ref and mailbox are kept until the next start.
 * Invariants: callbacks of one actor never overlap; every settle is checked against the generation, so an old incarnation
 * changes nothing; `run` never throws.
 */
import type { ActorFactory, ActorInstance, SpawnOptions } from './actor.ts';
import { IncarnationContext } from './actor-context.ts';
import type { ContextCell } from './actor-context.ts';
import type { ActorRef, AnyRef } from './actor-ref.ts';
import type { ActorSignal } from './actor-signal.ts';
import { ActorStatus, statusName } from './actor-status.ts';
import type { ActorStatusName } from './actor-status.ts';
import { TimerTicket } from './actor-timers.ts';
import { assert } from './assert.ts';
import type { IncarnationOwner } from './cell-annex.ts';
import { CellFamily } from './cell-family.ts';
import type { CellHost } from './cell-host.ts';
import { EndingCell } from './ending-cell.ts';
import type { Family } from './ending-cell.ts';
import { CodedError } from './errors.ts';
import type { ExitReason } from './exit-reason.ts';
import { START_TIMEOUT_MS_DEFAULT, STOP_DEADLINE_MS_DEFAULT } from './limits.ts';
import { Activity } from './local-ref.ts';
import { checkedSpawnOptions } from './spawn-options.ts';
import { isThenable } from './thenable.ts';

const SHUTDOWN: ExitReason = { kind: 'shutdown' };

export class ActorCell<M> extends EndingCell<M> implements ContextCell<M> {
  messagesHandled = 0;
  private readonly factory: ActorFactory<M>;
  private readonly anonymousId: number;

  constructor(host: CellHost, family: Family, factory: ActorFactory<M>, options: SpawnOptions) {
    super(host, family, options);
    this.factory = factory;
    host.admitActor();
    if (options.name === undefined) {
      this.anonymousId = host.nextAnonymousId();
    } else {
      this.anonymousId = 0;
      host.registry.register(options.name, this);
    }
    host.counters.spawned++;
    family.add(this);
  }

  get path(): string {
    return `${this.family.owner?.path ?? ''}/${this.options.name ?? `$${this.anonymousId}`}`;
  }

  get statusName(): ActorStatusName {
    return statusName(this.status);
  }

  // ---- An incarnation begins -----------------------------------------------------------------------------------

  /** Begins an incarnation, soon. Only when there is none. */
  start(): void {
    assert(
      this.status === ActorStatus.unstarted || this.status === ActorStatus.suspended,
      'an actor starts only when it has no incarnation',
    );
    this.status = ActorStatus.starting;
    this.schedule();
  }

  /** Makes this a cell that outlives its incarnations; `owner` hears of each. Before the first start. */
  keepFor(owner: IncarnationOwner): void {
    assert(this.status === ActorStatus.unstarted, 'a cell gets its owner before its first start');
    const annex = this.annexed();
    annex.owner = owner;
    annex.isKept = true;
  }

  /** Starts the next incarnation of a kept cell. */
  startIncarnation(epoch: number, previousExit: ExitReason | undefined): void {
    const annex = this.annexed();
    annex.epoch = epoch;
    annex.previousExit = previousExit ?? annex.previousExit;
    if (this.status === ActorStatus.suspended) this.host.counters.restarted++;
    this.start();
  }

  private begin(): void {
    const generation = ++this.generation;
    const context = new IncarnationContext<M>(
      this,
      generation,
      this.annex?.epoch ?? 1,
      this.annex?.previousExit,
    );
    let made: ActorInstance<M> | Promise<ActorInstance<M>>;
    try {
      made = this.factory(context);
    } catch (thrown) {
      this.failed(thrown);
      return;
    }
    if (!isThenable(made)) {
      this.began(made);
      return;
    }
    made.then(
      (instance) => {
        if (this.generation === generation) this.began(instance);
        else this.disposeLate(instance);
      },
      (thrown: unknown) => {
        if (this.generation === generation) this.failed(thrown);
        else this.host.counters.staleSettles++;
      },
    );
    if (!this.awaitOwn()) return;
    const timeoutMs = this.options.startTimeoutMs ?? START_TIMEOUT_MS_DEFAULT;
    this.annexed().cancelStartDeadline = this.clock.after(timeoutMs, () => this.hung(timeoutMs, 'its start'));
  }

  private began(instance: ActorInstance<M>): void {
    this.annex?.cancelStartDeadline?.();
    if (typeof instance?.handle !== 'function') {
      this.failed(
        new CodedError('E_INSTANCE_INVALID', 'a factory returns an object with a handle function', {
          kind: 'defect',
        }),
      );
      return;
    }
    this.instance = instance;
    this.status = ActorStatus.running;
    this.annex?.owner?.started();
    this.resume();
  }

  /** A factory that settled after its start was given up: what it made holds things that nobody else will give back. */
  private disposeLate(instance: ActorInstance<M>): void {
    this.host.counters.staleSettles++;
    const reason: ExitReason = { kind: 'killed', by: 'its start had been given up' };
    try {
      const pending = instance.terminate?.(reason);
      if (isThenable(pending)) pending.then(undefined, (thrown: unknown) => this.terminateFailed(thrown));
    } catch (thrown) {
      this.terminateFailed(thrown);
    }
  }

  // ---- It runs -------------------------------------------------------------------------------------------------

  /** One turn: urgent lanes first, then at most `budget` messages. */
  run(budget: number): number {
    // A cell killed or restarted while it stood in the queue may stand there still.
    if (this.activity !== Activity.queued) return 0;
    this.activity = Activity.onStack;
    const { mailbox } = this;
    let handled = 0;
    for (;;) {
      if (mailbox.urgent > 0) {
        if (this.serveUrgent()) continue;
        break;
      }
      const { instance } = this;
      if (instance === undefined) {
        this.begin();
        break;
      }
      if (mailbox.length === 0) {
        this.ranEmpty();
        break;
      }
      if (handled === budget) {
        this.schedule();
        break;
      }
      let message = mailbox.take();
      if (this.annex !== undefined && message instanceof TimerTicket) {
        if (this.annex.timers?.redeem(message) !== true) continue;
        message = message.message as M;
      }
      handled++;
      let pending: unknown;
      try {
        pending = instance.handle(message);
      } catch (thrown) {
        this.inHand = message;
        this.failed(thrown);
        break;
      }
      if (pending !== undefined && isThenable(pending)) {
        this.awaitHandler(pending, message);
        break;
      }
    }
    this.messagesHandled += handled;
    this.host.counters.messagesHandled += handled;
    return handled;
  }

  private ranEmpty(): void {
    if (this.status === ActorStatus.draining) {
      this.end(this.annexed().exitReason ?? SHUTDOWN);
      return;
    }
    this.mailbox.release();
    this.activity = Activity.idle;
  }

  /** Serves one entry of the lanes above messages; false when this turn is over. */
  private serveUrgent(): boolean {
    const urgent = this.mailbox.takeUrgent();
    assert(urgent !== undefined, 'a counted urgent entry is there');
    switch (urgent.lane) {
      case 'signal':
        this.killNow(urgent.by);
        return false;
      case 'stop':
        if (urgent.request.drain && this.instance !== undefined) {
          this.status = ActorStatus.draining;
          this.annexed().exitReason = urgent.request.reason;
          this.mailbox.close();
          return true;
        }
        this.end(urgent.request.reason);
        return false;
      case 'supervision':
        return this.deliverSignal(urgent.signal);
    }
  }

  private deliverSignal(signal: ActorSignal): boolean {
    // Unwatched since: the signal was on its way and is not wanted any more.
    if (this.annex?.watches?.delete(signal.ref) !== true) return true;
    this.host.counters.signalsHandled++;
    try {
      const pending = this.instance?.onSignal?.(signal);
      if (!isThenable(pending)) return true;
      this.awaitHandler(pending, undefined);
    } catch (thrown) {
      this.failed(thrown);
    }
    return false;
  }

  private awaitHandler(pending: PromiseLike<unknown>, message: M | undefined): void {
    this.inHand = message;
    const { generation } = this;
    pending.then(
      () => {
        if (this.generation === generation) this.handlerSettled();
        else this.host.counters.staleSettles++;
      },
      (thrown: unknown) => {
        if (this.generation === generation) this.failed(thrown);
        else this.host.counters.staleSettles++;
      },
    );
    if (!this.awaitOwn()) return;
    if (this.options.handlerTimeoutMs === undefined) return;
    const annex = this.annexed();
    annex.handlerSinceMs = this.clock.monotonicMs();
    if (annex.handlerDeadline === undefined) this.armHandlerDeadline(this.options.handlerTimeoutMs);
  }

  private handlerSettled(): void {
    this.inHand = undefined;
    if (this.annex !== undefined) this.annex.handlerSinceMs = undefined;
    this.resume();
  }

  private resume(): void {
    const { mailbox } = this;
    if (mailbox.length > 0 || mailbox.urgent > 0 || this.status === ActorStatus.draining) this.schedule();
    else this.activity = Activity.idle;
  }

  // ---- What its context does for it ----------------------------------------------------------------------------

  spawnChild<C>(factory: ActorFactory<C>, options: SpawnOptions | undefined): ActorRef<C> {
    if (this.status >= ActorStatus.stopping) {
      throw new CodedError('E_ACTOR_STOPPED', `${this.path} is stopping and starts no child`, {
        kind: 'defect',
      });
    }
    const family = (this.children ??= new CellFamily(this));
    const child = new ActorCell<C>(this.host, family, factory, checkedSpawnOptions(options));
    child.start();
    return child;
  }

  stopChild(child: AnyRef, deadlineMs = STOP_DEADLINE_MS_DEFAULT): Promise<ExitReason> {
    if (child instanceof ActorCell && child.family.owner === this) return child.stop(deadlineMs);
    return Promise.reject(
      new CodedError('E_NOT_A_CHILD', `${child.path} is not a child of ${this.path}`, { kind: 'defect' }),
    );
  }
}
