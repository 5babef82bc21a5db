/**
 * What a forward actor is given: its store and partitions, how it delivers, and whom it tells.
 */
import type { Bounds } from '../../runtime/durable/durable-store.ts';
import type { DeliveryOutcome, Destination } from '../ports.ts';
import type { LaneReport } from './lane-watch.ts';
import type { LaneOptions } from './lane.ts';
import type { StoredAlert } from './messages.ts';
import type { SettlementsOptions } from './settlements.ts';

export interface ForwardOptions extends Pick<SettlementsOptions, 'store' | 'tokens' | 'onStuck'> {
  destinations: readonly Destination[];
  /** Delivers one alert within the destination's time-out; never rejects. */
  deliver: (stored: StoredAlert, destination: Destination) => Promise<DeliveryOutcome>;
  /** No delivery may take longer, whatever its destination says: a lease must outlast it. */
  timeoutMsMax: number;
  retryBackoffMs: LaneOptions['backoffMs'];
  breakerMs: LaneOptions['breakerMs'];
  /** The destination's rate is shared by this many forward actors; asked when the destinations are told. */
  sharers: () => number;
  /** How much longer the lease surely holds. */
  leaseLeftMs: () => number;
  bounds: { dead: Bounds; retry: Pick<Bounds, 'entriesMax' | 'bytesMax'> };
  /** How long a stop waits for the answers to what is on its way. */
  endWaitMs?: number;
  count: (what: ForwardCount, reason?: string) => void;
  /** The destinations that are not well, at every change and once at the start. */
  onLanes: (reports: readonly LaneReport[]) => void;
}

export type ForwardCount = 'delivered' | 'retried' | 'refused' | 'paused';
