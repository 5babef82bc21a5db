/**
 * The tokens that a lane has at hand: taken a few at a time, so that asking costs little, and kept for a moment only, so
 * that what one sender holds back is soon there for the others.
 */

/** Of a second's tokens: what is taken at once. */
const BATCH_SECONDS = 0.05;
const BATCH_MAX = 64;
const KEPT_MS = 250;
/** What was spent in so long a time says what will be. */
const MEASURE_MS = KEPT_MS;

export class TokenPurse {
  #tokens = 0;
  #untilMs = 0;
  /** To be given back. */
  #spare = 0;
  #spent = 0;
  #spentBefore = 0;
  #measuredMs = 0;

  hasOne(nowMs: number): boolean {
    return this.#tokens >= 1 && nowMs < this.#untilMs;
  }

  spend(nowMs: number): void {
    this.#tokens -= 1;
    this.#measure(nowMs);
    this.#spent += 1;
  }

  add(tokens: number, nowMs: number): void {
    if (tokens === 0) return;
    this.#tokens += tokens;
    this.#untilMs = nowMs + KEPT_MS;
  }

  /** They are not to be used any more. */
  setAside(): void {
    this.#spare += this.#tokens;
    this.#tokens = 0;
  }

  expire(nowMs: number): void {
    if (nowMs >= this.#untilMs) this.setAside();
  }

  /**
   * How many to ask for when so many could be used; none while enough are at hand. Of what comes one by one each would
   * wait for an answer: so it may be as many as were used while tokens are kept.
   */
  wanted(usable: number, ratePerSecond: number, nowMs: number): number {
    this.#measure(nowMs);
    const batch = Math.max(1, Math.min(BATCH_MAX, Math.floor(ratePerSecond * BATCH_SECONDS)));
    const enough = Math.min(batch, Math.max(usable, this.#spent, this.#spentBefore));
    return this.#tokens > enough / 2 ? 0 : Math.max(0, enough - this.#tokens);
  }

  #measure(nowMs: number): void {
    const passedMs = nowMs - this.#measuredMs;
    if (passedMs < MEASURE_MS) return;
    this.#spentBefore = passedMs < 2 * MEASURE_MS ? this.#spent : 0;
    this.#spent = 0;
    this.#measuredMs = nowMs;
  }

  takeSpare(): number {
    const spare = this.#spare;
    this.#spare = 0;
    return spare;
  }
}

/** Most tokens that may gather: a tenth of a second's, so that no second has many more than the rate says. */
export function burstOf(ratePerSecond: number): number {
  return Math.max(1, ratePerSecond / 10);
}
