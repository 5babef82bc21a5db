/**
 * A node: the supervision tree as data, top-down in the order of its start, and what it is composed of.
 *
 *   node
 *   ├── stores        private Redis and PostgreSQL (not with REDIS_URL and DATABASE_URL)
 *   ├── ground        migrations, safety checks, rule set, leases
 *   ├── admin         process: API, metrics, health
 *   ├── remediation   thread
 *   ├── forward       threads
 *   ├── match         threads
 *   └── gateways      processes, each with its ingest threads
 *
 * Stopped in reverse: intake first, so that what was taken is handled; the stores last. The supervisor itself never
 * touches a stranger's socket and does no heavy work, so it is always able to supervise.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Snapshot } from '../actors/ports.ts';
import { systemClock } from '../runtime/clock.ts';
import { CodedError, mendableCause } from '../runtime/errors.ts';
import { describeExit } from '../runtime/exit-reason.ts';
import type { ExitReason } from '../runtime/exit-reason.ts';
import type { RunningChild, StartChild } from '../runtime/placement.ts';
import { ProcessSlot } from '../runtime/process/process-slot.ts';
import { CounterCollector } from '../runtime/shared/counters.ts';
import type { CounterLayout } from '../runtime/shared/counters.ts';
import type { ChildSpec, SupervisorSpec } from '../runtime/supervision/child-spec.ts';
import { supervisorChild } from '../runtime/supervision/supervisor-child.ts';
import { Supervisor } from '../runtime/supervision/supervisor.ts';
import type { TreeEvent } from '../runtime/supervision/tree-event.ts';
import type { Log } from '../runtime/telemetry/log.ts';
import { ThreadPool } from '../runtime/thread/thread-pool.ts';
import { ThreadSlot } from '../runtime/thread/thread-slot.ts';
import { Acknowledgements } from './acknowledgements.ts';
import type { AdminParams } from './admin/admin-process.ts';
import { Calls } from './calls.ts';
import { startPrivatePostgres } from './embedded/postgres.ts';
import { startPrivateRedis } from './embedded/redis.ts';
import { ServerChild } from './embedded/server-child.ts';
import type { FromGateway, GatewayParams } from './gateway/gateway-process.ts';
import { markedEnvironment } from './leftovers.ts';
import { SNAPSHOT_FILE, openGround } from './ground.ts';
import type { Ground, LeasedRole } from './ground.ts';
import type { NodeKeys } from './node-keys.ts';
import { patientStart } from './patient-start.ts';
import { NODE_INTENSITY, RESTART_BACKOFF, THREAD_INTENSITY, isOwnFault } from './restart-policy.ts';
import { portUrl } from './static-config.ts';
import type { StaticConfig } from './static-config.ts';
import { FORWARD_COUNTERS, MATCH_COUNTERS, REMEDIATION_COUNTERS } from './threads/counters.ts';
import type { ForwardThreadParams } from './threads/forward-thread.ts';
import type { MatchThreadParams } from './threads/match-thread.ts';
import type { RemediationThreadParams } from './threads/remediation-thread.ts';
import { ThreadReports, threadLog } from './thread-reports.ts';
import { treeDocument } from './tree-document.ts';

export interface NodeOptions {
  config: StaticConfig;
  dataDir: string;
  keys: NodeKeys;
  log: Log;
  version: string;
  onProgress: (text: string) => void;
}

const THREAD_HEAP_MB_MAX = 512;
const START_TIMEOUT_MS = 30_000;
const STOP_MS = 12_000;
const STORE_STOP_MS = 20_000;
const NODE_STOP_MS = 60_000;

export class MuttNode {
  readonly #options: NodeOptions;
  readonly #config: StaticConfig;
  readonly #collector = new CounterCollector();
  readonly #pool: ThreadPool;
  readonly #redis: ServerChild;
  readonly #postgres: ServerChild;
  readonly #slots: Record<LeasedRole, ThreadSlot[]>;
  readonly #gateways: ProcessSlot[];
  readonly #admin: ProcessSlot;
  readonly #adminCalls: Calls;
  /** Everything that runs, by id, for an operator's restart. */
  readonly #running = new Map<string, RunningChild>();
  readonly #reports: ThreadReports;
  readonly #acknowledgements: Acknowledgements;
  readonly #startedAtMs = systemClock.monotonicMs();
  readonly #tree: Supervisor;
  #ground: Ground | undefined;
  readonly #stopping = new AbortController();

  constructor(options: NodeOptions) {
    this.#options = options;
    const { config, dataDir, log } = options;
    this.#config = config;
    this.#acknowledgements = new Acknowledgements(systemClock, log);
    this.#reports = new ThreadReports(log);
    const say = (text: string): void => log.info(text);
    this.#redis = new ServerChild((port) =>
      startPrivateRedis({
        dir: join(dataDir, 'redis'),
        log: say,
        appendFsync: config.ackLevel === 'fsynced' ? 'always' : 'everysec',
        ...(port === undefined ? {} : { port }),
      }),
    );
    this.#postgres = new ServerChild((port) =>
      startPrivatePostgres({
        dir: join(dataDir, 'postgres'),
        log: say,
        traceFile: join(dataDir, SNAPSHOT_FILE),
        ...(port === undefined ? {} : { port }),
      }),
    );
    const threads = config.matchThreads + config.forwardThreads + 1;
    this.#pool = new ThreadPool({ spareThreads: 1, threadsMax: threads, heapMbMax: THREAD_HEAP_MB_MAX });
    this.#slots = {
      match: this.#threadSlots('match', config.matchThreads, MATCH_COUNTERS.layout, (slot) =>
        this.#matchParams(slot),
      ),
      forward: this.#threadSlots('forward', config.forwardThreads, FORWARD_COUNTERS.layout, (slot) =>
        this.#forwardParams(slot),
      ),
      remediation: this.#threadSlots('remediation', 1, REMEDIATION_COUNTERS.layout, (slot) =>
        this.#remediationParams(slot),
      ),
    };
    this.#gateways = Array.from({ length: config.gateways }, (_, index) =>
      this.#gatewaySlot(`gateway-${index}`),
    );
    this.#admin = this.#processSlot(
      'admin',
      './admin/admin-process.ts',
      () => this.#adminParams(),
      (payload) => this.#fromAdmin(payload),
    );
    this.#adminCalls = new Calls((message) => this.#admin.post(message), systemClock, {
      readiness: () => this.#readiness(),
      status: () => this.#status(),
      samples: () => this.#collector.collect(),
      restart: (request: RestartRequest) => this.#restart(request),
    });
    this.#tree = new Supervisor(this.#spec(), { onEvent: (event) => this.#onTreeEvent(event) });
  }

  /** Settles when the tree has ended, whoever ended it. */
  get exited(): Promise<ExitReason> {
    return this.#tree.exited;
  }

  /** Rejects with the coded reason when a part cannot start; everything started is stopped again by then. */
  async start(): Promise<void> {
    try {
      await this.#tree.start();
    } catch (thrown) {
      await this.#pool.close();
      throw mendableCause(thrown);
    }
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#tree.stop(NODE_STOP_MS);
    await this.#pool.close();
  }

  /** The tree, top-down. */
  #spec(): SupervisorSpec {
    const children: ChildSpec[] = [
      this.#group('stores', [
        ...(this.#config.redisUrl === undefined
          ? [this.#child('redis', this.#redis.start, STORE_STOP_MS)]
          : []),
        ...(this.#config.databaseUrl === undefined
          ? [this.#child('postgres', this.#postgres.start, STORE_STOP_MS)]
          : []),
      ]),
      this.#child('ground', this.#startGround, STOP_MS),
      this.#child('admin', this.#admin.start, STOP_MS),
      ...(['remediation', 'forward', 'match'] as const).map((role) =>
        this.#group(
          role,
          this.#slots[role].map((slot) => this.#child(slot.id, slot.start, STOP_MS)),
        ),
      ),
      this.#group(
        'gateways',
        this.#gateways.map((slot) => this.#child(slot.id, slot.start, STOP_MS)),
      ),
    ];
    return { id: 'node', strategy: 'oneForOne', intensity: NODE_INTENSITY, children };
  }

  #group(id: string, children: ChildSpec[]): ChildSpec {
    const spec: SupervisorSpec = { id, strategy: 'oneForOne', intensity: THREAD_INTENSITY, children };
    const start = supervisorChild(spec, { onEvent: (event) => this.#onTreeEvent(event), parentPath: 'node' });
    return { id, start, restart: 'permanent', shutdownDeadlineMs: STORE_STOP_MS, backoff: RESTART_BACKOFF };
  }

  #child(id: string, start: StartChild, shutdownDeadlineMs: number): ChildSpec {
    const { redisUrl, databaseUrl } = this.#config;
    // Only private stores come back by themselves; with others a wrong address must be told at once.
    const isPatient = redisUrl === undefined && databaseUrl === undefined;
    const tried = isPatient ? patientStart(start, systemClock, this.#stopping.signal) : start;
    return {
      id,
      start: async (request) => {
        const child = await tried(request);
        this.#running.set(id, child);
        return child;
      },
      restart: 'permanent',
      shutdownDeadlineMs,
      backoff: RESTART_BACKOFF,
      countsTowardsIntensity: isOwnFault,
    };
  }

  readonly #startGround: StartChild = async ({ epoch }) => {
    const { config, dataDir, keys, log } = this.#options;
    const ground = await openGround({
      config,
      dataDir,
      log,
      redisUrl: this.#redisUrl,
      databaseUrl: this.#databaseUrl,
      own:
        config.databaseUrl === undefined
          ? {
              adminUrl: portUrl(config, 'admin'),
              sinkKeyFile: keys.files.sink,
              passwordFile: join(dataDir, 'postgres', 'password'),
            }
          : undefined,
      nonce: keys.nonce,
      roles: {
        match: this.#slots.match.map(({ vitals }) => vitals),
        forward: this.#slots.forward.map(({ vitals }) => vitals),
        remediation: this.#slots.remediation.map(({ vitals }) => vitals),
      },
      signal: this.#stopping.signal,
    });
    this.#ground = ground;
    this.#acknowledgements.note(ground.witnessed);
    this.#acknowledgements.keepIn(ground.witness);
    ground.snapshots.changes.subscribe((snapshot) => this.#tell(snapshot));
    const exit = Promise.withResolvers<ExitReason>();
    let ending: Promise<void> | undefined;
    const end = (): Promise<ExitReason> => {
      ending ??= (async () => {
        await this.#acknowledgements.stop();
        await ground.close();
        exit.resolve({ kind: 'shutdown' });
      })();
      return exit.promise;
    };
    return { epoch, exited: exit.promise, stop: end, kill: () => void end() };
  };

  /** A new rule set: to every worker that decides or delivers by it. */
  #tell(snapshot: Snapshot): void {
    for (const slot of this.#slots.match) slot.post({ type: 'snapshot', snapshot });
    for (const slot of this.#slots.forward) {
      slot.post({ type: 'destinations', destinations: snapshot.destinations });
    }
  }

  #threadSlots(
    role: LeasedRole,
    count: number,
    counterLayout: CounterLayout,
    params: (slot: number) => Promise<unknown>,
  ): ThreadSlot[] {
    return Array.from({ length: count }, (_, index) => {
      const id = `${role}-${index}`;
      const slot: ThreadSlot = new ThreadSlot({
        id,
        pool: this.#pool,
        moduleUrl: new URL(`./threads/${role}-thread.ts`, import.meta.url).href,
        params: () => params(index),
        counterLayout,
        hangAfterMs: this.#config.hangAfterMs,
        startTimeoutMs: START_TIMEOUT_MS,
        onMessage: (payload) => this.#reports.receive(id, payload),
        onLog: threadLog(this.#options.log, id),
      });
      this.#collector.attachBlock(id, slot.counters);
      return slot;
    });
  }

  #gatewaySlot(id: string): ProcessSlot {
    return this.#processSlot(
      id,
      './gateway/gateway-process.ts',
      () => this.#gatewayParams(id),
      (payload) => this.#fromGateway(payload as FromGateway),
    );
  }

  #processSlot(
    id: string,
    entry: string,
    params: () => unknown,
    onMessage: (payload: unknown) => void,
  ): ProcessSlot {
    return new ProcessSlot({
      id,
      entry: fileURLToPath(new URL(entry, import.meta.url)),
      env: markedEnvironment(this.#options.dataDir),
      params,
      collector: this.#collector,
      hangAfterMs: this.#config.gatewayHangAfterMs,
      startTimeoutMs: START_TIMEOUT_MS,
      onMessage,
      onStderr: (text) => this.#options.log.warn({ id, text }, 'stderr'),
    });
  }

  get #redisUrl(): string {
    return this.#config.redisUrl ?? this.#redis.url ?? '';
  }

  get #databaseUrl(): string {
    return this.#config.databaseUrl ?? this.#postgres.url ?? '';
  }

  get #storeParams(): { redisUrl: string; keyPrefix: string } {
    return { redisUrl: this.#redisUrl, keyPrefix: this.#config.keyPrefix };
  }

  #requireGround(): Ground {
    if (this.#ground !== undefined) return this.#ground;
    throw new CodedError('E_GROUND_MISSING', 'the stores are not ready yet', { kind: 'transient' });
  }

  #requireSnapshot(): Snapshot {
    const snapshot = this.#requireGround().snapshots.current;
    if (snapshot !== undefined) return snapshot;
    throw new CodedError('E_NO_RULE_SET', 'no rule set has been loaded yet', { kind: 'transient' });
  }

  async #matchParams(slot: number): Promise<MatchThreadParams> {
    const { bounds, leases } = this.#requireGround();
    return {
      ...this.#storeParams,
      databaseUrl: this.#databaseUrl,
      tokens: await leases.match.tokensFor(slot),
      snapshot: this.#requireSnapshot(),
      alertBounds: bounds.alert,
      auditUnmatched: this.#config.auditUnmatched,
    };
  }

  async #forwardParams(slot: number): Promise<ForwardThreadParams> {
    const { bounds, leases } = this.#requireGround();
    return {
      ...this.#storeParams,
      tokens: await leases.forward.tokensFor(slot),
      destinations: this.#requireSnapshot().destinations,
      leaseTtlMs: this.#config.leaseTtlMs,
      sharers: this.#config.forwardThreads,
      bounds,
    };
  }

  async #remediationParams(slot: number): Promise<RemediationThreadParams> {
    return {
      ...this.#storeParams,
      databaseUrl: this.#databaseUrl,
      tokens: await this.#requireGround().leases.remediation.tokensFor(slot),
    };
  }

  #gatewayParams(id: string): GatewayParams {
    const { config, dataDir, keys } = this.#options;
    mkdirSync(join(dataDir, 'witness'), { recursive: true, mode: 0o700 });
    return {
      ...this.#storeParams,
      databaseUrl: this.#databaseUrl,
      host: config.ingestHost,
      port: config.ingestPort,
      threads: config.ingestThreads,
      partitions: config.partitions,
      bounds: this.#requireGround().bounds.ingest,
      safety: this.#requireGround().safety,
      keys: keys.records,
      pepper: keys.pepper,
      witnessFile: join(dataDir, 'witness', `${id}.json`),
      witnessed: this.#acknowledgements.highest,
      hangAfterMs: config.hangAfterMs,
      log: logOptions(config, dataDir),
    };
  }

  #adminParams(): AdminParams {
    const { config, dataDir, keys } = this.#options;
    return {
      ...this.#storeParams,
      databaseUrl: this.#databaseUrl,
      partitions: config.partitions,
      keys: keys.records,
      pepper: keys.pepper,
      addresses: config,
      log: logOptions(config, dataDir),
    };
  }

  #fromGateway(message: FromGateway): void {
    if (message.type === 'witnessed') this.#acknowledgements.note(message.highest);
    else this.#acknowledgements.lost(message.ranges);
  }

  #fromAdmin(payload: unknown): void {
    if (this.#adminCalls.receive(payload)) return;
    if ((payload as { type?: unknown }).type === 'configuration changed')
      void this.#ground?.snapshots.refresh();
  }

  #readiness(): { ready: boolean; reasons: string[] } {
    const reasons: string[] = [];
    if (this.#stopping.signal.aborted) reasons.push('stopping');
    if (this.#ground === undefined) reasons.push('starting');
    else if (!this.#ground.isStoreThere()) {
      const { trouble } = this.#redis;
      reasons.push(trouble === undefined ? 'Redis does not answer' : `Redis does not answer: ${trouble}`);
    }
    if (!this.#gateways.some(({ pid }) => pid !== undefined)) reasons.push('no gateway is running');
    const gateways = treeDocument(this.#tree).children?.find(({ id }) => id === 'gateways')?.children ?? [];
    if (!gateways.some(({ status }) => status === 'running')) reasons.push('no gateway takes events');
    return { ready: reasons.length === 0, reasons };
  }

  #status(): unknown {
    const { config, version } = this.#options;
    return {
      ...this.#readiness(),
      version,
      pid: process.pid,
      uptime_seconds: Math.round((systemClock.monotonicMs() - this.#startedAtMs) / 1_000),
      addresses: {
        ingest: portUrl(config, 'ingest'),
        health: portUrl(config, 'health'),
        admin: portUrl(config, 'admin'),
      },
      snapshot: {
        version: this.#ground?.snapshots.current?.version ?? 0,
        applied: this.#reports.applied,
      },
      destinations: this.#reports.destinations,
      actors: treeDocument(this.#tree),
    };
  }

  async #restart({ id, how, by }: RestartRequest): Promise<{ id: string; how: string }> {
    const child = this.#running.get(id);
    if (child === undefined) {
      throw new CodedError('E_ACTOR_UNKNOWN', 'nothing of this name runs here', {
        mend: `There are ${[...this.#running.keys()].join(', ')}.`,
      });
    }
    this.#options.log.warn({ id, how, by }, 'restart asked for');
    if (how === 'kill') child.kill(`asked for with the key ${by}`);
    else await child.stop(STOP_MS);
    return { id, how };
  }

  #onTreeEvent(event: TreeEvent): void {
    const { log, onProgress } = this.#options;
    if (event.type === 'childExited' && !this.#stopping.signal.aborted) {
      log.warn(
        { child: event.child, epoch: event.epoch, reason: describeExit(event.reason) },
        'child exited',
      );
    } else {
      log.info({ event }, 'tree');
    }
    if (event.type === 'childStarted') onProgress(event.child);
  }
}

interface RestartRequest {
  id: string;
  how: 'kill' | 'drain';
  by: string;
}

function logOptions(config: StaticConfig, dataDir: string): { level: string; file: string | undefined } {
  return {
    level: config.logLevel,
    file: config.logTo === 'stdout' ? undefined : join(dataDir, 'log', 'mutt.log'),
  };
}
