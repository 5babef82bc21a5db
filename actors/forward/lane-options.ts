/** What a lane is made with, holds, and has to say. */
import type { PaceNews } from '../../runtime/durable/pace.ts';
import type { Alert } from '../event.ts';
import type { DeliveryOutcome, UnsentReason } from '../ports.ts';

export interface LaneItem {
  alert: Alert;
  partition: number;
  /** Deliveries that failed while the destination was up. */
  attempts: number;
  /** When the first of them failed, ms since 1970. */
  triedSinceMs?: number;
  /** Somebody wants it sent although it was refused before. */
  isReplay?: boolean;
}

export interface LaneOptions {
  concurrency: number;
  ratePerSecond: number;
  /** An alert that was received longer ago is not sent when its turn comes; null: however long ago. */
  staleAfterMs: number | null;
  /** Whether backlogs are reduced to the latest of each signature. */
  collapse: boolean;
  /** ms since 1970, for the age of alerts. */
  wallMs: () => number;
  /** Delay before attempt n+1 of one alert, n from 1. */
  backoffMs: (attempts: number) => number;
  /** How long one alert is tried while others get through; absent: for ever. */
  retryAgeMaxMs?: () => number;
  /** Pause of the whole lane after the n-th failed probe in a row, n from 1. */
  breakerMs: (failures: number) => number;
}

/** What the caller has to do with an alert after a delivery. */
export type LaneAction<I> =
  | { kind: 'delivered'; item: I }
  | { kind: 'superseded'; item: I }
  | { kind: 'dead'; item: I; outcome: Extract<DeliveryOutcome, { kind: 'refused' | 'retry' }> }
  /** Store it away until it is due again; it is no longer the lane's. */
  | { kind: 'delay'; item: I; delayMs: number }
  /** It stays in the lane and will be offered by `next` again. */
  | { kind: 'kept'; item: I };

/** An alert that ends without being sent; `ended` must follow when that is committed. */
export interface Unsent<I> {
  item: I;
  reason: UnsentReason;
}

export type LanePace = Pick<LaneOptions, 'concurrency' | 'ratePerSecond' | 'staleAfterMs' | 'collapse'>;

/** What to ask for, and to tell. */
export interface LaneWish {
  wanted: number;
  returned: number;
  news?: PaceNews;
}
