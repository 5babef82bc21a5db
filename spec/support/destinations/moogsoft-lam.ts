/**
 * A webhook or REST LAM of Moogsoft on-premises (wire formats, section 5.1): single event or `events`, three ways of
 * authentication, severities 0 to 5, folding by signature.
 */
import { DocumentedServer, asRecord, isText, jsonOf, unmet } from './documented-server.ts';
import type { Answer, Received } from './documented-server.ts';

export interface LamAuth {
  type: 'none' | 'basic' | 'jwt' | 'auth_token';
  credential: string;
}

const SIGNATURE_BYTES_MAX = 767;
const FIELDS = [
  'source_id',
  'external_id',
  'manager',
  'source',
  'class',
  'agent',
  'agent_location',
  'type',
  'description',
] as const;

export class MoogsoftLam extends DocumentedServer {
  /** By signature. */
  readonly alerts = new Map<string, { severity: number; count: number }>();
  auth: LamAuth = { type: 'none', credential: '' };

  static async start(): Promise<MoogsoftLam> {
    const server = new MoogsoftLam();
    await server.listen();
    return server;
  }

  get url(): string {
    return `${this.origin}/events/webhook_mutt`;
  }

  protected answer({ method, path, headers, body }: Received): Answer {
    if (path !== '/events/webhook_mutt') return this.fault(`path ${path}`, { status: 404 });
    if (method !== 'POST') return this.fault(`method ${method}`, { status: 405 });
    const document = asRecord(jsonOf(body));
    if (!this.#isAllowed(headers.authorization, document['auth_token'])) {
      return this.fault('credential', { status: 401, body: reply(false, 'Authentication failed', 0, 0) });
    }
    if (headers['content-type'] !== 'application/json' || jsonOf(body) === undefined)
      return this.fault('no JSON', { status: 400, body: reply(false, 'Invalid JSON', 0, 0) });
    const events = Array.isArray(document['events']) ? (document['events'] as unknown[]) : [document];
    let processed = 0;
    for (const event of events.map(asRecord)) {
      const faults = faultsOf(event);
      if (faults.length > 0) {
        this.faults.push(...faults);
        continue;
      }
      processed += 1;
      const signature = event['signature'] as string;
      const count = (this.alerts.get(signature)?.count ?? 0) + 1;
      this.alerts.set(signature, { severity: event['severity'] as number, count });
    }
    return { status: 200, body: reply(true, `Processed ${processed} events`, events.length, processed) };
  }

  #isAllowed(authorization: string | undefined, token: unknown): boolean {
    const { type, credential } = this.auth;
    if (type === 'auth_token') return token === credential && authorization === undefined;
    if (type === 'jwt') return authorization === `Bearer ${credential}`;
    if (type === 'basic') return authorization === `Basic ${Buffer.from(credential).toString('base64')}`;
    return authorization === undefined && token === undefined;
  }
}

function faultsOf(event: Record<string, unknown>): string[] {
  const { signature, severity, agent_time: seconds } = event;
  return unmet({
    signature: isText(signature) && Buffer.byteLength(signature) <= SIGNATURE_BYTES_MAX,
    severity: Number.isInteger(severity) && (severity as number) >= 0 && (severity as number) <= 5,
    // Milliseconds would be a date in the year 50000.
    agent_time: Number.isInteger(seconds) && (seconds as number) > 1e9 && (seconds as number) < 1e11,
    ...Object.fromEntries(FIELDS.map((field) => [field, isText(event[field])])),
  });
}

function reply(success: boolean, message: string, received: number, processed: number): string {
  return JSON.stringify({ success, message, response: { received, processed } });
}
