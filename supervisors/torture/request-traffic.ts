/**
 * Traffic by requests whose every event is known to whoever makes it.
 *
 * Most connections send an event once and never again. Those that resend send a request with an Idempotency-Key until it
 * is answered, over a new connection after each failure, and some of the answered ones once more.
 *
 * An event is *answered* when its request came back with 200 and all of it accepted; with anything else, or nothing,
 * it is not and may have been stored or not. Invariants: every event is settled once, as one of the two; a connection
 * begins no request before the one before it is settled.
 */
import { Agent, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

export interface RequestTrafficOptions<E> {
  /** Of ingest routes. Of several a connection begins with one of them, and takes the next after each failure. */
  urls: readonly string[];
  /** Asked for each request. */
  key: () => string;
  connections: number;
  /** So many of them resend. */
  resending?: number;
  eventsPerSecond: number;
  random: () => number;
  /** Part of every Idempotency-Key: tells this traffic's from another's. */
  name: string;
  /** The next event of a connection, and what is sent of it. */
  next: (connection: number) => { event: E; document: Readonly<Record<string, string>> };
  /** What has become of the events of a request. */
  settle: (events: readonly E[], isAnswered: boolean) => void;
}

const BATCH_MAX = 50;
const REPLY_TIMEOUT_MS = 12_000;
const PAUSE_AFTER_FAILURE_MS = 60;
/** Of the answered requests of connections that resend, so many are sent once more. */
const NEEDLESS_SHARE = 0.2;
const RESEND_MS_MAX = 60_000;
/** The latest ones, by which a recovery is measured. */
const ANSWERS_KEPT = 50_000;
const ODDITIES_MAX = 1_000;

/** A request that came back whole. Times of `performance.now()`. */
interface Answer {
  sentMs: number;
  answeredMs: number;
}

/** A connection: its agent has one socket. */
interface Line {
  agent: Agent;
  /** Place among the addresses. */
  url: number;
}

interface Reply {
  status: number;
  accepted?: number;
  isKeyReused?: boolean;
  code?: string;
  detail?: string;
  retryAfterS?: string | undefined;
}

export class RequestTraffic<E> {
  /** Replies by status; 0 is none at all. */
  readonly statuses = new Map<number, number>();
  /** Every 503, by the code it names. */
  readonly refusals = new Map<string, number>();
  /** What no reply should ever say. */
  readonly oddities: string[] = [];
  /** Events sent again: of requests without an answer, and of answered ones. */
  resent = { unanswered: 0, answered: 0 };
  readonly #options: RequestTrafficOptions<E>;
  readonly #answers: Answer[] = [];
  #connections: Promise<void>[] = [];
  #isStopping = false;
  readonly #abandoned = new AbortController();
  #n = 0;
  #requests = 0;

  constructor(options: RequestTrafficOptions<E>) {
    this.#options = options;
  }

  get sent(): number {
    return this.#n;
  }

  start(): void {
    const { connections, resending = 0 } = this.#options;
    this.#connections = Array.from({ length: connections }, (_, at) => this.#connection(at, at < resending));
  }

  /** Resolves when every request has ended. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    await Promise.all(this.#connections);
  }

  /** Ends without waiting: what is under way is broken off. */
  abandon(): void {
    this.#isStopping = true;
    this.#abandoned.abort();
  }

  /** Until the first request sent after that moment came back with 200; undefined when none did. */
  recoveryMs(fromMs: number): number | undefined {
    const first = Math.min(
      ...this.#answers.filter(({ sentMs }) => sentMs >= fromMs).map(({ answeredMs }) => answeredMs),
    );
    return Number.isFinite(first) ? first - fromMs : undefined;
  }

  async #connection(at: number, resends: boolean): Promise<void> {
    const { connections, eventsPerSecond, random, next, settle, urls } = this.#options;
    const line: Line = { agent: new Agent({ keepAlive: true, maxSockets: 1 }), url: at % urls.length };
    while (!this.#isStopping) {
      const made = Array.from({ length: 1 + Math.floor(random() * BATCH_MAX) }, () => next(at));
      this.#n += made.length;
      const documents = made.map(({ document }) => document);
      const body = JSON.stringify(documents.length === 1 ? documents[0] : documents);
      const sentMs = performance.now();
      const isAnswered = resends
        ? await this.#sendUntilAnswered(line, made.length, body)
        : await this.#send(line, made.length, body);
      settle(
        made.map(({ event }) => event),
        isAnswered,
      );
      if (!isAnswered) await sleep(PAUSE_AFTER_FAILURE_MS);
      const spanMs = (made.length * connections * 1_000) / eventsPerSecond;
      await sleep(Math.max(0, spanMs - (performance.now() - sentMs)));
    }
    line.agent.destroy();
  }

  async #sendUntilAnswered(line: Line, count: number, body: string): Promise<boolean> {
    const giveUpAtMs = performance.now() + RESEND_MS_MAX;
    const key = `known-${this.#options.name}-${this.#requests++}`;
    while (!(await this.#send(line, count, body, key))) {
      if (performance.now() > giveUpAtMs || this.#abandoned.signal.aborted) return false;
      this.resent.unanswered += count;
      await sleep(PAUSE_AFTER_FAILURE_MS);
    }
    if (this.#options.random() < NEEDLESS_SHARE) {
      this.resent.answered += count;
      await this.#send(line, count, body, key);
    }
    return true;
  }

  /** Whether it was answered. */
  async #send(line: Line, count: number, body: string, idempotencyKey?: string): Promise<boolean> {
    const sentMs = performance.now();
    const reply = await this.#post(line, body, idempotencyKey);
    this.statuses.set(reply.status, (this.statuses.get(reply.status) ?? 0) + 1);
    const isAnswered = reply.status === 200 && reply.accepted === count && !reply.isKeyReused;
    if (isAnswered) this.#note({ sentMs, answeredMs: performance.now() });
    else {
      line.url = (line.url + 1) % this.#options.urls.length;
      if (reply.status === 503) this.#judgeRefusal(reply);
      else if (reply.status !== 0) {
        const reused = reply.isKeyReused === true ? ', its key called reused' : '';
        this.#complain(`${reply.status} with ${reply.accepted} of ${count} accepted${reused}`);
      }
    }
    return isAnswered;
  }

  #note(answer: Answer): void {
    this.#answers.push(answer);
    if (this.#answers.length > 2 * ANSWERS_KEPT) this.#answers.splice(0, ANSWERS_KEPT);
  }

  #complain(text: string): void {
    if (this.oddities.length < ODDITIES_MAX) this.oddities.push(text);
  }

  /** A relay has to be told when to come back, and a person what is wrong and what to do. */
  #judgeRefusal({ code = '', detail = '', retryAfterS }: Reply): void {
    this.refusals.set(code, (this.refusals.get(code) ?? 0) + 1);
    const isClear = code.startsWith('E_') && detail.includes('try again') && Number(retryAfterS) >= 1;
    if (!isClear) this.#complain(`503 with the code "${code}", Retry-After ${retryAfterS}: "${detail}"`);
  }

  #post(line: Line, body: string, idempotencyKey: string | undefined): Promise<Reply> {
    const { urls, key } = this.#options;
    return new Promise((resolve) => {
      const call = request(
        urls[line.url] ?? '',
        {
          agent: line.agent,
          method: 'POST',
          headers: {
            'x-api-key': key(),
            'content-type': 'application/json',
            ...(idempotencyKey === undefined ? {} : { 'idempotency-key': idempotencyKey }),
          },
          signal: AbortSignal.any([this.#abandoned.signal, AbortSignal.timeout(REPLY_TIMEOUT_MS)]),
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
