/**
 * A supervised actor in this thread.
 *
 * The child object, and not the incarnation, holds the cell, so ref and mailbox outlive restarts: what is told while the
 * actor is down waits for the next incarnation. They are given up when the supervisor says that none will follow; a start
 * after that has a new ref. Invariant: at most one incarnation runs, and a handle of an old one cannot touch a newer one.
 */
import type { ActorFactory, SpawnOptions } from '../actor.ts';
import type { ActorCell } from '../actor-cell.ts';
import type { ActorRef } from '../actor-ref.ts';
import type { ActorSystem } from '../actor-system.ts';
import { assert } from '../assert.ts';
import { CodedError, fromWire } from '../errors.ts';
import { describeExit } from '../exit-reason.ts';
import type { ExitReason } from '../exit-reason.ts';
import type { ActorInspection } from '../inspection.ts';
import { startAborted } from '../placement.ts';
import type { RunningChild, StartChild, StartRequest } from '../placement.ts';
import { childDown } from './child-operation.ts';
import { childUnknown } from './supervisor-errors.ts';

export interface LocalChildOptions extends Omit<SpawnOptions, 'name'> {
  /** A stop first handles what is in the mailbox already, and takes nothing new meanwhile. */
  drainAtStop?: boolean;
}

export class LocalChild<M> {
  /** For the child spec. */
  readonly start: StartChild;
  private readonly createCell: () => ActorCell<M>;
  private readonly drainAtStop: boolean;
  private cell: ActorCell<M>;
  private present: LocalIncarnationHandle<M> | undefined = undefined;

  /** Takes the name at once. Errors: as `ActorSystem.spawn`. */
  constructor(
    system: ActorSystem,
    name: string,
    factory: ActorFactory<M>,
    { drainAtStop = false, ...options }: LocalChildOptions = {},
  ) {
    this.drainAtStop = drainAtStop;
    this.createCell = () => {
      const cell = system.createKeptCell<M>(factory, { ...options, name });
      cell.keepFor({
        started: () => this.present?.hasStarted(),
        exited: (reason) => this.exited(reason),
      });
      return cell;
    };
    this.cell = this.createCell();
    const start: StartChild = (request) => this.startIncarnation(request);
    start.abandon = (reason) => this.cell.abandon(reason);
    this.start = start;
  }

  /** The same over restarts; messages may be told before the first start. */
  get ref(): ActorRef<M> {
    return this.cell;
  }

  private async startIncarnation({ epoch, previousExit, givenUp }: StartRequest): Promise<RunningChild> {
    if (givenUp?.aborted === true) throw startAborted();
    assert(this.present === undefined, 'a local child runs at most once at a time');
    if (this.cell.isDead) this.cell = this.createCell();
    const handle = new LocalIncarnationHandle<M>(this.cell, epoch, this.drainAtStop);
    this.present = handle;
    givenUp?.addEventListener('abort', () => handle.kill('its start was given up'), { once: true });
    this.cell.startIncarnation(epoch, previousExit);
    await handle.started;
    return handle;
  }

  private exited(reason: ExitReason): void {
    const { present } = this;
    this.present = undefined;
    present?.hasExited(reason);
  }
}

/** `name` is the actor's registered name. */
export function localChild<M>(
  system: ActorSystem,
  name: string,
  factory: ActorFactory<M>,
  options?: LocalChildOptions,
): LocalChild<M> {
  return new LocalChild(system, name, factory, options);
}

class LocalIncarnationHandle<M> implements RunningChild {
  readonly epoch: number;
  readonly exited: Promise<ExitReason>;
  /** Rejects when the factory failed. */
  readonly started: Promise<void>;
  private readonly cell: ActorCell<M>;
  private readonly drainAtStop: boolean;
  private readonly exit = Promise.withResolvers<ExitReason>();
  private readonly begin = Promise.withResolvers<void>();
  private isOver = false;

  constructor(cell: ActorCell<M>, epoch: number, drainAtStop: boolean) {
    this.cell = cell;
    this.epoch = epoch;
    this.drainAtStop = drainAtStop;
    this.exited = this.exit.promise;
    this.started = this.begin.promise;
  }

  hasStarted(): void {
    this.begin.resolve();
  }

  hasExited(reason: ExitReason): void {
    this.isOver = true;
    this.begin.reject(startError(this.cell.path, reason));
    this.exit.resolve(reason);
  }

  stop(deadlineMs: number): Promise<ExitReason> {
    return this.isOver ? this.exited : this.cell.stop(deadlineMs, this.drainAtStop);
  }

  kill(by: string): void {
    if (!this.isOver) this.cell.kill(by);
  }

  suspend(path: readonly string[] = []): Promise<void> {
    return this.operated(path, () => this.cell.hold(true));
  }

  resume(path: readonly string[] = []): Promise<void> {
    return this.operated(path, () => this.cell.hold(false));
  }

  inspect(path: readonly string[] = []): Promise<ActorInspection> {
    return this.operated(path, () => this.cell.inspect());
  }

  private async operated<T>(path: readonly string[], operation: () => T | Promise<T>): Promise<T> {
    if (path[0] !== undefined) throw childUnknown(this.cell.path, path[0]);
    if (this.isOver) throw childDown(this.cell.path);
    return operation();
  }

  describe(): Record<string, unknown> {
    return { placement: 'local', ...this.cell.facts() };
  }
}

function startError(path: string, reason: ExitReason): CodedError {
  if (reason.kind === 'failed') return fromWire(reason.error);
  return new CodedError('E_START_FAILED', `${path} did not start: ${describeExit(reason)}`, {
    kind: 'transient',
    details: { path, exit: reason.kind },
  });
}
