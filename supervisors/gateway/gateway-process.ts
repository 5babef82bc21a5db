/**
 * Entry of an ingest gateway process: the ingest port on the main thread, its decoding threads under a supervisor of
 * their own, and the witness of what was acknowledged here.
 *
 * Order of start: first the witness is compared with the store (loss is found before anything new is acknowledged),
 * then the threads, then the port. Order of stop: the reverse, with everything taken answered in between.
 */
import { openStore } from '../threads/store.ts';
import { IngestServer } from '../../gateways/ingest/ingest-server.ts';
import { INGEST_LAYOUT } from '../../gateways/ingest/metrics.ts';
import { KeyRing } from '../../gateways/http/key-ring.ts';
import { fingerprintOf, isSameMaterial } from '../../gateways/http/tls-material.ts';
import type { TlsMaterial } from '../../gateways/http/tls-material.ts';
import { systemClock } from '../../runtime/clock.ts';
import type { StoreSafetyOptions } from '../../runtime/durable/store-safety.ts';
import { openWitness } from '../../runtime/durable/witness.ts';
import type { LostRange, Witness } from '../../runtime/durable/witness.ts';
import { hostProcess } from '../../runtime/process/process-host.ts';
import type { HostedProcess, ProcessHost } from '../../runtime/process/process-host.ts';
import { CounterBlock } from '../../runtime/shared/counters.ts';
import { toWire } from '../../runtime/errors.ts';
import { openLog } from '../../runtime/telemetry/log.ts';
import type { Log, LogOptions } from '../../runtime/telemetry/log.ts';
import { ThreadPool } from '../../runtime/thread/thread-pool.ts';
import { ThreadSlot } from '../../runtime/thread/thread-slot.ts';
import { INGEST_COUNTERS } from '../threads/counters.ts';
import type { IngestThreadParams, LostMessage } from '../threads/ingest-thread.ts';
import type { StoreParams } from '../threads/store.ts';
import type { Applied, GatewayInForce, InForce, ToWorker } from '../threads/worker-messages.ts';
import { PoolSize } from '../pools/pool-size.ts';
import { IngestPool } from './ingest-pool.ts';
import { threadLog } from '../thread-reports.ts';
import { IngestThreads } from './ingest-threads.ts';
import { reconcileEach } from './reconcile-each.ts';
import type { FromIngestThread } from './ingest-threads.ts';

export interface GatewayParams extends StoreParams, GatewayInForce {
  databaseUrl: string;
  host: string;
  port: number;
  partitions: number;
  bounds: IngestThreadParams['bounds'];
  safety: StoreSafetyOptions;
  pepper: string;
  /** undefined: the ingest port speaks plain HTTP. */
  tls: TlsMaterial | undefined;
  witnessFile: string;
  /** What the second memory knows, by partition. */
  witnessed: [partition: number, accepted: number][];
  hangAfterMs: number;
  log: Omit<LogOptions, 'source'>;
}

/** What the supervisor says beside changes: a new certificate; how far acknowledgements went in a gateway that has left. */
export type ToGateway =
  | ToWorker<GatewayInForce>
  | { type: 'tls'; tls: TlsMaterial }
  | { type: 'witnessed'; highest: [partition: number, accepted: number][] };

/** What the supervisor hears. `worker` is this process or one of its threads. */
export type FromGateway =
  | (Applied & { worker: string })
  | { type: 'left'; worker: string }
  | { type: 'lost'; ranges: LostRange[] }
  | { type: 'listening' }
  | { type: 'witnessed'; highest: [partition: number, accepted: number][] };

const INGEST_MODULE = new URL('../threads/ingest-thread.ts', import.meta.url).href;
const THREAD_START_TIMEOUT_MS = 20_000;
const THREAD_HEAP_MB_MAX = 512;
/** Threads at once; what a pool may have and one that is just being replaced. */
const THREADS_MAX = 65;
const WITNESS_EVERY_MS = 200;
const DRAIN_SHARE = 0.5;

hostProcess(async (host: ProcessHost): Promise<HostedProcess> => {
  const params = host.params as GatewayParams;
  const log = openLog({ ...params.log, source: host.slotId });
  const post = (message: FromGateway): void => host.post(message);
  const allPartitions = Array.from({ length: params.partitions }, (_, partition) => partition);

  const witness = await openWitness({
    file: params.witnessFile,
    learns: params.safety.ackLevel !== 'replicated',
    onWritten: (highest) => post({ type: 'witnessed', highest: [...highest] }),
    onTrouble: (error) => log.warn({ error }, 'the witness cannot be written'),
  });
  for (const [partition, accepted] of params.witnessed) witness.note(partition, accepted);
  const opened = await openStore(params, `mutt-${host.slotId}`);
  const reconcile = (): Promise<void> =>
    reconcileEach(witness, opened.store, allPartitions, (ranges) => post({ type: 'lost', ranges }));
  await reconcile();

  const shared = new SharedArrayBuffer(params.partitions * Float64Array.BYTES_PER_ELEMENT);
  const acknowledged = new Float64Array(shared);
  for (const partition of allPartitions) acknowledged[partition] = witness.highest(partition);
  const stopWitnessing = keepWitness(witness, acknowledged, opened.store, reconcile);

  let inForce: GatewayInForce = params;
  const threadPool = new ThreadPool({
    spareThreads: 1,
    preload: [INGEST_MODULE],
    threadsMax: THREADS_MAX,
    heapMbMax: THREAD_HEAP_MB_MAX,
  });
  const openSlot = (id: string): ThreadSlot => {
    const slot: ThreadSlot = new ThreadSlot({
      id,
      pool: threadPool,
      moduleUrl: INGEST_MODULE,
      params: async (): Promise<IngestThreadParams> => ({
        redisUrl: params.redisUrl,
        databaseUrl: params.databaseUrl,
        keyPrefix: params.keyPrefix,
        partitions: params.partitions,
        bounds: params.bounds,
        safety: params.safety,
        witnessed: shared,
        version: inForce.version,
        settings: inForce.settings,
      }),
      counterLayout: INGEST_COUNTERS.layout,
      hangAfterMs: params.hangAfterMs,
      startTimeoutMs: THREAD_START_TIMEOUT_MS,
      onMessage: (payload) => {
        const message = payload as FromIngestThread | LostMessage | Applied;
        if (message.type === 'verdicts') threads.receive(message);
        else if (message.type === 'applied') post({ ...message, worker: id });
        else post({ type: 'lost', ranges: [message] });
      },
      onLog: threadLog(log, id),
      hasBlackBox: true,
    });
    host.report(slot.id, slot.counters);
    if (slot.blackBox !== undefined) host.reportBlackBox(slot.id, slot.blackBox);
    return slot;
  };
  const threads = new IngestThreads(systemClock);
  const ingest = new IngestPool({
    gateway: host.slotId,
    size: params.settings['pool.ingest.size'],
    threads,
    openSlot,
    onLeft: (id) => post({ type: 'left', worker: id }),
    tree: host.tree,
  });
  const { supervisor } = ingest;
  supervisor.observe((event) => {
    log.info({ event }, 'tree');
    host.sendTree(supervisor.describe());
  });
  await supervisor.start();
  host.sendTree(supervisor.describe());

  const counters = new CounterBlock(INGEST_LAYOUT);
  host.report('port', counters);
  const keys = new KeyRing(params.keys, { pepper: Buffer.from(params.pepper, 'hex'), clock: systemClock });
  const server = new IngestServer({
    port: threads,
    keys,
    counters,
    clock: systemClock,
    log,
    tls: params.tls,
  });
  server.start(params.port, params.host);
  const renewTls = tlsRenewal(server, params.tls, log);

  const ingestSize = new PoolSize(`${host.slotId}-ingest`, ingest, systemClock, log);
  const apply = (change: GatewayInForce): void => {
    keys.replace(change.keys);
    inForce = change;
    const { version, settings } = change;
    log.level = settings['log.level'];
    log.debug({ version, api_keys: change.keys.length }, 'configuration applied');
    ingestSize.aimAt(settings['pool.ingest.size']);
    for (const slot of ingest.slots)
      slot.post({ type: 'snapshot', version, settings } satisfies ToWorker<InForce>);
    post({ type: 'applied', worker: host.slotId, version });
  };
  apply(params);
  host.onMessage((payload) => {
    const message = payload as ToGateway;
    if (message.type === 'snapshot') apply(message);
    else if (message.type === 'tls') renewTls(message.tls);
    else for (const [partition, accepted] of message.highest) witness.note(partition, accepted);
  });
  // A certificate that was renewed while this process started came too early to be heard.
  post({ type: 'listening' });
  let isStopping = false;
  // Without its threads the gateway can only refuse: a new process is the better remedy.
  void supervisor.exited.then(() => {
    if (!isStopping) process.exit(1);
  });

  return {
    stop: async (deadlineMs) => {
      isStopping = true;
      const resized = ingestSize.stop();
      await server.drain(deadlineMs * DRAIN_SHARE);
      await resized;
      await supervisor.stop(deadlineMs * DRAIN_SHARE);
      server.close();
      await stopWitnessing();
      await opened.close();
      await threadPool.close();
    },
  };
});

/** Puts certificates into force. One that is refused changes nothing. */
function tlsRenewal(
  server: IngestServer,
  first: TlsMaterial | undefined,
  log: Log,
): (tls: TlsMaterial) => void {
  let latest = first;
  return (tls) => {
    if (latest === undefined || isSameMaterial(latest, tls)) return;
    latest = tls;
    try {
      server.renewTls(tls);
      log.info({ fingerprint: fingerprintOf(tls) }, 'new connections get the new TLS certificate');
    } catch (thrown) {
      log.error({ fault: toWire(thrown) }, 'the new TLS certificate is not in force');
    }
  };
}

/** The threads' acknowledgements go to the witness's file a few times a second, and are compared after every loss of the store. */
function keepWitness(
  witness: Witness,
  acknowledged: Float64Array,
  store: { readonly generation: number },
  reconcile: () => Promise<void>,
): () => Promise<void> {
  let generation = store.generation;
  const note = (): void => acknowledged.forEach((accepted, partition) => witness.note(partition, accepted));
  const timer = setInterval(() => {
    note();
    if (store.generation === generation) return;
    const seen = store.generation;
    reconcile().then(
      () => {
        generation = seen;
      },
      // Still away: the next tick tries again.
      () => undefined,
    );
  }, WITNESS_EVERY_MS);
  return async () => {
    clearInterval(timer);
    note();
    await witness.stop();
  };
}
