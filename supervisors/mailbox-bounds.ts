/**
 * How much each mailbox may hold, from the store's memory limit: everything together stays below the share that the
 * store's safety check allows, however many partitions and destinations there are.
 */
import { BOUNDS_SHARE_MAX } from '../runtime/durable/store-safety.ts';
import { MARK_BYTES_MAX } from '../runtime/durable/durable-store.ts';
import type { Bounds } from '../runtime/durable/durable-store.ts';

export interface MailboxBounds {
  ingest: Bounds;
  overflow: Bounds;
  /** Per destination. */
  alert: Bounds;
  /** Per destination. */
  retry: Pick<Bounds, 'entriesMax' | 'bytesMax'>;
  dead: Bounds;
  /** Newest keys of resends that are known, per partition. */
  resendKeysMax: number;
  /** The sum over all partitions and lanes. */
  bytesTotal: number;
}

/** Parts of the whole. Events wait longest when something behind them is away, so they get most. */
const SHARES = {
  ingest: 0.33,
  overflow: 0.27,
  alert: 0.22,
  retry: 0.05,
  dead: 0.05,
  resends: 0.08,
} as const;
/** An entry costs the store about this much beside its payload; few bytes in many entries count too. */
const ENTRY_BYTES_MIN = 256;

export function mailboxBounds(options: {
  maxmemoryBytes: number;
  partitions: number;
  destinations: number;
}): MailboxBounds {
  const { maxmemoryBytes, partitions } = options;
  const destinations = Math.max(1, options.destinations);
  // A little below the limit, so that rounding never crosses it.
  const whole = maxmemoryBytes * BOUNDS_SHARE_MAX * 0.95;
  const perLane = (share: number, lanes: number): { bytesMax: number; entriesMax: number } => {
    const bytesMax = Math.floor((whole * share) / (partitions * lanes));
    return { bytesMax, entriesMax: Math.max(1, Math.floor(bytesMax / ENTRY_BYTES_MIN)) };
  };
  const bounds = {
    ingest: perLane(SHARES.ingest, 1),
    overflow: perLane(SHARES.overflow, 1),
    alert: perLane(SHARES.alert, destinations),
    retry: perLane(SHARES.retry, destinations),
    dead: perLane(SHARES.dead, 1),
  };
  // Twice as many are held when the older half is about to go.
  const resendKeyBytes = 2 * MARK_BYTES_MAX;
  const resendKeysMax = Math.max(1, Math.floor(perLane(SHARES.resends, 1).bytesMax / resendKeyBytes));
  const bytesTotal =
    partitions *
    (resendKeysMax * resendKeyBytes +
      bounds.ingest.bytesMax +
      bounds.overflow.bytesMax +
      bounds.dead.bytesMax +
      destinations * (bounds.alert.bytesMax + bounds.retry.bytesMax));
  return { ...bounds, resendKeysMax, bytesTotal };
}
