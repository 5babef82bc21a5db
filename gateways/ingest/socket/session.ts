/**
 * One sender on one socket: takes its messages in order, has them stored in order, and tells how far it has come.
 *
 * Messages go to the ingest threads in runs. A run is what came while the one before was being stored; it lies in one
 * batch, so one thread stores it in its order. Invariants: an ack of n is told only when every message up to n is stored
 * or parked; what is kept of a message is bounded by its credit and by its share of one budget of all sessions; what is to be told is
 * one ack, one refusal and one credit at most, however slow the peer reads.
 */
import { INGEST_COUNTER } from '../metrics.ts';
import type { Counters } from '../metrics.ts';
import { errorsShown, outcomeOf, REFUSAL, SHORTAGE_REFUSAL } from '../replies.ts';
import type { Refusal } from '../replies.ts';
import type { RunMessage, RunOutcome } from '../run-message.ts';
import type { OurEnding } from './endings.ts';
import { readEnvelope } from './envelope.ts';
import type { QueueBudget } from './queue-budget.ts';
import type { SocketLimits } from './socket-limits.ts';

/** The part of a socket that is needed. */
export interface SessionWire {
  send(text: string): unknown;
  /** Bytes that wait because the peer does not read. */
  getBufferedAmount(): number;
}

export interface SessionOptions {
  wire: SessionWire;
  /** As the client gave it; undefined when it gave none. */
  name: string | undefined;
  correlationId: string;
  limits: SocketLimits;
  budget: QueueBudget;
  counters: Counters;
  /** Hands a run over in one batch, or says why not. */
  submit: (run: readonly RunMessage[]) => Refusal | undefined;
  /** Ends the socket, at once or at the end of this turn; `closed` is called then. */
  end: (ending: OurEnding) => void;
  /** Something is to be handed over or told when this turn of the loop is over. */
  wake: () => void;
  random: () => number;
  nowMs: number;
}

interface Queued {
  seq: number;
  body: Buffer;
}

interface Run {
  messages: readonly Queued[];
  outcomes: RunOutcome[];
  left: number;
}

/** After a refusal everything up to the refused message's return is left unread. */
interface Rewind {
  seq: number;
  discarded: number;
  retryAtMs: number;
  isOffered: boolean;
}

/** A run fits into an empty batch, texts and all. */
const RUN_BYTES_MAX = 256 * 1024;
const ERRORS_SHOWN_MAX = 10;
const RETRY_AFTER_S = 2;
const RETRY_JITTER = 0.5;
/** With many bytes of their source waiting already, sessions get so much less credit. */
const CROWDED_SHARE = 8;

export class SocketSession {
  readonly #options: SessionOptions;
  #queue: Queued[] = [];
  #run: Run | undefined;
  #credit = 0;
  /** Whether the messages bear numbers: all or none. */
  #isNumbered: boolean | undefined;
  #nextSeq: number | undefined;
  #acked = 0;
  #ackTold = 0;
  #accepted = 0;
  #rejected = 0;
  #reused = 0;
  #errors: object[] = [];
  #refused: { seq: number; refusal: Refusal; retryAfterMs: number } | undefined;
  #rewind: Rewind | undefined;
  /** The first message after a refusal is on trial: no further credit until it is stored. */
  #isOnTrial = false;
  #isLeaving = false;
  #leaveAtMs = 0;
  #isOver = false;
  #heardAtMs: number;
  #readAtMs: number;
  #buffered = 0;

  constructor(options: SessionOptions) {
    this.#options = options;
    this.#heardAtMs = options.nowMs;
    this.#readAtMs = options.nowMs;
  }

  /** What a client needs to know before it sends, and its first credit. */
  greet(): void {
    const { wire, name, correlationId, limits } = this.#options;
    this.#credit = this.#window();
    wire.send(
      JSON.stringify({
        credit: this.#credit,
        ...(name === undefined ? {} : { session: name }),
        correlation_id: correlationId,
        message_bytes_max: limits.messageBytesMax,
      }),
    );
  }

  /** Takes one message; its bytes are copied. */
  hear(message: Buffer): void {
    if (this.#isOver || this.#isLeaving) return;
    const { limits, budget, counters, wake } = this.#options;
    if (message.length > limits.messageBytesMax) return this.#end('too_large');
    const { seq: given, start, end } = readEnvelope(message);
    this.#isNumbered ??= given !== undefined;
    if (this.#isNumbered !== (given !== undefined)) return this.#end('sequence');
    const seq = given ?? this.#nextSeq ?? 1;
    if (this.#isLeftUnread(seq) || this.#isOver) return;
    if (this.#credit === 0) return this.#end('credit');
    this.#credit -= 1;
    if (this.#nextSeq === undefined) this.#acked = this.#ackTold = seq - 1;
    else if (seq !== this.#nextSeq) return this.#end('sequence');
    this.#nextSeq = seq + 1;
    counters.add(INGEST_COUNTER.socketMessages, 1);
    const shortage = budget.take(end - start);
    if (shortage === undefined) this.#queue.push({ seq, body: Buffer.from(message.subarray(start, end)) });
    else this.#refuse(seq, SHORTAGE_REFUSAL[shortage]);
    wake();
  }

  /** Hands over what waits, if nothing is under way, and tells what there is to tell. */
  turn(nowMs: number): void {
    if (this.#isOver) return;
    this.#handOver();
    this.#tell(nowMs);
    if (this.#isLeaving && this.#isIdle && nowMs >= this.#leaveAtMs) this.#end('restart');
  }

  /** Something came from the peer, a pong at least. */
  heard(nowMs: number): void {
    this.#heardAtMs = nowMs;
  }

  /** How long nothing has come. */
  silenceMs(nowMs: number): number {
    return nowMs - this.#heardAtMs;
  }

  /** To be called now and then: ends it when the peer does not read or is not heard of, and offers credit again. */
  look(nowMs: number): void {
    if (this.#isOver) return;
    const { wire, limits } = this.#options;
    const buffered = wire.getBufferedAmount();
    if (buffered === 0 || buffered < this.#buffered) this.#readAtMs = nowMs;
    this.#buffered = buffered;
    if (nowMs - this.#readAtMs >= limits.slowMs) this.#end('slow');
    else if (this.silenceMs(nowMs) >= limits.silentMs) this.#end('silent');
    else this.turn(nowMs);
  }

  /** Takes no further message; ends with 1012 when what it has is stored and told, at `atMs` at the earliest. */
  leave(atMs: number): void {
    this.#isLeaving = true;
    this.#leaveAtMs = atMs;
  }

  /** Nothing more is told to its client. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** The socket is gone: what waits is forgotten, since its client was told nothing. Idempotent. */
  closed(): void {
    this.#isOver = true;
    this.#forgetQueue();
  }

  get #isIdle(): boolean {
    const isTold = this.#ackTold === this.#acked && this.#refused === undefined;
    return this.#run === undefined && this.#queue.length === 0 && isTold;
  }

  #window(): number {
    const { limits, budget } = this.#options;
    return budget.isCrowded
      ? Math.max(1, Math.floor(limits.windowMessages / CROWDED_SHARE))
      : limits.windowMessages;
  }

  /** Whether the message was sent before its client could know of a refusal. */
  #isLeftUnread(seq: number): boolean {
    const rewind = this.#rewind;
    if (rewind === undefined) return false;
    if (seq === rewind.seq) {
      if (rewind.isOffered) {
        this.#rewind = undefined;
        this.#nextSeq = seq;
      }
      return false;
    }
    rewind.discarded += 1;
    // More than it ever had credit for: it goes on as if nothing had been said.
    if (rewind.discarded > this.#options.limits.windowMessages) this.#end('sequence');
    return true;
  }

  #handOver(): void {
    if (this.#run !== undefined || this.#queue.length === 0) return;
    let count = 0;
    for (let bytes = 0; count < this.#queue.length; count++) {
      bytes += this.#queue[count]?.body.length ?? 0;
      if (count > 0 && bytes > RUN_BYTES_MAX) break;
    }
    const messages = this.#queue.splice(0, count);
    const run: Run = { messages, outcomes: [], left: count };
    const refusal = this.#options.submit(
      messages.map(({ seq, body }, at) => ({
        body,
        idempotencyKey: this.#idempotencyKey(seq),
        tell: (outcome) => this.#settle(run, at, outcome),
      })),
    );
    for (const { body } of messages) this.#options.budget.giveBack(body.length);
    if (refusal === undefined) this.#run = run;
    else this.#refuse(messages[0]?.seq ?? 0, refusal);
  }

  /** Only a number that the client gave, in a session that it named, means the same message on every connection. */
  #idempotencyKey(seq: number): string {
    const { name } = this.#options;
    return name === undefined || this.#isNumbered !== true ? '' : `ws:${name}:${seq}`;
  }

  #settle(run: Run, at: number, outcome: RunOutcome): boolean {
    run.outcomes[at] = outcome;
    run.left -= 1;
    if (run.left > 0) return !this.#isOver;
    this.#run = undefined;
    if (this.#isOver) return false;
    this.#conclude(run);
    this.#options.wake();
    return true;
  }

  #conclude({ messages, outcomes }: Run): void {
    for (const [at, { seq }] of messages.entries()) {
      const outcome = outcomes[at] ?? REFUSAL.away;
      const refusal = 'request' in outcome ? this.#take(seq, outcome) : outcome;
      if (refusal === undefined) continue;
      this.#refuse(seq, refusal);
      return;
    }
  }

  /** Notes that a message is stored or parked; gives the refusal when it is neither. */
  #take(seq: number, verdict: Extract<RunOutcome, { request: number }>): Refusal | undefined {
    // As a relay: what could not be read is parked, and sending it again would not help.
    const outcome = outcomeOf(verdict, { isToldOfUnreadable: false, isRelay: true });
    if (typeof outcome !== 'string') return outcome;
    this.#acked = seq;
    this.#accepted += verdict.accepted;
    this.#rejected += verdict.rejected;
    if (verdict.isKeyReused === true) this.#reused += 1;
    const room = ERRORS_SHOWN_MAX - this.#errors.length;
    this.#errors.push(
      ...errorsShown(verdict)
        .slice(0, Math.max(0, room))
        .map((error) => ({ seq, ...error })),
    );
    this.#isOnTrial = false;
    return undefined;
  }

  /** The message and all after it are not taken: its client has to send them again. */
  #refuse(seq: number, refusal: Refusal): void {
    const retryAfterMs = Math.round(
      (refusal.retryAfterS ?? RETRY_AFTER_S) * 1_000 * (1 + RETRY_JITTER * this.#options.random()),
    );
    this.#forgetQueue();
    this.#credit = 0;
    this.#isOnTrial = true;
    this.#refused = { seq, refusal, retryAfterMs };
    this.#rewind = { seq, discarded: 0, retryAtMs: Infinity, isOffered: false };
    this.#options.counters.add(INGEST_COUNTER.socketNacks, 1);
  }

  #tell(nowMs: number): void {
    const { wire, limits, counters } = this.#options;
    if (wire.getBufferedAmount() > limits.bufferedBytesMax) return;
    if (this.#ackTold !== this.#acked) {
      this.#ackTold = this.#acked;
      const errors = this.#errors.splice(0);
      wire.send(
        JSON.stringify({
          ack: this.#acked,
          accepted: this.#accepted,
          rejected: this.#rejected,
          ...(this.#reused === 0 ? {} : { reused: this.#reused }),
          ...(errors.length === 0 ? {} : { errors }),
        }),
      );
      counters.add(INGEST_COUNTER.socketAcks, 1);
    }
    // Without numbers a refusal is the end, so what was taken before is awaited.
    if (this.#refused !== undefined && (this.#isNumbered === true || this.#run === undefined)) {
      const { seq, refusal, retryAfterMs } = this.#refused;
      this.#refused = undefined;
      if (this.#rewind !== undefined) this.#rewind.retryAtMs = nowMs + retryAfterMs;
      wire.send(
        JSON.stringify({
          nack: seq,
          code: refusal.code,
          message: refusal.detail,
          retry_after_ms: retryAfterMs,
        }),
      );
      // Nobody could tell what is sent again from what was under way.
      if (this.#isNumbered !== true) return this.#end('later');
    }
    if (!this.#isLeaving) this.#grant(nowMs);
  }

  #grant(nowMs: number): void {
    const credit = this.#creditDue(nowMs);
    if (credit === 0) return;
    this.#credit += credit;
    if (this.#rewind !== undefined) this.#rewind.isOffered = true;
    this.#options.wire.send(`{"credit":${credit}}`);
  }

  #creditDue(nowMs: number): number {
    const rewind = this.#rewind;
    if (rewind !== undefined) return !rewind.isOffered && nowMs >= rewind.retryAtMs ? 1 : 0;
    if (this.#isOnTrial) return 0;
    const window = this.#window();
    if (this.#credit > window / 2) return 0;
    return Math.max(0, window - this.#credit - this.#queue.length - (this.#run?.messages.length ?? 0));
  }

  #forgetQueue(): void {
    for (const { body } of this.#queue.splice(0)) this.#options.budget.giveBack(body.length);
  }

  #end(ending: OurEnding): void {
    this.#isOver = true;
    this.#options.end(ending);
  }
}
