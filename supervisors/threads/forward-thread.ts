/**
 * The module of a forward thread: one forward actor over the partitions that its slot has leased.
 */
import { HttpWebhookClient } from '../../gateways/webhook/webhook-client.ts';
import { SecretSource } from '../../gateways/secrets/secret-source.ts';
import { deliverAlert } from '../../actors/forward/delivery.ts';
import { forwardActor } from '../../actors/forward/forward-actor.ts';
import type { ForwardMessage } from '../../actors/forward/forward-actor.ts';
import type { LaneReport } from '../../actors/forward/lane-watch.ts';
import { alertLane } from '../../actors/forward/messages.ts';
import { retryDelayMs } from '../../actors/forward/retry-policy.ts';
import { systemClock } from '../../runtime/clock.ts';
import type { Bounds, Token } from '../../runtime/durable/durable-store.ts';
import { laneFull } from '../../runtime/durable/store-errors.ts';
import { processMs } from '../../runtime/shared/vitals.ts';
import { localChild } from '../../runtime/supervision/local-placement.ts';
import type { ThreadMain } from '../../runtime/thread/entry.ts';
import { FORWARD_COUNTERS } from './counters.ts';
import { PartitionWaits } from './partition-waits.ts';
import { openStore } from './store.ts';
import type { StoreParams } from './store.ts';
import type { Applied, ForwardInForce, ToWorker } from './worker-messages.ts';

export interface ForwardThreadParams extends StoreParams, ForwardInForce {
  tokens: [partition: number, token: Token][];
  leaseTtlMs: number;
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
  const { store, close } = await openStore(params, `mutt-${host.slotId}`);
  const client = new HttpWebhookClient({
    secrets: new SecretSource(() => systemClock.monotonicMs()),
    connectionsMax: CONNECTIONS_MAX,
  });
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
        deliver: (stored, destination) =>
          deliverAlert(stored, destination, client, () => systemClock.wallMs()),
        timeoutMsMax: params.leaseTtlMs / 2,
        retryBackoffMs: (attempts) => {
          const { 'forward.retry.baseMs': baseMs, 'forward.retry.delayMaxMs': delayMsMax } = inForce.settings;
          return retryDelayMs(attempts, Math.random, { baseMs, delayMsMax });
        },
        breakerMs: (failures) => {
          const { 'forward.breaker.baseMs': baseMs, 'forward.breaker.delayMaxMs': delayMsMax } =
            inForce.settings;
          return retryDelayMs(failures, Math.random, { baseMs, delayMsMax });
        },
        sharers: () => inForce.sharers,
        leaseLeftMs: () => host.vitals.get('leaseUntilMs') - processMs(),
        bounds: params.bounds,
        count: (what, reason) => {
          const name = what === 'delivered' ? 'delivered' : (reason as keyof typeof FORWARD_COUNTERS.at);
          host.counters.add(FORWARD_COUNTERS.at[name]);
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
      await close();
    },
  };
};
