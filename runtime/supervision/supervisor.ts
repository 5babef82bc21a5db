/**
 * Keeps its children running: starts them in order, restarts by strategy, stops in reverse order, and gives up when
 * restarts come too often, so that whoever stands above decides.
 *
 * It knows only RunningChild, so it holds actors, threads, processes and other supervisors alike, and is itself a
 * RunningChild. It does no work of its own that could fail. Invariants: children are started in order and stopped in
 * reverse order; one failure is one restart in the window, whoever dies with it; a stop is heard at every moment; after
 * `exited` has settled no child runs. What one child costs does not grow with the number of its siblings, unless they
 * share its fate.
 */
import { sleep, systemClock } from '../clock.ts';
import type { Clock } from '../clock.ts';
import { toWire } from '../errors.ts';
import type { CodedError } from '../errors.ts';
import { isAbnormal } from '../exit-reason.ts';
import type { ExitReason } from '../exit-reason.ts';
import type { RunningChild, TreePlace } from '../placement.ts';
import { stopDeadlineFault } from '../stop-deadline.ts';
import { CHILDREN_PER_SUPERVISOR_MAX } from '../limits.ts';
import { endsSupervisor } from './auto-shutdown.ts';
import { checkChildSpec, checkSupervisorSpec } from './child-spec.ts';
import type { ChildSpec, SupervisorSpec } from './child-spec.ts';
import { childFromTemplate } from './child-template.ts';
import { OperatedSupervisor } from './operated-supervisor.ts';
import { RestartIntensity } from './restart-intensity.ts';
import { planRestart } from './restart-strategy.ts';
import { SupervisedChild } from './supervised-child.ts';
import {
  childrenFull,
  childStartFailed,
  noTemplate,
  restartIntensityExceeded,
  supervisorStopped,
} from './supervisor-errors.ts';
import type { TreeListener } from './tree-event.ts';
import { TreeEvents } from './tree-events.ts';
import type { ChildView, SupervisorStatus, SupervisorView } from './tree-view.ts';

export interface SupervisorOptions {
  clock?: Clock;
  /** Uniform in [0, 1), for the jitter. */
  random?: () => number;
  /** A listener from the first moment on; more by `observe`. */
  onEvent?: TreeListener;
  /** Where it stands in a tree whose upper part runs elsewhere; a child of a supervisor is told so when it is started. */
  tree?: TreePlace | undefined;
}

/** What only a parent supervisor sets (supervisor-child.ts). */
export interface NestedOptions {
  epoch: number;
  /** Goes on rising over the incarnations of this supervisor, so that no child's epoch ever comes twice. */
  epochs: { last: number };
  /** As well, for the names of children made from a template. */
  names: { last: number };
}

/** One restart in progress: of one child, or of the group that shares its fate. */
interface Recovery {
  /** Nothing has been started since the failure: whatever dies now dies of the same failure. */
  isSameFailure: boolean;
  wake: () => void;
  done: Promise<void>;
}

export class Supervisor<Args = unknown> extends OperatedSupervisor implements RunningChild {
  readonly epoch: number;
  readonly exited: Promise<ExitReason>;
  readonly path: string;
  private readonly spec: SupervisorSpec<Args>;
  private readonly clock: Clock;
  private readonly random: () => number;
  private readonly nested: NestedOptions | undefined;
  private readonly epochs: { last: number };
  private readonly names: { last: number };
  protected readonly events: TreeEvents;
  private readonly intensity: RestartIntensity;
  private readonly exit = Promise.withResolvers<ExitReason>();
  /** By child under `oneForOne`; one for all, under `undefined`, with the other strategies. */
  private readonly recoveries = new Map<SupervisedChild | undefined, Recovery>();
  /** Rises whenever children are marked to be stopped or started. */
  private marks = 0;
  /** Aborted when a kill leaves no time to wait for a start in progress. */
  private readonly hurry = new AbortController();
  private statusNow: SupervisorStatus = 'unstarted';
  private ending: Promise<void> | undefined = undefined;

  /** Errors: `E_CHILD_SPEC_INVALID` with every fault of the spec. */
  constructor(spec: SupervisorSpec<Args>, options: SupervisorOptions = {}, nested?: NestedOptions) {
    super();
    checkSupervisorSpec(spec);
    this.spec = spec;
    this.clock = options.clock ?? systemClock;
    this.random = options.random ?? Math.random;
    this.nested = nested;
    this.epoch = nested?.epoch ?? 1;
    this.epochs = nested?.epochs ?? { last: 0 };
    this.names = nested?.names ?? { last: 0 };
    this.path = options.tree?.path ?? spec.id;
    this.events = new TreeEvents(this.path, this.clock, options.tree?.emit);
    this.exited = this.exit.promise;
    this.intensity = new RestartIntensity(spec.intensity);
    for (const child of spec.children) this.superviseNew(child);
    if (options.onEvent !== undefined) this.observe(options.onEvent);
  }

  get status(): SupervisorStatus {
    return this.statusNow;
  }

  get hasEnded(): boolean {
    return this.statusNow === 'ended';
  }

  /**
   * Starts the children in order. When one cannot start, those before it are stopped in reverse order and this rejects
   * with `E_CHILD_START_FAILED` (cause: why). When a stop comes first: `E_SUPERVISOR_STOPPED`.
   */
  async start(): Promise<void> {
    if (this.status !== 'unstarted') throw this.notRunning('start');
    this.statusNow = 'starting';
    for (const child of [...this.children.values()]) {
      if (child.isRemoved) continue;
      const failure = await this.startNow(child);
      if (this.isEnding) {
        await this.exited;
        throw this.notRunning('start');
      }
      if (failure === undefined) continue;
      const error = this.startFailed(child, failure);
      await this.endWith({ kind: 'failed', error: toWire(error) });
      throw error;
    }
    this.statusNow = 'running';
    this.events.emit({ type: 'supervisorStarted' });
    // Who died while its younger siblings were being started is dealt with now.
    for (const child of [...this.children.values()]) {
      if (this.isEnding) return;
      if (child.running === undefined && child.previousExit !== undefined)
        this.recover(child, child.previousExit);
    }
  }

  /**
   * Stops every child, the last first, each within its own deadline; all are killed when `deadlineMs` has passed.
   * Errors: `E_OPTIONS_INVALID` (rejection).
   */
  stop(deadlineMs: number): Promise<ExitReason> {
    const fault = stopDeadlineFault(deadlineMs);
    if (fault !== undefined) return Promise.reject(fault);
    const cancel = this.clock.after(deadlineMs, () => this.killChildren(`${this.path} did not stop in time`));
    void this.exited.then(cancel);
    void this.endWith({ kind: 'shutdown' });
    return this.exited;
  }

  kill(by: string): void {
    void this.endWith({ kind: 'killed', by });
    this.killChildren(by);
  }

  /**
   * Adds a child at the end of the order and starts it. Its id is taken from this call on, until it is forgotten.
   * Errors: `E_CHILD_SPEC_INVALID`, `E_CHILDREN_FULL`, `E_CHILD_START_FAILED` (then it is not added),
   * `E_SUPERVISOR_STOPPED`.
   */
  async addChild(spec: ChildSpec): Promise<void> {
    this.checkRoom();
    checkChildSpec(spec, this.children, this.spec.autoShutdown);
    await this.addAndStart(this.superviseNew(spec));
  }

  /**
   * Makes a child from the spec's template, at the end of the order, and starts it. Gives back its id. When it will not be
   * started again, it is forgotten. Errors: as `addChild`, and `E_TEMPLATE_MISSING`.
   */
  async startChild(args: Args): Promise<string> {
    const { template } = this.spec;
    if (template === undefined) throw noTemplate(this.path);
    this.checkRoom();
    const spec = childFromTemplate(template, args, this.path, this.names, this.children);
    await this.addAndStart(this.superviseNew(spec, true));
    return spec.id;
  }

  /** Stops a child within its deadline and forgets it. Errors: `E_CHILD_UNKNOWN`. */
  async removeChild(id: string): Promise<void> {
    const child = this.childOf(id);
    child.isRemoved = true;
    child.mustStart = false;
    this.wakeAll();
    await this.stopNow(child);
    this.forget(child, child.previousExit ?? { kind: 'shutdown' });
  }

  /**
   * Stops a child and starts it again, alone, at once, not counted. Ends a back-off wait; brings a finished child back.
   * Errors: `E_CHILD_UNKNOWN`, `E_SUPERVISOR_STOPPED`, `E_CHILD_START_FAILED` (its restart type then goes on as usual).
   */
  async restartChild(id: string): Promise<void> {
    if (this.status !== 'running') throw this.notRunning('restart a child');
    const child = this.childOf(id);
    this.marks++;
    // Also one that is only starting: it would be started a second time beside itself.
    child.mustStop = true;
    child.mustStart = true;
    child.dueMs = this.clock.monotonicMs();
    child.backoff.reset();
    await this.ensureRecovery(child).done;
    if (this.isEnding) throw this.notRunning('restart a child');
    if (child.running === undefined) throw this.startFailed(child, child.previousExit ?? { kind: 'normal' });
  }

  protected viewWith(children: ChildView[]): SupervisorView & Record<string, unknown> {
    return {
      id: this.spec.id,
      strategy: this.spec.strategy,
      status: this.statusNow,
      epoch: this.epoch,
      restartsInWindow: this.intensity.inWindow(this.clock.monotonicMs()),
      children,
    };
  }

  private startNow(child: SupervisedChild): Promise<ExitReason | undefined> {
    return child.start(++this.epochs.last);
  }

  private checkRoom(): void {
    if (this.status !== 'running') throw this.notRunning('add a child');
    const { childrenMax = CHILDREN_PER_SUPERVISOR_MAX } = this.spec;
    if (this.children.size >= childrenMax) throw childrenFull(this.path, childrenMax);
  }

  private superviseNew(spec: ChildSpec, isTransitory = false): SupervisedChild {
    const { clock, random, events } = this;
    const { id } = spec;
    const surroundings = { clock, random, tree: events.placeOf(id), isTransitory };
    const child = new SupervisedChild(spec, surroundings, {
      started: () => events.emit({ type: 'childStarted', child: id, epoch: child.epoch }),
      startFailed: (error) => events.emit({ type: 'childStartFailed', child: id, epoch: child.epoch, error }),
      exited: (reason, wasAsked) => {
        events.emit({ type: 'childExited', child: id, epoch: child.epoch, reason });
        if (this.status === 'running' && !wasAsked) this.recover(child, reason);
      },
    });
    this.children.set(id, child);
    return child;
  }

  private async addAndStart(child: SupervisedChild): Promise<void> {
    this.events.emit({ type: 'childAdded', child: child.id });
    const failure = await this.startNow(child);
    if (this.isEnding) throw this.notRunning('add a child');
    if (failure !== undefined) this.forget(child, failure);
    else if (!child.isRemoved) return;
    throw this.startFailed(child, failure ?? { kind: 'killed', by: 'it was removed again' });
  }

  private stopNow(child: SupervisedChild): Promise<void> {
    return child.stop(this.path, this.hurry.signal);
  }

  private forget(child: SupervisedChild, reason: ExitReason): void {
    child.isRemoved = true;
    // Two may have asked for it, or the supervisor has ended meanwhile and has dealt with it.
    if (this.children.get(child.id) !== child || this.hasEnded) return;
    this.children.delete(child.id);
    child.spec.start.abandon?.(reason);
    this.events.emit({ type: 'childForgotten', child: child.id });
  }

  /** A child is down that nobody asked to stop. */
  private recover(child: SupervisedChild, reason: ExitReason): void {
    if (child.isRemoved) return;
    const { restart, backoff } = child.spec;
    if (restart === 'temporary' || (restart === 'transient' && !isAbnormal(reason))) {
      this.finished(child, reason);
      return;
    }
    const isSameFailure = this.recoveryOf(child)?.isSameFailure === true;
    const isCounted = !isSameFailure && this.counts(child, reason);
    const nowMs = this.clock.monotonicMs();
    if (isCounted && !this.intensity.record(nowMs)) {
      this.giveUp(child, reason);
      return;
    }
    const waits = !isSameFailure && (backoff !== undefined || !isCounted);
    const delayMs = waits ? child.backoff.next(nowMs) : 0;
    child.dueMs = nowMs + delayMs;
    child.status = 'waiting';
    this.mark(child);
    this.events.emit({
      type: 'childRestarting',
      child: child.id,
      delayMs,
      counted: isCounted,
      restart: child.restarts + 1,
    });
    this.ensureRecovery(child).isSameFailure = true;
  }

  /** It has ended by itself and is not started again. */
  private finished(child: SupervisedChild, reason: ExitReason): void {
    if (child.spec.restart === 'temporary' || child.isTransitory) {
      this.forget(child, reason);
    } else {
      child.status = 'finished';
      child.mustStart = false;
      child.spec.start.abandon?.(reason);
    }
    if (!endsSupervisor(this.spec.autoShutdown ?? 'never', child, this.children.values())) return;
    this.events.emit({ type: 'autoShutdown', child: child.id });
    void this.endWith({ kind: 'shutdown' });
  }

  private mark(failed: SupervisedChild): void {
    this.marks++;
    if (this.spec.strategy === 'oneForOne') {
      failed.mustStart = true;
      return;
    }
    const plan = planRestart(this.spec.strategy, [...this.children.values()], failed);
    for (const child of plan.stop) child.mustStop = true;
    for (const child of plan.start) {
      // What has finished stays finished, and a temporary child is never started twice.
      if (child.status !== 'finished' && child.spec.restart !== 'temporary') child.mustStart = true;
    }
  }

  private counts(child: SupervisedChild, reason: ExitReason): boolean {
    try {
      return child.spec.countsTowardsIntensity?.(reason) ?? true;
    } catch {
      // A judgement that fails must not make restarts free of charge.
      return true;
    }
  }

  private recoveryOf(child: SupervisedChild): Recovery | undefined {
    return this.recoveries.get(this.spec.strategy === 'oneForOne' ? child : undefined);
  }

  private ensureRecovery(child: SupervisedChild): Recovery {
    const present = this.recoveryOf(child);
    if (present !== undefined) {
      present.wake();
      return present;
    }
    const key = this.spec.strategy === 'oneForOne' ? child : undefined;
    const recovery: Recovery = { isSameFailure: false, wake: () => undefined, done: Promise.resolve() };
    this.recoveries.set(key, recovery);
    recovery.done = this.carryOut(recovery, key);
    return recovery;
  }

  /** Stops what is marked, waits until all of it is due, starts it in order; marks made meanwhile are carried out too. */
  private async carryOut(recovery: Recovery, only: SupervisedChild | undefined): Promise<void> {
    // Who depends on whom may die in any order: what dies in the same turn of the event loop is one failure of the group.
    // A child alone goes on at once, as soon as the caller has made its marks.
    if (only === undefined) await new Promise<void>((resolve) => void setImmediate(resolve));
    else await Promise.resolve();
    try {
      while (this.status === 'running') {
        const members = only === undefined ? [...this.children.values()] : [only];
        const toStop = members.filter((child) => child.mustStop).reverse();
        if (toStop.length > 0) {
          await this.stopMarked(toStop);
          continue;
        }
        const toStart = members.filter((child) => child.mustStart && !child.isRemoved);
        if (toStart.length === 0) return;
        const nowMs = this.clock.monotonicMs();
        const dueMs = toStart.reduce((latest, child) => Math.max(latest, child.dueMs), nowMs);
        if (dueMs > nowMs) {
          const waiting = new AbortController();
          recovery.wake = () => waiting.abort();
          await sleep(this.clock, dueMs - nowMs, waiting.signal);
          continue;
        }
        await this.startMarked(toStart, recovery);
      }
    } finally {
      // In the same step as the last look at the marks: one made afterwards finds no recovery and begins its own.
      this.recoveries.delete(only);
    }
  }

  /** In this order; up to where other marks are made. */
  private async stopMarked(children: readonly SupervisedChild[]): Promise<void> {
    const { marks } = this;
    for (const child of children) {
      if (this.status !== 'running' || this.marks !== marks) return;
      await this.stopNow(child);
      const isForgotten = child.spec.restart === 'temporary' && !child.mustStart && !child.isRemoved;
      if (isForgotten) this.forget(child, { kind: 'shutdown' });
    }
  }

  /** As above. */
  private async startMarked(children: readonly SupervisedChild[], recovery: Recovery): Promise<void> {
    const { marks } = this;
    for (const child of children) {
      if (this.status !== 'running' || this.marks !== marks) return;
      if (!child.mustStart || child.isRemoved) continue;
      child.mustStart = false;
      recovery.isSameFailure = false;
      const failure = await this.startNow(child);
      if (failure !== undefined && this.status === 'running') this.recover(child, failure);
    }
  }

  private wakeAll(): void {
    for (const recovery of this.recoveries.values()) recovery.wake();
  }

  private giveUp(child: SupervisedChild, reason: ExitReason): void {
    this.events.emit({ type: 'childGaveUp', child: child.id, reason });
    const error = restartIntensityExceeded(this.path, child.id, this.spec.intensity, reason);
    void this.endWith({ kind: 'failed', error: toWire(error) });
  }

  private endWith(reason: ExitReason): Promise<void> {
    return (this.ending ??= this.endAll(reason));
  }

  private async endAll(reason: ExitReason): Promise<void> {
    this.statusNow = 'stopping';
    this.wakeAll();
    for (const child of [...this.children.values()].reverse()) await this.stopNow(child);
    this.statusNow = 'ended';
    // A parent may start this supervisor again with the same children, which then keep what they hold.
    const mayReturn = new Set(this.nested === undefined ? [] : this.spec.children);
    for (const child of this.children.values()) {
      if (!mayReturn.has(child.spec)) child.spec.start.abandon?.(reason);
    }
    this.events.emit({ type: 'supervisorExited', reason });
    this.exit.resolve(reason);
  }

  private killChildren(by: string): void {
    this.hurry.abort();
    for (const child of this.children.values()) child.running?.kill(by);
  }

  private get isEnding(): boolean {
    return this.ending !== undefined;
  }

  private startFailed(child: SupervisedChild, reason: ExitReason): CodedError {
    return childStartFailed(this.path, child.id, reason);
  }

  private notRunning(toWhat: string): CodedError {
    return supervisorStopped(this.path, this.status, toWhat);
  }
}
