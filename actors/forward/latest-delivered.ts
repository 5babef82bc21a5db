/**
 * Of which alert of a signature a destination has heard last, as far as this thread has delivered it: a replayed one that
 * is older must not be sent any more. Bounded: the signatures that were delivered longest ago are forgotten.
 */
import type { Alert } from '../event.ts';
import { alertOrder } from './alert-order.ts';

const SIGNATURES_MAX = 100_000;
/** Clocks of nodes differ. */
const MARGIN_MS = 5_000;

type Delivered = Pick<Alert, 'destination' | 'signature' | 'received_at' | 'event_ids'>;

export class LatestDelivered {
  readonly #latest = new Map<string, { order: string; notedAtMs: number }>();
  readonly #signaturesMax: number;
  #coversSinceMs: number;

  constructor(nowMs: number, signaturesMax = SIGNATURES_MAX) {
    this.#coversSinceMs = nowMs;
    this.#signaturesMax = signaturesMax;
  }

  note(alert: Delivered, nowMs: number): void {
    const key = keyOf(alert);
    const order = alertOrder(alert);
    const known = this.#latest.get(key)?.order ?? '';
    this.#latest.delete(key);
    this.#latest.set(key, { order: known > order ? known : order, notedAtMs: nowMs });
    if (this.#latest.size <= this.#signaturesMax) return;
    const [[oldest, { notedAtMs }]] = this.#latest as unknown as [[string, { notedAtMs: number }]];
    this.#latest.delete(oldest);
    this.#coversSinceMs = Math.max(this.#coversSinceMs, notedAtMs);
  }

  /** False when something that was delivered since then may not be known here. */
  covers(sinceMs: number): boolean {
    return sinceMs > this.#coversSinceMs + MARGIN_MS;
  }

  /** Whether a later alert of the signature was delivered. */
  isLaterThan(alert: Delivered): boolean {
    return (this.#latest.get(keyOf(alert))?.order ?? '') > alertOrder(alert);
  }
}

function keyOf({ destination, signature }: Delivered): string {
  return `${destination} ${signature}`;
}
