/**
 * The actors of one thread: spawning, names, dead letters, totals, and the ordered end of everything.
 *
 * Not a supervisor: an actor spawned here that fails is dead (watch it, or start it through a Supervisor). Not shared
 * between threads: each thread has its own. Invariant: after `stop` has settled no actor of it runs.
 */
import type { ActorFactory, LogEntry, SpawnOptions } from './actor.ts';
import { ActorCell } from './actor-cell.ts';
import type { ActorRef, AnyRef } from './actor-ref.ts';
import { CellFamily } from './cell-family.ts';
import { ActorCounters } from './cell-host.ts';
import type { CellHost } from './cell-host.ts';
import { systemClock } from './clock.ts';
import type { Clock } from './clock.ts';
import { DeadLetters } from './dead-letters.ts';
import type { EndingCell } from './ending-cell.ts';
import { CodedError, notLocal, toWire } from './errors.ts';
import type { ExitReason } from './exit-reason.ts';
import type { ActorInspection } from './inspection.ts';
import {
  ACTORS_MAX,
  ACTORS_SHOWN_DEFAULT,
  ACTORS_SHOWN_MAX,
  GROUPS_MAX,
  STOP_DEADLINE_MS_DEFAULT,
} from './limits.ts';
import { Quarantine } from './quarantine.ts';
import type { QuarantineCounts } from './quarantine.ts';
import { Registry } from './registry.ts';
import { Group } from './routing/group.ts';
import type { GroupOptions } from './routing/group.ts';
import { RunQueue } from './run-queue.ts';
import type { BlackBoxWriter } from './shared/black-box.ts';
import { checkedSpawnOptions } from './spawn-options.ts';
import { stopDeadlineFault } from './stop-deadline.ts';
import { viewsOf } from './system-view.ts';
import type { SystemView } from './system-view.ts';

export interface ActorSystemOptions {
  clock?: Clock;
  /** Where log entries go; without it they go nowhere. Must not throw. */
  log?: (entry: LogEntry) => void;
  /** Records what its actors do, for whoever reads the block behind it. */
  blackBox?: BlackBoxWriter | undefined;
}

export interface DescribeOptions {
  /** Actors to show; the others are counted. At most `ACTORS_SHOWN_MAX`. */
  actorsMax?: number;
}

export interface ActorSystemCounts extends Readonly<ActorCounters> {
  /** Alive now, kept ones between two incarnations included. */
  actors: number;
  readonly deadLetters: ReturnType<DeadLetters['counts']>;
  readonly quarantine: QuarantineCounts;
}

export class ActorSystem {
  readonly deadLetters = new DeadLetters((thrown) =>
    this.host.log({
      level: 'error',
      path: '/',
      text: 'a dead-letter listener threw as the system ended',
      fields: { error: toWire(thrown) },
    }),
  );
  /** Messages that broke an actor with `redelivery` too often. */
  readonly quarantine = new Quarantine();
  private readonly host: CellHost;
  private readonly topLevel = new CellFamily<EndingCell<unknown>, EndingCell<unknown> | undefined>(undefined);
  private anonymousIds = 0;
  private groups = 0;
  private stopping: Promise<void> | undefined = undefined;
  private isOver = false;

  constructor(options: ActorSystemOptions = {}) {
    const clock = options.clock ?? systemClock;
    this.host = {
      clock,
      runQueue: new RunQueue(clock),
      registry: new Registry<AnyRef>(),
      deadLetters: this.deadLetters,
      quarantine: this.quarantine,
      counters: new ActorCounters(),
      blackBox: options.blackBox,
      log: options.log ?? ((): void => undefined),
      nextAnonymousId: () => ++this.anonymousIds,
      admitActor: () => this.admitActor(),
    };
  }

  get clock(): Clock {
    return this.host.clock;
  }

  /**
   * Starts a top-level actor. The factory runs soon, not inside this call; messages told meanwhile wait.
   * Errors: `E_NAME_TAKEN`, `E_OPTIONS_INVALID`, `E_ACTORS_FULL`, `E_SYSTEM_STOPPED`. A factory that fails is no error
   * here: the actor dies with that reason.
   */
  spawn<M>(factory: ActorFactory<M>, options?: SpawnOptions): ActorRef<M> {
    const cell = new ActorCell<M>(this.host, this.topLevel, factory, checkedSpawnOptions(options));
    cell.start();
    return cell;
  }

  /** An actor that has not begun and outlives its incarnations: what a supervisor's local child is made of. */
  createKeptCell<M>(factory: ActorFactory<M>, options?: SpawnOptions): ActorCell<M> {
    return new ActorCell<M>(this.host, this.topLevel, factory, checkedSpawnOptions(options, true));
  }

  /** The living actor of that name. The message type is the caller's word: names are not typed. */
  whereis<M>(name: string): ActorRef<M> | undefined {
    const found = this.host.registry.whereis(name);
    return found instanceof Group ? undefined : (found as ActorRef<M> | undefined);
  }

  /**
   * The group of that name, made when there is none; the options count only then. A name is an actor's or a group's. The
   * message type is the caller's word. Errors: `E_NAME_TAKEN` (by an actor), `E_GROUPS_FULL`, `E_OPTIONS_INVALID`.
   */
  group<M>(name: string, options?: GroupOptions): Group<M> {
    const { registry } = this.host;
    const present = registry.whereis(name);
    if (present instanceof Group) return present as Group<M>;
    if (this.groups >= GROUPS_MAX) {
      throw new CodedError('E_GROUPS_FULL', `a system has at most ${GROUPS_MAX} named groups`, {
        mend: 'Close groups that nobody needs any more.',
      });
    }
    const group = new Group<M>(name, { log: (entry) => this.host.log(entry), ...options });
    registry.register(name, group);
    this.groups++;
    group.onTerminated(() => {
      registry.release(name, group);
      this.groups--;
    });
    return group;
  }

  names(): string[] {
    return this.host.registry.names();
  }

  /**
   * Stops an actor after the message in hand; `drain`: after all that wait already. It is killed at the deadline. What
   * waits then goes to the dead letters, unless its supervisor starts it again. Errors (rejections): `E_NOT_LOCAL`,
   * `E_OPTIONS_INVALID`.
   */
  stopActor(ref: AnyRef, options: { deadlineMs?: number; drain?: boolean } = {}): Promise<ExitReason> {
    const cell = this.cellOf(ref);
    if (cell === undefined) return Promise.reject(notLocal(ref));
    return cell.stop(options.deadlineMs ?? STOP_DEADLINE_MS_DEFAULT, options.drain);
  }

  /** Ends an actor now, without its `terminate`. Errors: throws `E_NOT_LOCAL`. */
  killActor(ref: AnyRef, by: string): void {
    const cell = this.cellOf(ref);
    if (cell === undefined) throw notLocal(ref);
    cell.kill(by);
  }

  /**
   * Holds an actor's messages back: they wait in the mailbox, within its bounds. Stop, kill and signals are served, timers
   * tick into the mailbox. Settles when the message in hand and the actor's own `suspend` are done. Lasts over restarts,
   * until `resume`. Errors (rejections): `E_NOT_LOCAL`, `E_ACTOR_STOPPED`, `E_SUSPEND_FAILED`.
   */
  suspend(ref: AnyRef): Promise<void> {
    const cell = this.cellOf(ref);
    return cell === undefined ? Promise.reject(notLocal(ref)) : cell.hold(true);
  }

  /** Ends a suspension; without one it does nothing. Errors: as `suspend`. */
  resume(ref: AnyRef): Promise<void> {
    const cell = this.cellOf(ref);
    return cell === undefined ? Promise.reject(notLocal(ref)) : cell.hold(false);
  }

  /**
   * How an actor is, and what its `inspect` says, asked at once.
   * Errors: throws `E_NOT_LOCAL`, `E_ACTOR_STOPPED`, `E_INSPECT_FAILED`, `E_STATE_TOO_LARGE`.
   */
  inspect(ref: AnyRef): ActorInspection {
    const cell = this.cellOf(ref);
    if (cell === undefined) throw notLocal(ref);
    return cell.inspect();
  }

  /**
   * Stops every actor, the last spawned first, one after the other, each within `deadlineMs` or killed. From here on no
   * actor is spawned. Safe to call again: it is the same end. Errors: `E_OPTIONS_INVALID` (rejection).
   */
  stop(deadlineMs = STOP_DEADLINE_MS_DEFAULT): Promise<void> {
    const fault = stopDeadlineFault(deadlineMs);
    if (fault !== undefined) return Promise.reject(fault);
    return (this.stopping ??= this.stopAll(deadlineMs));
  }

  /** Totals and what is alive now, as plain data. */
  counts(): ActorSystemCounts {
    const { counters } = this.host;
    return {
      ...counters,
      actors: counters.spawned - counters.ended,
      deadLetters: this.deadLetters.counts(),
      quarantine: this.quarantine.counts(),
    };
  }

  /** What is alive now, as a tree of plain data. Errors: throws `E_OPTIONS_INVALID`. */
  describe({ actorsMax = ACTORS_SHOWN_DEFAULT }: DescribeOptions = {}): SystemView {
    if (!Number.isSafeInteger(actorsMax) || actorsMax < 0 || actorsMax > ACTORS_SHOWN_MAX) {
      throw new CodedError('E_OPTIONS_INVALID', `describe: actorsMax ${actorsMax}`, {
        kind: 'defect',
        mend: `Use a whole number from 0 to ${ACTORS_SHOWN_MAX}.`,
      });
    }
    const counts = this.counts();
    const { actors, shown } = viewsOf(this.topLevel, actorsMax);
    return {
      atMs: this.clock.wallMs(),
      counts,
      actors,
      truncated: counts.actors - shown,
      deadLetters: this.deadLetters.list(),
    };
  }

  /** Stopped, and no actor of it runs. */
  get hasEnded(): boolean {
    return this.isOver;
  }

  private async stopAll(deadlineMs: number): Promise<void> {
    for (let cell = this.topLevel.youngest; cell !== undefined; cell = this.topLevel.youngest) {
      cell.abandon({ kind: 'shutdown' });
      if (!cell.isDead) await cell.stop(deadlineMs);
    }
    this.isOver = true;
    this.deadLetters.end();
  }

  private admitActor(): void {
    if (this.stopping !== undefined) {
      throw new CodedError('E_SYSTEM_STOPPED', 'the actor system is stopping and starts no actor');
    }
    const { counters } = this.host;
    if (counters.spawned - counters.ended >= ACTORS_MAX) {
      throw new CodedError('E_ACTORS_FULL', `a system holds at most ${ACTORS_MAX} actors`, {
        mend: 'Find the actor that spawns without end; or spread the work over more threads.',
      });
    }
  }

  private cellOf(ref: AnyRef): ActorCell<unknown> | undefined {
    return ref instanceof ActorCell && ref.host === this.host ? ref : undefined;
  }
}
