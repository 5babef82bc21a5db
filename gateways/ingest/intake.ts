/**
 * Takes bodies from the network, hands them to the ingest threads once per turn of the loop, and answers by verdict.
 *
 * Runs after authentication. It never looks into a body. Fair to every source: a flood is delayed first and refused last,
 * and costs nobody else more than a moment. The invariant: every request taken here is answered once, or its client is
 * gone; and the bytes it holds are charged to one budget until the threads are done with them.
 */
import { DIALECTS } from '../../actors/ingest/messages.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { HttpResponse } from '../http/exchange.ts';
import type { HttpServer } from '../http/server.ts';
import { networkOf } from '../http/network-of.ts';
import { LARGE_BODY_BYTES } from './batch-writer.ts';
import { contentEncodingCodeOf } from './content-encoding.ts';
import { FairShare } from './fair-share.ts';
import type { Source } from './fair-share.ts';
import { Handover } from './handover.ts';
import { FLAG_SOCKET, FLAG_STRICT, readRow } from './ingest-port.ts';
import type { IngestBatch, IngestPort, IngestVerdict } from './ingest-port.ts';
import type { IngestLimits } from './limits.ts';
import { INGEST_COUNTER, IngestDurations, requestCounter } from './metrics.ts';
import type { Counters } from './metrics.ts';
import { outcomeOf, REFUSAL, SHORTAGE_REFUSAL } from './replies.ts';
import type { Refusal } from './replies.ts';
import type { RequestHead } from './request-head.ts';
import { REQUESTS_MAX_CEILING, RequestSlots } from './request-slots.ts';
import type { RequestSlot } from './request-slots.ts';
import type { RunMessage } from './run-message.ts';
import type { ReplyContext } from './dialect-replies.ts';
import { isRelay, senderCodeOf } from './sender.ts';
import { repliesOf } from './write-reply.ts';

const SWEEP_INTERVAL_MS = 1_000;
const PARTIAL_BYTES_FIRST = 65_536;
const EMPTY = new Uint8Array(0);
const IDENTITY = contentEncodingCodeOf('identity');
/** Of a row whose body is sniffed, and of which nothing is known beside it. */
const NATIVE = { dialect: DIALECTS.indexOf('native'), hint: '' };

export interface IntakeOptions {
  port: IngestPort;
  counters: Counters;
  clock: Clock;
  limits: IngestLimits;
  /** Where a fault of a callback goes: the request is answered 500 and the fault logged. */
  fault: HttpServer['fault'];
  /** The port threw out of `submit`; the requests have been answered 503. */
  onPortFault: (fault: unknown) => void;
  /** Called after a request left the table; for whoever waits for it to become empty. */
  onReleased: () => void;
}

/** What is known of a request beside its head. */
export interface TakenFrom {
  keyName: string;
  /** Of the API key: see FLAG_. */
  flags: number;
  correlationId: string;
  isDeprecatedRoute: boolean;
  /** Position in DIALECTS. */
  dialect: number;
  /** See HINT_FIELDS. */
  hint: string;
}

/** Who sends the messages of a socket. */
export interface RunFrom {
  keyName: string;
  /** Of the API key: see FLAG_. */
  flags: number;
  /** See `networkOf`. */
  network: string;
  /** The peer's, in network order. */
  address: Uint8Array;
  sender: number;
  correlationId: string;
  /** The socket is gone: what waits for its turn need not be stored. */
  isGone: () => boolean;
}

export class Intake {
  readonly #counters: Counters;
  readonly #durations: IngestDurations;
  readonly #clock: Clock;
  readonly #limits: IngestLimits;
  readonly #options: IntakeOptions;
  readonly #slots: RequestSlots;
  readonly #shares: FairShare;
  readonly #handover: Handover;
  #isTurnEndDue = false;
  /** Monotonic time of this turn of the loop, read once per turn. */
  #turnMs = 0;
  #closesConnections = false;
  #cancelSweep: (() => void) | undefined;
  #answering: { slot: RequestSlot; verdict: IngestVerdict } | undefined;
  readonly #writeAnswer = (): void => this.#answer();
  readonly #endTurn = (): void => {
    this.#isTurnEndDue = false;
    this.#setGauges();
    this.#handover.flush();
  };

  constructor(options: IntakeOptions) {
    this.#options = options;
    this.#counters = options.counters;
    this.#durations = new IngestDurations(options.counters);
    this.#clock = options.clock;
    this.#limits = options.limits;
    const requestsMax = Math.min(options.limits.requestsMax, REQUESTS_MAX_CEILING);
    this.#shares = new FairShare({ bytesMax: options.limits.inFlightBytesMax, placesMax: requestsMax });
    this.#handover = new Handover({
      port: options.port,
      counters: options.counters,
      clock: options.clock,
      turnMs: () => this.#nowMs(),
      onRefused: (batch, fault) => this.#onBatchRefused(batch, fault),
      onUnwanted: (slots) => {
        for (const slot of slots) this.#release(slot);
      },
    });
    this.#slots = new RequestSlots(requestsMax, {
      data: (slot, chunk, isLast) => {
        try {
          this.#receive(slot, chunk, isLast);
        } catch (fault) {
          this.#fail(slot, fault);
        }
      },
      aborted: (slot) => this.#aborted(slot),
    });
    options.port.onVerdicts((verdicts) => this.#onVerdicts(verdicts));
  }

  get requests(): number {
    return this.#slots.inUse;
  }
  get bytes(): number {
    return this.#shares.bytes;
  }

  /** Whether a request that came now would be refused for want of room. */
  get isFull(): boolean {
    return this.#shares.shortage(undefined, 1, 1) !== undefined;
  }

  start(): void {
    this.#cancelSweep ??= this.#clock.after(SWEEP_INTERVAL_MS, () => this.#sweep(), { ref: false });
  }

  stop(): void {
    this.#cancelSweep?.();
    this.#cancelSweep = undefined;
    this.#handover.stop();
  }

  /** From now on every reply closes its connection. */
  closeConnections(): void {
    this.#closesConnections = true;
  }

  /**
   * Takes a request, or says why not. When it is taken, this owns the response; else nothing was done with it.
   */
  take(response: HttpResponse, head: RequestHead, from: TakenFrom): Refusal | undefined {
    const declared = head.contentLength;
    if (declared > this.#limits.bodyBytesMax) return REFUSAL.bodyTooLarge;
    const bytes = Math.max(0, declared);
    const source = this.#shares.staysCalm(bytes, 1) ? undefined : this.#sourceOf(response, from.keyName);
    const shortage = this.#shares.shortage(source, bytes, 1);
    if (shortage !== undefined) return SHORTAGE_REFUSAL[shortage];
    const slot = this.#slots.take();
    if (slot === undefined) return REFUSAL.requests;
    slot.response = response;
    slot.source = source;
    this.#charge(slot, bytes, 1);
    slot.sinceMs = this.#nowMs();
    slot.isDeprecatedRoute = from.isDeprecatedRoute;
    slot.declaredBytes = head.isChunked ? -1 : declared;
    const row = slot.head;
    row.encoding = contentEncodingCodeOf(head.contentEncoding);
    row.flags = head.isStrict ? from.flags | FLAG_STRICT : from.flags;
    row.keyName = from.keyName;
    row.sender = senderCodeOf(head.userAgent);
    row.correlationId = from.correlationId;
    row.idempotencyKey = head.idempotencyKey;
    row.dialect = from.dialect;
    row.hint = from.hint;
    row.address = new Uint8Array(response.getRemoteAddress());
    response.onAborted(slot.onAborted);
    response.onData(slot.onData);
    return undefined;
  }

  /**
   * Takes messages of one socket, which all together fit into a batch: one thread stores them in their order. Or says why
   * not: then nothing was done with them. The bodies must not change any more.
   */
  takeRun(run: readonly RunMessage[], from: RunFrom): Refusal | undefined {
    const { keyName, network, address, sender, correlationId, isGone } = from;
    const flags = from.flags | FLAG_SOCKET;
    const bytes = run.reduce((sum, { body }) => sum + body.byteLength, 0);
    const source = this.#shares.source(keyName, network);
    const shortage = this.#shares.shortage(source, bytes, run.length);
    if (shortage !== undefined) return SHORTAGE_REFUSAL[shortage];
    const slots: RequestSlot[] = [];
    for (const { body, idempotencyKey, tell } of run) {
      const slot = this.#slots.take();
      if (slot === undefined) return REFUSAL.requests;
      slot.tell = tell;
      slot.isUnwanted = isGone;
      slot.source = source;
      slot.sinceMs = slot.completedMs = this.#nowMs();
      slot.receivedBytes = body.byteLength;
      slot.partial = body;
      this.#charge(slot, body.byteLength, 1);
      const about = { keyName, flags, sender, correlationId, idempotencyKey, address };
      Object.assign(slot.head, NATIVE, about, { encoding: IDENTITY });
      slots.push(slot);
    }
    if (this.#handover.isOpen) this.#handover.sendTogether(slots);
    else this.#handover.wait(slots, source);
    return undefined;
  }

  /** Answers everything that is still open with 503. Bodies still arriving are given up. */
  abandon(): number {
    let abandoned = 0;
    for (const slot of this.#slots.used()) {
      if (slot.response !== undefined || slot.tell !== undefined) {
        abandoned += 1;
        this.#refuse(slot, REFUSAL.draining, true);
      }
      this.#handover.withdraw(slot);
      this.#release(slot);
    }
    return abandoned;
  }

  #receive(slot: RequestSlot, chunk: ArrayBuffer, isLast: boolean): void {
    if (slot.state !== 'reading') return;
    const bytes = chunk.byteLength;
    if (slot.declaredBytes < 0 && bytes > 0) {
      const refusal = this.#overLimit(slot, bytes);
      if (refusal !== undefined) {
        this.#refuse(slot, refusal, true);
        this.#release(slot);
        return;
      }
      this.#charge(slot, bytes, 0);
    }
    if (isLast && slot.receivedBytes === 0) {
      slot.receivedBytes = bytes;
      this.#complete(slot, new Uint8Array(chunk));
      return;
    }
    if (bytes > 0) this.#keep(slot, chunk);
    if (isLast) this.#complete(slot, slot.partial ?? EMPTY);
  }

  #overLimit(slot: RequestSlot, bytes: number): Refusal | undefined {
    if (slot.receivedBytes + bytes > this.#limits.bodyBytesMax) return REFUSAL.bodyTooLarge;
    const source = this.#shares.staysCalm(bytes, 0) ? slot.source : this.#attributed(slot);
    const shortage = this.#shares.shortage(source, bytes, 0);
    return shortage === undefined ? undefined : SHORTAGE_REFUSAL[shortage];
  }

  /** Appends a piece of a body. The system gives real memory to a buffer only as it is filled. */
  #keep(slot: RequestSlot, chunk: ArrayBuffer): void {
    const needed = slot.receivedBytes + chunk.byteLength;
    let { partial } = slot;
    if (partial === undefined || partial.byteLength < needed) {
      let grown: Uint8Array;
      if (slot.declaredBytes > LARGE_BODY_BYTES) {
        grown = new Uint8Array(this.#handover.takeLarge(slot.declaredBytes));
      } else if (slot.declaredBytes > 0) {
        grown = new Uint8Array(slot.declaredBytes);
      } else {
        grown = new Uint8Array(Math.max(PARTIAL_BYTES_FIRST, needed, 2 * (partial?.byteLength ?? 0)));
      }
      if (partial !== undefined) grown.set(partial.subarray(0, slot.receivedBytes));
      slot.partial = partial = grown;
    }
    partial.set(new Uint8Array(chunk), slot.receivedBytes);
    slot.receivedBytes = needed;
  }

  /** The body is whole, in the first bytes of `body`: puts it into the batch of this turn, or lets it wait. */
  #complete(slot: RequestSlot, body: Uint8Array): void {
    slot.completedMs = this.#nowMs();
    if (this.#handover.isOpen) {
      this.#handover.send(slot, body);
      return;
    }
    // The network's own buffer is good for this callback only.
    slot.partial ??= body.slice();
    this.#handover.wait([slot], this.#attributed(slot));
  }

  /** The time of this turn. Sees to it that what is collected is handed over when every readable socket was handled. */
  #nowMs(): number {
    if (!this.#isTurnEndDue) {
      this.#isTurnEndDue = true;
      this.#turnMs = this.#clock.monotonicMs();
      setImmediate(this.#endTurn);
    }
    return this.#turnMs;
  }

  #onBatchRefused(batch: IngestBatch, fault: unknown): void {
    for (let row = 0; row < batch.count; row++) {
      const slot = this.#slots.waiting(readRow(batch, row).request);
      if (slot === undefined) continue;
      this.#refuse(slot, REFUSAL.away);
      this.#settle(slot);
    }
    this.#options.onPortFault(fault);
  }

  #onVerdicts(verdicts: readonly IngestVerdict[]): void {
    const nowMs = this.#clock.monotonicMs();
    for (const verdict of verdicts) {
      const slot = this.#slots.waiting(verdict.request);
      const stored = verdict.stored ?? verdict.accepted;
      this.#counters.add(INGEST_COUNTER.accepted, stored);
      if (slot !== undefined && stored > 0) this.#durations.stored(nowMs - slot.sinceMs, stored);
      if (verdict.status === 'stored') {
        const isClaimed = slot?.tell === undefined ? slot?.response !== undefined : slot.tell(verdict);
        if (!isClaimed) this.#counters.add(INGEST_COUNTER.unclaimedEvents, stored);
        else if (slot?.response !== undefined) this.#durations.answered(nowMs - slot.sinceMs);
      } else {
        slot?.tell?.(verdict);
        this.#counters.add(INGEST_COUNTER.unclaimedEvents, stored);
      }
      this.#counters.add(INGEST_COUNTER.rejected, verdict.rejected);
      if (slot === undefined) continue;
      if (slot.response !== undefined) {
        this.#answering = { slot, verdict };
        try {
          slot.response.cork(this.#writeAnswer);
        } catch (fault) {
          this.#options.fault(slot.response, fault);
        }
      }
      this.#settle(slot);
    }
    this.#handover.advance();
    this.#setGauges();
  }

  /** Writes the reply for `#answering`, inside its cork. */
  #answer(): void {
    if (this.#answering === undefined) return;
    const { slot, verdict } = this.#answering;
    const { head, response } = slot;
    if (response === undefined) return;
    const isStrict = (head.flags & FLAG_STRICT) !== 0;
    const replies = repliesOf(head.dialect);
    const outcome = outcomeOf(verdict, {
      isToldOfUnreadable: isStrict || replies.isToldOfUnreadable,
      isRelay: isRelay(head.sender),
    });
    const context = this.#contextOf(slot, false);
    if (typeof outcome === 'string') {
      this.#counters.add(requestCounter(outcome), 1);
      replies.stored(response, verdict, context);
      return;
    }
    this.#counters.add(requestCounter(outcome.reason), 1);
    const isAboutRecords = outcome.reason === 'strict' || outcome.reason === 'unreadable';
    replies.refused(response, outcome, isAboutRecords ? { ...context, verdict } : context);
  }

  #refuse(slot: RequestSlot, refusal: Refusal, closeConnection = false): void {
    const { response } = slot;
    slot.tell?.(refusal);
    if (response === undefined) return;
    this.#counters.add(requestCounter(refusal.reason), 1);
    try {
      response.cork(() =>
        repliesOf(slot.head.dialect).refused(response, refusal, this.#contextOf(slot, closeConnection)),
      );
    } catch (fault) {
      this.#options.fault(response, fault);
    }
  }

  #contextOf(slot: RequestSlot, closeConnection: boolean): ReplyContext {
    return {
      correlationId: slot.head.correlationId,
      isDeprecatedRoute: slot.isDeprecatedRoute,
      closeConnection: closeConnection || this.#closesConnections,
    };
  }

  #aborted(slot: RequestSlot): void {
    slot.response = undefined;
    if (slot.state === 'reading') {
      if (slot.isTooSlow) this.#counters.add(requestCounter('slow'), 1);
      else this.#counters.add(INGEST_COUNTER.abortedReading, 1);
      this.#release(slot);
    } else if (slot.state === 'queued') {
      // Nobody was told that it is stored, so it need not be.
      this.#counters.add(INGEST_COUNTER.abortedQueued, 1);
      this.#handover.withdraw(slot);
      this.#release(slot);
    } else if (slot.state === 'waiting') {
      // The threads have the body: its bytes stay charged, and its number taken, until their verdict.
      this.#counters.add(INGEST_COUNTER.abortedWaiting, 1);
    }
  }

  #fail(slot: RequestSlot, fault: unknown): void {
    const { response } = slot;
    if (response !== undefined) this.#options.fault(response, fault);
    this.#release(slot);
  }

  #sourceOf(response: HttpResponse, keyName: string): Source {
    return this.#shares.source(keyName, networkOf(response.getRemoteAddress()));
  }

  /** The source of a request, which is charged from now on if it was not. */
  #attributed(slot: RequestSlot): Source {
    if (slot.source === undefined) {
      const { response, head, chargedBytes } = slot;
      slot.source =
        response === undefined
          ? this.#shares.source(head.keyName, '')
          : this.#sourceOf(response, head.keyName);
      this.#shares.attribute(slot.source, chargedBytes, 1);
    }
    return slot.source;
  }

  #charge(slot: RequestSlot, bytes: number, places: number): void {
    slot.chargedBytes += bytes;
    this.#shares.charge(slot.source, bytes, places);
  }

  /** The threads are done with the row: its memory is free for others, and so is its slot. */
  #settle(slot: RequestSlot): void {
    this.#handover.settle(slot);
    this.#release(slot);
  }

  /** Without a verdict the batch's memory is not free: a thread may still read it, and it is left to the collector. */
  #release(slot: RequestSlot): void {
    if (slot.state === 'free') return;
    const memory = slot.partial?.buffer;
    if (memory instanceof SharedArrayBuffer) this.#handover.giveBackLarge(memory);
    this.#shares.charge(slot.source, -slot.chargedBytes, -1);
    this.#slots.release(slot);
    this.#options.onReleased();
  }

  #setGauges(): void {
    this.#counters.set(INGEST_COUNTER.inFlightRequests, this.#slots.inUse);
    this.#counters.set(INGEST_COUNTER.inFlightBytes, this.#shares.bytes);
  }

  #sweep(): void {
    const nowMs = this.#clock.monotonicMs();
    for (const slot of this.#slots.used()) {
      if (slot.state === 'reading' && nowMs - slot.sinceMs > this.#limits.bodyTimeoutMs) {
        slot.isTooSlow = true;
        // Runs the abort handler, which releases the slot.
        slot.response?.close();
      } else if (slot.state === 'waiting' && nowMs - slot.completedMs > this.#limits.verdictTimeoutMs) {
        this.#refuse(slot, REFUSAL.timeout);
        this.#release(slot);
      }
    }
    this.#setGauges();
    this.#cancelSweep = this.#clock.after(SWEEP_INTERVAL_MS, () => this.#sweep(), { ref: false });
  }
}
