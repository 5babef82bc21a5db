/**
 * The built-in local sink: takes Moogsoft-shaped alerts like a real destination and keeps the latest for the live view.
 *
 * For trying the product out; nothing is durable here, and the oldest go when the ring is full.
 */
import { CodedError } from '../../runtime/errors.ts';
import type { Clock } from '../../runtime/clock.ts';

const KEPT_MAX = 1_000;
const PAGE_MAX = 200;

export interface RecentAlert {
  n: number;
  received_at: string;
  alert: Record<string, unknown>;
}

export class RecentAlertRing {
  readonly #clock: Clock;
  #kept: RecentAlert[] = [];
  #n: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    // Begins at the time, so that numbers go on rising over a restart and whoever follows them misses nothing.
    this.#n = Math.floor(clock.wallMs());
  }

  /** Takes one object, or several under `events`, as the Moogsoft webhook does. Throws `E_BODY_INVALID`. */
  take(body: Buffer): void {
    const document = parseObject(body);
    const alerts = Array.isArray(document.events) ? document.events : [document];
    // All or none: what was taken of a refused body would be there twice when it comes again.
    if (alerts.some((alert) => typeof alert !== 'object' || alert === null || Array.isArray(alert))) {
      throw invalid('an alert is not an object');
    }
    for (const alert of alerts) {
      this.#n += 1;
      this.#kept.push({
        n: this.#n,
        received_at: new Date(this.#clock.wallMs()).toISOString(),
        alert: alert as Record<string, unknown>,
      });
    }
    if (this.#kept.length > KEPT_MAX) this.#kept = this.#kept.slice(-KEPT_MAX);
  }

  /** Alerts after the given number, oldest first; `next` is what to ask with the next time. */
  after(n: number): { alerts: RecentAlert[]; next: number } {
    const alerts = this.#kept.filter((recent) => recent.n > n).slice(0, PAGE_MAX);
    return { alerts, next: alerts.at(-1)?.n ?? Math.max(n, 0) };
  }
}

function parseObject(body: Buffer): Record<string, unknown> {
  let document: unknown;
  try {
    document = JSON.parse(body.toString('utf8'));
  } catch {
    throw invalid('the body is not JSON');
  }
  if (typeof document !== 'object' || document === null || Array.isArray(document)) {
    throw invalid('the body is not a JSON object');
  }
  return document as Record<string, unknown>;
}

function invalid(why: string): CodedError {
  return new CodedError('E_BODY_INVALID', `the alert cannot be read: ${why}`, {
    mend: 'Send one JSON object, or {"events": [...]}.',
  });
}
