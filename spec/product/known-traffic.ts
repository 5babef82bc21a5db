/**
 * Traffic whose every event is known: each carries its own id.
 *
 * Most connections send an event once and never again. Those that resend send a request with an Idempotency-Key until it
 * is answered, over a new connection after each failure, and some of the answered ones once more.
 *
 * An event is *answered* when its request came back with 200 and all of it accepted; with anything else, or nothing,
 * it is *unanswered* and may have been stored or not. Invariant: every id sent is in exactly one of the two.
 */
import { Agent, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

export interface TrafficOptions {
  url: string;
  key: string;
  connections: number;
  /** So many of them resend. */
  resending?: number;
  eventsPerSecond: number;
  random: () => number;
  /** Part of every id: tells one run's events from another's. */
  name: string;
}

/** What a rule has to look for to find the events that become alerts. */
export const ALERT_TEXT = 'SPEC-3-ALERT';
const ALERT_SHARE = 0.1;
const BATCH_MAX = 50;
const HOSTS = 40;
const REPLY_TIMEOUT_MS = 12_000;
const PAUSE_AFTER_FAILURE_MS = 60;
/** Of the answered requests of connections that resend, so many are sent once more. */
const NEEDLESS_SHARE = 0.2;
const RESEND_MS_MAX = 60_000;

/** A request that came back whole. Times of `performance.now()`. */
interface Answer {
  sentMs: number;
  answeredMs: number;
}

interface Reply {
  status: number;
  accepted?: number;
  isKeyReused?: boolean;
  code?: string;
  detail?: string;
  retryAfterS?: string | undefined;
}

export class KnownTraffic {
  readonly answered = new Set<string>();
  readonly unanswered = new Set<string>();
  /** Replies by status; 0 is none at all. */
  readonly statuses = new Map<number, number>();
  /** Every 503, by the code it names. */
  readonly refusals = new Map<string, number>();
  /** What no reply should ever say. */
  readonly oddities: string[] = [];
  /** Events sent again: of requests without an answer, and of answered ones. */
  resent = { unanswered: 0, answered: 0 };
  readonly #options: TrafficOptions;
  readonly #answers: Answer[] = [];
  #connections: Promise<void>[] = [];
  #isStopping = false;
  #n = 0;

  constructor(options: TrafficOptions) {
    this.#options = options;
  }

  get sent(): number {
    return this.#n;
  }

  start(): void {
    const { connections, resending = 0 } = this.#options;
    this.#connections = Array.from({ length: connections }, (_, at) => this.#connection(at < resending));
  }

  /** Resolves when every request has ended. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    await Promise.all(this.#connections);
  }

  /** Until the first request sent after that moment came back with 200; undefined when none did. */
  recoveryMs(fromMs: number): number | undefined {
    const first = Math.min(
      ...this.#answers.filter(({ sentMs }) => sentMs >= fromMs).map(({ answeredMs }) => answeredMs),
    );
    return Number.isFinite(first) ? first - fromMs : undefined;
  }

  async #connection(resends: boolean): Promise<void> {
    const { connections, eventsPerSecond, random } = this.#options;
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    while (!this.#isStopping) {
      const ids = Array.from({ length: 1 + Math.floor(random() * BATCH_MAX) }, () => this.#nextId());
      const body = this.#bodyOf(ids);
      const sentMs = performance.now();
      const isAnswered = resends
        ? await this.#sendUntilAnswered(agent, ids, body)
        : await this.#send(agent, ids, body);
      for (const id of ids) (isAnswered ? this.answered : this.unanswered).add(id);
      if (!isAnswered) await sleep(PAUSE_AFTER_FAILURE_MS);
      const spanMs = (ids.length * connections * 1_000) / eventsPerSecond;
      await sleep(Math.max(0, spanMs - (performance.now() - sentMs)));
    }
    agent.destroy();
  }

  async #sendUntilAnswered(agent: Agent, ids: readonly string[], body: string): Promise<boolean> {
    const giveUpAtMs = performance.now() + RESEND_MS_MAX;
    const key = `known-${ids[0]}`;
    while (!(await this.#send(agent, ids, body, key))) {
      if (performance.now() > giveUpAtMs) return false;
      this.resent.unanswered += ids.length;
      await sleep(PAUSE_AFTER_FAILURE_MS);
    }
    if (this.#options.random() < NEEDLESS_SHARE) {
      this.resent.answered += ids.length;
      await this.#send(agent, ids, body, key);
    }
    return true;
  }

  /** Whether it was answered. */
  async #send(agent: Agent, ids: readonly string[], body: string, idempotencyKey?: string): Promise<boolean> {
    const sentMs = performance.now();
    const reply = await this.#post(agent, body, idempotencyKey);
    this.statuses.set(reply.status, (this.statuses.get(reply.status) ?? 0) + 1);
    const isAnswered = reply.status === 200 && reply.accepted === ids.length && !reply.isKeyReused;
    if (isAnswered) this.#answers.push({ sentMs, answeredMs: performance.now() });
    else if (reply.status === 503) this.#judgeRefusal(reply);
    else if (reply.status !== 0) {
      const reused = reply.isKeyReused === true ? ', its key called reused' : '';
      this.oddities.push(`${reply.status} with ${reply.accepted} of ${ids.length} accepted${reused}`);
    }
    return isAnswered;
  }

  /** A relay has to be told when to come back, and a person what is wrong and what to do. */
  #judgeRefusal({ code = '', detail = '', retryAfterS }: Reply): void {
    this.refusals.set(code, (this.refusals.get(code) ?? 0) + 1);
    const isClear = code.startsWith('E_') && detail.includes('try again') && Number(retryAfterS) >= 1;
    if (!isClear) this.oddities.push(`503 with the code "${code}", Retry-After ${retryAfterS}: "${detail}"`);
  }

  #nextId(): string {
    return `${this.#options.name}.${this.#n++}`;
  }

  #bodyOf(ids: readonly string[]): string {
    const { random } = this.#options;
    const events = ids.map((id) => knownEvent(id, random));
    return JSON.stringify(events.length === 1 ? events[0] : events);
  }

  #post(agent: Agent, body: string, idempotencyKey: string | undefined): Promise<Reply> {
    const { url, key } = this.#options;
    return new Promise((resolve) => {
      const call = request(
        url,
        {
          agent,
          method: 'POST',
          headers: {
            'x-api-key': key,
            'content-type': 'application/json',
            ...(idempotencyKey === undefined ? {} : { 'idempotency-key': idempotencyKey }),
          },
          signal: AbortSignal.timeout(REPLY_TIMEOUT_MS),
        },
        (response) => {
          const chunks: Buffer[] = [];
          response.on('data', (chunk: Buffer) => chunks.push(chunk));
          response.on('error', () => resolve({ status: 0 }));
          response.on('end', () => {
            if (!response.complete) resolve({ status: 0 });
            else {
              resolve({
                ...fieldsIn(Buffer.concat(chunks)),
                status: response.statusCode ?? 0,
                retryAfterS: response.headers['retry-after'],
              });
            }
          });
        },
      );
      call.on('error', () => resolve({ status: 0 }));
      call.end(body);
    });
  }
}

export function knownEvent(id: string, random: () => number): Record<string, string> {
  return {
    hostname: `kill-${Math.floor(random() * HOSTS)}`,
    message: `${random() < ALERT_SHARE ? `%${ALERT_TEXT}: ` : ''}known id=${id};`,
    timestamp: new Date().toISOString(),
  };
}

/** The id in an event as it was received; undefined for an event of somebody else. */
export function idIn(raw: string): string | undefined {
  return /known id=([\w.-]+);/.exec(raw)?.[1];
}

function fieldsIn(body: Buffer): Omit<Reply, 'status'> {
  try {
    const fields = JSON.parse(body.toString('utf8')) as Record<string, unknown>;
    const { accepted, code, detail } = fields;
    return {
      isKeyReused: fields['idempotency_key_reused'] === true,
      ...(typeof accepted === 'number' ? { accepted } : {}),
      ...(typeof code === 'string' ? { code } : {}),
      ...(typeof detail === 'string' ? { detail } : {}),
    };
  } catch {
    return {};
  }
}
