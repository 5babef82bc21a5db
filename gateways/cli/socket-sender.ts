/**
 * Sends batches over a WebSocket in their order, obeys credit, and goes on after the last ack on a new connection, to
 * whichever gateway takes it.
 *
 * Invariant: every event that may have been stored ends in exactly one of accepted, rejected or unanswered. After a
 * connection that broke, what had no ack is sent again: the node knows what of it is stored.
 */
import { randomInt, randomUUID } from 'node:crypto';
import { sleep } from '../../runtime/clock.ts';
import type { Clock } from '../../runtime/clock.ts';
import { CodedError, codeOf, messageOf } from '../../runtime/errors.ts';
import { problemOf } from './admin-client.ts';
import type { BatchOutcome, RejectReason } from './batch-sender.ts';
import { isTlsFault } from './client-tls.ts';
import type { ClientTls } from './client-tls.ts';
import { KEY_ENDED_CODES } from './http-client.ts';
import type { HttpClient } from './http-client.ts';
import { halves } from './line-batcher.ts';
import type { Batch } from './line-batcher.ts';
import { numberedFrame, Outbox } from './outbox.ts';
import { refusedBy, SocketConnection, SOCKET_PATH } from './socket-connection.ts';
import type { SocketAck, SocketClosing } from './socket-connection.ts';

export interface SocketSenderOptions {
  url: string;
  /** For the same port: says over plain HTTP why an upgrade would be refused. */
  http: HttpClient;
  readKey: () => Promise<string>;
  tls?: ClientTls | undefined;
  clock: Clock;
  /** Nothing further is sent after this; what is under way may still be acked. */
  signal: AbortSignal;
  /** Breaks off. */
  hardSignal: AbortSignal;
  /** How long nothing at all may be acked before this gives up; Infinity waits for a server and a good key. */
  patienceMs: number;
  onWait?: (waitMs: number, why: string) => void;
  tell: (outcome: BatchOutcome) => void;
}

const WAIT_MS_FIRST = 250;
const WAIT_MS_MAX = 5_000;
/** Batches in hand at once, acked ones not counted. */
const OUTBOX_MAX = 64;
/** More is not put into the socket before the system has taken some. */
const BUFFERED_BYTES_MAX = 4 * 1024 * 1024;
const BUFFER_LOOK_MS = 10;
const PATIENCE_LOOK_MS = 250;
/** Of a numbered line. */
const NUMBER_BYTES_MAX = 32;
/** Come again: restart, and later. */
const COME_AGAIN_CODES = new Set([1001, 1005, 1006, 1011, 1012, 1013]);
const UPGRADE_REQUIRED = 426;

export class SocketSender {
  readonly #options: SocketSenderOptions;
  readonly #session = `send-${randomUUID()}`;
  readonly #outbox = new Outbox();
  readonly #source: AsyncIterator<Batch>;
  #isSourceOver = false;
  #isPulling = false;
  #connection: SocketConnection | undefined;
  #credit = 0;
  #messageBytesMax = Infinity;
  /** What the server has counted on this connection. */
  #counted = { accepted: 0, rejected: 0 };
  #progressAtMs: number;
  #acks = 0;
  #failure: Error | undefined;
  #lastNack: CodedError | undefined;

  constructor(source: AsyncIterator<Batch>, options: SocketSenderOptions) {
    this.#source = source;
    this.#options = options;
    this.#progressAtMs = options.clock.monotonicMs();
  }

  /**
   * Resolves when everything is acked, or the signal has ended it. Rejects with `E_UNREACHABLE` (and its like) when
   * patience is at an end, `E_KEY_REFUSED`, `E_NOT_INGEST`, `E_SOCKET_REFUSED`, or what the source throws.
   */
  async send(): Promise<void> {
    const { tell } = this.#options;
    try {
      await this.#connections();
    } finally {
      const { unanswered } = this.#outbox;
      if (unanswered > 0) tell({ accepted: 0, rejected: 0, unanswered, reasons: [] });
    }
  }

  async #connections(): Promise<void> {
    const { clock, signal, hardSignal } = this.#options;
    for (let attempt = 1; !this.#isDone; attempt++) {
      const acks = this.#acks;
      let why = 'the server is away';
      try {
        await this.#probe();
        const closing = await this.#connect();
        if (this.#failure !== undefined) throw this.#failure;
        if (this.#isDone || hardSignal.aborted) return;
        if (!COME_AGAIN_CODES.has(closing.code)) throw await this.#reasonOf(closing);
      } catch (thrown) {
        if (codeOf(thrown) === 'E_INTERRUPTED') return;
        if (this.#isHopeless(thrown) || this.#isPatienceOver(thrown)) throw thrown;
        if (KEY_ENDED_CODES.has(codeOf(thrown))) {
          why = 'the key is refused';
          this.#options.http.forgetKey();
        } else if (isTlsFault(thrown)) why = messageOf(thrown);
      }
      if (this.#acks !== acks) attempt = 1;
      if (signal.aborted) return;
      const waitMs = Math.min(WAIT_MS_MAX, WAIT_MS_FIRST * 2 ** (attempt - 1));
      this.#options.onWait?.(waitMs, why);
      await sleep(clock, randomInt(Math.ceil(waitMs / 2), waitMs + 1), signal);
      if (this.#isPatienceOver(undefined)) throw this.#lastNack ?? silence();
    }
  }

  /** One connection, from its upgrade to its end. */
  async #connect(): Promise<SocketClosing> {
    const { url, readKey, clock, tls, signal, hardSignal } = this.#options;
    this.#outbox.rewind();
    this.#credit = 0;
    this.#counted = { accepted: 0, rejected: 0 };
    const connection = new SocketConnection({
      url,
      key: (await readKey()).trim(),
      session: this.#session,
      clock,
      tls,
      news: {
        onCredit: (credit, bytesMax) => {
          this.#credit += credit;
          if (bytesMax !== undefined) this.#messageBytesMax = bytesMax;
          this.#pump();
        },
        onAck: (ack) => this.#acked(ack),
        onNack: ({ seq, code, message, retryAfterMs }) => {
          this.#credit = 0;
          this.#outbox.rewind(seq);
          this.#lastNack = new CodedError(code, `the node says: ${message}`, {
            kind: 'transient',
            details: { status: 503 },
          });
          this.#options.onWait?.(retryAfterMs, 'the server says later');
        },
      },
    });
    this.#connection = connection;
    const onStop = (): void => this.#pump();
    const onHardStop = (): void => connection.close();
    const look = setInterval(() => this.#look(connection), PATIENCE_LOOK_MS);
    signal.addEventListener('abort', onStop);
    hardSignal.addEventListener('abort', onHardStop);
    try {
      return await connection.closed;
    } finally {
      this.#connection = undefined;
      clearInterval(look);
      signal.removeEventListener('abort', onStop);
      hardSignal.removeEventListener('abort', onHardStop);
    }
  }

  /** Something is sent whenever there is credit and something to send; the end is reached when all is acked. */
  #pump(): void {
    const connection = this.#connection;
    if (connection === undefined) return;
    if (this.#isDone) return connection.close();
    const { signal, clock } = this.#options;
    while (this.#credit > 0 && !signal.aborted && this.#outbox.hasUnsent) {
      if (connection.bufferedBytes > BUFFERED_BYTES_MAX) {
        clock.after(BUFFER_LOOK_MS, () => this.#pump());
        return;
      }
      const next = this.#outbox.take();
      if (next === undefined) break;
      this.#credit -= 1;
      connection.send(numberedFrame(next));
    }
    if (this.#credit > 0) this.#pull();
  }

  /** Asks the source for the next batch, one at a time; a source that waits for its input holds nothing up. */
  #pull(): void {
    const { signal } = this.#options;
    const isWanted = !this.#isPulling && !this.#isSourceOver && !signal.aborted;
    if (!isWanted || this.#outbox.size >= OUTBOX_MAX) return;
    this.#isPulling = true;
    this.#source.next().then(
      ({ value, done }) => {
        this.#isPulling = false;
        if (done === true) this.#isSourceOver = true;
        else for (const batch of this.#fitting(value)) this.#outbox.add(batch);
        this.#pump();
      },
      (thrown: unknown) => {
        this.#isPulling = false;
        this.#isSourceOver = true;
        this.#failure = thrown instanceof Error ? thrown : new Error(String(thrown));
        this.#connection?.close();
      },
    );
  }

  /** Cuts what the server would not take; a record that is too large alone is told of and left out. */
  #fitting(batch: Batch): Batch[] {
    if (batch.body.length + NUMBER_BYTES_MAX <= this.#messageBytesMax) return [batch];
    const parts = halves(batch);
    if (parts !== undefined) return parts.flatMap((part) => this.#fitting(part));
    const message = `it is longer than the ${this.#messageBytesMax} bytes of a message and was not sent`;
    const reasons = [{ code: 'E_LINE_TOO_LONG', message, ...batch.origins?.[0] }];
    this.#options.tell({ accepted: 0, rejected: batch.events, unanswered: 0, reasons });
    return [];
  }

  #acked({ seq, accepted, rejected, errors }: SocketAck): void {
    const batches = this.#outbox.ack(seq);
    const events = batches.reduce((sum, { batch }) => sum + batch.events, 0);
    const now = {
      accepted: accepted - this.#counted.accepted,
      rejected: rejected - this.#counted.rejected,
    };
    this.#counted = { accepted, rejected };
    const reasons: RejectReason[] = errors.map(({ seq: of, index, code, message }) => ({
      code,
      message,
      ...batches.find((each) => each.seq === of)?.batch.origins?.[index],
    }));
    // A batch of which nothing could be read counts as one reject there, and is all of its lines here.
    const unreadable = Math.max(0, events - now.accepted - now.rejected);
    this.#options.tell({
      accepted: now.accepted,
      rejected: now.rejected + unreadable,
      unanswered: 0,
      reasons,
    });
    this.#acks += 1;
    this.#progressAtMs = this.#options.clock.monotonicMs();
    this.#lastNack = undefined;
    this.#pump();
  }

  #look(connection: SocketConnection): void {
    // Waiting for the source is no waiting for the server.
    if (this.#outbox.size === 0) this.#progressAtMs = this.#options.clock.monotonicMs();
    else if (this.#isPatienceOver(undefined)) {
      this.#failure ??= this.#lastNack ?? silence();
      connection.close();
    }
  }

  get #isDone(): boolean {
    const { signal } = this.#options;
    if (signal.aborted) return this.#outbox.underWay === 0;
    return this.#isSourceOver && !this.#isPulling && this.#outbox.size === 0;
  }

  /** What the port says to the same key over plain HTTP; an upgrade's refusal has no words here. */
  async #probe(): Promise<void> {
    const { http, hardSignal } = this.#options;
    const reply = await http.send({ method: 'GET', path: SOCKET_PATH, signal: hardSignal });
    if (reply.status === UPGRADE_REQUIRED) return;
    const problem = problemOf(reply);
    if (problem.code === 'E_KEY_REFUSED' || reply.status >= 500) throw problem;
    throw new CodedError(
      'E_NOT_INGEST',
      `this is no ingest port of MUTT with WebSockets: it answers with status ${reply.status}`,
      {
        mend: 'Give the address of the ingest port with --url, for example http://127.0.0.1:8080.',
        details: { status: reply.status },
      },
    );
  }

  /** A key that is gone is told as what it is. */
  async #reasonOf(closing: SocketClosing): Promise<CodedError> {
    return this.#probe().then(
      () => refusedBy(closing),
      (thrown: unknown) =>
        thrown instanceof CodedError && thrown.code === 'E_KEY_REFUSED' ? thrown : refusedBy(closing),
    );
  }

  /** A key or certificate that is wrong today may be right tomorrow, for who waits without limit. */
  #isHopeless(thrown: unknown): boolean {
    if (isTransient(thrown)) return false;
    const isMendable = codeOf(thrown) === 'E_KEY_REFUSED' || isTlsFault(thrown);
    return !isMendable || this.#options.patienceMs !== Infinity;
  }

  #isPatienceOver(failure: unknown): boolean {
    if (this.#options.patienceMs === Infinity) return false;
    // Nobody there at the very first try is a wrong address or a node that does not run: no use in waiting.
    if (this.#acks === 0 && this.#outbox.unanswered === 0 && codeOf(failure) === 'E_UNREACHABLE') return true;
    return this.#options.clock.monotonicMs() - this.#progressAtMs > this.#options.patienceMs;
  }
}

function isTransient(thrown: unknown): boolean {
  return thrown instanceof CodedError && thrown.kind === 'transient';
}

function silence(): CodedError {
  return new CodedError('E_REPLY_LATE', 'the ingest port acknowledges nothing', {
    kind: 'transient',
    mend: 'Look at `mutt status` and the log of the node.',
  });
}
