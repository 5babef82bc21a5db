/**
 * The ingest actor: request bodies in, frames into the durable ingest mailbox, one outcome per request.
 *
 * Invariants: a request is answered `stored` only when every one of its events is stored; a bad record costs no good
 * one (unless the sender asked for all or nothing); an outcome is given only when nobody reads the request's body any
 * more. What waits here is bounded by the gateway's budget of bodies in flight.
 */
import type { ActorFactory } from '../../runtime/actor.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { DiversionOptions } from '../../runtime/durable/diversion.ts';
import type { RangeMark } from '../../runtime/durable/marking.ts';
import type { Frame, Receipt, Submission, Writer } from '../../runtime/durable/writer.ts';
import { codeOf } from '../../runtime/errors.ts';
import { decodeBody } from './decode-body.ts';
import type { DecodedBody } from './decode-body.ts';
import { isUnreadableCode } from './decode-record.ts';
import type { AcceptedRecord, RejectedPart } from './event-collector.ts';
import { encodeFrame } from './frame.ts';
import type { FrameInput } from './frame.ts';
import { PARKED_BYTES_MAX } from './limits.ts';
import type { Dialect } from './messages.ts';
import { partitionOfHash } from './partition.ts';
import { eventMark, partMark, rejectId, requestIdentity } from './resend-marks.ts';
import type { RequestIdentity } from './resend-marks.ts';
import { formatUuid } from './uuid-v7.ts';

/** One request as the gateway took it. */
export interface IngestRequest {
  readonly body: Buffer;
  readonly encoding: string;
  readonly dialect: Dialect;
  /** What the sender said of its records beside the body; see HINT_FIELDS. */
  readonly hint: string;
  /** All or nothing: one bad record and nothing is stored or parked. */
  readonly isStrict: boolean;
  readonly keyName: string;
  /** What it is known by when it comes again. */
  readonly idempotencyKey?: string | undefined;
  /** Its API key opts in: events are known by their `id`, too. */
  readonly hasEventIds?: boolean;
  readonly sender: string;
  readonly correlationId: string;
  /** Who its events came from, as `originEntry` writes it; absent when it is not to be kept. */
  readonly origin?: string | undefined;
  /** It has killed its decoder: keep it as it is. */
  readonly isPoison: boolean;
  /** Says how far it has come, for whoever finds this thread dead. */
  mark(stage: 'decoding' | 'storing'): void;
  answer(outcome: IngestOutcome): void;
}

export interface IngestOutcome {
  status: 'stored' | 'refused' | 'unreadable' | 'too_large' | 'full' | 'away';
  accepted: number;
  rejected: number;
  errors: { index: number; code: string; message: string }[];
  /** Events that this try stored; absent when it is all that were accepted: the others had been stored before. */
  stored?: number;
  /** Its Idempotency-Key came before with another body. */
  isKeyReused?: boolean;
}

export interface IngestMessage {
  type: 'requests';
  requests: IngestRequest[];
}

/** Where unusable input goes: `count` parts, made by `at` when there is room. Settles in bounded time; never rejects. */
export interface RejectParking {
  park(count: number, at: (nth: number) => ParkedPart): Promise<void>;
}
export interface ParkedPart {
  /** Of a request that may come again: parking the same one again is nothing. */
  id?: string;
  keyName: string;
  sender: string;
  correlationId: string;
  index: number;
  code: string;
  message: string;
  body: Buffer;
  receivedAtMs: number;
}

/** The events of one request in one partition, at most a frame's worth. */
export interface FramePart {
  inputs: PartInput[];
  byteLength: number;
}
export interface PartInput extends FrameInput {
  /** The hash of its host as a signed integer, which takes no memory of its own. */
  host: number;
}

/** What there is to count of a request that came before, as a whole or in part. */
export interface Resend {
  keyName: string;
  /** Events that were stored before. */
  duplicates: number;
  /** Its Idempotency-Key came before with another body. */
  isKeyReused: boolean;
  /** Events whose id came before with another content. */
  idsReused: number;
}

export const INGEST_LANE = 'ingest';
/** Of a partition: events of hosts that send more than the others while the ingest lane is crowded. */
export const OVERFLOW_LANE = 'overflow';
/** Where accepted events wait to be matched. */
export const INPUT_LANES: readonly string[] = [INGEST_LANE, OVERFLOW_LANE];

/** Hosts are the keys. Two of one hash share their fate, and each keeps its order. */
export const HOST_DIVERSION: Omit<DiversionOptions<FramePart>, 'fairMessages'> = {
  expressLane: INGEST_LANE,
  overflowLane: OVERFLOW_LANE,
  keyAt: ({ inputs }, index) => (inputs[index] as PartInput).host,
  select: selectEvents,
};

export interface IngestOptions {
  partitions: number;
  /** Its frames are made by `cutFrame`, and duplicates left out by `withoutEvents`. */
  writer: Writer<FramePart, string>;
  parking: RejectParking;
  /** Events that were stored, and not before. */
  count: (events: number) => void;
  onResend?: (resend: Resend) => void;
}

/** Events of one request and partition that are submitted together: a frame holds several such parts. */
const RECORDS_PER_PART_MAX = 512;
/** Bytes of such a part, but for a single larger record. Far below what a frame can hold. */
const PART_BYTES_MAX = 1024 * 1024;
const ERRORS_SHOWN_MAX = 10;
const POISON = {
  index: 0,
  code: 'E_BODY_POISON',
  message: 'The body breaks its decoder; it is kept for inspection.',
};
/** A request with more may have to wait until its rejects are parked. */
const FEW_REJECTS = 500;
/**
 * What such requests may hold while they wait, all together; one alone may hold more. Past it: 503, nothing stored, and
 * the sender's resend loses nothing. As many as a slow PostgreSQL takes in the time that a request may wait.
 */
const REJECTS_WAITING_MAX = 250_000;
const BODY_BYTES_WAITING_MAX = 16 * 1024 * 1024;

/** Makes one frame of the parts that have come while the last one was being stored. Its id is the frame's id. */
export function cutFrame(
  newFrameId: () => Buffer,
  receivedAtMs: number,
  submissions: readonly Submission<FramePart>[],
): Frame<string> {
  const id = newFrameId();
  const inputs = submissions.flatMap(({ part }) => part.inputs);
  return { payload: encodeFrame(id, receivedAtMs, inputs), tag: formatUuid(id) };
}

/** The part without the events that are stored already. */
export function withoutEvents(part: FramePart, gone: ReadonlySet<number>): FramePart {
  return selectEvents(part, (index) => !gone.has(index));
}

function selectEvents({ inputs }: FramePart, isChosen: (index: number) => boolean): FramePart {
  const chosen = inputs.filter((_, index) => isChosen(index));
  return { inputs: chosen, byteLength: chosen.reduce((sum, { start, end }) => sum + end - start, 0) };
}

export function ingestActor(options: IngestOptions): ActorFactory<IngestMessage> {
  return ({ clock }) => {
    const unanswered = new Set<Promise<void>>();
    const crowd = new RejectCrowd();
    return {
      handle: ({ requests }) => {
        for (const request of requests) {
          const answering = take(request, options, clock, crowd);
          if (answering === undefined) continue;
          unanswered.add(answering);
          void answering.then(() => unanswered.delete(answering));
        }
      },
      /** After a stop everything it took is answered before what it stores with is closed. */
      terminate: async ({ kind }) => {
        if (kind === 'shutdown' || kind === 'normal') await Promise.all(unanswered);
      },
    };
  };
}

/** Undefined when the request is answered already. Never rejects. */
function take(
  request: IngestRequest,
  options: IngestOptions,
  clock: Clock,
  crowd: RejectCrowd,
): Promise<void> | undefined {
  const receivedAtMs = clock.wallMs();
  if (request.isPoison) return parkWhole(request, POISON, receivedAtMs, options);
  request.mark('decoding');
  let decoded: DecodedBody;
  try {
    decoded = decodeBody(request.body, request.encoding, receivedAtMs, request);
  } catch {
    // A defect of ours, and the same at every resend: the body is kept and its sender rid of it.
    return parkWhole(request, POISON, receivedAtMs, options);
  }
  if (decoded.kind === 'too_large') {
    request.answer(outcomeOf('too_large'));
    return undefined;
  }
  if (decoded.kind === 'unreadable') {
    const { code, message } = decoded;
    return parkWhole(request, { index: 0, code, message }, receivedAtMs, options);
  }
  const { body, accepted, rejected } = decoded;
  const identity = identityOf(request, body);
  if (request.isStrict && rejected.length > 0) {
    request.answer(outcomeOf('refused', 0, rejected));
    return undefined;
  }
  const leave = crowd.enter(rejected.length, body.length);
  if (leave === undefined) {
    request.answer(outcomeOf('full'));
    return undefined;
  }
  request.mark('storing');
  const parts = partsOf(request, body, accepted, identity, options.partitions);
  const waits = parts.map(({ partition, part, marks }) =>
    options.writer.submit(partition, INGEST_LANE, part.inputs.length, part, marks),
  );
  const partAt = (nth: number): ParkedPart => {
    const part = rejected[nth] as RejectedPart;
    return parked(request, part, body.subarray(part.start, part.end), receivedAtMs, identity);
  };
  return settle(request, parts, waits, rejected, options, partAt).finally(leave);
}

/**
 * Requests with many rejects, which may wait long and hold their bodies meanwhile: so few of them at once that the
 * gateway's budget of bodies and this thread's memory are left to others.
 */
class RejectCrowd {
  #requests = 0;
  #rejects = 0;
  #bodyBytes = 0;

  /** What to call when the request is answered, or undefined when there is no room for it now. */
  enter(rejects: number, bodyBytes: number): (() => void) | undefined {
    if (rejects <= FEW_REJECTS) return () => undefined;
    const isTooMuch =
      this.#rejects + rejects > REJECTS_WAITING_MAX || this.#bodyBytes + bodyBytes > BODY_BYTES_WAITING_MAX;
    if (this.#requests > 0 && isTooMuch) return undefined;
    this.#change(1, rejects, bodyBytes);
    return () => this.#change(-1, -rejects, -bodyBytes);
  }

  #change(requests: number, rejects: number, bodyBytes: number): void {
    this.#requests += requests;
    this.#rejects += rejects;
    this.#bodyBytes += bodyBytes;
  }
}

/** Answers when everything of the request has settled, so that nobody reads its body any more. */
async function settle(
  request: IngestRequest,
  parts: readonly PlacedPart[],
  waits: readonly Promise<Receipt<string>>[],
  rejected: readonly RejectedPart[],
  options: IngestOptions,
  partAt: (nth: number) => ParkedPart,
): Promise<void> {
  // At once: a submission that fails while nobody listens would take the thread down.
  const results = await Promise.allSettled(waits);
  const resend: Resend = { keyName: request.keyName, duplicates: 0, isKeyReused: false, idsReused: 0 };
  const failures: (string | undefined)[] = [];
  let accepted = 0;
  for (const [at, { part, requestMark }] of parts.entries()) {
    const result = results[at];
    if (result?.status !== 'fulfilled') {
      failures.push(codeOf(result?.reason));
      continue;
    }
    const { duplicates = 0, reused = [] } = result.value;
    accepted += part.inputs.length;
    resend.duplicates += duplicates;
    const isKeyReused = requestMark !== undefined && reused.some(({ key }) => key.equals(requestMark.key));
    resend.isKeyReused ||= isKeyReused;
    resend.idsReused += reused.length - (isKeyReused ? 1 : 0);
  }
  const stored = accepted - resend.duplicates;
  options.count(stored);
  if (resend.duplicates > 0 || resend.isKeyReused || resend.idsReused > 0) options.onResend?.(resend);
  if (failures.length === 0) {
    // Only now: a request that is refused comes again, and its rejects would be parked a second time.
    if (rejected.length > 0) await options.parking.park(rejected.length, partAt);
    const isUnreadable = accepted === 0 && rejected.length > 0 && rejected.every(isUnreadableReject);
    const outcome = outcomeOf(isUnreadable ? 'unreadable' : 'stored', accepted, rejected);
    if (resend.duplicates > 0) outcome.stored = stored;
    if (resend.isKeyReused) outcome.isKeyReused = true;
    request.answer(outcome);
    return;
  }
  // Part of it stored and part of it not is still `away` or `full`: the sender's resend brings all of it again.
  const isFull = failures.every((code) => code === 'E_LANE_FULL' || code === 'E_WRITER_FULL');
  const outcome = outcomeOf(isFull ? 'full' : 'away');
  if (stored > 0) outcome.stored = stored;
  request.answer(outcome);
}

function isUnreadableReject({ code }: RejectedPart): boolean {
  return isUnreadableCode(code);
}

/** A part with where it goes and what it is known by. */
interface PlacedPart {
  partition: number;
  part: FramePart;
  marks: RangeMark[] | undefined;
  /** Of them, the one of the whole request. */
  requestMark: RangeMark | undefined;
}

/** Cut the same whenever the same request comes: the marks name the parts by their number in their partition. */
function partsOf(
  request: IngestRequest,
  body: Buffer,
  accepted: readonly AcceptedRecord[],
  identity: RequestIdentity | undefined,
  partitions: number,
): PlacedPart[] {
  const parts: PlacedPart[] = [];
  const open = new Map<number, PlacedPart>();
  for (const record of accepted) {
    const { kind, start, end } = record;
    const partition = partitionOfHash(record.hostHash, partitions);
    let placed = open.get(partition);
    const isFull =
      placed !== undefined &&
      (placed.part.inputs.length >= RECORDS_PER_PART_MAX ||
        placed.part.byteLength + end - start > PART_BYTES_MAX);
    if (placed === undefined || isFull) {
      placed = { partition, part: { inputs: [], byteLength: 0 }, marks: undefined, requestMark: undefined };
      open.set(partition, placed);
      parts.push(placed);
    }
    const { part } = placed;
    // What was written anew for us may differ when it comes again, in its time of receipt say.
    if (request.hasEventIds === true && record.body === body) {
      const mark = eventMark(request.keyName, record, part.inputs.length);
      if (mark !== undefined) (placed.marks ??= []).push(mark);
    }
    part.inputs.push({
      kind,
      correlationId: request.correlationId,
      origin: request.origin,
      body: record.body,
      start,
      end,
      host: record.hostHash | 0,
    });
    part.byteLength += end - start;
  }
  if (identity !== undefined) markParts(parts, identity);
  return parts;
}

function markParts(parts: readonly PlacedPart[], identity: RequestIdentity): void {
  const partsIn = new Map<number, number>();
  for (const placed of parts) {
    const nth = partsIn.get(placed.partition) ?? 0;
    partsIn.set(placed.partition, nth + 1);
    placed.requestMark = partMark(identity, nth, placed.part);
    placed.marks = [placed.requestMark, ...(placed.marks ?? [])];
  }
}

function identityOf(request: IngestRequest, body: Buffer): RequestIdentity | undefined {
  const { idempotencyKey } = request;
  return idempotencyKey === undefined ? undefined : requestIdentity({ ...request, idempotencyKey }, body);
}

function parkWhole(
  request: IngestRequest,
  part: { index: number; code: string; message: string },
  receivedAtMs: number,
  options: IngestOptions,
): Promise<void> | undefined {
  const outcome: IngestOutcome = { status: 'unreadable', accepted: 0, rejected: 1, errors: [part] };
  if (request.isStrict) {
    request.answer(outcome);
    return undefined;
  }
  return options.parking
    .park(1, () => parked(request, part, request.body, receivedAtMs, identityOf(request, request.body)))
    .then(() => request.answer(outcome));
}

function parked(
  request: IngestRequest,
  part: { index: number; code: string; message: string },
  body: Buffer,
  receivedAtMs: number,
  identity: RequestIdentity | undefined,
): ParkedPart {
  const { keyName, sender, correlationId } = request;
  const { index, code, message } = part;
  // Copied: what it lies in is the gateway's, and large.
  const kept = Buffer.from(body.subarray(0, PARKED_BYTES_MAX));
  const id = identity === undefined ? {} : { id: rejectId(identity, index) };
  return { ...id, keyName, sender, correlationId, index, code, message, body: kept, receivedAtMs };
}

function outcomeOf(
  status: IngestOutcome['status'],
  accepted = 0,
  rejected: readonly RejectedPart[] = [],
): IngestOutcome {
  return {
    status,
    accepted,
    rejected: rejected.length,
    errors: rejected.slice(0, ERRORS_SHOWN_MAX).map(({ index, code, message }) => ({ index, code, message })),
  };
}
