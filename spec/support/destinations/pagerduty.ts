/**
 * The Events API v2 of PagerDuty (wire formats, section 5.3): incidents by routing key and dedup key, opened by a
 * trigger, closed by a resolve of the same two.
 */
import { DocumentedServer, asRecord, isRfc3339, isText, jsonOf } from './documented-server.ts';
import type { Answer, Received } from './documented-server.ts';

const EVENT_BYTES_MAX = 512 * 1024;
const ACTIONS = ['trigger', 'acknowledge', 'resolve'];
const SEVERITIES = ['critical', 'error', 'warning', 'info'];

export class PagerDuty extends DocumentedServer {
  /** By routing key and dedup key. */
  readonly incidents = new Map<string, { isOpen: boolean; triggers: number; summary: string }>();
  /** Of services there are. */
  routingKeys: string[] = [];

  static async start(): Promise<PagerDuty> {
    const server = new PagerDuty();
    await server.listen();
    return server;
  }

  get url(): string {
    return `${this.origin}/v2/enqueue`;
  }

  protected answer({ method, path, headers, body }: Received): Answer {
    if (path !== '/v2/enqueue') return this.fault(`path ${path}`, { status: 404 });
    if (method !== 'POST') return this.fault(`method ${method}`, { status: 405 });
    if (body.length > EVENT_BYTES_MAX) return this.fault('size', { status: 413 });
    if (headers.authorization !== undefined) this.faults.push('authorization');
    const event = asRecord(jsonOf(body));
    const errors = this.#errorsOf(event);
    if (errors.length > 0) {
      this.faults.push(...errors);
      const message = { status: 'invalid event', message: 'Event object is invalid', errors };
      return { status: 400, body: JSON.stringify(message) };
    }
    const dedupKey = event['dedup_key'] as string;
    this.#take(`${event['routing_key'] as string} ${dedupKey}`, event);
    const taken = { status: 'success', message: 'Event processed', dedup_key: dedupKey };
    return { status: 202, body: JSON.stringify(taken) };
  }

  #take(key: string, event: Record<string, unknown>): void {
    const known = this.incidents.get(key);
    if (event['event_action'] === 'resolve') {
      if (known !== undefined) known.isOpen = false;
      return;
    }
    const triggers = known?.isOpen === true ? known.triggers + 1 : 1;
    this.incidents.set(key, {
      isOpen: true,
      triggers,
      summary: asRecord(event['payload'])['summary'] as string,
    });
  }

  #errorsOf(event: Record<string, unknown>): string[] {
    const { routing_key: routingKey, event_action: action, dedup_key: dedupKey } = event;
    if (typeof routingKey !== 'string' || routingKey.length !== 32)
      return ["Length of 'routing_key' is incorrect (should be 32 characters)"];
    if (!this.routingKeys.includes(routingKey)) return ['Invalid routing key'];
    const errors: string[] = [];
    if (!ACTIONS.includes(action as string)) errors.push("'event_action' is invalid");
    if (!isText(dedupKey, 255)) errors.push("'dedup_key' is missing or too long");
    if (action !== 'trigger') return errors;
    const payload = asRecord(event['payload']);
    if (!isText(payload['summary'], 1024)) errors.push("'payload.summary' is missing or too long");
    if (!isText(payload['source'])) errors.push("'payload.source' is missing or blank");
    if (!SEVERITIES.includes(payload['severity'] as string)) errors.push("'payload.severity' is invalid");
    const { timestamp } = payload;
    if (timestamp !== undefined && !isRfc3339(timestamp)) errors.push("'payload.timestamp' is invalid");
    return errors;
  }
}
