/** Judges what a supervisor says it did: how often it restarts, in which order it starts and stops, what it may restart at all. */
import { isAbnormal } from '../../../runtime/exit-reason.ts';
import type { ExitReason } from '../../../runtime/exit-reason.ts';
import type { TreeEvent } from '../../../runtime/supervision/tree-event.ts';
import type { ChildView } from '../../../runtime/supervision/tree-view.ts';
import type { Model } from './model.ts';
import { RESTARTS_MAX, WINDOW_MS } from './program.ts';
import type { Program } from './program.ts';

export class TreeOracle {
  /** Ids in start order; forgotten ones stay in it. */
  private readonly ids: readonly string[];
  private readonly program: Program;
  private readonly model: Model;
  private readonly children: () => ChildView[];
  private countedMs: number[] = [];
  private readonly running = new Set<string>();
  private readonly lastExit = new Map<string, ExitReason>();
  private readonly startedOf = new Map<string, number>();
  /** The last epoch given when the last failure was counted: what dies before a later one starts died of the same. */
  private epochAtFailure = Infinity;
  private isEnding = false;
  /** Asked to stop before the end of all began. */
  private wereStopping: readonly string[] = [];
  private lastEpoch = 0;
  /** Started by hand, which no rule forbids. */
  readonly byHand = new Set<string>();

  constructor(ids: readonly string[], program: Program, model: Model, children: () => ChildView[]) {
    this.ids = ids;
    this.program = program;
    this.model = model;
    this.children = children;
  }

  /** The supervisor has been asked to stop. */
  ends(): void {
    if (this.isEnding) return;
    this.isEnding = true;
    this.wereStopping = this.children()
      .filter(({ status }) => status === 'stopping')
      .map(({ id }) => id);
  }

  readonly hears = (event: TreeEvent): void => {
    switch (event.type) {
      case 'childStarted':
        this.started(event.child, event.epoch);
        break;
      case 'childExited':
        this.exited(event.child, event.reason);
        break;
      case 'childStartFailed':
        this.begun(event.epoch);
        this.lastExit.set(event.child, { kind: 'failed', error: event.error });
        break;
      case 'childRestarting':
        this.restarting(event.child, event.counted);
        break;
      case 'childGaveUp':
        this.countedMs.push(this.model.now());
        this.model.check(this.inWindow() > RESTARTS_MAX, () => {
          return `the supervisor gave up after ${this.inWindow() - 1} restarts in the window`;
        });
        this.ends();
        break;
      case 'supervisorExited':
        this.model.check(
          this.running.size === 0,
          () => `the supervisor exited before ${[...this.running].join()}`,
        );
        break;
      case 'supervisorStarted':
      case 'childAdded':
      case 'childForgotten':
      // Not in these programs.
      case 'childSuspended':
      case 'childResumed':
      case 'autoShutdown':
      case 'eventsLeftOut':
        break;
    }
  };

  private started(child: string, epoch: number): void {
    const { model } = this;
    model.check(epoch > this.lastEpoch || this.program.strategy === 'oneForOne', () => {
      return `${child} started with epoch ${epoch} after ${this.lastEpoch}`;
    });
    this.lastEpoch = Math.max(epoch, this.lastEpoch);
    model.check(!this.running.has(child), () => `${child} was started while it ran`);
    const times = (this.startedOf.get(child) ?? 0) + 1;
    this.startedOf.set(child, times);
    const restart = this.program.supervised[this.ids.indexOf(child)]?.restart;
    const reason = this.lastExit.get(child);
    const mayStart =
      times === 1 ||
      this.byHand.has(child) ||
      restart === 'permanent' ||
      (restart === 'transient' &&
        reason !== undefined &&
        (isAbnormal(reason) || this.program.strategy !== 'oneForOne'));
    model.check(mayStart, () => `${child}, ${restart}, was started again after ${reason?.kind}`);
    this.running.add(child);
    this.begun(epoch);
  }

  private begun(epoch: number): void {
    if (epoch > this.epochAtFailure) this.epochAtFailure = Infinity;
  }

  private exited(child: string, reason: ExitReason): void {
    this.running.delete(child);
    this.lastExit.set(child, reason);
    const wasAskedBefore =
      this.wereStopping.includes(child) ||
      [...this.model.wasStoppedItself].some(({ name }) => name === child);
    if (!this.isEnding || reason.kind !== 'shutdown' || wasAskedBefore) return;
    const later = this.ids.slice(this.ids.indexOf(child) + 1).filter((id) => this.running.has(id));
    this.model.check(later.length === 0, () => `${child} was stopped before ${later.join()}`);
  }

  private restarting(child: string, isCounted: boolean): void {
    if (isCounted) {
      this.countedMs.push(this.model.now());
      if (this.program.strategy !== 'oneForOne') {
        // Those of starts in progress too.
        this.epochAtFailure = Math.max(...this.children().map((view) => view.epoch));
      }
    }
    const { model } = this;
    const restart = this.program.supervised[this.ids.indexOf(child)]?.restart;
    const reason = this.lastExit.get(child);
    const isClean = reason !== undefined && !isAbnormal(reason);
    model.check(restart === 'permanent' || (restart === 'transient' && !isClean), () => {
      return `${child}, ${restart}, is to be restarted after ${reason?.kind}`;
    });
    model.check(
      this.inWindow() <= RESTARTS_MAX,
      () => `${this.inWindow()} restarts in the window are too many`,
    );
    model.check(isCounted || this.epochAtFailure < Infinity, () => `the restart of ${child} was not counted`);
  }

  private inWindow(): number {
    this.countedMs = this.countedMs.filter((atMs) => this.model.now() - atMs < WINDOW_MS);
    return this.countedMs.length;
  }
}
