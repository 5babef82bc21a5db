/**
 * A node: the supervision tree as data, top-down in the order of its start.
 *
 *   node
 *   ├── stores        private Redis and PostgreSQL (not with REDIS_URL and DATABASE_URL)
 *   ├── ground        migrations, safety checks, rule set, leases
 *   ├── admin         process: API, metrics, health
 *   ├── remediation   thread
 *   ├── forward       threads
 *   ├── match         threads
 *   ├── gateways      processes, each with its ingest threads
 *   └── own-alerts    thread: alerts about MUTT itself, and the beat
 *
 * Stopped in reverse: intake first, so that what was taken is handled; the stores last. The supervisor itself never
 * touches a stranger's socket and does no heavy work, so it is always able to supervise. What the workers are and do is
 * in node-workers.ts, what the node says of itself in node-status.ts.
 */
import { hostname } from 'node:os';
import { join } from 'node:path';
import { effectiveSettings } from '../actors/settings.ts';
import type { Settings } from '../actors/settings.ts';
import { Calls } from '../runtime/calls.ts';
import { systemClock } from '../runtime/clock.ts';
import { CodedError, mendableCause } from '../runtime/errors.ts';
import { describeExit } from '../runtime/exit-reason.ts';
import type { ExitReason } from '../runtime/exit-reason.ts';
import type { RunningChild, StartChild } from '../runtime/placement.ts';
import { CounterCollector } from '../runtime/shared/counters.ts';
import type { CounterSample } from '../runtime/shared/counters.ts';
import type { ChildSpec, SupervisorSpec } from '../runtime/supervision/child-spec.ts';
import { supervisorChild } from '../runtime/supervision/supervisor-child.ts';
import { Supervisor } from '../runtime/supervision/supervisor.ts';
import type { TreeEvent } from '../runtime/supervision/tree-event.ts';
import type { Log } from '../runtime/telemetry/log.ts';
import { Acknowledgements } from './acknowledgements.ts';
import { startPrivatePostgres } from './embedded/postgres.ts';
import { startPrivateRedis } from './embedded/redis.ts';
import { ServerChild } from './embedded/server-child.ts';
import { SNAPSHOT_FILE, openGround } from './ground.ts';
import type { Ground } from './ground.ts';
import { GuardKeeper } from './guard-keeper.ts';
import { LatencyHistory } from './latency-history.ts';
import type { NodeKeys } from './node-keys.ts';
import { nodeStatus, readiness } from './node-status.ts';
import { OwnAlertKeeper } from './own-alerts/own-alert-keeper.ts';
import type { OwnAlertKeeperOptions } from './own-alerts/own-alert-keeper.ts';
import type { BooksRead } from './own-alerts/books-read.ts';
import { operatePart } from './operate-part.ts';
import type { OperateRequest } from './operate-part.ts';
import { NodeWorkers } from './node-workers.ts';
import { patientStart } from './patient-start.ts';
import { RateHistory } from './rate-history.ts';
import { RuleActivity } from './rule-set/rule-activity.ts';
import { RuleSuspensions } from './rule-set/rule-suspensions.ts';
import { NODE_INTENSITY, RESTART_BACKOFF, THREAD_INTENSITY, isOwnFault } from './restart-policy.ts';
import { secretPlaces, withBeatFile } from './secret-places.ts';
import { SloHistory } from './slo-history.ts';
import { ingestTlsFiles, portUrl } from './static-config.ts';
import type { StaticConfig } from './static-config.ts';
import { TlsKeeper } from './tls-keeper.ts';
import { treeEventDocument } from './tree-event-document.ts';

export interface NodeOptions {
  config: StaticConfig;
  dataDir: string;
  keys: NodeKeys;
  log: Log;
  version: string;
  onProgress: (text: string) => void;
}

const STOP_MS = 12_000;
const STORE_STOP_MS = 20_000;
const APPLIED_WAIT_MS = 2_000;
const NODE_STOP_MS = 60_000;

export class MuttNode {
  readonly #options: NodeOptions;
  readonly #config: StaticConfig;
  readonly #collector = new CounterCollector();
  readonly #redis: ServerChild;
  readonly #postgres: ServerChild;
  readonly #acknowledgements: Acknowledgements;
  /** undefined: the ingest port speaks plain HTTP. */
  readonly #tls: TlsKeeper | undefined;
  readonly #workers: NodeWorkers;
  readonly #suspensions: RuleSuspensions;
  readonly #ownAlerts: OwnAlertKeeper;
  readonly #tree: Supervisor;
  readonly #adminCalls: Calls;
  /** What they keep is of the last minutes or hours, so it is theirs to look at the counters now and then. */
  readonly #histories: readonly { start(): void; stop(): void }[];
  /** Everything that runs, by id, for an operator's restart. */
  readonly #running = new Map<string, RunningChild>();
  #mayHaveServed = false;
  #ground: Ground | undefined;
  readonly #stopping = new AbortController();

  constructor(options: NodeOptions) {
    this.#options = options;
    const { config, dataDir, keys, log, version } = options;
    this.#config = config;
    this.#acknowledgements = new Acknowledgements(systemClock, log);
    const tlsFiles = ingestTlsFiles(config);
    if (tlsFiles !== undefined) {
      const onRenewed = (): void => this.#workers.tellTls();
      this.#tls = new TlsKeeper({ files: tlsFiles, clock: systemClock, log, onRenewed });
      this.#collector.attachBlock('tls', this.#tls.counters);
    }
    const say = (text: string): void => log.info(text);
    this.#redis = new ServerChild((port) =>
      startPrivateRedis({
        dir: join(dataDir, 'redis'),
        log: say,
        appendFsync: config.ackLevel === 'written' ? 'everysec' : 'always',
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
    this.#suspensions = new RuleSuspensions({
      store: () => this.#ground?.ruleSuspensions,
      node: `node ${hostname()}`,
      clock: systemClock,
      log,
      onWritten: () => this.#ground?.snapshots.hear(),
    });
    this.#workers = new NodeWorkers({
      config,
      dataDir,
      keys,
      log,
      collector: this.#collector,
      acknowledgements: this.#acknowledgements,
      storeUrls: () => this.#storeUrls,
      tls: () => this.#tls?.material,
      child: (id, start) => this.#child(id, start, STOP_MS),
      onLeft: (id) => this.#running.delete(id),
      onAdminMessage: (payload) => this.#fromAdmin(payload),
      onOffender: (offence) => this.#suspensions.report(offence),
      onImage: (rules) => this.#suspensions.holdIn(rules),
    });
    const samples = (): CounterSample[] => this.#collector.collect();
    const settings = (): Settings =>
      effectiveSettings(this.#workers.snapshot?.settings ?? {}, config.settings);
    this.#ownAlerts = new OwnAlertKeeper({
      clock: systemClock,
      log,
      file: join(dataDir, 'own-alerts.json'),
      node: `${hostname()}:${config.adminPort}`,
      version,
      settings,
      snapshot: () => this.#workers.snapshot,
      stores: () => this.#storesNow(),
      claims: {
        observe: (signature) => this.#requireGround().ownAlerts.observe(signature),
        withdraw: (signature) => this.#requireGround().ownAlerts.withdraw(signature),
      },
      reports: () => ({ lanes: this.#workers.reports.destinations, waits: this.#workers.reports.waits }),
      samples,
      lostEvents: () => this.#acknowledgements.lostEvents,
      readiness: () =>
        readiness({
          tree: this.#tree,
          workers: this.#workers,
          reasonsNotReady: () => this.#reasonsNotReady(),
        }),
      beat:
        config.beatUrl === undefined
          ? undefined
          : { address: config.beatUrl, format: config.beatFormat, everyMs: config.beatEveryMs },
      hangAfterMs: config.hangAfterMs,
      secretPlaces: withBeatFile(secretPlaces(config, dataDir, keys), config.beatUrl),
    });
    this.#collector.attachBlock('own alerts', this.#ownAlerts.counters);
    this.#tree = new Supervisor(this.#spec(), { onEvent: (event) => this.#onTreeEvent(event) });
    const rates = new RateHistory({ clock: systemClock, total: () => storedEvents(this.#collector) });
    const latency = new LatencyHistory({ clock: systemClock, samples });
    const slo = new SloHistory({ clock: systemClock, samples, settings });
    this.#histories = [rates, latency, slo];
    this.#adminCalls = new Calls((message) => this.#workers.admin.post(message), systemClock, {
      ...nodeStatus({
        config,
        version,
        tree: this.#tree,
        workers: this.#workers,
        collector: this.#collector,
        latency,
        slo,
        ownAlerts: this.#ownAlerts,
        startedAtMs: systemClock.monotonicMs(),
        nowMs: () => systemClock.monotonicMs(),
        reasonsNotReady: () => this.#reasonsNotReady(),
      }),
      rates: () => rates.document(),
      refreshed: () => this.#refreshed(),
      restart: (request: RestartRequest) => this.#restart(request),
      operate: (request: OperateRequest) => operatePart(this.#tree, request, this.#options.log),
    });
  }

  /** Gateways have begun to start, and take events as soon as they listen: before the last part has started. */
  get mayHaveServed(): boolean {
    return this.#mayHaveServed;
  }

  /** Settles when the tree has ended, whoever ended it. */
  get exited(): Promise<ExitReason> {
    return this.#tree.exited;
  }

  /** Rejects with the coded reason when a part cannot start; everything started is stopped again by then. */
  async start(): Promise<void> {
    await this.#tls?.start();
    for (const history of this.#histories) history.start();
    try {
      await this.#tree.start();
      this.#ownAlerts.begin();
    } catch (thrown) {
      await this.#tls?.stop();
      await Promise.all([this.#workers.close(), this.#ownAlerts.close()]);
      throw mendableCause(thrown);
    }
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    for (const history of this.#histories) history.stop();
    await this.#tls?.stop();
    this.#ownAlerts.stop();
    const resized = this.#workers.stopResizing();
    await this.#tree.stop(NODE_STOP_MS);
    await resized;
    await this.#suspensions.stop();
    await Promise.all([this.#workers.close(), this.#ownAlerts.close()]);
  }

  /** The tree, top-down. */
  #spec(): SupervisorSpec {
    const { admin, groups } = this.#workers;
    const children: ChildSpec[] = [
      this.#stores(),
      this.#child('ground', this.#startGround, STOP_MS),
      this.#child(admin.id, admin.start, STOP_MS),
      ...groups.map(({ id, start }) =>
        this.#group(id, (request) => {
          this.#mayHaveServed ||= id === 'gateways';
          return start(request);
        }),
      ),
      // Last: nothing waits for it, and events are taken without it.
      this.#child(this.#ownAlerts.id, this.#ownAlerts.start, STOP_MS),
    ];
    return { id: 'node', strategy: 'oneForOne', intensity: NODE_INTENSITY, children };
  }

  #stores(): ChildSpec {
    const { redisUrl, databaseUrl } = this.#config;
    const children = [
      ...(redisUrl === undefined ? [this.#child('redis', this.#redis.start, STORE_STOP_MS)] : []),
      ...(databaseUrl === undefined ? [this.#child('postgres', this.#postgres.start, STORE_STOP_MS)] : []),
    ];
    const spec: SupervisorSpec = {
      id: 'stores',
      strategy: 'oneForOne',
      intensity: THREAD_INTENSITY,
      children,
    };
    return this.#group(spec.id, supervisorChild(spec));
  }

  #group(id: string, start: StartChild): ChildSpec {
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
      ...this.#storeUrls,
      own:
        config.databaseUrl === undefined
          ? {
              adminUrl: portUrl(config, 'admin'),
              sinkKeyFile: keys.files.sink,
              passwordFile: join(dataDir, 'postgres', 'password'),
            }
          : undefined,
      pepper: keys.pepper,
      nonce: keys.nonce,
      signal: this.#stopping.signal,
    });
    this.#ground = ground;
    this.#acknowledgements.note(ground.witnessed);
    this.#acknowledgements.keepIn(ground.witness);
    await this.#workers.open(ground).catch(async (thrown: unknown) => {
      await ground.close();
      throw thrown;
    });
    ground.snapshots.changes.subscribe((snapshot) => this.#workers.apply(snapshot));
    const guards = new GuardKeeper({
      settings: ground.settings,
      samples: () => this.#collector.collect(),
      clock: systemClock,
      log,
      onSettled: () => ground.snapshots.hear(),
    });
    guards.start();
    const { hits, rules } = this.#workers.inForce;
    const activity = new RuleActivity({
      store: ground.ruleActivity,
      tally: hits,
      count: () => rules.countHits(),
      log,
    });
    activity.start();
    const exit = Promise.withResolvers<ExitReason>();
    let ending: Promise<void> | undefined;
    const end = (): Promise<ExitReason> => {
      ending ??= (async () => {
        await guards.stop();
        await activity.stop();
        await this.#acknowledgements.stop();
        await ground.close();
        exit.resolve({ kind: 'shutdown' });
      })();
      return exit.promise;
    };
    return { epoch, exited: exit.promise, stop: end, kill: () => void end() };
  };

  get #storeUrls(): { redisUrl: string; databaseUrl: string } {
    const { redisUrl = this.#redis.url ?? '', databaseUrl = this.#postgres.url ?? '' } = this.#config;
    return { redisUrl, databaseUrl };
  }

  #fromAdmin(payload: unknown): void {
    if (this.#adminCalls.receive(payload)) return;
    const { type } = payload as { type?: unknown };
    if (type === 'configuration changed') this.#ground?.snapshots.hear();
    else if (type === 'books') this.#ownAlerts.noteBooks(payload as BooksRead);
  }

  /** Undefined before the ground was there for the first time: then nothing is known. */
  #storesNow(): ReturnType<OwnAlertKeeperOptions['stores']> {
    if (this.#ground === undefined) return undefined;
    const { bounds, snapshots } = this.#ground;
    return { redisTrouble: this.#redisTrouble, isDatabaseThere: !snapshots.isSourceAway, bounds };
  }

  #requireGround(): Ground {
    if (this.#ground !== undefined) return this.#ground;
    throw new CodedError('E_GROUND_MISSING', 'the stores are not ready yet', { kind: 'transient' });
  }

  /** What was changed just now is in force here; a worker that hangs is not waited for. */
  async #refreshed(): Promise<void> {
    await this.#ground?.snapshots.refreshNow();
    await this.#workers.whenApplied(APPLIED_WAIT_MS);
  }

  #reasonsNotReady(): string[] {
    const reasons: string[] = [];
    if (this.#stopping.signal.aborted) reasons.push('stopping');
    if (this.#ground === undefined) reasons.push('starting');
    else if (this.#redisTrouble !== undefined) reasons.push(this.#redisTrouble);
    return reasons;
  }

  /** Why it cannot be used; undefined when it can. */
  get #redisTrouble(): string | undefined {
    if (this.#ground === undefined || this.#ground.isStoreThere()) return undefined;
    const unsafe = this.#ground.storeTrouble();
    const { trouble } = this.#redis;
    if (unsafe !== undefined) return `Redis is not safe to use: ${unsafe}`;
    return trouble === undefined ? 'Redis does not answer' : `Redis does not answer: ${trouble}`;
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
    if (!this.#stopping.signal.aborted) this.#ownAlerts.noteTreeEvent(event);
    if (event.type === 'childExited' && !this.#stopping.signal.aborted) {
      log.warn(
        {
          child: event.child,
          epoch: event.epoch,
          reason: describeExit(event.reason),
          ...('blackBox' in event.reason ? { blackBox: event.reason.blackBox } : {}),
        },
        'child exited',
      );
    } else {
      log.info({ event }, 'tree');
    }
    this.#workers.admin.post({ type: 'tree event', event: treeEventDocument(event) });
    if (event.type === 'childStarted') onProgress(event.child);
  }
}

function storedEvents(collector: CounterCollector): number {
  const stored = collector.collect().find(({ name }) => name === 'mutt_ingest_stored_events_total');
  return stored?.values[0]?.value ?? 0;
}

interface RestartRequest {
  id: string;
  how: 'kill' | 'drain';
  by: string;
}
