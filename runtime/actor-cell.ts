/**
 * An actor in this thread: how it begins and how it runs.
 *
 * The cell is its own ref, which saves an object per actor and a hop per message; whoever holds it as `ActorRef` sees
 * only that. Its layers, to be read in this order: local-ref.ts (what others do with it), local-incarnation.ts (what one
 * incarnation holds), ending-cell.ts (how it ends), operated-cell.ts (what an operator does to it), this. Not a
 * supervisor: when an incarnation ends, the reason goes to the owner, if there is one, and ref and mailbox are kept until
 * the next start.
 * Invariants: callbacks of one actor never overlap; every settle is checked against the generation, so an old incarnation
 * changes nothing; `run` never throws.
 */
import type { ActorFactory, ActorInstance, SpawnOptions } from './actor.ts';
import { IncarnationContext } from './actor-context.ts';
import type { ContextCell } from './actor-context.ts';
import type { ActorRef, AnyRef } from './actor-ref.ts';
import type { ActorSignal } from './actor-signal.ts';
import { ActorStatus } from './actor-status.ts';
import { assert } from './assert.ts';
import type { CellAnnex, IncarnationOwner } from './cell-annex.ts';
import { CellFamily } from './cell-family.ts';
import type { CellHost } from './cell-host.ts';
import { messageTypeOf } from './dead-letters.ts';
import type { Family } from './ending-cell.ts';
import { Envelope, messageIn, NOTHING } from './envelope.ts';
import type { Nothing } from './envelope.ts';
import { CodedError } from './errors.ts';
import { describeExit } from './exit-reason.ts';
import type { ExitReason } from './exit-reason.ts';
import { START_TIMEOUT_MS_DEFAULT, STOP_DEADLINE_MS_DEFAULT } from './limits.ts';
import { linked } from './links.ts';
import { Activity } from './local-ref.ts';
import type { StopRequest } from './mailbox.ts';
import { OperatedCell } from './operated-cell.ts';
import { Redelivery } from './redelivery.ts';
import { Recorded } from './shared/black-box.ts';
import { checkedSpawnOptions, checkFactory } from './spawn-options.ts';
import type { ActorFacts } from './system-view.ts';
import { isThenable, promiseOf } from './thenable.ts';

const SHUTDOWN: ExitReason = { kind: 'shutdown' };

export class ActorCell<M> extends OperatedCell<M> implements ContextCell<M> {
  messagesHandled = 0;
  /** Given up at the first begin of an actor that will have no second: an idle actor does not hold it. */
  private factory: ActorFactory<M> | undefined;
  private readonly anonymousId: number;

  constructor(host: CellHost, family: Family, factory: ActorFactory<M>, options: SpawnOptions) {
    super(host, family, options);
    checkFactory(factory);
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

  facts(): ActorFacts {
    const { annex, clock, inHand, mailbox } = this;
    const { handlerSinceMs, previousExit } = annex ?? {};
    const sinceMs =
      handlerSinceMs === undefined ? undefined : clock.wallMs() - (clock.monotonicMs() - handlerSinceMs);
    const stashed = annex?.stash?.length ?? 0;
    return {
      path: this.path,
      status: this.statusName,
      ...this.suspension,
      epoch: annex?.epoch ?? 1,
      messagesHandled: this.messagesHandled,
      waiting: this.waiting,
      ...(stashed === 0 ? {} : { stashed }),
      capacity: mailbox.capacity,
      overflow: mailbox.overflow,
      waitingSenders: mailbox.waitingSenders,
      ...(inHand === NOTHING
        ? {}
        : {
            current: {
              messageType: messageTypeOf(messageIn(inHand)),
              ...(sinceMs === undefined ? {} : { sinceMs }),
            },
          }),
      watches: annex?.watches?.size ?? 0,
      watchers: annex?.listeners?.size ?? 0,
      timers: annex?.timers?.size ?? 0,
      asks: annex?.asks?.size ?? 0,
      ...(previousExit === undefined ? {} : { previousExit: describeExit(previousExit) }),
    };
  }

  // ---- An incarnation begins -----------------------------------------------------------------------------------

  /** Begins an incarnation, soon. Only when there is none. */
  start(): void {
    assert(
      this.status === ActorStatus.unstarted || this.status === ActorStatus.down,
      'an actor starts only when it has no incarnation',
    );
    this.status = ActorStatus.starting;
    if (this.host.blackBox !== undefined) this.record(this.host.blackBox);
    this.schedule();
  }

  /** Makes this a cell that outlives its incarnations; `owner` hears of each. Before the first start. */
  keepFor(owner: IncarnationOwner): void {
    assert(this.status === ActorStatus.unstarted, 'a cell gets its owner before its first start');
    const annex = this.annexed();
    annex.owner = owner;
    annex.isKept = true;
    const { redelivery } = this.options;
    if (redelivery === undefined) return;
    annex.redelivery = new Redelivery<M>(redelivery);
    annex.isWatched = true;
  }

  /** Starts the next incarnation of a kept cell. */
  startIncarnation(epoch: number, previousExit: ExitReason | undefined): void {
    const annex = this.annexed();
    annex.epoch = epoch;
    annex.previousExit = previousExit ?? annex.previousExit;
    if (this.status === ActorStatus.down) this.host.counters.restarted++;
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
    const { factory } = this;
    assert(factory !== undefined, 'only a kept actor begins more than once');
    if (this.annex?.isKept !== true) this.factory = undefined;
    let made: ActorInstance<M> | Promise<ActorInstance<M>>;
    try {
      made = factory(context);
    } catch (thrown) {
      this.failed(thrown);
      return;
    }
    if (!isThenable(made)) {
      this.began(made);
      return;
    }
    promiseOf(made).then(
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
    if (this.annex !== undefined) this.announceStart(this.annex);
    this.resume();
  }

  private announceStart({ recorder, owner, redelivery }: CellAnnex<M>): void {
    recorder?.end(Recorded.handled);
    owner?.started();
    redelivery?.waitUntilDue(this.clock, () => {
      if (this.activity === Activity.idle) this.schedule();
    });
  }

  /** A factory that settled after its start was given up: what it made holds things that nobody else will give back. */
  private disposeLate(instance: ActorInstance<M>): void {
    this.host.counters.staleSettles++;
    const reason: ExitReason = { kind: 'killed', by: 'its start had been given up' };
    try {
      const pending = instance.terminate?.(reason);
      if (isThenable(pending)) promiseOf(pending).catch((thrown: unknown) => this.terminateFailed(thrown));
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
    if (this.annex !== undefined && this.annex.isWatched) return this.runWatched(budget);
    const { mailbox } = this;
    let handled = 0;
    /** Handled last in this turn. */
    let message: M | undefined;
    for (;;) {
      if (mailbox.urgent > 0) {
        // Its handler has just ended well, and wants it stashed.
        if (this.annex?.stash?.wantsInHand === true) this.keepStashed(message as M);
        else if (!this.serveUrgent()) break;
        continue;
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
      message = mailbox.take();
      if (this.annex !== undefined && Envelope.isOne(message)) {
        if (!message.open()) continue;
        handled++;
        if (this.handOver(instance, message, false)) continue;
        break;
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

  /** As `run`, with each message accounted for. Apart from it, since these few checks make the other measurably slower. */
  private runWatched(budget: number): number {
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
      if (handled === budget && this.waiting > 0) {
        this.schedule();
        break;
      }
      const entry = this.takeWatched();
      if (entry === NOTHING) {
        this.ranEmpty();
        break;
      }
      if (Envelope.isOne(entry) && !entry.open()) {
        this.annex?.redelivery?.forget();
        continue;
      }
      handled++;
      if (!this.handOver(instance, entry, handled > 1)) break;
    }
    this.messagesHandled += handled;
    this.host.counters.messagesHandled += handled;
    return handled;
  }

  /** The message held for this incarnation, else the next one; nothing when there is none, or when it has to wait. */
  private takeWatched(): M | Nothing {
    const redelivery = this.annex?.redelivery;
    if (redelivery?.isHolding === true) {
      if (redelivery.isWaiting) return NOTHING;
      this.host.counters.redelivered++;
      return redelivery.take();
    }
    return this.mailbox.length === 0 ? NOTHING : this.mailbox.take();
  }

  /** Hands over a message that comes in its envelope, or whose actor is watched. False when this turn is over. */
  private handOver(instance: ActorInstance<M>, entry: M, goesOn: boolean): boolean {
    const message = messageIn(entry) as M;
    this.annex?.recorder?.begin(messageTypeOf(message), this.mailbox.length, goesOn);
    let pending: unknown;
    try {
      pending = instance.handle(message);
    } catch (thrown) {
      this.inHand = entry;
      this.failed(thrown);
      return false;
    }
    if (isThenable(pending)) {
      this.awaitHandler(pending, entry);
      return false;
    }
    this.handledInHand(entry);
    return true;
  }

  private ranEmpty(): void {
    if (this.status === ActorStatus.draining && this.waiting === 0) {
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
        if (urgent.request.drain && this.canDrain) return this.drain(urgent.request);
        this.end(urgent.request.reason);
        return false;
      case 'hold':
        if (this.instance !== undefined) return this.tellHold(urgent.isHeld, this.instance);
        this.mailbox.holdIsUntold();
        this.begin();
        return false;
      case 'supervision':
        if (this.instance !== undefined) return this.deliverSignal(urgent.signal);
        this.mailbox.raiseSignal(urgent.signal);
        this.begin();
        return false;
      case 'held':
        this.activity = Activity.idle;
        return false;
    }
  }

  private drain(request: StopRequest): boolean {
    this.mailbox.close();
    if (this.instance === undefined) {
      this.mailbox.raiseStop(request);
      this.begin();
      return false;
    }
    this.status = ActorStatus.draining;
    this.annexed().exitReason = request.reason;
    return true;
  }

  private deliverSignal(signal: ActorSignal): boolean {
    const annex = this.annexed();
    // Unwatched or unlinked since: the signal was on its way and is not wanted any more.
    const isWanted =
      signal.type === 'terminated' ? annex.watches?.delete(signal.ref) : annex.links?.broken.delete(signal);
    if (isWanted !== true) return true;
    if (signal.type === 'linkBroken' && !this.trapsExits) {
      this.failed(linked(signal.ref.path, signal.reason));
      return false;
    }
    this.host.counters.signalsHandled++;
    return this.callAside('a signal', () => this.instance?.onSignal?.(signal));
  }

  private tellHold(isHeld: boolean, instance: ActorInstance<M>): boolean {
    const { hold } = this.annexed();
    if (hold !== undefined) hold.isBeingTold = true;
    const what = isHeld ? 'suspend' : 'resume';
    const isSettled = this.callAside(what, () => instance[what]?.());
    if (isSettled) this.holdIsTold();
    return isSettled;
  }

  /** A callback that handles no message; true when it has settled well already. */
  private callAside(what: string, callback: () => unknown): boolean {
    const annex = this.annexed();
    annex.recorder?.begin(what, this.mailbox.length, false);
    annex.isAside = true;
    let pending: unknown;
    try {
      pending = callback();
    } catch (thrown) {
      annex.isAside = false;
      this.failed(thrown);
      return false;
    }
    annex.isAside = false;
    if (!isThenable(pending)) {
      annex.recorder?.end(Recorded.handled);
      return true;
    }
    this.awaitHandler(pending, NOTHING);
    return false;
  }

  private awaitHandler(pending: PromiseLike<unknown>, entry: M | Nothing): void {
    this.inHand = entry;
    const { generation } = this;
    promiseOf(pending).then(
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
    const entry = this.inHand;
    this.inHand = NOTHING;
    const { annex } = this;
    if (annex !== undefined) {
      annex.handlerSinceMs = undefined;
      if (entry === NOTHING) annex.recorder?.end(Recorded.handled);
      else this.handledInHand(entry);
      if (annex.hold?.isBeingTold === true) this.holdIsTold();
    }
    this.resume();
  }

  private resume(): void {
    const { mailbox } = this;
    const isWanted = mailbox.length > 0 || mailbox.urgent > 0 || this.status === ActorStatus.draining;
    if (isWanted || this.annex?.redelivery?.isHolding === true) this.schedule();
    else this.activity = Activity.idle;
  }

  // ---- What its context does for it ----------------------------------------------------------------------------

  spawnChild<C>(factory: ActorFactory<C>, options: SpawnOptions | undefined): ActorRef<C> {
    if (this.status >= ActorStatus.stopping) {
      throw new CodedError('E_ACTOR_STOPPED', `${this.path} is stopping and starts no child`, {
        kind: 'defect',
      });
    }
    this.admitLevelBelow();
    const family = (this.annexed().children ??= new CellFamily(this));
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
