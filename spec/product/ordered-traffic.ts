/**
 * Traffic in which the events of each host are numbered from 1 and sent in that order, each request after the answer to
 * the one before it on its connection, so that what comes out at the other end tells what was lost, doubled or passed.
 *
 * An event is answered when its request came back with 200 and all of it accepted. Nothing is sent twice: after a
 * broken connection the next numbers follow.
 */
import { Agent, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

export interface OrderedTrafficOptions {
  url: string;
  key: string;
  /** Each sends the events of hosts of its own. */
  connections: number;
  hostsPerConnection: number;
  eventsPerSecond: number;
}

/** What a rule has to look for to find every one of these events. */
export const ORDERED_TEXT = 'SPEC-5-ORDERED';
const EVENTS_PER_REQUEST = 12;
const REPLY_TIMEOUT_MS = 20_000;

export class OrderedTraffic {
  /** `<host> <number>`. */
  readonly answered = new Set<string>();
  readonly unanswered = new Set<string>();
  /** Replies by status; 0 is a broken connection. */
  readonly statuses: Record<number, number> = {};
  readonly #options: OrderedTrafficOptions;
  #connections: Promise<void>[] = [];
  #isStopping = false;

  constructor(options: OrderedTrafficOptions) {
    this.#options = options;
  }

  start(): void {
    this.#connections = Array.from({ length: this.#options.connections }, (_, index) => this.#send(index));
  }

  /** Resolves when every request has ended. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    await Promise.all(this.#connections);
  }

  async #send(connection: number): Promise<void> {
    const { connections, hostsPerConnection, eventsPerSecond } = this.#options;
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const next = Array.from({ length: hostsPerConnection }, () => 1);
    const spanMs = (EVENTS_PER_REQUEST * connections * 1_000) / eventsPerSecond;
    while (!this.#isStopping) {
      const sentMs = performance.now();
      const events = Array.from({ length: EVENTS_PER_REQUEST }, (_, index) => {
        const host = index % hostsPerConnection;
        const number = next[host] ?? 1;
        next[host] = number + 1;
        return { host: `ordered-${connection}-${host}`, number };
      });
      const { status, accepted } = await this.#post(agent, events);
      this.statuses[status] = (this.statuses[status] ?? 0) + 1;
      const isAnswered = status === 200 && accepted === events.length;
      const names = isAnswered ? this.answered : this.unanswered;
      for (const { host, number } of events) names.add(`${host} ${number}`);
      await sleep(Math.max(0, spanMs - (performance.now() - sentMs)));
    }
    agent.destroy();
  }

  #post(
    agent: Agent,
    events: { host: string; number: number }[],
  ): Promise<{ status: number; accepted?: number | undefined }> {
    const body = JSON.stringify(
      events.map(({ host, number }) => ({
        hostname: host,
        message: `%${ORDERED_TEXT}: known id=${host} ${number};`,
        timestamp: new Date().toISOString(),
      })),
    );
    return new Promise((resolve) => {
      const call = request(
        this.#options.url,
        {
          agent,
          method: 'POST',
          headers: { 'x-api-key': this.#options.key, 'content-type': 'application/json' },
          signal: AbortSignal.timeout(REPLY_TIMEOUT_MS),
        },
        (response) => {
          const chunks: Buffer[] = [];
          response.on('data', (chunk: Buffer) => chunks.push(chunk));
          response.on('error', () => resolve({ status: 0 }));
          response.on('end', () => {
            const text = Buffer.concat(chunks).toString('utf8');
            const { accepted } = JSON.parse(text === '' ? '{}' : text) as { accepted?: number };
            resolve({ status: response.statusCode ?? 0, accepted });
          });
        },
      );
      call.on('error', () => resolve({ status: 0 }));
      call.end(body);
    });
  }
}

/** The name of an ordered event, found in its text; undefined in any other. */
export function orderedIn(text: string): string | undefined {
  return /known id=(ordered-\S+ \d+);/.exec(text)?.[1];
}
