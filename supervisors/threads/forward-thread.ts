/**
 * The module of a forward thread: one forward actor over the partitions that its slot has leased.
 */
import { openConnection } from '../../gateways/postgres/connection.ts';
import { PostgresReceiptStore } from '../../gateways/postgres/receipt-store.ts';
import { HttpWebhookClient } from '../../gateways/webhook/webhook-client.ts';
import { SecretSource } from '../../gateways/secrets/secret-source.ts';
import type { SecretPlaces } from '../../gateways/secrets/secret-source.ts';
import { deliverAlert } from '../../actors/forward/delivery.ts';
import { forwardActor } from '../../actors/forward/forward-actor.ts';
import type { ForwardMessage } from '../../actors/forward/forward-actor.ts';
import type { LaneReport } from '../../actors/forward/lane-watch.ts';
import { LatestDelivered } from '../../actors/forward/latest-delivered.ts';
import { latestOnly } from '../../actors/forward/latest-only.ts';
import { alertLane } from '../../actors/forward/messages.ts';
import { ReceiptQueue, receiptOf, unsentReceiptOf } from '../../actors/forward/receipt-queue.ts';
import { retryDelayMs } from '../../actors/forward/retry-policy.ts';
import type { ReceiptStore } from '../../actors/ports.ts';
import { systemClock } from '../../runtime/clock.ts';
import type { Bounds, Token } from '../../runtime/durable/durable-store.ts';
import { laneFull } from '../../runtime/durable/store-errors.ts';
import { processMs } from '../../runtime/shared/vitals.ts';
import { localChild } from '../../runtime/supervision/local-placement.ts';
import type { ThreadHost, ThreadMain } from '../../runtime/thread/entry.ts';
import { FORWARD_COUNTERS } from './counters.ts';
import { PartitionWaits } from './partition-waits.ts';
import { occasionally } from './occasionally.ts';
import { StageLatency, timedDelivery } from './stage-latency.ts';
import { openStore } from './store.ts';
import type { StoreParams } from './store.ts';
import type { Applied, ForwardInForce, ToWorker } from './worker-messages.ts';

export interface ForwardThreadParams extends StoreParams, ForwardInForce {
  databaseUrl: string;
  tokens: [partition: number, token: Token][];
  leaseTtlMs: number;
  secretPlaces: SecretPlaces;
  bounds: { dead: Bounds; retry: Pick<Bounds, 'entriesMax' | 'bytesMax'> };
}

/** The destinations that are not well: all of them, at every change. */
export interface FromForwardThread {
  type: 'lanes';
  lanes: readonly LaneReport[];
}

/**
 * To one server. Above what all lanes together may send at once (64 destinations of 256): a delivery that waited for a
 * connection would use up its time-out here, and be taken for a failure of its destination.
 */
export const CONNECTIONS_MAX = 16_384;
/** Messages of its own making: bounded by the alerts it holds. */
const MAILBOX_MESSAGES_MAX = 65_536;
const STOP_MS = 8_000;

export const threadMain: ThreadMain = async (host) => {
  const params = host.params as ForwardThreadParams;
  const { store, pace, close } = await openStore(params, `mutt-${host.slotId}`);
  const client = new HttpWebhookClient({
    secrets: new SecretSource(() => systemClock.monotonicMs(), params.secretPlaces),
    connectionsMax: CONNECTIONS_MAX,
  });
  const database = openConnection({
    url: params.databaseUrl,
    connectionsMax: 1,
    applicationName: `mutt-${host.slotId}`,
  });
  const receiptStore = new PostgresReceiptStore(database);
  const receipts = receiptQueue(host, receiptStore);
  const latest = new LatestDelivered(systemClock.wallMs());
  const { stagesAt, stages } = FORWARD_COUNTERS;
  const latency = new StageLatency(host.counters, stagesAt, stages);
  const timed = timedDelivery(latency, systemClock, (stored, destination) =>
    deliverAlert(stored, destination, client, () => systemClock.wallMs()),
  );
  const deliver = latestOnly(timed, { latest, log: receiptStore, clock: systemClock });
  let inForce: ForwardInForce = params;
  const waits = new PartitionWaits(systemClock, (report) => host.post(report));
  const forward = localChild<ForwardMessage>(
    host.system,
    'forward',
    (context) => {
      waits.clear();
      return forwardActor({
        store,
        tokens: new Map(params.tokens),
        destinations: inForce.destinations,
        deliver,
        timeoutMsMax: params.leaseTtlMs / 2,
        retryBackoffMs: (attempts) => {
          const { 'forward.retry.baseMs': baseMs, 'forward.retry.delayMaxMs': delayMsMax } = inForce.settings;
          return retryDelayMs(attempts, Math.random, { baseMs, delayMsMax });
        },
        retryAgeMaxMs: () => inForce.settings['forward.retry.ageMaxMs'],
        breakerMs: (failures) => {
          const { 'forward.breaker.baseMs': baseMs, 'forward.breaker.delayMaxMs': delayMsMax } =
            inForce.settings;
          return retryDelayMs(failures, Math.random, { baseMs, delayMsMax });
        },
        pace,
        leaseLeftMs: () => host.vitals.get('leaseUntilMs') - processMs(),
        bounds: params.bounds,
        onDelivered: (delivered, status) => {
          latest.note(delivered.alert, systemClock.wallMs());
          receipts.add(receiptOf(delivered, status, systemClock.wallMs()));
        },
        onUnsent: (ended, reason) => {
          // What the destination was not to hear of is not to be followed by what came before it.
          latest.note(ended.alert, systemClock.wallMs());
          host.counters.add(FORWARD_COUNTERS.at[reason]);
          receipts.add(unsentReceiptOf(ended, reason, systemClock.wallMs()));
        },
        count: (what, reason) => {
          const name = reason === undefined ? what : reason;
          host.counters.add(FORWARD_COUNTERS.at[name as keyof typeof FORWARD_COUNTERS.at]);
        },
        onLanes: (lanes) => host.post({ type: 'lanes', lanes } satisfies FromForwardThread),
        onStuck: (partition, stuck) =>
          waits.set(
            partition,
            [...stuck].map(([name, lane]) => ({ mailbox: alertLane(name), error: laneFull(lane) })),
          ),
      })(context);
    },
    { mailbox: { capacity: MAILBOX_MESSAGES_MAX, overflow: 'refuse' } },
  );
  const hasApplied = (): void => {
    host.post({ type: 'applied', version: inForce.version } satisfies Applied);
  };
  host.onMessage((message) => {
    inForce = message as ToWorker<ForwardInForce>;
    forward.ref.tell({ type: 'destinations', destinations: inForce.destinations });
    hasApplied();
  });
  hasApplied();
  return {
    children: [{ id: 'forward', start: forward.start, restart: 'permanent', shutdownDeadlineMs: STOP_MS }],
    close: async () => {
      waits.close();
      client.close();
      await receipts.close();
      await Promise.all([database.close(), close()]);
    },
  };
};

/** Counts receipts; what is dropped is told once a while, with how many there were. */
function receiptQueue(
  host: ThreadHost,
  store: ReceiptStore,
): { add: ReceiptQueue['add']; close(): Promise<void> } {
  const { at } = FORWARD_COUNTERS;
  const tellDropped = occasionally((count, fields) =>
    host.log('warn', 'receipts of deliveries were dropped', { count, ...fields }),
  );
  const gauge = (): void => host.counters.set(at.receiptsWaiting, queue.waiting);
  const queue: ReceiptQueue = new ReceiptQueue({
    store,
    clock: systemClock,
    onKept: (count) => {
      host.counters.add(at.receiptsKept, count);
      gauge();
    },
    onDropped: (count, code) => {
      host.counters.add(at.receiptsDropped, count);
      tellDropped(count, code === undefined ? {} : { code });
    },
  });
  return {
    add: (receipt) => {
      queue.add(receipt);
      gauge();
    },
    close: () => queue.close(),
  };
}
