/**
 * The public face of the runtime: what a program imports.
 *
 * Named re-exports only, so that everything public can be found here. Cells, run queue and registry are inside.
 */
export { assert, assertNever } from './assert.ts';
export { sleep, systemClock } from './clock.ts';
export type { Clock } from './clock.ts';
export { CodedError, codeOf, fromWire, kindOf, messageOf, toWire } from './errors.ts';
export type { CodedErrorOptions, ErrorKind, WireError } from './errors.ts';
export { describeExit, isAbnormal } from './exit-reason.ts';
export type { ExitReason } from './exit-reason.ts';
export type { RunningChild, StartChild } from './placement.ts';

export type {
  ActorContext,
  ActorFactory,
  ActorInstance,
  LogEntry,
  LogLevel,
  SpawnOptions,
  TimerOptions,
} from './actor.ts';
export type { ActorRef, AnyRef, AskOptions, RefusalCode, Refused, ReplyTo, SendResult } from './actor-ref.ts';
export type { ActorSignal } from './actor-signal.ts';
export { ActorSystem } from './actor-system.ts';
export type { ActorSystemCounts, ActorSystemOptions } from './actor-system.ts';
export type { DeadLetter, DeadLetterReason } from './dead-letters.ts';
export type { MailboxOptions, OverflowPolicy } from './mailbox.ts';
export { RingBuffer } from './ring-buffer.ts';

export { Backoff, BACKOFF_DEFAULT } from './supervision/backoff.ts';
export type { BackoffOptions, Jitter } from './supervision/backoff.ts';
export { checkChildSpec, checkSupervisorSpec } from './supervision/child-spec.ts';
export type { ChildSpec, RestartType, SpecFault, SupervisorSpec } from './supervision/child-spec.ts';
export { LocalChild, localChild } from './supervision/local-placement.ts';
export type { LocalChildOptions } from './supervision/local-placement.ts';
export { RestartIntensity } from './supervision/restart-intensity.ts';
export type { RestartIntensityOptions } from './supervision/restart-intensity.ts';
export { planRestart } from './supervision/restart-strategy.ts';
export type { RestartPlan, RestartStrategy } from './supervision/restart-strategy.ts';
export { supervisorChild } from './supervision/supervisor-child.ts';
export { Supervisor } from './supervision/supervisor.ts';
export type { SupervisorOptions } from './supervision/supervisor.ts';
export type { TreeEvent, TreeListener } from './supervision/tree-event.ts';
export type { ChildStatus, ChildView, SupervisorStatus, SupervisorView } from './supervision/tree-view.ts';
