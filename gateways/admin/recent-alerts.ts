/**
 * The built-in local sink: takes Moogsoft-shaped alerts like a real destination and keeps the latest for the live view.
 *
 * For trying the product out; nothing is durable here, and the oldest go when the ring is full.
 */
import { CodedError } from '../../runtime/errors.ts';
import type { Clock } from '../../runtime/clock.ts';
import { decodeJson } from './json-body.ts';

const KEPT_MAX = 1_000;
/** Of all kept alerts as JSON: a thousand large ones would fill the memory. */
export const KEPT_BYTES_MAX = 16 * 1024 * 1024;
const PAGE_MAX = 200;

export interface RecentAlert {
  n: number;
  received_at: string;
  alert: Record<string, unknown>;
}

export interface RecentAlertPage {
  /** Oldest first. */
  alerts: RecentAlert[];
  /** What to ask with the next time. */
  next: number;
  /** How many came after the number asked with, and are gone: the ring was full. */
  missed: number;
}

export class RecentAlertRing {
  readonly #clock: Clock;
  /** Oldest first; `bytes` is its length as JSON. */
  #kept: { recent: RecentAlert; bytes: number }[] = [];
  #keptBytes = 0;
  /** The number before the first one given. */
  readonly #began: number;
  /** The number of the last one. */
  #n: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    // Begins at the time, so that numbers go on rising over a restart and whoever follows them misses nothing.
    this.#began = Math.floor(clock.wallMs());
    this.#n = this.#began;
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
      const bytes = Buffer.byteLength(JSON.stringify(alert));
      const received_at = new Date(this.#clock.wallMs()).toISOString();
      this.#kept.push({
        recent: { n: this.#n, received_at, alert: alert as Record<string, unknown> },
        bytes,
      });
      this.#keptBytes += bytes;
    }
    this.#bound();
  }

  /** Alerts after the given number; any number will do to begin with, 0 for all. */
  after(n: number): RecentAlertPage {
    // A number from before a restart, when the clock was ahead: all there is here is new to whoever asks with it.
    const from = n > this.#n ? this.#began : Math.max(n, this.#began);
    const alerts = this.#kept
      .map(({ recent }) => recent)
      .filter((recent) => recent.n > from)
      .slice(0, PAGE_MAX);
    const [first] = alerts;
    return {
      alerts,
      next: alerts.at(-1)?.n ?? this.#n,
      missed: first === undefined ? 0 : first.n - from - 1,
    };
  }

  #bound(): void {
    let gone = 0;
    while (this.#kept.length - gone > KEPT_MAX || this.#keptBytes > KEPT_BYTES_MAX) {
      this.#keptBytes -= this.#kept[gone]?.bytes ?? 0;
      gone += 1;
    }
    if (gone > 0) this.#kept = this.#kept.slice(gone);
  }
}

function parseObject(body: Buffer): Record<string, unknown> {
  let document: unknown;
  try {
    document = decodeJson(body);
  } catch {
    throw invalid('the body is not JSON in UTF-8, or nested too deep');
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
