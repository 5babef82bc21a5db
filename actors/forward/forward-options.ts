/**
 * What a forward actor is given: its store and partitions, how it delivers, and whom it tells.
 */
import type { SharedPace } from '../../runtime/durable/pace.ts';
import type { DeliveryOutcome, Destination, UnsentReason } from '../ports.ts';
import type { LaneReport } from './lane-watch.ts';
import type { LaneOptions } from './lane.ts';
import type { StoredAlert } from './messages.ts';
import type { OutcomeBounds } from './outcome-plan.ts';
import type { DeliveredAlert } from './receipt-queue.ts';
import type { SettlementsOptions } from './settlements.ts';

export interface ForwardOptions extends Pick<SettlementsOptions, 'store' | 'tokens' | 'onStuck'> {
  destinations: readonly Destination[];
  /**
   * Delivers one alert within the destination's time-out; never rejects. `storedAtMs`: when its lane took it, wall clock;
   * absent for one that was set aside meanwhile.
   */
  deliver: (stored: StoredAlert, destination: Destination, storedAtMs?: number) => Promise<DeliveryOutcome>;
  /** No delivery may take longer, whatever its destination says: a lease must outlast it. */
  timeoutMsMax: number;
  retryBackoffMs: LaneOptions['backoffMs'];
  retryAgeMaxMs?: () => number;
  breakerMs: LaneOptions['breakerMs'];
  /** What all who send to a destination share: its rate and its breaker. */
  pace: SharedPace;
  /** How much longer the lease surely holds. */
  leaseLeftMs: () => number;
  bounds: OutcomeBounds;
  /** How long a stop waits for the answers to what is on its way. */
  endWaitMs?: number;
  /** A destination took an alert; told before that is committed, and again when it is delivered again. */
  onDelivered: (delivered: DeliveredAlert, status: number) => void;
  /** An alert ends unsent; told before that is committed, and again when it has to be committed again. */
  onUnsent: (ended: DeliveredAlert, reason: UnsentReason) => void;
  count: (what: ForwardCount, reason?: string) => void;
  /** The destinations that are not well, at every change and once at the start. */
  onLanes: (reports: readonly LaneReport[]) => void;
}

export type ForwardCount = 'delivered' | 'superseded' | 'retried' | 'refused' | 'paused';
