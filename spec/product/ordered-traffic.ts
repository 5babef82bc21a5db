/**
 * Traffic in which the events of each host are numbered from 1 and sent in that order, each request after the answer to
 * the one before it on its connection, so that what comes out at the other end tells what was lost, doubled or passed.
 *
 * An event is answered when its request came back with 200 and all of it accepted. Nothing is sent twice: after a
 * refusal or a broken connection the next numbers follow.
 */
import { Agent, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { until } from '../support/node-under-test.ts';

export interface Pace {
  eventsPerSecond: number;
  eventsPerRequest: number;
}

export interface OrderedTrafficOptions extends Pace {
  url: string;
  key: string;
  /** Each sends the events of hosts of its own. */
  connections: number;
  hostsPerConnection: number;
}

/** Of one request. */
export interface Answer {
  /** 0 is a broken connection. */
  status: number;
  accepted?: number | undefined;
  /** Of a refusal. */
  code?: string | undefined;
}

interface NumberedEvent {
  host: string;
  number: number;
}

/** What a rule has to look for to find every one of these events. */
export const ORDERED_TEXT = 'SPEC-5-ORDERED';
/** How the names of hosts begin that send one event only. */
export const ONCE = 'ordered-once-';
const REPLY_TIMEOUT_MS = 20_000;

export class OrderedTraffic {
  /** `<host> <number>`. */
  readonly answered = new Set<string>();
  readonly unanswered = new Set<string>();
  /** Replies by status. */
  readonly statuses: Record<number, number> = {};
  readonly #options: OrderedTrafficOptions;
  readonly #watchers = new Set<(connection: number, answer: Answer) => void>();
  #connections: Promise<void>[] = [];
  #isStopping = false;

  constructor(options: OrderedTrafficOptions) {
    this.#options = { ...options };
  }

  /** From the next request of each connection on. */
  set pace(pace: Pace) {
    Object.assign(this.#options, pace);
  }

  start(): void {
    this.#connections = Array.from({ length: this.#options.connections }, (_, index) => this.#send(index));
  }

  /** Resolves when every request has ended. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    await Promise.all(this.#connections);
  }

  /** Settles when each connection has got `count` more answers of this kind, one after another. */
  async whenEach(isSo: (answer: Answer) => boolean, count: number, timeoutMs: number): Promise<void> {
    const runs = this.#connections.map(() => 0);
    let last: Answer | undefined;
    const watch = (connection: number, answer: Answer): void => {
      last = answer;
      runs[connection] = isSo(answer) ? (runs[connection] ?? 0) + 1 : 0;
    };
    this.#watchers.add(watch);
    try {
      await until(
        async () => runs.every((run) => run >= count),
        timeoutMs,
        () => `answers of the kind in a row: ${runs.join(' ')}; the last answer ${JSON.stringify(last)}`,
      );
    } finally {
      this.#watchers.delete(watch);
    }
  }

  /** One event of each of these hosts, which send no other and are named by `ONCE`, in one request beside those of the connections. */
  async sendOnce(hosts: readonly string[]): Promise<Answer> {
    const agent = new Agent();
    const answer = await this.#post(
      agent,
      hosts.map((host) => ({ host, number: 1 })),
    );
    agent.destroy();
    return answer;
  }

  async #send(connection: number): Promise<void> {
    const { connections, hostsPerConnection } = this.#options;
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const next = Array.from({ length: hostsPerConnection }, () => 1);
    let host = 0;
    while (!this.#isStopping) {
      const sentMs = performance.now();
      const { eventsPerSecond, eventsPerRequest } = this.#options;
      const events = Array.from({ length: eventsPerRequest }, () => {
        host = (host + 1) % hostsPerConnection;
        const number = next[host] ?? 1;
        next[host] = number + 1;
        return { host: `ordered-${connection}-${host}`, number };
      });
      const answer = await this.#post(agent, events);
      for (const watch of this.#watchers) watch(connection, answer);
      const spanMs = (eventsPerRequest * connections * 1_000) / eventsPerSecond;
      await sleep(Math.max(0, spanMs - (performance.now() - sentMs)));
    }
    agent.destroy();
  }

  async #post(agent: Agent, events: readonly NumberedEvent[]): Promise<Answer> {
    const answer = await this.#request(agent, events);
    const { status, accepted } = answer;
    this.statuses[status] = (this.statuses[status] ?? 0) + 1;
    const names = status === 200 && accepted === events.length ? this.answered : this.unanswered;
    for (const { host, number } of events) names.add(`${host} ${number}`);
    return answer;
  }

  #request(agent: Agent, events: readonly NumberedEvent[]): Promise<Answer> {
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
            const { accepted, code } = JSON.parse(text === '' ? '{}' : text) as Omit<Answer, 'status'>;
            resolve({ status: response.statusCode ?? 0, accepted, code });
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
