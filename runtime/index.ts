/**
 * The public face of the runtime: what a program imports.
 *
 * Named re-exports only, so that everything public can be found here; docs/reference/runtime.md says what each name is for.
 * Cells, run queue and registry are inside.
 */
export { assert, assertNever } from './assert.ts';
export { sleep, systemClock } from './clock.ts';
export type { Clock } from './clock.ts';
export { CodedError, codeOf, fromWire, kindOf, messageOf, toWire } from './errors.ts';
export type { CodedErrorOptions, ErrorKind, WireError } from './errors.ts';
export { describeExit, isAbnormal } from './exit-reason.ts';
export type { ExitReason } from './exit-reason.ts';
export type { RunningChild, StartChild, StartRequest, TreePlace } from './placement.ts';

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
export type { ActorInspection } from './inspection.ts';
export type { ActorSignal } from './actor-signal.ts';
export { ActorSystem } from './actor-system.ts';
export type { ActorSystemCounts, ActorSystemOptions, DescribeOptions } from './actor-system.ts';
export type { DeadLetter, DeadLetterListener, DeadLetterReason } from './dead-letters.ts';
export type { MailboxOptions, OverflowPolicy } from './mailbox.ts';
export { deadLetters, snapshots, treeEvents } from './observe.ts';
export type { LettersLeftOut, SnapshotSource, StreamOptions } from './observe.ts';
export type { QuarantineCounts, QuarantinedMessage } from './quarantine.ts';
export { countsUnlessCharged } from './redelivery.ts';
export type { FailedAttempt, RedeliveryOptions } from './redelivery.ts';
export { RingBuffer } from './ring-buffer.ts';
export type { ActorFacts, ActorView, SystemView } from './system-view.ts';
export { stateMachine } from './state-machine.ts';
export type { StateBehaviour, StateMachineSpec, Step } from './state-machine.ts';

export { BlackBox, BlackBoxWriter } from './shared/black-box.ts';
export type { ActorRecord, TailBounds } from './shared/black-box.ts';

export { Backoff, BACKOFF_DEFAULT } from './supervision/backoff.ts';
export type { BackoffOptions, Jitter } from './supervision/backoff.ts';
export type { AutoShutdown } from './supervision/auto-shutdown.ts';
export { checkChildSpec, checkSupervisorSpec } from './supervision/child-spec.ts';
export type {
  ChildSpec,
  ChildTemplate,
  RestartType,
  SpecFault,
  SupervisorSpec,
} from './supervision/child-spec.ts';
export { LocalChild, localChild } from './supervision/local-placement.ts';
export type { LocalChildOptions } from './supervision/local-placement.ts';
export { RestartIntensity } from './supervision/restart-intensity.ts';
export type { RestartIntensityOptions } from './supervision/restart-intensity.ts';
export { planRestart } from './supervision/restart-strategy.ts';
export type { RestartPlan, RestartStrategy } from './supervision/restart-strategy.ts';
export { supervisorChild } from './supervision/supervisor-child.ts';
export type { StartSupervisor } from './supervision/supervisor-child.ts';
export { Supervisor } from './supervision/supervisor.ts';
export type { SupervisorOptions } from './supervision/supervisor.ts';
export type { TreeEvent, TreeListener } from './supervision/tree-event.ts';
export type {
  ChildCounts,
  ChildStatus,
  ChildSummary,
  ChildView,
  SupervisorStatus,
  SupervisorView,
} from './supervision/tree-view.ts';

export { DURABLE_GUARANTEE, LOCAL_GUARANTEE, RING_GUARANTEE } from './guarantee.ts';
export type { Guarantee, Taken } from './guarantee.ts';
export { Group } from './routing/group.ts';
export type { GroupChange, GroupOptions, TellAllResult } from './routing/group.ts';
export { KeyedPool } from './routing/keyed-pool.ts';
export type { KeyedPoolOptions, KeyedPoolView } from './routing/keyed-pool.ts';
export { localMembers } from './routing/pool-member.ts';
export type { LocalMembersOptions, PoolMember, StartMember } from './routing/pool-member.ts';
export type { ResizeOutcome } from './routing/pool-resize.ts';
export { router } from './routing/router.ts';
export { byKey, leastBusy, roundRobin } from './routing/routing-policy.ts';
export type { RoutingPolicy, SpreadOptions } from './routing/routing-policy.ts';
export { shardOf } from './routing/shards.ts';
export type { Key } from './routing/shards.ts';

export { bytesCodec } from './remote/codec.ts';
export type { MessageCodec } from './remote/codec.ts';
export { decodeMessages, DurableRef, encodeMessages } from './remote/durable-ref.ts';
export type { DurableRefOptions } from './remote/durable-ref.ts';
export type { Endpoint } from './remote/endpoint.ts';
export { Exchange } from './remote/exchange.ts';
export type { ExchangeOptions } from './remote/exchange.ts';
export { jsonCodec } from './remote/json-codec.ts';
export type { JsonCodecOptions } from './remote/json-codec.ts';
export { ThreadRef } from './remote/thread-ref.ts';
export { BytesView } from './ring/bytes-view.ts';
export { RING_DEFAULT } from './ring/ring-layout.ts';
export type { RingOptions } from './ring/ring-layout.ts';

export type { ThreadActors, ThreadHost, ThreadMain } from './thread/entry.ts';
export type { ThreadLogEntry } from './thread/thread-log.ts';
export { ThreadPool } from './thread/thread-pool.ts';
export type { ThreadPoolOptions } from './thread/thread-pool.ts';
export { ThreadSlot } from './thread/thread-slot.ts';
export type { ThreadSlotOptions } from './thread/thread-slot.ts';
export { hostProcess } from './process/process-host.ts';
export type { HostedProcess, ProcessHost } from './process/process-host.ts';
export { ProcessSlot } from './process/process-slot.ts';
export type { ProcessSlotOptions } from './process/process-slot.ts';

export { CounterBlock, CounterCollector } from './shared/counters.ts';
export type { CounterDefinition, CounterKind, CounterLayout, CounterSample } from './shared/counters.ts';
export { processMs, Vitals } from './shared/vitals.ts';
export { expose } from './telemetry/exposition.ts';
export { openLog } from './telemetry/log.ts';
export type { Log, LogOptions } from './telemetry/log.ts';

export { createConsumer } from './durable/consumer.ts';
export type {
  Batch,
  Consumer,
  ConsumerOptions,
  Offence,
  Piece,
  ProgressMark,
  Suspect,
} from './durable/consumer.ts';
export type { DiversionOptions } from './durable/diversion.ts';
export { START } from './durable/durable-store.ts';
export type {
  AcquireResult,
  AppendRequest,
  AppendResult,
  Bounds,
  CommitPlan,
  CommitRequest,
  CommitResult,
  DelayedOutput,
  DueMembers,
  DurableStore,
  Entry,
  ExpressAppend,
  FullReason,
  Input,
  KeyCounts,
  LaneMeasure,
  LanePosition,
  LaneSpill,
  Ledger,
  LedgerQuestion,
  Mark,
  MarkWindow,
  Output,
  OverflowAppend,
  OverflowNote,
  ReadOptions,
  Refill,
  RenewResult,
  Spill,
  SpilledMeasure,
  SpillLook,
  Strike,
  StrikeRecord,
  Token,
} from './durable/durable-store.ts';
export { createLeaseKeeper } from './durable/lease-keeper.ts';
export type { HeldLease, LeaseKeeper, LeaseKeeperOptions, LeaseLoss } from './durable/lease-keeper.ts';
export { createMemoryStore } from './durable/memory-store.ts';
export type { MemoryStoreOptions } from './durable/memory-store.ts';
export { createMemoryPace } from './durable/memory-pace.ts';
export { mergePlans } from './durable/merge-plans.ts';
export type { PaceAnswer, PaceNews, PaceQuestion, SharedPace } from './durable/pace.ts';
export { createRedisPace } from './durable/redis-pace.ts';
export type { RedisPaceOptions } from './durable/redis-pace.ts';
export { createRedisStore, STORE_CONNECTION_OPTIONS } from './durable/redis-store.ts';
export type { RedisStoreOptions } from './durable/redis-store.ts';
export { Spiller } from './durable/spill.ts';
export type {
  Divided,
  Diverted,
  Shedding,
  SpillBounds,
  SpilledMessage,
  SpillerOptions,
  SpillPlace,
  SpillStore,
} from './durable/spill.ts';
export { assertStoreIsSafe } from './durable/store-safety.ts';
export type { AckLevel, StoreSafetyOptions } from './durable/store-safety.ts';
export { openWitness } from './durable/witness.ts';
export type { LostRange, Witness, WitnessOptions } from './durable/witness.ts';
export type { RangeMark } from './durable/marking.ts';
export { createWriter } from './durable/writer.ts';
export type { Frame, Place, Receipt, Submission, Writer, WriterOptions } from './durable/writer.ts';
