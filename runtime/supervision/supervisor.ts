/**
 * Keeps its children running: starts them in order, restarts by strategy, stops in reverse order, and gives up when
 * restarts come too often, so that whoever stands above decides.
 *
 * It knows only RunningChild, so it holds actors, threads, processes and other supervisors alike, and is itself a
 * RunningChild. It does no work of its own that could fail. Invariants: children are started in order and stopped in
 * reverse order; one failure is one restart in the window, whoever dies with it; a stop is heard at every moment; after
 * `exited` has settled no child runs.
 */
import { sleep, systemClock } from '../clock.ts';
import type { Clock } from '../clock.ts';
import { toWire } from '../errors.ts';
import type { CodedError } from '../errors.ts';
import { isAbnormal } from '../exit-reason.ts';
import type { ExitReason } from '../exit-reason.ts';
import type { RunningChild } from '../placement.ts';
import { checkChildSpec, checkSupervisorSpec } from './child-spec.ts';
import type { ChildSpec, SupervisorSpec } from './child-spec.ts';
import { RestartIntensity } from './restart-intensity.ts';
import { planRestart } from './restart-strategy.ts';
import { SupervisedChild } from './supervised-child.ts';
import {
  childStartFailed,
  childUnknown,
  restartIntensityExceeded,
  supervisorStopped,
} from './supervisor-errors.ts';
import type { TreeEvent, TreeListener, UnstampedTreeEvent } from './tree-event.ts';
import type { SupervisorStatus, SupervisorView } from './tree-view.ts';

export interface SupervisorOptions {
  clock?: Clock;
  /** Uniform in [0, 1), for the jitter. */
  random?: () => number;
  /** A listener from the first moment on; more by `observe`. */
  onEvent?: TreeListener;
  /** The ids above this supervisor, for its path in events: `root`. */
  parentPath?: string;
}

/** What only a parent supervisor sets (supervisor-child.ts). */
export interface NestedOptions {
  epoch: number;
  /** Goes on rising over the incarnations of this supervisor, so that no child's epoch ever comes twice. */
  epochs: { last: number };
}

/** One restart in progress: of one child, or of the group that shares its fate. */
interface Recovery {
  /** Nothing has been started since the failure: whatever dies now dies of the same failure. */
  isSameFailure: boolean;
  wake: () => void;
  done: Promise<void>;
}

export class Supervisor implements RunningChild {
  readonly epoch: number;
  readonly exited: Promise<ExitReason>;
  readonly path: string;
  private readonly spec: SupervisorSpec;
  private readonly clock: Clock;
  private readonly random: () => number;
  private readonly nested: NestedOptions | undefined;
  private readonly epochs: { last: number };
  private readonly listeners = new Set<TreeListener>();
  private readonly intensity: RestartIntensity;
  private readonly exit = Promise.withResolvers<ExitReason>();
  private readonly children: SupervisedChild[];
  /** By child under `oneForOne`; one for all, under `undefined`, with the other strategies. */
  private readonly recoveries = new Map<SupervisedChild | undefined, Recovery>();
  /** Settles when a kill leaves no time to wait for a start in progress. */
  private readonly hurry = Promise.withResolvers<void>();
  private status: SupervisorStatus = 'unstarted';
  private ending: Promise<void> | undefined = undefined;

  /** Errors: `E_CHILD_SPEC_INVALID` with every fault of the spec. */
  constructor(spec: SupervisorSpec, options: SupervisorOptions = {}, nested?: NestedOptions) {
    checkSupervisorSpec(spec);
    this.spec = spec;
    this.clock = options.clock ?? systemClock;
    this.random = options.random ?? Math.random;
    this.nested = nested;
    this.epoch = nested?.epoch ?? 1;
    this.epochs = nested?.epochs ?? { last: 0 };
    this.path = options.parentPath === undefined ? spec.id : `${options.parentPath}/${spec.id}`;
    this.exited = this.exit.promise;
    this.intensity = new RestartIntensity(spec.intensity);
    this.children = spec.children.map((child) => this.superviseNew(child));
    if (options.onEvent !== undefined) this.listeners.add(options.onEvent);
  }

  /**
   * Starts the children in order. When one cannot start, those before it are stopped in reverse order and this rejects
   * with `E_CHILD_START_FAILED` (cause: why). When a stop comes first: `E_SUPERVISOR_STOPPED`.
   */
  async start(): Promise<void> {
    if (this.status !== 'unstarted') throw this.notRunning('start');
    this.status = 'starting';
    for (const child of [...this.children]) {
      const failure = await Promise.race([this.startChild(child), this.exited.then(() => undefined)]);
      if (this.isEnding) {
        await this.exited;
        throw this.notRunning('start');
      }
      if (failure === undefined) continue;
      const error = this.startFailed(child, failure);
      await this.endWith({ kind: 'failed', error: toWire(error) });
      throw error;
    }
    this.status = 'running';
    this.emit({ type: 'supervisorStarted' });
    // Who died while its younger siblings were being started is dealt with now.
    for (const child of [...this.children]) {
      if (child.running === undefined && child.previousExit !== undefined)
        this.recover(child, child.previousExit);
    }
  }

  /** Stops every child, the last first, each within its own deadline; all are killed when `deadlineMs` has passed. */
  stop(deadlineMs: number): Promise<ExitReason> {
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
   * Adds a child at the end of the order and starts it. Errors: `E_CHILD_SPEC_INVALID`, `E_CHILD_START_FAILED` (then it
   * is not added), `E_SUPERVISOR_STOPPED`.
   */
  async addChild(spec: ChildSpec): Promise<void> {
    if (this.status !== 'running') throw this.notRunning('add a child');
    checkChildSpec(
      spec,
      this.children.map(({ id }) => id),
    );
    const child = this.superviseNew(spec);
    this.children.push(child);
    this.emit({ type: 'childAdded', child: child.id });
    const failure = await Promise.race([this.startChild(child), this.exited.then(() => undefined)]);
    if (this.isEnding) throw this.notRunning('add a child');
    if (failure === undefined) return;
    this.forget(child, failure);
    throw this.startFailed(child, failure);
  }

  /** Stops a child within its deadline and forgets it. Errors: `E_CHILD_UNKNOWN`. */
  async removeChild(id: string): Promise<void> {
    const child = this.childOf(id);
    child.isRemoved = true;
    child.mustStart = false;
    this.wakeAll();
    await this.stopChild(child);
    this.forget(child, child.previousExit ?? { kind: 'shutdown' });
  }

  /**
   * Stops a child and starts it again, alone, at once, not counted. Ends a back-off wait; brings a finished child back.
   * Errors: `E_CHILD_UNKNOWN`, `E_SUPERVISOR_STOPPED`, `E_CHILD_START_FAILED` (its restart type then goes on as usual).
   */
  async restartChild(id: string): Promise<void> {
    if (this.status !== 'running') throw this.notRunning('restart a child');
    const child = this.childOf(id);
    // Also one that is only starting: it would be started a second time beside itself.
    child.mustStop = true;
    child.mustStart = true;
    child.dueMs = this.clock.monotonicMs();
    child.backoff.reset();
    await this.ensureRecovery(child).done;
    if (this.isEnding) throw this.notRunning('restart a child');
    if (child.running === undefined) throw this.startFailed(child, child.previousExit ?? { kind: 'normal' });
  }

  /** Calls the listener with every tree event from now on. Returns the function that takes it away. */
  observe(listener: TreeListener): () => void {
    this.listeners.add(listener);
    return () => {
      this.listeners.delete(listener);
    };
  }

  /** The live tree below, as plain data. */
  describe(): SupervisorView & Record<string, unknown> {
    return {
      id: this.spec.id,
      strategy: this.spec.strategy,
      status: this.status,
      epoch: this.epoch,
      restartsInWindow: this.intensity.inWindow(this.clock.monotonicMs()),
      children: this.children.map((child) => child.view()),
    };
  }

  private startChild(child: SupervisedChild): Promise<ExitReason | undefined> {
    return child.start(++this.epochs.last);
  }

  private superviseNew(spec: ChildSpec): SupervisedChild {
    const child = new SupervisedChild(spec, this.clock, this.random, {
      started: () => this.emit({ type: 'childStarted', child: spec.id, epoch: child.epoch }),
      startFailed: (error) =>
        this.emit({ type: 'childStartFailed', child: spec.id, epoch: child.epoch, error }),
      exited: (reason, wasAsked) => {
        this.emit({ type: 'childExited', child: spec.id, epoch: child.epoch, reason });
        if (this.status === 'running' && !wasAsked) this.recover(child, reason);
      },
    });
    return child;
  }

  private stopChild(child: SupervisedChild): Promise<void> {
    return child.stop(this.path, this.hurry.promise);
  }

  private forget(child: SupervisedChild, reason: ExitReason): void {
    const index = this.children.indexOf(child);
    if (index >= 0) this.children.splice(index, 1);
    child.isRemoved = true;
    child.spec.start.abandon?.(reason);
    this.emit({ type: 'childForgotten', child: child.id });
  }

  /** A child is down that nobody asked to stop. */
  private recover(child: SupervisedChild, reason: ExitReason): void {
    if (child.isRemoved) return;
    const { restart, backoff } = child.spec;
    if (restart === 'temporary') {
      this.forget(child, reason);
      return;
    }
    if (restart === 'transient' && !isAbnormal(reason)) {
      child.status = 'finished';
      child.mustStart = false;
      child.spec.start.abandon?.(reason);
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
    this.emit({
      type: 'childRestarting',
      child: child.id,
      delayMs,
      counted: isCounted,
      restart: child.restarts + 1,
    });
    this.ensureRecovery(child).isSameFailure = true;
  }

  private mark(failed: SupervisedChild): void {
    const plan = planRestart(this.spec.strategy, this.children, failed);
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
        const members = only === undefined ? this.children : [only];
        const toStop = members.findLast((child) => child.mustStop);
        if (toStop !== undefined) {
          await this.stopChild(toStop);
          const isForgotten = toStop.spec.restart === 'temporary' && !toStop.mustStart && !toStop.isRemoved;
          if (isForgotten) this.forget(toStop, { kind: 'shutdown' });
          continue;
        }
        const toStart = members.filter((child) => child.mustStart && !child.isRemoved);
        const [next] = toStart;
        if (next === undefined) return;
        const nowMs = this.clock.monotonicMs();
        const dueMs = toStart.reduce((latest, child) => Math.max(latest, child.dueMs), nowMs);
        if (dueMs > nowMs) {
          const waiting = new AbortController();
          recovery.wake = () => waiting.abort();
          await sleep(this.clock, dueMs - nowMs, waiting.signal);
          continue;
        }
        next.mustStart = false;
        recovery.isSameFailure = false;
        const failure = await this.startChild(next);
        if (failure !== undefined && this.status === 'running') this.recover(next, failure);
      }
    } finally {
      // In the same step as the last look at the marks: one made afterwards finds no recovery and begins its own.
      this.recoveries.delete(only);
    }
  }

  private wakeAll(): void {
    for (const recovery of this.recoveries.values()) recovery.wake();
  }

  private giveUp(child: SupervisedChild, reason: ExitReason): void {
    this.emit({ type: 'childGaveUp', child: child.id, reason });
    const error = restartIntensityExceeded(this.path, child.id, this.spec.intensity, reason);
    void this.endWith({ kind: 'failed', error: toWire(error) });
  }

  private endWith(reason: ExitReason): Promise<void> {
    return (this.ending ??= this.endAll(reason));
  }

  private async endAll(reason: ExitReason): Promise<void> {
    this.status = 'stopping';
    this.wakeAll();
    for (const child of [...this.children].reverse()) await this.stopChild(child);
    this.status = 'ended';
    for (const child of this.children) {
      // A parent may start this supervisor again with the same children, which then keep what they hold.
      const mayReturn = this.nested !== undefined && this.spec.children.includes(child.spec);
      if (!mayReturn) child.spec.start.abandon?.(reason);
    }
    this.emit({ type: 'supervisorExited', reason });
    this.exit.resolve(reason);
  }

  private killChildren(by: string): void {
    this.hurry.resolve();
    for (const child of this.children) child.running?.kill(by);
  }

  private get isEnding(): boolean {
    return this.ending !== undefined;
  }

  private childOf(id: string): SupervisedChild {
    const child = this.children.find((candidate) => candidate.id === id);
    if (child !== undefined) return child;
    throw childUnknown(this.path, id);
  }

  private startFailed(child: SupervisedChild, reason: ExitReason): CodedError {
    return childStartFailed(this.path, child.id, reason);
  }

  private notRunning(toWhat: string): CodedError {
    return supervisorStopped(this.path, this.status, toWhat);
  }

  private emit(event: UnstampedTreeEvent): void {
    const stamped: TreeEvent = { ...event, supervisor: this.path, atMs: this.clock.wallMs() };
    for (const listener of this.listeners) {
      try {
        listener(stamped);
      } catch {
        // A listener is a guest: what it does wrong must not reach the tree.
      }
    }
  }
}
