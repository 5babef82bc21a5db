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
import { EndingCell } from './ending-cell.ts';
import { CodedError } from './errors.ts';
import type { ExitReason } from './exit-reason.ts';
import { ACTORS_MAX, STOP_DEADLINE_MS_DEFAULT } from './limits.ts';
import { Registry } from './registry.ts';
import { RunQueue } from './run-queue.ts';
import { checkedSpawnOptions } from './spawn-options.ts';

export interface ActorSystemOptions {
  clock?: Clock;
  /** Where log entries go; without it they go nowhere. Must not throw. */
  log?: (entry: LogEntry) => void;
}

export interface ActorSystemCounts extends Readonly<ActorCounters> {
  /** Alive now, kept ones between two incarnations included. */
  actors: number;
  readonly deadLetters: ReturnType<DeadLetters['counts']>;
}

export class ActorSystem {
  readonly deadLetters = new DeadLetters();
  private readonly host: CellHost;
  private readonly topLevel = new CellFamily<EndingCell<unknown>, EndingCell<unknown> | undefined>(undefined);
  private anonymousIds = 0;
  private stopping: Promise<void> | undefined = undefined;

  constructor(options: ActorSystemOptions = {}) {
    const clock = options.clock ?? systemClock;
    this.host = {
      clock,
      runQueue: new RunQueue(clock),
      registry: new Registry<AnyRef>(),
      deadLetters: this.deadLetters,
      counters: new ActorCounters(),
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
    return new ActorCell<M>(this.host, this.topLevel, factory, checkedSpawnOptions(options));
  }

  /** The living actor of that name. The message type is the caller's word: names are not typed. */
  whereis<M>(name: string): ActorRef<M> | undefined {
    return this.host.registry.whereis(name) as ActorRef<M> | undefined;
  }

  names(): string[] {
    return this.host.registry.names();
  }

  /**
   * Stops an actor after the message in hand; `drain`: after all that wait already. It is killed at the deadline. What
   * waits then goes to the dead letters, unless its supervisor starts it again. Errors: `E_NOT_LOCAL` (rejection).
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
   * Stops every actor, the last spawned first, one after the other, each within `deadlineMs` or killed. From here on no
   * actor is spawned. Safe to call again: it is the same end.
   */
  stop(deadlineMs = STOP_DEADLINE_MS_DEFAULT): Promise<void> {
    return (this.stopping ??= this.stopAll(deadlineMs));
  }

  /** Totals and what is alive now, as plain data. */
  counts(): ActorSystemCounts {
    const { counters } = this.host;
    return { ...counters, actors: counters.spawned - counters.ended, deadLetters: this.deadLetters.counts() };
  }

  private async stopAll(deadlineMs: number): Promise<void> {
    for (let cell = this.topLevel.youngest; cell !== undefined; cell = this.topLevel.youngest) {
      cell.abandon({ kind: 'shutdown' });
      if (!cell.isDead) await cell.stop(deadlineMs);
    }
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

  private cellOf(ref: AnyRef): EndingCell<unknown> | undefined {
    return ref instanceof EndingCell && ref.host === this.host ? ref : undefined;
  }
}

function notLocal(ref: AnyRef): CodedError {
  return new CodedError('E_NOT_LOCAL', `${ref.path} is not an actor of this system`, { kind: 'defect' });
}
