/**
 * One destination's lane: which alert may be sent now, and what a delivery's outcome means. No I/O, no timers.
 *
 * Invariants: alerts of one signature leave one after another, in their order; never more than `concurrency` at once,
 * never faster than `ratePerSecond`; while the destination is down (breaker open) one probe at a time is sent and no
 * attempt is charged; an alert that fails while others get through is set aside with its own back-off, so that it
 * blocks nobody.
 */
import type { Alert } from '../event.ts';
import type { DeliveryOutcome } from '../ports.ts';

export interface LaneItem {
  alert: Alert;
  /** Deliveries that failed while the destination was up. */
  attempts: number;
}

export interface LaneOptions {
  concurrency: number;
  ratePerSecond: number;
  /** Delay before attempt n+1 of one alert, n from 1. */
  backoffMs: (attempts: number) => number;
  /** Pause of the whole lane after the n-th failed probe in a row, n from 1. */
  breakerMs: (failures: number) => number;
}

/** What the caller has to do with an alert after a delivery. */
export type LaneAction<I> =
  | { kind: 'delivered'; item: I }
  | { kind: 'dead'; item: I; outcome: Extract<DeliveryOutcome, { kind: 'refused' }> }
  /** Store it away until it is due again; it is no longer the lane's. */
  | { kind: 'delay'; item: I; delayMs: number }
  /** It stays in the lane and will be offered by `next` again. */
  | { kind: 'kept'; item: I };

/** Failures in a row, of any alerts, that open the breaker. */
const FAILURES_TO_OPEN = 5;
/** Attempts of one alert, others getting through, after which it is stored away. */
const ATTEMPTS_TO_DELAY = 3;

export type BreakerState = 'closed' | 'open' | 'probing';

interface Waiting<I> {
  item: I;
  notBeforeMs: number;
  probes: number;
}

export class Lane<I extends LaneItem> {
  #options: LaneOptions;
  readonly #waiting: Waiting<I>[] = [];
  readonly #inFlight = new Map<I, Waiting<I>>();
  readonly #busySignatures = new Set<string>();
  #breaker: BreakerState = 'closed';
  #failuresInRow = 0;
  #resumeAtMs = 0;
  #tokens: number;
  #tokensAtMs: number;

  constructor(options: LaneOptions, nowMs: number) {
    this.#options = options;
    this.#tokens = this.#burst;
    this.#tokensAtMs = nowMs;
  }

  get breaker(): BreakerState {
    return this.#breaker;
  }

  /** Deliveries that have failed since the last one that was answered. */
  get failuresInRow(): number {
    return this.#failuresInRow;
  }

  /** Alerts in the lane, in flight included. */
  get size(): number {
    return this.#waiting.length + this.#inFlight.size;
  }

  /** Goes on at another pace; what waits and what is in flight stays. */
  changePace(pace: Pick<LaneOptions, 'concurrency' | 'ratePerSecond'>, nowMs: number): void {
    this.#refill(nowMs);
    this.#options = { ...this.#options, ...pace };
    this.#tokens = Math.min(this.#tokens, this.#burst);
  }

  offer(item: I): void {
    this.#waiting.push({ item, notBeforeMs: 0, probes: 0 });
  }

  /** Forgets what is waiting (not what is in flight) and gives it back: it will be read again from its mailbox. */
  clear(): I[] {
    return this.#waiting.splice(0).map(({ item }) => item);
  }

  /** The next alert to send at this moment, or undefined. */
  next(nowMs: number): I | undefined {
    if (nowMs < this.#resumeAtMs || this.#inFlight.size >= this.#options.concurrency) return undefined;
    if (this.#breaker !== 'closed' && this.#inFlight.size > 0) return undefined;
    this.#refill(nowMs);
    if (this.#tokens < 1) return undefined;
    const index = this.#breaker === 'closed' ? this.#nextIndex(nowMs) : this.#probeIndex();
    const waiting = this.#waiting[index];
    if (waiting === undefined) return undefined;
    this.#waiting.splice(index, 1);
    this.#tokens -= 1;
    this.#inFlight.set(waiting.item, waiting);
    this.#busySignatures.add(waiting.item.alert.signature);
    if (this.#breaker === 'open') this.#breaker = 'probing';
    return waiting.item;
  }

  /** How long to wait before `next` can give anything; undefined when only a settled delivery or an offer changes it. */
  waitMs(nowMs: number): number | undefined {
    if (this.#waiting.length === 0 || this.#inFlight.size >= this.#options.concurrency) return undefined;
    if (this.#breaker !== 'closed' && this.#inFlight.size > 0) return undefined;
    this.#refill(nowMs);
    const tokenMs = this.#tokens >= 1 ? 0 : ((1 - this.#tokens) * 1_000) / this.#options.ratePerSecond;
    const dueMs = this.#breaker === 'closed' ? this.#nextDueAtMs() - nowMs : 0;
    if (dueMs === Infinity) return undefined;
    return Math.ceil(Math.max(tokenMs, dueMs, this.#resumeAtMs - nowMs, 1));
  }

  settle(item: I, outcome: DeliveryOutcome, nowMs: number): LaneAction<I> {
    const waiting = this.#inFlight.get(item) ?? { item, notBeforeMs: 0, probes: 0 };
    this.#inFlight.delete(item);
    this.#busySignatures.delete(item.alert.signature);
    switch (outcome.kind) {
      case 'delivered':
        this.#close();
        return { kind: 'delivered', item };
      case 'refused':
        // The destination is well: it read the alert and will never take it.
        this.#close();
        return { kind: 'dead', item, outcome };
      case 'unauthorized':
        // No alert is at fault: the lane waits until somebody has mended the credential.
        this.#open(nowMs, undefined);
        return this.#keep(waiting);
      case 'retry':
        return this.#retry(waiting, outcome, nowMs);
    }
  }

  #retry(
    waiting: Waiting<I>,
    outcome: Extract<DeliveryOutcome, { kind: 'retry' }>,
    nowMs: number,
  ): LaneAction<I> {
    this.#failuresInRow += 1;
    if (this.#breaker !== 'closed' || this.#failuresInRow >= FAILURES_TO_OPEN) {
      waiting.probes += 1;
      this.#open(nowMs, outcome.retryAfterMs);
      return this.#keep(waiting);
    }
    if (outcome.retryAfterMs !== undefined) this.#resumeAtMs = nowMs + outcome.retryAfterMs;
    waiting.item.attempts += 1;
    const delayMs = outcome.retryAfterMs ?? this.#options.backoffMs(waiting.item.attempts);
    if (waiting.item.attempts >= ATTEMPTS_TO_DELAY) return { kind: 'delay', item: waiting.item, delayMs };
    waiting.notBeforeMs = nowMs + delayMs;
    return this.#keep(waiting);
  }

  /** Puts it back where it was: before everything that came after it. */
  #keep(waiting: Waiting<I>): LaneAction<I> {
    this.#waiting.unshift(waiting);
    return { kind: 'kept', item: waiting.item };
  }

  #open(nowMs: number, retryAfterMs: number | undefined): void {
    this.#failuresInRow = Math.max(this.#failuresInRow, FAILURES_TO_OPEN);
    this.#breaker = 'open';
    const pauseMs = retryAfterMs ?? this.#options.breakerMs(this.#failuresInRow - FAILURES_TO_OPEN + 1);
    this.#resumeAtMs = Math.max(this.#resumeAtMs, nowMs + pauseMs);
  }

  #close(): void {
    this.#breaker = 'closed';
    this.#failuresInRow = 0;
    for (const waiting of this.#waiting) waiting.probes = 0;
  }

  /** The oldest that is due and whose signature is neither in flight nor waiting before it. */
  #nextIndex(nowMs: number): number {
    const passed = new Set(this.#busySignatures);
    return this.#waiting.findIndex(({ item, notBeforeMs }) => {
      const isFree = notBeforeMs <= nowMs && !passed.has(item.alert.signature);
      passed.add(item.alert.signature);
      return isFree;
    });
  }

  /** When the first of them is due; Infinity while all wait for another of their signature. */
  #nextDueAtMs(): number {
    const passed = new Set(this.#busySignatures);
    let dueAtMs = Infinity;
    for (const { item, notBeforeMs } of this.#waiting) {
      if (!passed.has(item.alert.signature)) dueAtMs = Math.min(dueAtMs, notBeforeMs);
      passed.add(item.alert.signature);
    }
    return dueAtMs;
  }

  /** The oldest of those that have been a probe least often: one bad alert cannot keep a well destination closed. */
  #probeIndex(): number {
    let best = -1;
    let bestProbes = Infinity;
    const passed = new Set<string>();
    this.#waiting.forEach(({ item, probes }, index) => {
      if (!passed.has(item.alert.signature) && probes < bestProbes) {
        best = index;
        bestProbes = probes;
      }
      passed.add(item.alert.signature);
    });
    return best;
  }

  get #burst(): number {
    return Math.max(1, this.#options.ratePerSecond);
  }

  #refill(nowMs: number): void {
    const elapsedMs = Math.max(0, nowMs - this.#tokensAtMs);
    this.#tokens = Math.min(this.#burst, this.#tokens + (elapsedMs * this.#options.ratePerSecond) / 1_000);
    this.#tokensAtMs = nowMs;
  }
}
