/** The Events API of Moogsoft Cloud (wire formats, section 5.2): an array, a key in a header, folding by the dedupe key. */
import { DocumentedServer, asRecord, isText, jsonOf, unmet } from './documented-server.ts';
import type { Answer, Received } from './documented-server.ts';

const TEXT_CHARS_MAX = 32_500;
const SEVERITIES = ['clear', 'unknown', 'warning', 'minor', 'major', 'critical'];
const FIELDS = [
  ...['source', 'check', 'severity', 'description', 'deduplication_key', 'dedupe_key', 'service', 'time'],
  ...['alias', 'utc_offset', 'manager', 'manager_id', 'class', 'namespace', 'type', 'tags', 'location'],
];

export class MoogsoftCloud extends DocumentedServer {
  /** By what they fold by. */
  readonly alerts = new Map<string, { severity: string; count: number }>();
  apiKey = '';

  static async start(): Promise<MoogsoftCloud> {
    const server = new MoogsoftCloud();
    await server.listen();
    return server;
  }

  get url(): string {
    return `${this.origin}/v1/integrations/events`;
  }

  protected answer({ method, path, headers, body }: Received): Answer {
    if (path !== '/v1/integrations/events') return this.fault(`path ${path}`, { status: 404 });
    if (method !== 'POST') return this.fault(`method ${method}`, { status: 405 });
    if (headers['apikey'] !== this.apiKey || headers.authorization !== undefined)
      return this.fault('apiKey', { status: 401, body: '{"message":"Unauthorized"}' });
    if (headers['content-type'] !== 'application/json') return this.fault('content type', { status: 415 });
    const events = jsonOf(body);
    if (!Array.isArray(events) || events.length === 0) return this.fault('no array', { status: 400 });
    const faults = events.map(asRecord).flatMap(faultsOf);
    if (faults.length > 0) {
      this.faults.push(...faults);
      return { status: 400, body: JSON.stringify({ message: `invalid: ${faults.join()}` }) };
    }
    for (const event of events.map(asRecord)) {
      const key = (event['dedupe_key'] ??
        [event['source'], event['service'], event['check']].join('::')) as string;
      const count = (this.alerts.get(key)?.count ?? 0) + 1;
      this.alerts.set(key, { severity: event['severity'] as string, count });
    }
    return { status: 200, body: '{"status":"success"}' };
  }
}

function faultsOf(event: Record<string, unknown>): string[] {
  const { source, check, severity, description, service, time, tags, dedupe_key: key } = event;
  return unmet({
    source: isText(source, TEXT_CHARS_MAX),
    check: isText(check),
    severity: SEVERITIES.includes(severity as string),
    description: isText(description, TEXT_CHARS_MAX),
    dedupe_key: key === undefined || isText(key),
    service: service === undefined || (Array.isArray(service) && service.every((each) => isText(each))),
    time: time === undefined || (Number.isInteger(time) && (time as number) > 1e9),
    tags: Object.values(asRecord(tags)).every((value) => typeof value !== 'object'),
    'unknown field': Object.keys(event).every((name) => FIELDS.includes(name)),
  });
}
