/**
 * How many events came per minute, over the last 24 hours: a ring of slots of ten seconds in memory.
 *
 * It is kept by the supervisor, so it outlives every process that counts or asks. Rates are true ones: what came in a
 * stretch of time, divided by the length of that stretch, idle times included, times before the node's start left out.
 * Invariant: its size is fixed. A clock that is set back takes what came after its new time out of the history.
 */
import type { Clock } from '../runtime/clock.ts';

/** Events per minute. */
export interface RatesDocument {
  summary: { current_rate_1m: number; avg_rate_15m: number; avg_rate_1h: number };
  /** The last 24 hours by the clock (UTC), oldest first; the last one is the present hour so far. */
  chart_24h: { labels: string[]; data: number[] };
}

export interface RateHistoryOptions {
  clock: Clock;
  /** All events ever, as counted now. */
  total: () => number;
}

const SAMPLE_EVERY_MS = 5_000;
const SLOT_MS = 10_000;
const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
const HOURS = 24;
const SLOTS = (HOURS * HOUR_MS) / SLOT_MS;

export class RateHistory {
  readonly #clock: Clock;
  readonly #total: () => number;
  /** Events by the slot of their time, modulo the size. */
  readonly #slots = new Float64Array(SLOTS);
  #lastTotal: number;
  #nowMs: number;
  /** Nothing is known of the time before. */
  #sinceMs: number;
  #cancel: (() => void) | undefined;

  constructor({ clock, total }: RateHistoryOptions) {
    this.#clock = clock;
    this.#total = total;
    this.#lastTotal = total();
    this.#nowMs = clock.wallMs();
    this.#sinceMs = this.#nowMs;
  }

  /** Samples now and then until it is stopped. Idempotent, like `stop`. */
  start(): void {
    this.#cancel ??= this.#clock.after(
      SAMPLE_EVERY_MS,
      () => {
        this.#cancel = undefined;
        this.sample();
        this.start();
      },
      { ref: false },
    );
  }

  stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }

  /** Notes what came since the last call, evenly over the time between. */
  sample(): void {
    const total = this.#total();
    // A total never falls while the node lives; if one did, what came meanwhile is unknown.
    const came = Math.max(0, total - this.#lastTotal);
    this.#lastTotal = total;
    const fromMs = this.#moveTo(this.#clock.wallMs());
    this.#add(came, fromMs);
  }

  /** As of now. */
  document(): RatesDocument {
    this.sample();
    const hourMs = Math.floor(this.#nowMs / HOUR_MS) * HOUR_MS;
    const hours = Array.from({ length: HOURS }, (_, index) => hourMs - (HOURS - 1 - index) * HOUR_MS);
    const lately = (ms: number): number => this.#perMinute(this.#nowMs - ms, this.#nowMs);
    return {
      summary: {
        current_rate_1m: lately(MINUTE_MS),
        avg_rate_15m: lately(15 * MINUTE_MS),
        avg_rate_1h: lately(HOUR_MS),
      },
      chart_24h: {
        labels: hours.map((ms) => `${String(new Date(ms).getUTCHours()).padStart(2, '0')}:00`),
        data: hours.map((ms) => this.#perMinute(ms, ms + HOUR_MS)),
      },
    };
  }

  /** Brings the ring to the present time; gives where it stood. */
  #moveTo(nowMs: number): number {
    const [first, last] = [Math.min(nowMs, this.#nowMs), Math.max(nowMs, this.#nowMs)];
    const [present, newest] = [slotOf(first), slotOf(last)];
    // Ahead: slots to be filled. Back: slots whose time is still to come.
    for (let slot = Math.max(present + 1, newest - SLOTS + 1); slot <= newest; slot++)
      this.#slots[slot % SLOTS] = 0;
    this.#nowMs = nowMs;
    this.#sinceMs = Math.min(this.#sinceMs, nowMs);
    return first;
  }

  /** Spreads events over the time from `fromMs` to now. */
  #add(count: number, fromMs: number): void {
    if (count === 0) return;
    const [toMs, beganMs] = [this.#nowMs, Math.max(fromMs, this.#nowMs - (SLOTS - 1) * SLOT_MS)];
    if (toMs <= beganMs) {
      this.#addTo(slotOf(toMs), count);
      return;
    }
    for (let slot = slotOf(beganMs); slot <= slotOf(toMs); slot++) {
      const overlapMs = Math.min(toMs, (slot + 1) * SLOT_MS) - Math.max(beganMs, slot * SLOT_MS);
      this.#addTo(slot, (count * overlapMs) / (toMs - beganMs));
    }
  }

  #addTo(slot: number, count: number): void {
    this.#slots[slot % SLOTS] = (this.#slots[slot % SLOTS] ?? 0) + count;
  }

  /** Of the known part of a stretch of time; a shorter one than a minute counts as one, so that nothing is blown up. */
  #perMinute(fromMs: number, toMs: number): number {
    const [beganMs, endMs] = [Math.max(fromMs, this.#sinceMs), Math.min(toMs, this.#nowMs)];
    if (endMs <= beganMs) return 0;
    let count = 0;
    for (
      let slot = Math.max(slotOf(beganMs), slotOf(this.#nowMs) - SLOTS + 1);
      slot <= slotOf(endMs);
      slot++
    ) {
      const slotBeganMs = Math.max(slot * SLOT_MS, this.#sinceMs);
      const slotEndMs = Math.min((slot + 1) * SLOT_MS, this.#nowMs);
      const overlapMs = Math.min(endMs, slotEndMs) - Math.max(beganMs, slotBeganMs);
      if (overlapMs > 0) {
        count += ((this.#slots[slot % SLOTS] ?? 0) * overlapMs) / (slotEndMs - slotBeganMs);
      }
    }
    const perMinute = (count * MINUTE_MS) / Math.max(MINUTE_MS, endMs - beganMs);
    return Math.round(perMinute * 100) / 100;
  }
}

function slotOf(ms: number): number {
  return Math.floor(ms / SLOT_MS);
}
