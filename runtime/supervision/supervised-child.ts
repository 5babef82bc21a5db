/**
 * What a supervisor knows of one child: its spec, its present incarnation, its past.
 *
 * It carries out one start or stop at a time; when and why is the supervisor's. Invariant: `running` is set exactly while an
 * incarnation is known to run.
 */
import { sleep } from '../clock.ts';
import type { Clock } from '../clock.ts';
import { messageOf, toWire } from '../errors.ts';
import type { WireError } from '../errors.ts';
import { describeExit } from '../exit-reason.ts';
import type { ExitReason } from '../exit-reason.ts';
import { EXITS_KEPT_PER_CHILD } from '../limits.ts';
import type { RunningChild, TreePlace } from '../placement.ts';
import { Backoff, BACKOFF_DEFAULT } from './backoff.ts';
import type { ChildSpec } from './child-spec.ts';
import type { ChildStatus, ChildSummary, ChildView } from './tree-view.ts';

export interface ChildSurroundings {
  clock: Clock;
  random: () => number;
  tree: TreePlace;
  isTransitory: boolean;
}

/** Who hears what becomes of the child, in the step in which it happens. */
export interface ChildListener {
  started(): void;
  startFailed(error: WireError): void;
  /** `wasAsked`: it ended because `stop` was called. */
  exited(reason: ExitReason, wasAsked: boolean): void;
}

interface Starting extends PromiseWithResolvers<ExitReason | undefined> {
  /** Tells whoever carries it out that nobody waits for it any more. */
  givenUp: AbortController;
}

export class SupervisedChild {
  readonly spec: ChildSpec;
  /** Made from a template: forgotten as soon as it will not be started again. */
  readonly isTransitory: boolean;
  readonly backoff: Backoff;
  epoch = 0;
  restarts = 0;
  running: RunningChild | undefined = undefined;
  previousExit: ExitReason | undefined = undefined;
  /** Marked by a restart plan, and taken off by the recovery that carries it out. */
  mustStop = false;
  mustStart = false;
  /** Monotonic: not started before. */
  dueMs = 0;
  isRemoved = false;
  /** The start in progress. One that is not this any more was given up: what comes of it is killed. */
  private starting: Starting | undefined = undefined;
  private statusNow: ChildStatus = 'down';
  private sinceMs: number;
  private readonly exits: { atMs: number; reason: string }[] = [];
  private readonly clock: Clock;
  private readonly tree: TreePlace;
  private readonly listener: ChildListener;

  constructor(
    spec: ChildSpec,
    { clock, random, tree, isTransitory }: ChildSurroundings,
    listener: ChildListener,
  ) {
    this.spec = spec;
    this.clock = clock;
    this.tree = tree;
    this.isTransitory = isTransitory;
    this.listener = listener;
    this.backoff = new Backoff(spec.backoff ?? BACKOFF_DEFAULT, random);
    this.sinceMs = clock.wallMs();
  }

  get id(): string {
    return this.spec.id;
  }

  get isSignificant(): boolean {
    return this.spec.significant === true;
  }

  /** It runs, or its supervisor means it to. */
  get isActive(): boolean {
    return this.statusNow !== 'finished' && !this.isRemoved;
  }

  get status(): ChildStatus {
    return this.statusNow;
  }

  set status(status: ChildStatus) {
    this.statusNow = status;
    this.sinceMs = this.clock.wallMs();
  }

  /**
   * Starts an incarnation. Settles with undefined when it runs, or as soon as the start was given up; else with why it does
   * not. Never rejects.
   */
  start(epoch: number): Promise<ExitReason | undefined> {
    if (this.epoch > 0) this.restarts++;
    this.epoch = epoch;
    this.status = 'starting';
    const { previousExit, tree } = this;
    const givenUp = new AbortController();
    const starting: Starting = { ...Promise.withResolvers<ExitReason | undefined>(), givenUp };
    this.starting = starting;
    // Called inside a promise, so that a start that throws is a start that rejects.
    void Promise.resolve()
      .then(() => this.spec.start({ epoch, previousExit, tree, givenUp: givenUp.signal }))
      .then(
        (running) => this.hasStarted(running, starting),
        (thrown: unknown) => this.hasNotStarted(thrown, starting),
      );
    return starting.promise;
  }

  /**
   * Stops it within its deadline; returns when nothing of it runs, or when a start that does not end was given up (at the
   * deadline, or as soon as there is `hurry`). Safe to call twice.
   */
  async stop(supervisor: string, hurry: AbortSignal): Promise<void> {
    this.mustStop = false;
    const { shutdownDeadlineMs } = this.spec;
    const { starting } = this;
    if (starting !== undefined) {
      await this.waitForStart(starting, shutdownDeadlineMs === 'kill' ? 0 : shutdownDeadlineMs, hurry);
      if (this.starting === starting) {
        this.starting = undefined;
        this.status = 'down';
        starting.givenUp.abort();
        starting.resolve(undefined);
      }
    }
    const { running } = this;
    if (running === undefined) return;
    this.status = 'stopping';
    if (shutdownDeadlineMs === 'kill') running.kill(`${supervisor} stops it without asking`);
    else await running.stop(shutdownDeadlineMs);
    await running.exited;
  }

  summary(): ChildSummary {
    const { id, statusNow: status, epoch, restarts, sinceMs } = this;
    return { id, status, epoch, restarts, sinceMs };
  }

  view(): ChildView {
    try {
      return this.viewWith(this.running?.describe?.());
    } catch (thrown) {
      return this.viewWith({ unknown: messageOf(thrown) });
    }
  }

  async survey(timeoutMs: number): Promise<ChildView> {
    const { running } = this;
    if (running?.survey === undefined) return this.view();
    try {
      return this.viewWith(await running.survey(timeoutMs));
    } catch (thrown) {
      return this.viewWith({ unknown: messageOf(thrown) });
    }
  }

  private viewWith(detail: Record<string, unknown> | undefined): ChildView {
    return {
      ...this.summary(),
      exits: this.exits.slice(),
      ...(detail === undefined ? {} : { detail }),
    };
  }

  private async waitForStart({ promise }: Starting, deadlineMs: number, hurry: AbortSignal): Promise<void> {
    const patience = new AbortController();
    const giveUp = (): void => patience.abort();
    if (hurry.aborted) giveUp();
    hurry.addEventListener('abort', giveUp);
    await Promise.race([promise, sleep(this.clock, deadlineMs, patience.signal)]);
    hurry.removeEventListener('abort', giveUp);
    giveUp();
  }

  private hasStarted(running: RunningChild, starting: Starting): void {
    if (this.starting !== starting) {
      running.kill('its start came after it had been given up');
      return;
    }
    this.starting = undefined;
    this.running = running;
    this.status = 'running';
    this.listener.started();
    starting.resolve(undefined);
    void running.exited.then((reason) => {
      const wasAsked = this.statusNow === 'stopping';
      this.running = undefined;
      this.status = 'down';
      this.ended(reason);
      this.listener.exited(reason, wasAsked);
    });
  }

  private hasNotStarted(thrown: unknown, starting: Starting): void {
    if (this.starting !== starting) return;
    const error = toWire(thrown);
    const reason: ExitReason = { kind: 'failed', error };
    this.starting = undefined;
    this.status = 'down';
    this.ended(reason);
    this.listener.startFailed(error);
    starting.resolve(reason);
  }

  private ended(reason: ExitReason): void {
    this.previousExit = reason;
    this.exits.push({ atMs: this.clock.wallMs(), reason: describeExit(reason) });
    if (this.exits.length > EXITS_KEPT_PER_CHILD) this.exits.shift();
  }
}
