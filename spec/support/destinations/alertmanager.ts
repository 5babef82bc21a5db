/**
 * The API v2 of Alertmanager (wire formats, section 5.4): an alert is its labels; one without an end has one in
 * `resolve_timeout`; one whose end has come is resolved.
 */
import { DocumentedServer, asRecord, isRfc3339, jsonOf, unmet } from './documented-server.ts';
import type { Answer, Received } from './documented-server.ts';

const RESOLVE_TIMEOUT_MS = 300_000;

interface Known {
  labels: Record<string, string>;
  startsAtMs: number;
  endsAtMs: number;
}

export class Alertmanager extends DocumentedServer {
  /** By their labels. */
  readonly #alerts = new Map<string, Known>();
  /** What `Authorization` must be. */
  authorization: string | undefined;
  readonly #nowMs: () => number;

  private constructor(nowMs: () => number) {
    super();
    this.#nowMs = nowMs;
  }

  static async start(nowMs: () => number): Promise<Alertmanager> {
    const server = new Alertmanager(nowMs);
    await server.listen();
    return server;
  }

  /** Labels of those that fire at a time. */
  firing(atMs = this.#nowMs()): Record<string, string>[] {
    return [...this.#alerts.values()].filter(({ endsAtMs }) => endsAtMs > atMs).map(({ labels }) => labels);
  }

  protected answer({ method, path, headers, body }: Received): Answer {
    if (path !== '/api/v2/alerts') return this.fault(`path ${path}`, { status: 404 });
    if (method !== 'POST') return this.fault(`method ${method}`, { status: 405 });
    if (headers.authorization !== this.authorization) return this.fault('credential', { status: 401 });
    if (headers['content-type'] !== 'application/json')
      return this.fault('content type', { status: 415, body: '{"code":415}' });
    const posted = jsonOf(body);
    if (!Array.isArray(posted)) return this.fault('no array', { status: 400, body: '{"code":602}' });
    const faults = posted.map(asRecord).flatMap(faultsOf);
    if (faults.length > 0) {
      this.faults.push(...faults);
      return { status: 400, body: JSON.stringify(faults.join('; ')) };
    }
    for (const alert of posted.map(asRecord)) this.#take(alert);
    return { status: 200 };
  }

  #take(alert: Record<string, unknown>): void {
    const nowMs = this.#nowMs();
    const labels = Object.fromEntries(
      Object.entries(asRecord(alert['labels'])).filter(([, value]) => value !== ''),
    ) as Record<string, string>;
    const { startsAt, endsAt } = alert as { startsAt?: string; endsAt?: string };
    const key = JSON.stringify(Object.entries(labels).sort());
    const startsAtMs = startsAt === undefined ? nowMs : Date.parse(startsAt);
    const endsAtMs = endsAt === undefined ? nowMs + RESOLVE_TIMEOUT_MS : Date.parse(endsAt);
    this.#alerts.set(key, { labels, startsAtMs, endsAtMs });
  }
}

function faultsOf(alert: Record<string, unknown>): string[] {
  const labels = Object.entries(asRecord(alert['labels']));
  const annotations = Object.entries(asRecord(alert['annotations']));
  const { startsAt, endsAt } = alert;
  const isName = (name: string): boolean => /^[a-zA-Z_][a-zA-Z0-9_]*$/.test(name);
  return unmet({
    'at least one label pair required': labels.some(([, value]) => value !== ''),
    'label names': labels.every(([name]) => isName(name)),
    'label values': labels.every(([, value]) => typeof value === 'string'),
    annotations: annotations.every(([name, value]) => isName(name) && typeof value === 'string'),
    startsAt: startsAt === undefined || isRfc3339(startsAt),
    endsAt: endsAt === undefined || isRfc3339(endsAt),
    'start time must be before end time':
      !isRfc3339(startsAt) || !isRfc3339(endsAt) || Date.parse(startsAt) <= Date.parse(endsAt),
  });
}
