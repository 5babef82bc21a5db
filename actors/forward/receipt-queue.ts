/**
 * Receipts of destinations on their way to their store: one write at a time, everything that came meanwhile in the next.
 *
 * A delivery waits for nothing here. While the store is away, receipts wait for it; when there is no room for more, those
 * that come are dropped, and so are those that it refuses for good: a receipt says what has happened, and the ledger knows
 * of the delivery without it. Invariants:
 * what waits is bounded; every receipt is given to `onKept` or to `onDropped`, once, unless the thread is killed.
 */
import { sleep } from '../../runtime/clock.ts';
import type { Clock } from '../../runtime/clock.ts';
import { codeOf, kindOf } from '../../runtime/errors.ts';
import type { Alert } from '../event.ts';
import type { AlertReceipt, ReceiptStore, UnsentReason } from '../ports.ts';

/** About 25 MB, and some seconds of the fastest deliveries. */
export const RECEIPTS_WAITING_MAX = 50_000;
const PER_WRITE_MAX = 1_000;
/** So long the first waits for others: a statement costs the store more than a row. */
const LINGER_MS = 200;
const RETRY_MS_MIN = 100;
const RETRY_MS_MAX = 5_000;

export interface DeliveredAlert {
  alert: Alert;
  /** Before the one that it was taken at. */
  attempts: number;
  partition: number;
  destination: string;
}

export interface ReceiptQueueOptions {
  store: ReceiptStore;
  clock: Clock;
  /** Of an alert that was delivered before, the first receipt stands: these count as kept, too. */
  onKept: (count: number) => void;
  /** `code` is what the store last failed with, if it has. */
  onDropped: (count: number, code: string | undefined) => void;
  waitingMax?: number;
}

export class ReceiptQueue {
  readonly #options: ReceiptQueueOptions;
  readonly #waitingMax: number;
  #waiting: AlertReceipt[] = [];
  #writing: Promise<void> | undefined;
  #failure: string | undefined;
  readonly #closing = new AbortController();

  constructor(options: ReceiptQueueOptions) {
    this.#options = options;
    this.#waitingMax = options.waitingMax ?? RECEIPTS_WAITING_MAX;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  add(receipt: AlertReceipt): void {
    if (this.#waiting.length >= this.#waitingMax || this.#closing.signal.aborted) {
      this.#options.onDropped(1, this.#failure);
      return;
    }
    this.#waiting.push(receipt);
    this.#writing ??= this.#write();
  }

  /** Writes what can be written without another failure; the rest is dropped. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#writing;
  }

  async #write(): Promise<void> {
    const { store, clock, onKept, onDropped } = this.#options;
    const { signal } = this.#closing;
    await sleep(clock, LINGER_MS, signal);
    let failures = 0;
    while (this.#waiting.length > 0) {
      // They stay in place until they are stored, so that they count against the bound.
      const batch = this.#waiting.slice(0, PER_WRITE_MAX);
      try {
        await store.keep(batch);
        this.#waiting.splice(0, batch.length);
        this.#failure = undefined;
        failures = 0;
        onKept(batch.length);
      } catch (thrown) {
        this.#failure = codeOf(thrown);
        if (kindOf(thrown) !== 'transient') {
          // It would be refused for ever, and all that come after it would wait behind it.
          onDropped(this.#waiting.splice(0, batch.length).length, this.#failure);
        } else if (signal.aborted) {
          onDropped(this.#waiting.splice(0).length, this.#failure);
        } else {
          await sleep(clock, Math.min(RETRY_MS_MAX, RETRY_MS_MIN * 2 ** Math.min(failures++, 10)), signal);
        }
      }
    }
    this.#writing = undefined;
  }
}

/** Of an alert that was taken just now, with this HTTP status. */
export function receiptOf(
  { alert, attempts, partition, destination }: DeliveredAlert,
  status: number,
  nowMs: number,
): AlertReceipt {
  const deliveredAtMs = Math.trunc(nowMs);
  return {
    alertId: alert.id,
    // Of an alert that another version stored it may be no time; it is a key, so there must be one.
    receivedAtMs: Date.parse(alert.received_at) || deliveredAtMs,
    eventIds: alert.event_ids,
    destination,
    partition,
    status,
    attempts: attempts + 1,
    deliveredAtMs,
    signature: alert.signature,
    unsentReason: null,
  };
}

/** Of an alert that ends now without being sent. */
export function unsentReceiptOf(ended: DeliveredAlert, reason: UnsentReason, nowMs: number): AlertReceipt {
  return { ...receiptOf(ended, 0, nowMs), attempts: ended.attempts, unsentReason: reason };
}
