/**
 * The context of one incarnation.
 *
 * Every call first asks whether the incarnation is still the present one, so that code of an old one (a handler that
 * hung and came back) cannot start timers, spawn or stop in the name of the new one.
 */
import type { ActorContext, ActorFactory, LogLevel, SpawnOptions, TimerOptions } from './actor.ts';
import type { ActorRef, AnyRef } from './actor-ref.ts';
import type { Clock } from './clock.ts';
import { CodedError } from './errors.ts';
import type { ExitReason } from './exit-reason.ts';

/** What the context needs of its cell. */
export interface ContextCell<M> extends ActorRef<M> {
  readonly generation: number;
  readonly clock: Clock;
  readonly abortSignal: AbortSignal;
  spawnChild<C>(factory: ActorFactory<C>, options: SpawnOptions | undefined): ActorRef<C>;
  stopChild(child: AnyRef, deadlineMs: number | undefined): Promise<ExitReason>;
  watch(ref: AnyRef): void;
  unwatch(ref: AnyRef): void;
  link(ref: AnyRef): void;
  unlink(ref: AnyRef): void;
  stash(): void;
  unstashAll(): void;
  startTimer(key: string, message: M, options: TimerOptions): void;
  cancelTimer(key: string): void;
  stopSelf(): void;
  log(level: LogLevel, text: string, fields: Record<string, unknown> | undefined): void;
}

const ABORTED = AbortSignal.abort();

export class IncarnationContext<M> implements ActorContext<M> {
  /** Kept here and not read from the cell: an old incarnation must never see the epoch of its successor. */
  readonly epoch: number;
  readonly previousExit: ExitReason | undefined;
  private readonly cell: ContextCell<M>;
  private readonly generation: number;

  constructor(cell: ContextCell<M>, generation: number, epoch: number, previousExit: ExitReason | undefined) {
    this.cell = cell;
    this.generation = generation;
    this.epoch = epoch;
    this.previousExit = previousExit;
  }

  get self(): ActorRef<M> {
    return this.cell;
  }

  get path(): string {
    return this.cell.path;
  }

  get clock(): Clock {
    return this.cell.clock;
  }

  get signal(): AbortSignal {
    return this.isPresent ? this.cell.abortSignal : ABORTED;
  }

  spawn<C>(factory: ActorFactory<C>, options?: SpawnOptions): ActorRef<C> {
    if (!this.isPresent) throw stale(this.path);
    return this.cell.spawnChild(factory, options);
  }

  stopChild(child: AnyRef, deadlineMs?: number): Promise<ExitReason> {
    return this.isPresent ? this.cell.stopChild(child, deadlineMs) : Promise.reject(stale(this.path));
  }

  watch(ref: AnyRef): void {
    if (this.isPresent) this.cell.watch(ref);
  }

  unwatch(ref: AnyRef): void {
    if (this.isPresent) this.cell.unwatch(ref);
  }

  link(ref: AnyRef): void {
    if (this.isPresent) this.cell.link(ref);
  }

  unlink(ref: AnyRef): void {
    if (this.isPresent) this.cell.unlink(ref);
  }

  stash(): void {
    if (this.isPresent) this.cell.stash();
  }

  unstashAll(): void {
    if (this.isPresent) this.cell.unstashAll();
  }

  startTimer(key: string, message: M, options: TimerOptions): void {
    if (this.isPresent) this.cell.startTimer(key, message, options);
  }

  cancelTimer(key: string): void {
    if (this.isPresent) this.cell.cancelTimer(key);
  }

  stop(): void {
    if (this.isPresent) this.cell.stopSelf();
  }

  log(level: LogLevel, text: string, fields?: Record<string, unknown>): void {
    this.cell.log(level, text, fields);
  }

  private get isPresent(): boolean {
    return this.cell.generation === this.generation;
  }
}

function stale(path: string): CodedError {
  return new CodedError('E_ACTOR_STOPPED', `this incarnation of ${path} has ended`, { kind: 'defect' });
}
