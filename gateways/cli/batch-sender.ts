/**
 * Sends one batch until it is answered: waits when the server says later, and resends the very same body with the same
 * Idempotency-Key after anything that leaves its fate open.
 *
 * Invariant: every event that may have been stored ends in exactly one of accepted, rejected or unanswered.
 */
import { sleep } from '../../runtime/clock.ts';
import type { Clock } from '../../runtime/clock.ts';
import { CodedError, codeOf, messageOf } from '../../runtime/errors.ts';
import { parseReply, problemOf } from './admin-client.ts';
import { isTlsFault } from './client-tls.ts';
import { KEY_ENDED_CODES } from './http-client.ts';
import type { HttpClient, HttpReply } from './http-client.ts';
import { CONTENT_TYPE, halves } from './line-batcher.ts';
import type { Batch } from './line-batcher.ts';
import { printable } from './terminal-text.ts';

export interface RejectReason {
  code: string;
  message: string;
  /** Where the first record of this reason came from, if that is known. */
  file?: string;
  /** From 1. */
  line?: number;
}

export interface BatchOutcome {
  accepted: number;
  rejected: number;
  /** Interrupted, or its server went away: whether these were stored is not known. */
  unanswered: number;
  /** As the server told them: ten of a batch at most. */
  reasons: RejectReason[];
}

export interface BatchSenderOptions {
  http: HttpClient;
  clock: Clock;
  /** No further attempt is begun after this. */
  signal: AbortSignal;
  /** Breaks off attempts that are under way. */
  hardSignal: AbortSignal;
  /** How long nothing at all may be answered before this gives up; Infinity waits for a server and a good key. */
  patienceMs: number;
  /** Told when the server asks to wait, or is away. */
  onWait?: (waitMs: number, why: string) => void;
}

const WAIT_MS_FIRST = 250;
const WAIT_MS_MAX = 5_000;
const RETRY_AFTER_MS_MAX = 60_000;
const RETRY_AFTER_MS_MIN = 50;
/** So that connections told to wait do not all come back in the same instant. */
const JITTER = 0.2;
const REPLY_TIMEOUT_MS = 60_000;
const PATH = '/api/v2/ingest';
const LATER_CODES = new Set(['E_UNREACHABLE', 'E_CONNECTION_BROKEN', 'E_REPLY_LATE']);
const LATER_STATUS = new Set([408, 425, 429]);
/** Refused before the body was looked at. After any other "later", also a proxy's, part of it may be stored. */
const CERTAINLY_NOT_STORED_CODES = new Set([
  'E_KEY_REFUSED',
  'E_REQUESTS_FULL',
  'E_BYTES_FULL',
  'E_KEY_ROTATED',
]);

export class BatchSender {
  readonly #options: BatchSenderOptions;
  #answeredAtMs: number | undefined;
  readonly #startedAtMs: number;

  constructor(options: BatchSenderOptions) {
    this.#options = options;
    this.#startedAtMs = options.clock.monotonicMs();
  }

  /**
   * Sends the batch under the given Idempotency-Key and tells the outcome, in parts if it had to be cut; nothing is told
   * of events that were certainly not stored. Rejects with `E_UNREACHABLE` (and its like) when patience is at an end,
   * `E_KEY_REFUSED`, or `E_NOT_INGEST`: nothing further is worth sending then.
   */
  async send(batch: Batch, key: string, tell: (outcome: BatchOutcome) => void): Promise<void> {
    const { http, signal, hardSignal, clock } = this.#options;
    // An attempt may have been carried out, wholly or in part, and no answer says so.
    let isUncertain = false;
    const giveUp = (): void => {
      if (isUncertain) tell(unanswered(batch));
    };
    for (let attempt = 1; ; attempt++) {
      if (signal.aborted) return giveUp();
      let reply: HttpReply;
      try {
        reply = await http.send({
          method: 'POST',
          path: PATH,
          headers: { 'content-type': CONTENT_TYPE[batch.kind], 'idempotency-key': key },
          body: batch.body,
          signal: hardSignal,
          timeoutMs: REPLY_TIMEOUT_MS,
        });
      } catch (thrown) {
        const code = codeOf(thrown);
        const isTls = isTlsFault(thrown);
        if (code !== 'E_UNREACHABLE' && !isTls) isUncertain = true;
        if (code === 'E_INTERRUPTED') return giveUp();
        const isLater = LATER_CODES.has(code) || (isTls && this.#options.patienceMs === Infinity);
        if (!isLater || this.#isPatienceOver(thrown)) {
          giveUp();
          throw thrown;
        }
        await this.#wait(backOffMs(attempt), isTls ? messageOf(thrown) : 'the server is away');
        continue;
      }
      if (reply.status >= 500 || LATER_STATUS.has(reply.status) || this.#isKeyAwaited(reply)) {
        const problem = problemOf(reply);
        if (!CERTAINLY_NOT_STORED_CODES.has(problem.code)) isUncertain = true;
        if (this.#isPatienceOver(problem)) {
          giveUp();
          throw problem;
        }
        const asked = retryAfterMs(reply.headers['retry-after'], clock.wallMs());
        const isKeyRefused = KEY_ENDED_CODES.has(problem.code);
        if (isKeyRefused) http.forgetKey();
        const why = isKeyRefused ? 'the key is refused' : 'the server says later';
        await this.#wait(asked ?? backOffMs(attempt), why);
        continue;
      }
      this.#answeredAtMs = clock.monotonicMs();
      return this.#settle(batch, key, reply, tell);
    }
  }

  /** Turns an answer that stands into an outcome. */
  async #settle(
    batch: Batch,
    key: string,
    reply: HttpReply,
    tell: (outcome: BatchOutcome) => void,
  ): Promise<void> {
    if (reply.status === 200) return tell(queuedOutcome(batch, parseReply(reply) as Record<string, unknown>));
    if (reply.status === 400) return tell(refusedOutcome(batch, reply));
    if (reply.status === 413) {
      const parts = halves(batch);
      if (parts === undefined) return tell(refusedOutcome(batch, reply));
      await this.send(parts[0], `${key}a`, tell);
      return this.send(parts[1], `${key}b`, tell);
    }
    const problem = problemOf(reply);
    if (problem.code === 'E_KEY_REFUSED') throw problem;
    throw new CodedError(
      'E_NOT_INGEST',
      `this is no ingest port of MUTT: it answers with status ${reply.status}`,
      {
        mend: 'Give the address of the ingest port with --url, for example http://127.0.0.1:8080.',
        details: { status: reply.status },
      },
    );
  }

  /** A key that is wrong today may be right tomorrow, for who waits without limit. */
  #isKeyAwaited(reply: HttpReply): boolean {
    return this.#options.patienceMs === Infinity && (reply.status === 401 || reply.status === 403);
  }

  #isPatienceOver(failure: unknown): boolean {
    if (this.#options.patienceMs === Infinity) return false;
    // Nobody there at the very first try is a wrong address or a node that does not run: no use in waiting.
    if (this.#answeredAtMs === undefined && codeOf(failure) === 'E_UNREACHABLE') return true;
    const sinceMs = this.#options.clock.monotonicMs() - (this.#answeredAtMs ?? this.#startedAtMs);
    return sinceMs > this.#options.patienceMs;
  }

  async #wait(waitMs: number, why: string): Promise<void> {
    this.#options.onWait?.(waitMs, why);
    await sleep(this.#options.clock, waitMs * (1 + Math.random() * JITTER), this.#options.signal);
  }
}

function backOffMs(attempt: number): number {
  return Math.min(WAIT_MS_MAX, WAIT_MS_FIRST * 2 ** (attempt - 1));
}

/** Seconds or an HTTP date (RFC 9110, section 10.2.3), bounded; undefined when the server did not say. */
function retryAfterMs(header: string | undefined, nowMs: number): number | undefined {
  if (header === undefined) return undefined;
  const asked = /^\d+$/.test(header.trim()) ? Number(header) * 1_000 : Date.parse(header) - nowMs;
  if (Number.isNaN(asked)) return undefined;
  return Math.min(RETRY_AFTER_MS_MAX, Math.max(RETRY_AFTER_MS_MIN, asked));
}

function unanswered(batch: Batch): BatchOutcome {
  return { accepted: 0, rejected: 0, unanswered: batch.events, reasons: [] };
}

function queuedOutcome(batch: Batch, document: Record<string, unknown>): BatchOutcome {
  const { accepted, rejected } = document;
  if (typeof accepted !== 'number' || typeof rejected !== 'number') {
    throw new CodedError('E_REPLY_INVALID', 'the answer does not say what was accepted', {
      mend: 'Something else seems to listen at this address: check --url.',
    });
  }
  const reasons = reasonsOf(document['errors'], batch);
  if (accepted === 0) return { accepted, rejected: batch.events, unanswered: 0, reasons };
  const uncounted = batch.events - accepted - rejected;
  if (uncounted !== 0) {
    reasons.push({
      code: 'E_COUNT_DIFFERS',
      message: `of ${batch.events} lines the server counted ${accepted} accepted and ${rejected} rejected`,
    });
  }
  return { accepted, rejected, unanswered: Math.max(0, uncounted), reasons };
}

/** The whole batch was refused for what is in it. */
function refusedOutcome(batch: Batch, reply: HttpReply): BatchOutcome {
  const problem = problemOf(reply);
  let reasons: RejectReason[] = [];
  try {
    reasons = reasonsOf((parseReply(reply) as Record<string, unknown>)['errors'], batch);
  } catch {
    // A proxy's own page: its status is the reason.
  }
  const code = typeof problem.details['code'] === 'string' ? problem.details['code'] : problem.code;
  if (reasons.length === 0) reasons = [{ code, message: problem.message, ...batch.origins?.[0] }];
  return { accepted: 0, rejected: batch.events, unanswered: 0, reasons };
}

function reasonsOf(errors: unknown, batch: Batch): RejectReason[] {
  if (!Array.isArray(errors)) return [];
  return (errors as unknown[]).flatMap((error) => {
    const { index, code, message } = (error ?? {}) as Record<string, unknown>;
    if (typeof code !== 'string' || typeof message !== 'string') return [];
    const origin = typeof index === 'number' ? batch.origins?.[index] : undefined;
    return [{ code: printable(code), message: printable(message), ...origin }];
  });
}
