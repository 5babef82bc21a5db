/**
 * What a supervisor knows of one child: its spec, its present incarnation, its past.
 *
 * It carries out one start or stop at a time; when and why is the supervisor's. Invariant: `running` is set exactly while an
 * incarnation is known to run.
 */
import { sleep } from '../clock.ts';
import type { Clock } from '../clock.ts';
import { toWire } from '../errors.ts';
import type { WireError } from '../errors.ts';
import { describeExit } from '../exit-reason.ts';
import type { ExitReason } from '../exit-reason.ts';
import { EXITS_KEPT_PER_CHILD } from '../limits.ts';
import type { RunningChild } from '../placement.ts';
import { Backoff, BACKOFF_DEFAULT } from './backoff.ts';
import type { ChildSpec } from './child-spec.ts';
import type { ChildStatus, ChildView } from './tree-view.ts';

/** Who hears what becomes of the child, in the step in which it happens. */
export interface ChildListener {
  started(): void;
  startFailed(error: WireError): void;
  /** `wasAsked`: it ended because `stop` was called. */
  exited(reason: ExitReason, wasAsked: boolean): void;
}

export class SupervisedChild {
  readonly spec: ChildSpec;
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
  private starting: Promise<ExitReason | undefined> | undefined = undefined;
  private statusNow: ChildStatus = 'down';
  private sinceMs: number;
  private readonly exits: { atMs: number; reason: string }[] = [];
  private readonly clock: Clock;
  private readonly listener: ChildListener;

  constructor(spec: ChildSpec, clock: Clock, random: () => number, listener: ChildListener) {
    this.spec = spec;
    this.clock = clock;
    this.listener = listener;
    this.backoff = new Backoff(spec.backoff ?? BACKOFF_DEFAULT, random);
    this.sinceMs = clock.wallMs();
  }

  get id(): string {
    return this.spec.id;
  }

  get status(): ChildStatus {
    return this.statusNow;
  }

  set status(status: ChildStatus) {
    this.statusNow = status;
    this.sinceMs = this.clock.wallMs();
  }

  /** Starts an incarnation: undefined when it runs or was given up, else why it does not. Never rejects. */
  start(epoch: number): Promise<ExitReason | undefined> {
    if (this.epoch > 0) this.restarts++;
    this.epoch = epoch;
    this.status = 'starting';
    const { previousExit } = this;
    // Called inside a promise, so that a start that throws is a start that rejects.
    const starting: Promise<ExitReason | undefined> = Promise.resolve()
      .then(() => this.spec.start({ epoch, previousExit }))
      .then(
        (running) => this.hasStarted(running, starting),
        (thrown: unknown) => this.hasNotStarted(thrown, starting),
      );
    this.starting = starting;
    return starting;
  }

  /**
   * Stops it within its deadline; returns when nothing of it runs, or when a start that does not end was given up (at the
   * deadline, or as soon as there is `hurry`). Safe to call twice.
   */
  async stop(supervisor: string, hurry: Promise<void>): Promise<void> {
    this.mustStop = false;
    const { shutdownDeadlineMs } = this.spec;
    const { starting } = this;
    if (starting !== undefined) {
      const patience = new AbortController();
      const deadlineMs = shutdownDeadlineMs === 'kill' ? 0 : shutdownDeadlineMs;
      await Promise.race([starting, hurry, sleep(this.clock, deadlineMs, patience.signal)]);
      patience.abort();
      if (this.starting === starting) {
        this.starting = undefined;
        this.status = 'down';
      }
    }
    const { running } = this;
    if (running === undefined) return;
    this.status = 'stopping';
    if (shutdownDeadlineMs === 'kill') running.kill(`${supervisor} stops it without asking`);
    else await running.stop(shutdownDeadlineMs);
    await running.exited;
  }

  view(): ChildView {
    const detail = this.running?.describe?.();
    return {
      id: this.id,
      status: this.statusNow,
      epoch: this.epoch,
      restarts: this.restarts,
      sinceMs: this.sinceMs,
      exits: this.exits.slice(),
      ...(detail === undefined ? {} : { detail }),
    };
  }

  private hasStarted(running: RunningChild, starting: Promise<unknown>): undefined {
    if (this.starting !== starting) {
      running.kill('its start came after it had been given up');
      return;
    }
    this.starting = undefined;
    this.running = running;
    this.status = 'running';
    this.listener.started();
    void running.exited.then((reason) => {
      const wasAsked = this.statusNow === 'stopping';
      this.running = undefined;
      this.status = 'down';
      this.ended(reason);
      this.listener.exited(reason, wasAsked);
    });
  }

  private hasNotStarted(thrown: unknown, starting: Promise<unknown>): ExitReason | undefined {
    if (this.starting !== starting) return undefined;
    const error = toWire(thrown);
    const reason: ExitReason = { kind: 'failed', error };
    this.starting = undefined;
    this.status = 'down';
    this.ended(reason);
    this.listener.startFailed(error);
    return reason;
  }

  private ended(reason: ExitReason): void {
    this.previousExit = reason;
    this.exits.push({ atMs: this.clock.wallMs(), reason: describeExit(reason) });
    if (this.exits.length > EXITS_KEPT_PER_CHILD) this.exits.shift();
  }
}
