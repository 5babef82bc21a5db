/**
 * The traffic of a torture: to each node by requests, with and without resends, and over WebSockets; and by roaming
 * connections that go on at the other node when one fails them. Every event is known by its host and number.
 *
 * A host is sent by one sender, which begins nothing before the request before is settled: so the answered events of a host
 * that goes to one node have an order.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { EventSet } from './event-set.ts';
import { knownText } from './known-event.ts';
import type { KnownEvent } from './known-event.ts';
import { RequestTraffic } from './request-traffic.ts';
import { SocketTraffic } from './socket-traffic.ts';
import type { TorturedNode } from './tortured-node.ts';

export interface TortureTrafficOptions {
  nodes: readonly TorturedNode[];
  /** The ingest key of now. */
  key: () => string;
  /** To all nodes together. */
  eventsPerSecond: number;
  random: () => number;
}

/** Shares of the traffic, of one. */
const ROAMING_SHARE = 0.1;
const SOCKET_SHARE = 0.3;
const ALERT_SHARE = 0.2;
/** To each node; of them, those that send again what was not answered. */
const CONNECTIONS = 3;
const RESENDING = 1;
const SESSIONS = 2;
const HOSTS_PER_SENDER = 6;
const PROBE_TIMEOUT_MS = 3_000;
const PROBE_PAUSE_MS = 50;
const COMPLAINTS_MAX = 100;
const ROAMING = 'roaming';

export class TortureTraffic {
  readonly sent = new EventSet();
  readonly answered = new EventSet();
  readonly #options: TortureTrafficOptions;
  readonly #requests: RequestTraffic<KnownEvent>[];
  readonly #sockets: SocketTraffic<KnownEvent>[];
  /** The number of the next event of each host. */
  readonly #next = new Map<string, number>();
  readonly #complaints: string[] = [];
  #hosts = 0;

  constructor(options: TortureTrafficOptions) {
    this.#options = options;
    const { nodes, key, eventsPerSecond, random } = options;
    const perNode = eventsPerSecond / nodes.length;
    const requests = (
      name: string,
      urls: string[],
      share: number,
      connections: number,
    ): RequestTraffic<KnownEvent> =>
      new RequestTraffic<KnownEvent>({
        urls,
        key,
        connections,
        resending: name === ROAMING ? 0 : RESENDING,
        eventsPerSecond: share,
        random,
        name,
        next: (connection) => this.#make(`${name}-c${connection}`),
        settle: (events, isAnswered) => {
          if (isAnswered) this.answered.addAll(events);
        },
      });
    this.#requests = [
      ...nodes.map((node) =>
        requests(node.name, [ingestUrl(node)], perNode * (1 - ROAMING_SHARE - SOCKET_SHARE), CONNECTIONS),
      ),
      // What two nodes may both have stored is never sent twice: each knows its own only.
      requests(ROAMING, nodes.map(ingestUrl), eventsPerSecond * ROAMING_SHARE, nodes.length),
    ];
    this.#sockets = nodes.map(
      (node) =>
        new SocketTraffic<KnownEvent>({
          url: `http://127.0.0.1:${node.ports.ingest}`,
          key,
          sessions: SESSIONS,
          eventsPerSecond: perNode * SOCKET_SHARE,
          random,
          next: (session) => this.#make(`${node.name}-w${session}`),
        }),
    );
  }

  start(): void {
    for (const traffic of [...this.#requests, ...this.#sockets]) traffic.start();
  }

  /** Settles when every request has ended and every session has its acks. */
  async stop(): Promise<void> {
    await Promise.all([...this.#requests, ...this.#sockets].map((traffic) => traffic.stop()));
    for (const { answered } of this.#sockets) this.answered.addAll(answered);
  }

  /** Ends without waiting for anybody. */
  abandon(): void {
    for (const traffic of [...this.#requests, ...this.#sockets]) traffic.abandon();
  }

  /** Says what no reply should ever be. */
  complain(text: string): void {
    if (this.#complaints.length < COMPLAINTS_MAX) this.#complaints.push(text);
  }

  /** What no reply should ever say. */
  get oddities(): string[] {
    const all = [...this.#requests, ...this.#sockets].flatMap(({ oddities }) => oddities);
    const unacked = this.#sockets.reduce((sum, { unanswered }) => sum + unanswered.length, 0);
    return [
      ...this.#complaints,
      ...all,
      ...(unacked > 0 ? [`${unacked} events over WebSockets have no ack at the end`] : []),
    ];
  }

  /** Replies to requests by status; 0 is a broken connection or none in time. */
  get statuses(): Record<string, number> {
    const sums: Record<string, number> = {};
    for (const { statuses } of this.#requests)
      for (const [status, count] of statuses) sums[status] = (sums[status] ?? 0) + count;
    return sums;
  }

  get socketBreaks(): number {
    return this.#sockets.reduce((sum, { breaks }) => sum + breaks, 0);
  }

  /** Whether the answered events of a host reach destinations in the order they were sent in. */
  isOrdered(host: string): boolean {
    return !host.startsWith(ROAMING);
  }

  /** The name of a host that nobody else sends as. */
  newHost(name: string): string {
    this.#hosts += 1;
    return `${name}-${this.#hosts}`;
  }

  /** An event of a host that sends no others at the time; known and to be accounted for as all others. */
  make(host: string, isAlert: boolean): { event: KnownEvent; document: Readonly<Record<string, string>> } {
    const sequence = this.#next.get(host) ?? 0;
    this.#next.set(host, sequence + 1);
    const event = { host, sequence };
    this.sent.add(event);
    const document = {
      hostname: host,
      message: knownText(event, isAlert),
      timestamp: new Date().toISOString(),
    };
    return { event, document };
  }

  /**
   * Sends one event of its own to a node, again and again until it is answered. Undefined when that is not in time. One
   * at a time for each name.
   */
  async probe(
    node: TorturedNode,
    name: string,
    timeoutMs: number,
    signal: AbortSignal,
  ): Promise<KnownEvent | undefined> {
    const { event, document } = this.make(`probe-${node.name}-${name}`, true);
    const deadlineMs = performance.now() + timeoutMs;
    do {
      const reply = await this.post(node, JSON.stringify(document), `probe-${event.host}-${event.sequence}`);
      if (reply === 200) {
        this.answered.add(event);
        return event;
      }
      await sleep(PROBE_PAUSE_MS);
    } while (performance.now() < deadlineMs && !signal.aborted);
    return undefined;
  }

  /** The status; 0 when there is none. */
  async post(node: TorturedNode, body: string, idempotencyKey?: string): Promise<number> {
    try {
      const reply = await fetch(ingestUrl(node), {
        method: 'POST',
        headers: {
          'x-api-key': this.#options.key(),
          'content-type': 'application/json',
          ...(idempotencyKey === undefined ? {} : { 'idempotency-key': idempotencyKey }),
        },
        body,
        signal: AbortSignal.timeout(PROBE_TIMEOUT_MS),
      });
      await reply.arrayBuffer();
      return reply.status;
    } catch {
      return 0;
    }
  }

  #make(sender: string): { event: KnownEvent; document: Readonly<Record<string, string>> } {
    const { random } = this.#options;
    return this.make(`${sender}-h${Math.floor(random() * HOSTS_PER_SENDER)}`, random() < ALERT_SHARE);
  }
}

export function ingestUrl(node: TorturedNode): string {
  return `http://127.0.0.1:${node.ports.ingest}/api/v2/ingest`;
}
