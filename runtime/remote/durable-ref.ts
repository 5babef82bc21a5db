/**
 * The ref of a durable mailbox: `tell` gives the message to a writer, which stores it in frames with others.
 *
 * The same interface with the strongest guarantee, and the widest gap between its two sends: `tell` is taken into the
 * writer's window, in this thread's memory; `tellWhenAccepted` answers when the message is stored, at the store's ack level.
 * Not an actor: it has no end to watch and cannot be asked. Invariant: a told message that is not stored is a dead letter,
 * and `onUnstored` has it.
 */
import type { ActorRef, AskOptions, RefusalCode, Refused, ReplyTo, SendResult } from '../actor-ref.ts';
import type { DeadLetters } from '../dead-letters.ts';
import { messageTypeOf } from '../dead-letters.ts';
import { CodedError, fromWire, toWire } from '../errors.ts';
import type { Clock } from '../clock.ts';
import type { Place, Submission, Writer } from '../durable/writer.ts';
import { writerClosed } from '../durable/writer-errors.ts';
import { DURABLE_GUARANTEE } from '../guarantee.ts';
import type { Guarantee } from '../guarantee.ts';
import { BytesView } from '../ring/bytes-view.ts';
import type { MessageCodec } from './codec.ts';
import { WindowLine } from './window-line.ts';

export interface DurableRefOptions<M, Tag> {
  path: string;
  writer: Writer<Uint8Array, Tag>;
  codec: MessageCodec<M, unknown>;
  /** Where a message goes: those of one place are handled in order. */
  placeOf: (message: M) => Place;
  deadLetters: DeadLetters;
  clock: Clock;
  /** A message that `tell` had accepted was not stored, or may not have been (`error.details.stored`). Must not throw. */
  onUnstored?: (message: M, error: CodedError) => void;
}

/** What is to be submitted. */
interface Parcel {
  readonly bytes: Uint8Array;
  readonly place: Place;
}

/** Why a wait for room ended without room. */
type WaitRefusal = Extract<RefusalCode, 'E_MAILBOX_FULL' | 'E_SEND_ABORTED'>;

const LENGTH_BYTES = 4;

export class DurableRef<M, Tag = unknown> implements ActorRef<M> {
  readonly path: string;
  private readonly options: DurableRefOptions<M, Tag>;
  private readonly line: WindowLine;
  private lastBytes = 1;

  constructor(options: DurableRefOptions<M, Tag>) {
    this.path = options.path;
    this.options = options;
    this.line = new WindowLine(options.writer);
  }

  get guarantee(): Guarantee {
    return DURABLE_GUARANTEE;
  }

  /** Of the writer's window; none while others wait for room. The mailbox's own bound is the store's to judge. */
  get credit(): number {
    const { writer } = this.options;
    if (!this.line.isEmpty) return 0;
    const whole = Math.floor(writer.roomBytes / this.lastBytes);
    return whole === 0 && writer.admits(this.lastBytes) ? 1 : whole;
  }

  tell(message: M): SendResult<M> {
    const { deadLetters, clock, onUnstored } = this.options;
    const parcel = this.parcelOf(message);
    if ('refused' in parcel) return parcel;
    if (!this.line.admits(parcel.bytes.byteLength)) return { refused: 'E_MAILBOX_FULL', message };
    this.submit(parcel).catch((thrown: unknown) => {
      const messageType = messageTypeOf(message);
      deadLetters.add({ to: this.path, messageType, reason: 'unstored', atMs: clock.wallMs() });
      onUnstored?.(message, fromWire(toWire(thrown)));
    });
    return 'accepted';
  }

  /** `accepted`: stored. Otherwise the error says whether it may have been (`details.stored`). */
  async tellWhenAccepted(message: M, signal?: AbortSignal): Promise<SendResult<M>> {
    const parcel = this.parcelOf(message);
    if ('refused' in parcel) return parcel;
    if (signal?.aborted === true) return { refused: 'E_SEND_ABORTED', message };
    const outcome = this.line.admits(parcel.bytes.byteLength)
      ? { submitted: this.submit(parcel) }
      : await this.submitInTurn(parcel, signal);
    if (typeof outcome === 'string') return { refused: outcome, message };
    try {
      await outcome.submitted;
      return 'accepted';
    } catch (thrown) {
      const error = fromWire(toWire(thrown));
      return { refused: refusalOf(error.code), message, error };
    }
  }

  /** Always rejects: an answer could not outlive what asked. */
  ask<R>(_build: (replyTo: ReplyTo<R>) => M, _options: AskOptions): Promise<R> {
    return Promise.reject(
      new CodedError('E_ASK_NOT_DURABLE', `${this.path} is a durable mailbox and does not answer`, {
        kind: 'defect',
        mend: 'Tell it, with what the handler needs to answer in another message.',
      }),
    );
  }

  /** A mailbox in a store does not end; the listener is never called. */
  onTerminated(): () => void {
    return () => undefined;
  }

  toString(): string {
    return this.path;
  }

  toJSON(): string {
    return this.path;
  }

  /** Its bytes and its place; refused when it has none, or when nothing is taken any more. */
  private parcelOf(message: M): Parcel | Refused<M> {
    const { codec, placeOf, writer } = this.options;
    let bytes: Uint8Array;
    try {
      const encoded = codec.encode(message, false);
      bytes = typeof encoded === 'string' ? Buffer.from(encoded) : encoded;
    } catch (thrown) {
      return { refused: 'E_MESSAGE_UNSENDABLE', message, error: fromWire(toWire(thrown)) };
    }
    this.lastBytes = Math.max(1, bytes.byteLength);
    let place: Place;
    try {
      const { partition, lane } = placeOf(message);
      place = { partition, lane };
    } catch (thrown) {
      return { refused: 'E_ROUTE_KEY', message, error: noPlace(this.path, thrown) };
    }
    if (!Number.isSafeInteger(place.partition) || typeof place.lane !== 'string') {
      return { refused: 'E_ROUTE_KEY', message, error: noPlace(this.path) };
    }
    if (writer.isClosed) return { refused: 'E_NOT_STORED', message, error: writerClosed() };
    return { bytes, place };
  }

  private submit({ bytes, place: { partition, lane } }: Parcel): Promise<unknown> {
    return this.options.writer.submit(partition, lane, 1, bytes);
  }

  /** In an object, so that waiting for the turn is not yet waiting for the store. */
  private submitInTurn(
    parcel: Parcel,
    signal: AbortSignal | undefined,
  ): Promise<{ submitted: Promise<unknown> } | WaitRefusal> {
    if (this.line.isFull) return Promise.resolve('E_MAILBOX_FULL');
    return new Promise((resolve) => {
      this.line.wait(
        parcel.bytes.byteLength,
        signal,
        () => resolve({ submitted: this.submit(parcel) }),
        () => resolve('E_SEND_ABORTED'),
      );
    });
  }
}

/** A frame of such messages, for the writer's `cut`. */
export function encodeMessages(submissions: readonly Submission<Uint8Array>[]): Buffer {
  const payload = Buffer.allocUnsafe(
    submissions.reduce((sum, { part }) => sum + LENGTH_BYTES + part.byteLength, 0),
  );
  let at = 0;
  for (const { part } of submissions) {
    at = payload.writeUInt32LE(part.byteLength, at);
    payload.set(part, at);
    at += part.byteLength;
  }
  return payload;
}

/** The messages of a frame, in order, for whoever consumes it. Errors: `E_MESSAGE_UNREADABLE`. */
export function decodeMessages<R>(payload: Buffer, codec: MessageCodec<never, R>): R[] {
  const messages: R[] = [];
  for (let at = 0; at < payload.length;) {
    const bytes = at + LENGTH_BYTES > payload.length ? Infinity : payload.readUInt32LE(at);
    const start = at + LENGTH_BYTES;
    if (start + bytes > payload.length) {
      throw new CodedError('E_MESSAGE_UNREADABLE', `the frame ends within its message ${messages.length}`);
    }
    messages.push(codec.decode(new BytesView(payload, start, bytes)));
    at = start + bytes;
  }
  return messages;
}

function refusalOf(code: string): RefusalCode {
  return code === 'E_LANE_FULL' || code === 'E_WRITER_FULL' ? 'E_MAILBOX_FULL' : 'E_NOT_STORED';
}

function noPlace(path: string, cause?: unknown): CodedError {
  return new CodedError('E_ROUTE_KEY', `${path}: placeOf gives this message no place`, {
    kind: 'defect',
    details: { path },
    mend: 'Let placeOf give every message a partition (a whole number) and a lane (a text).',
    ...(cause === undefined ? {} : { cause: fromWire(toWire(cause)) }),
  });
}
