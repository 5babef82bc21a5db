/**
 * The workers of a node: which pools of threads and processes there are, what each worker is started with, and what it
 * is told when the configuration changes.
 *
 * What holds is the last snapshot with this node's own defaults and keys. Every worker starts with it, gets each later
 * one as a message, and answers with the version it runs; one that answers with another than the present one (it was
 * just starting) is told again. Match threads get it when its rules are built (rule-set/rule-set-keeper.ts), and ask for
 * the first. Invariant: a worker never runs with parts of two versions.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Tapped } from '../actors/match/messages.ts';
import type { RuleSet } from '../actors/match/rule-set/rule-set.ts';
import type { Snapshot } from '../actors/ports.ts';
import { sleep, systemClock } from '../runtime/clock.ts';
import { CodedError } from '../runtime/errors.ts';
import type { StartChild } from '../runtime/placement.ts';
import { ProcessSlot } from '../runtime/process/process-slot.ts';
import type { CounterCollector, CounterLayout } from '../runtime/shared/counters.ts';
import type { ChildSpec } from '../runtime/supervision/child-spec.ts';
import type { Log } from '../runtime/telemetry/log.ts';
import { ThreadPool } from '../runtime/thread/thread-pool.ts';
import { ThreadSlot } from '../runtime/thread/thread-slot.ts';
import type { Acknowledgements } from './acknowledgements.ts';
import type { AdminParams } from './admin/admin-process.ts';
import type { FromGateway, GatewayParams, ToGateway } from './gateway/gateway-process.ts';
import type { Ground, LeasedRole } from './ground.ts';
import { LEASED_ROLES } from './ground.ts';
import { NodeInForce, isMatch, noRuleSet } from './in-force.ts';
import { markedEnvironment } from './leftovers.ts';
import type { NodeKeys } from './node-keys.ts';
import { GatewayPool } from './pools/gateway-pool.ts';
import { LiveGroup } from './pools/live-group.ts';
import { PartitionPool } from './pools/partition-pool.ts';
import { PoolSize } from './pools/pool-size.ts';
import type { PoolView } from './pools/pool-size.ts';
import { THREAD_INTENSITY } from './restart-policy.ts';
import { AT } from './rule-set/rule-set-counters.ts';
import type { Offence } from './rule-set/rule-suspensions.ts';
import { secretPlaces } from './secret-places.ts';
import type { StaticConfig } from './static-config.ts';
import { FORWARD_COUNTERS, MATCH_COUNTERS, REMEDIATION_COUNTERS } from './threads/counters.ts';
import type { ForwardThreadParams, FromForwardThread } from './threads/forward-thread.ts';
import type { MatchThreadParams } from './threads/match-thread.ts';
import type { WaitReport } from './threads/partition-waits.ts';
import type { TlsMaterial } from '../gateways/http/tls-material.ts';
import type { SecretPlaces } from '../gateways/secrets/secret-source.ts';
import type { RemediationThreadParams } from './threads/remediation-thread.ts';
import { ThreadReports, threadLog } from './thread-reports.ts';
import type { StoreParams } from './threads/store.ts';
import type { Applied, OffenderFound, SnapshotWanted } from './threads/worker-messages.ts';

export interface NodeWorkersOptions {
  config: StaticConfig;
  dataDir: string;
  keys: NodeKeys;
  log: Log;
  collector: CounterCollector;
  acknowledgements: Acknowledgements;
  /** Where the stores are; known once they run. */
  storeUrls: () => { redisUrl: string; databaseUrl: string };
  /** Of the ingest port; undefined: it speaks plain HTTP. */
  tls: () => TlsMaterial | undefined;
  child: (id: string, start: StartChild) => ChildSpec;
  /** A worker is no more: what is kept of it by name can go. */
  onLeft: (id: string) => void;
  onAdminMessage: (payload: unknown) => void;
  /** A rule was over its budget; the image leaves it out by now. */
  onOffender: (offence: Offence) => void;
  /** A new image, before any thread has it. */
  onImage: (rules: RuleSet) => void;
}

export interface WorkerVersion {
  worker: string;
  version: number;
}

type FromThread = Applied | SnapshotWanted | OffenderFound | Tapped | FromForwardThread | WaitReport;

const THREAD_HEAP_MB_MAX = 512;
/** More than every pool at its largest has at once. */
const THREADS_MAX = 256;
const START_TIMEOUT_MS = 30_000;
const REMEDIATION_THREADS = 1;
const APPLIED_LOOK_MS = 5;

const threadModule = (role: LeasedRole): string =>
  new URL(`./threads/${role}-thread.ts`, import.meta.url).href;

export class NodeWorkers {
  /** In the order of their start. */
  readonly groups: readonly LiveGroup[];
  readonly admin: ProcessSlot;
  readonly pools: Readonly<Record<LeasedRole, PartitionPool>>;
  readonly gateways: GatewayPool;
  readonly reports = new ThreadReports();
  readonly inForce: NodeInForce;
  readonly #options: NodeWorkersOptions;
  readonly #threads = new ThreadPool({
    spareThreads: 1,
    preload: (['match', 'forward', 'remediation'] as const).map(threadModule),
    threadsMax: THREADS_MAX,
    heapMbMax: THREAD_HEAP_MB_MAX,
  });
  readonly #sizes: Readonly<Record<'match' | 'forward' | 'gateway', PoolSize>>;
  readonly #applied = new Map<string, number>();
  /** By id, from before their first start: one that says while it starts which version it runs must be heard. */
  readonly #slots = new Map<string, ThreadSlot | ProcessSlot>();
  #ground: Ground | undefined;

  constructor(options: NodeWorkersOptions) {
    this.#options = options;
    const { log } = options;
    this.inForce = new NodeInForce({ ...options, onRules: () => this.#tellMatch() });
    options.collector.attachBlock('rule set', this.inForce.rules.counters);
    this.admin = this.#processSlot('admin', './admin/admin-process.ts', {
      params: () => this.#adminParams(),
      onMessage: (payload) => this.#fromAdmin(payload),
    });
    const remediation = this.#partitionPool('remediation', REMEDIATION_COUNTERS.layout, () =>
      this.#remediationParams(),
    );
    const forward = this.#partitionPool('forward', FORWARD_COUNTERS.layout, () => this.#forwardParams());
    const match = this.#partitionPool('match', MATCH_COUNTERS.layout, () => this.#matchParams());
    const gateways = this.#group('gateways');
    this.pools = { match: match.pool, forward: forward.pool, remediation: remediation.pool };
    this.gateways = new GatewayPool({
      group: gateways,
      openSlot: (id) => this.#gatewaySlot(id),
      closeSlot: ({ id }) => this.#gatewayLeft(id),
      child: options.child,
    });
    this.groups = [remediation.group, forward.group, match.group, gateways];
    this.#sizes = {
      match: new PoolSize('match', this.pools.match, systemClock, log),
      forward: new PoolSize('forward', this.pools.forward, systemClock, log),
      gateway: new PoolSize('gateway', this.gateways, systemClock, log),
    };
  }

  /** The stores are there: from now on the pools have their sizes and the workers can start, with a set that is built. */
  async open(ground: Ground): Promise<void> {
    this.#ground = ground;
    const snapshot = ground.snapshots.current;
    if (snapshot === undefined) throw noRuleSet();
    const settings = this.inForce.put(snapshot);
    await this.inForce.rules.ready();
    const sizes = {
      match: settings['pool.match.size'],
      forward: settings['pool.forward.size'],
      remediation: REMEDIATION_THREADS,
    };
    for (const role of LEASED_ROLES) {
      const { size } = this.pools[role];
      await this.pools[role].open(ground.leases[role], size === 0 ? sizes[role] : size);
    }
    if (this.gateways.size === 0) await this.gateways.open(settings['pool.gateway.size']);
  }

  /** Another snapshot holds from now on: told to every worker, and the pools are brought to their sizes. */
  apply(snapshot: Snapshot): void {
    const settings = this.inForce.put(snapshot);
    this.#options.log.level = settings['log.level'];
    // Match threads are told by the keeper of their rules.
    for (const worker of this.#workers) if (!isMatch(worker)) this.#tell(worker);
    this.#sizes.match.aimAt(settings['pool.match.size']);
    this.#sizes.forward.aimAt(settings['pool.forward.size']);
    this.#sizes.gateway.aimAt(settings['pool.gateway.size']);
  }

  /** The certificate that holds now goes to every gateway. */
  tellTls(): void {
    const tls = this.#options.tls();
    if (tls === undefined) return;
    for (const { id } of this.gateways.slots) this.#post(id, { type: 'tls', tls } satisfies ToGateway);
  }

  /** What was set for all nodes; undefined before the stores are there. */
  get snapshot(): Snapshot | undefined {
    return this.inForce.snapshot;
  }

  get applied(): WorkerVersion[] {
    return [...this.#applied].map(([worker, version]) => ({ worker, version }));
  }

  /** Settles when every worker runs what holds now, or `timeoutMs` have passed. */
  async whenApplied(timeoutMs: number): Promise<void> {
    const deadlineMs = systemClock.monotonicMs() + timeoutMs;
    const isBehind = ({ version }: WorkerVersion): boolean => version < (this.snapshot?.version ?? 0);
    while (this.applied.some(isBehind) && systemClock.monotonicMs() < deadlineMs) {
      await sleep(systemClock, APPLIED_LOOK_MS);
    }
  }

  get sizes(): PoolView[] {
    return Object.values(this.#sizes).map(({ view }) => view);
  }

  /** No pool changes its size any more. Settles when none is about to. */
  async stopResizing(): Promise<void> {
    await Promise.all(Object.values(this.#sizes).map((size) => size.stop()));
  }

  /** After everything has stopped. */
  async close(): Promise<void> {
    await Promise.all([this.#threads.close(), this.inForce.close()]);
  }

  // What they are told

  #requireGround(): Ground {
    if (this.#ground !== undefined) return this.#ground;
    throw new CodedError('E_GROUND_MISSING', 'the stores are not ready yet', { kind: 'transient' });
  }

  get #workers(): string[] {
    return [...this.#slots.keys(), this.admin.id];
  }

  #tell(worker: string): void {
    if (this.snapshot === undefined) return;
    const [role] = worker.split('-', 1);
    const { inForce } = this;
    if (role === 'admin') this.admin.post({ type: 'snapshot', ...inForce.admin });
    else if (role === 'gateway') {
      this.#post(worker, { type: 'snapshot', ...inForce.gateway } satisfies ToGateway);
    } else if (role === 'match') {
      const content = inForce.rules.inForce;
      if (content !== undefined) this.#post(worker, { type: 'snapshot', ...content });
    } else {
      this.#post(worker, {
        type: 'snapshot',
        ...(role === 'forward' ? inForce.forward : inForce.remediation),
      });
    }
  }

  #tellMatch(): void {
    for (const { id } of this.pools.match.slots) this.#tell(id);
  }

  #post(worker: string, message: unknown): void {
    this.#slots.get(worker)?.post(message);
  }

  // What comes back

  #hasApplied(worker: string, { version }: Omit<Applied, 'type'>): void {
    if (this.#applied.get(worker) !== version) {
      this.#options.log.debug({ id: worker, version }, 'configuration applied');
    }
    this.#applied.set(worker, version);
    // It was starting while a change was told.
    if (version !== this.inForce.versionFor(worker)) this.#tell(worker.replace(/-ingest-\d+$/, ''));
    else if (isMatch(worker)) this.#settleRules(version);
  }

  /** When every match thread runs this version, nobody has the image of another one. */
  #settleRules(version: number): void {
    if (this.pools.match.slots.every(({ id }) => this.#applied.get(id) === version))
      this.inForce.rules.settle();
  }

  #fromGateway(message: FromGateway): void {
    const { acknowledgements } = this.#options;
    if (message.type === 'applied') this.#hasApplied(message.worker, message);
    else if (message.type === 'listening') this.tellTls();
    else if (message.type === 'left') this.#applied.delete(message.worker);
    else if (message.type === 'witnessed') acknowledgements.note(message.highest);
    else acknowledgements.lost(message.ranges);
  }

  /** What is tapped goes to the admin process, which has the clients; without one it is of no use. */
  #fromThread(id: string, message: FromThread): void {
    if (message.type === 'tapped') this.admin.post(message);
    else if (message.type === 'lanes') {
      this.reports.putLanes(id, message.lanes);
      this.#options.log.debug({ id, lanes: message.lanes }, 'destinations that are not well');
    } else if (message.type === 'waiting') this.reports.putWaits(id, message.waits);
    else if (message.type === 'snapshot wanted') this.#tell(id);
    else if (message.type === 'offender') {
      this.inForce.rules.counters.add(AT.suspensions);
      this.#options.onOffender(message.offender);
    } else this.#hasApplied(id, message);
  }

  #fromAdmin(payload: unknown): void {
    const message = payload as { type?: unknown };
    if (message.type === 'applied') this.#hasApplied(this.admin.id, payload as Applied);
    else if (message.type === 'taps') for (const slot of this.pools.match.slots) slot.post(payload);
    else this.#options.onAdminMessage(payload);
  }

  #left(id: string): void {
    this.#slots.delete(id);
    this.#applied.delete(id);
    this.#forgetThreadsOf(id);
    this.reports.delete(id);
    this.#options.onLeft(id);
  }

  #forgetThreadsOf(id: string): void {
    for (const worker of this.#applied.keys()) if (worker.startsWith(`${id}-`)) this.#applied.delete(worker);
  }

  /** What it knew of acknowledgements must not go with it: a loss would then be noticed too small. */
  #gatewayLeft(id: string): void {
    this.#left(id);
    const { highest } = this.#options.acknowledgements;
    for (const { id: other } of this.gateways.slots) {
      this.#post(other, { type: 'witnessed', highest } satisfies ToGateway);
    }
  }

  // What they are started with

  get #storeParams(): StoreParams & { databaseUrl: string } {
    return { ...this.#options.storeUrls(), keyPrefix: this.#options.config.keyPrefix };
  }

  #matchParams(): Omit<MatchThreadParams, 'tokens'> {
    const { bounds, storeName } = this.#requireGround();
    return { ...this.#storeParams, alertBounds: bounds.alert, deadBounds: bounds.dead, storeName };
  }

  #forwardParams(): Omit<ForwardThreadParams, 'tokens'> {
    const { leaseTtlMs } = this.#options.config;
    const { bounds } = this.#requireGround();
    return {
      ...this.#storeParams,
      ...this.inForce.forward,
      leaseTtlMs,
      bounds,
      secretPlaces: this.#secretPlaces,
    };
  }

  #remediationParams(): Omit<RemediationThreadParams, 'tokens'> {
    const { bounds, storeName } = this.#requireGround();
    return { ...this.#storeParams, ...this.inForce.remediation, alertBounds: bounds.alert, storeName };
  }

  #gatewayParams(id: string): GatewayParams {
    const { config, dataDir, keys, acknowledgements } = this.#options;
    mkdirSync(join(dataDir, 'witness'), { recursive: true, mode: 0o700 });
    // Its last incarnation may have had more threads, and died before it could say that they left.
    this.#forgetThreadsOf(id);
    return {
      ...this.#storeParams,
      ...this.inForce.gateway,
      host: config.ingestHost,
      port: config.ingestPort,
      tls: this.#options.tls(),
      partitions: config.partitions,
      bounds: this.#requireGround().bounds,
      safety: this.#requireGround().safety,
      pepper: keys.pepper,
      witnessFile: join(dataDir, 'witness', `${id}.json`),
      witnessed: acknowledgements.highest,
      hangAfterMs: config.hangAfterMs,
      log: this.#logOptions(),
    };
  }

  #adminParams(): AdminParams {
    const { config, keys } = this.#options;
    return {
      ...this.#storeParams,
      ...this.inForce.admin,
      storeName: this.#requireGround().storeName,
      bounds: this.#requireGround().bounds.overflow,
      safety: this.#requireGround().safety,
      partitions: config.partitions,
      pepper: keys.pepper,
      addresses: config,
      secretPlaces: this.#secretPlaces,
      log: this.#logOptions(),
    };
  }

  get #secretPlaces(): SecretPlaces {
    const { config, dataDir, keys } = this.#options;
    return secretPlaces(config, dataDir, keys);
  }

  #logOptions(): { level: string; file: string | undefined } {
    const { config, dataDir } = this.#options;
    return {
      level: this.inForce.plain.settings['log.level'],
      file: config.logTo === 'stdout' ? undefined : join(dataDir, 'log', 'mutt.log'),
    };
  }

  // Where they run

  #group(id: string): LiveGroup {
    return new LiveGroup({ id, strategy: 'oneForOne', intensity: THREAD_INTENSITY });
  }

  #partitionPool(
    role: LeasedRole,
    layout: CounterLayout,
    params: () => object,
  ): { group: LiveGroup; pool: PartitionPool } {
    const { config, collector, child } = this.#options;
    const group = this.#group(role);
    const pool: PartitionPool = new PartitionPool({
      role,
      partitions: config.partitions,
      group,
      // The tokens first: what holds is read when they are there.
      openSlot: (id) =>
        this.#threadSlot(id, role, layout, async () => ({ tokens: await pool.tokensFor(id), ...params() })),
      closeSlot: (slot) => {
        collector.retire(slot.id);
        this.#left(slot.id);
      },
      child,
    });
    return { group, pool };
  }

  #threadSlot(
    id: string,
    role: LeasedRole,
    counterLayout: CounterLayout,
    params: () => Promise<unknown>,
  ): ThreadSlot {
    const slot: ThreadSlot = new ThreadSlot({
      id,
      pool: this.#threads,
      moduleUrl: threadModule(role),
      params,
      counterLayout,
      hangAfterMs: this.#options.config.hangAfterMs,
      startTimeoutMs: START_TIMEOUT_MS,
      onMessage: (payload) => this.#fromThread(id, payload as FromThread),
      onLog: threadLog(this.#options.log, id),
      hasBlackBox: true,
    });
    this.#options.collector.attachBlock(id, slot.counters);
    this.#slots.set(id, slot);
    return slot;
  }

  #gatewaySlot(id: string): ProcessSlot {
    const slot = this.#processSlot(id, './gateway/gateway-process.ts', {
      params: () => this.#gatewayParams(id),
      onMessage: (payload) => this.#fromGateway(payload as FromGateway),
    });
    this.#slots.set(id, slot);
    return slot;
  }

  #processSlot(
    id: string,
    entry: string,
    how: { params: () => unknown; onMessage: (payload: unknown) => void },
  ): ProcessSlot {
    const { config, dataDir, collector, log } = this.#options;
    return new ProcessSlot({
      id,
      entry: fileURLToPath(new URL(entry, import.meta.url)),
      env: markedEnvironment(dataDir),
      collector,
      hangAfterMs: config.gatewayHangAfterMs,
      startTimeoutMs: START_TIMEOUT_MS,
      onStderr: (text) => log.warn({ id, text }, 'stderr'),
      ...how,
    });
  }
}
