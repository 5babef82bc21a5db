/**
 * The module of a forward thread: one forward actor over the partitions that its slot has leased.
 */
import { HttpWebhookClient } from '../../gateways/webhook/webhook-client.ts';
import { SecretSource } from '../../gateways/secrets/secret-source.ts';
import { deliverAlert } from '../../actors/forward/delivery.ts';
import { forwardActor } from '../../actors/forward/forward-actor.ts';
import type { ForwardMessage } from '../../actors/forward/forward-actor.ts';
import type { LaneReport } from '../../actors/forward/lane-watch.ts';
import { retryDelayMs } from '../../actors/forward/retry-policy.ts';
import type { Destination } from '../../actors/ports.ts';
import { systemClock } from '../../runtime/clock.ts';
import type { Bounds, Token } from '../../runtime/durable/durable-store.ts';
import { processMs } from '../../runtime/shared/vitals.ts';
import { localChild } from '../../runtime/supervision/local-placement.ts';
import type { ThreadMain } from '../../runtime/thread/entry.ts';
import { FORWARD_COUNTERS } from './counters.ts';
import { openStore } from './store.ts';
import type { StoreParams } from './store.ts';

export interface ForwardThreadParams extends StoreParams {
  tokens: [partition: number, token: Token][];
  destinations: Destination[];
  leaseTtlMs: number;
  /** Forward threads of the node: they share each destination's rate. */
  sharers: number;
  bounds: { dead: Bounds; retry: Pick<Bounds, 'entriesMax' | 'bytesMax'> };
}

/** The destinations that are not well: all of them, at every change. */
export interface FromForwardThread {
  type: 'lanes';
  lanes: readonly LaneReport[];
}

export type ToForwardThread = { type: 'destinations'; destinations: Destination[] };

/**
 * To one server. Above what all lanes together may send at once (64 destinations of 256): a delivery that waited for a
 * connection would use up its time-out here, and be taken for a failure of its destination.
 */
export const CONNECTIONS_MAX = 16_384;
/** Messages of its own making: bounded by the alerts it holds. */
const MAILBOX_MESSAGES_MAX = 65_536;
const STOP_MS = 8_000;
const BREAKER_LIMITS = { baseMs: 500, delayMsMax: 30_000 };

export const threadMain: ThreadMain = async (host) => {
  const params = host.params as ForwardThreadParams;
  const { store, close } = await openStore(params, `mutt-${host.slotId}`);
  const client = new HttpWebhookClient({
    secrets: new SecretSource(() => systemClock.monotonicMs()),
    connectionsMax: CONNECTIONS_MAX,
  });
  let { destinations } = params;
  const forward = localChild<ForwardMessage>(
    host.system,
    'forward',
    (context) =>
      forwardActor({
        store,
        tokens: new Map(params.tokens),
        destinations,
        deliver: (stored, destination) =>
          deliverAlert(stored, destination, client, () => systemClock.wallMs()),
        timeoutMsMax: params.leaseTtlMs / 2,
        retryBackoffMs: (attempts) => retryDelayMs(attempts, Math.random),
        breakerMs: (failures) => retryDelayMs(failures, Math.random, undefined, BREAKER_LIMITS),
        sharers: params.sharers,
        leaseLeftMs: () => host.vitals.get('leaseUntilMs') - processMs(),
        bounds: params.bounds,
        count: (what, reason) => {
          const name = what === 'delivered' ? 'delivered' : (reason as keyof typeof FORWARD_COUNTERS.at);
          host.counters.add(FORWARD_COUNTERS.at[name]);
        },
        onLanes: (lanes) => host.post({ type: 'lanes', lanes } satisfies FromForwardThread),
      })(context),
    { mailbox: { capacity: MAILBOX_MESSAGES_MAX, overflow: 'refuse' } },
  );
  host.onMessage((message) => {
    destinations = (message as ToForwardThread).destinations;
    forward.ref.tell({ type: 'destinations', destinations });
  });
  return {
    children: [{ id: 'forward', start: forward.start, restart: 'permanent', shutdownDeadlineMs: STOP_MS }],
    close: async () => {
      client.close();
      await close();
    },
  };
};
