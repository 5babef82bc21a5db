/**
 * The alerts that arrive at the node's local sink, read page by page, each once.
 */
import type { AdminClient } from './admin-client.ts';
import { ALERT_LINES } from './demo-view.ts';
import type { AlertLine } from './demo-view.ts';

/** The sink keeps a thousand; more pages than this in one go would be a sink that never ends. */
const PAGES_MAX = 50;

export class AlertFeed {
  readonly #admin: AdminClient;
  #after = 0;
  #latest: AlertLine[] = [];

  constructor(admin: AdminClient) {
    this.#admin = admin;
  }

  /** Newest first, as many as are shown. */
  get latest(): readonly AlertLine[] {
    return this.#latest;
  }

  /** Alerts that are there already are not ours. */
  async skipOld(signal: AbortSignal): Promise<void> {
    for (let page = 0; page < PAGES_MAX; page++) {
      const { alerts, next } = await this.#admin.recentAlerts(this.#after, signal);
      this.#after = next;
      if (alerts.length === 0) return;
    }
  }

  /** Reads what is new; gives how many alerts that are, those the sink has already forgotten included. */
  async read(): Promise<number> {
    let count = 0;
    for (let page = 0; page < PAGES_MAX; page++) {
      const { alerts, next, missed = 0 } = await this.#admin.recentAlerts(this.#after);
      this.#after = next;
      if (alerts.length === 0) break;
      // Not the difference of the numbers: they jump when the node's sink starts anew.
      count += alerts.length + missed;
      const lines = alerts
        .slice(-ALERT_LINES)
        .map(({ received_at, alert }) => alertLineOf(received_at, alert));
      this.#latest = [...lines.reverse(), ...this.#latest].slice(0, ALERT_LINES);
    }
    return count;
  }
}

/** Reads a Moogsoft-shaped alert (wire formats, section 5.1). */
function alertLineOf(receivedAt: string, alert: Record<string, unknown>): AlertLine {
  const info = asRecord(alert['custom_info']);
  const text = (...values: unknown[]): string =>
    values.find((value): value is string => typeof value === 'string') ?? '';
  return {
    receivedAt,
    severity: typeof alert['severity'] === 'number' ? alert['severity'] : 1,
    hostname: text(alert['source'], alert['source_id'], info['hostname']),
    team: text(info['team'], alert['team']),
    description: text(alert['description']),
  };
}

function asRecord(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}
