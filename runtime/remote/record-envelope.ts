/**
 * A record of a ring on its way through an actor's mailbox. The record stays in the ring until this is settled.
 *
 * It is decoded when its turn comes, not before, and its view ends as it is settled. Invariant: while its handler runs the
 * record is marked as in hand, so that the death of the thread can be charged to it.
 */
import { CodedError, fromWire, toWire } from '../errors.ts';
import { Envelope } from '../envelope.ts';
import type { Outcome } from '../envelope.ts';
import { describeExit } from '../exit-reason.ts';
import type { ExitReason } from '../exit-reason.ts';
import { BytesView } from '../ring/bytes-view.ts';
import type { MessageCodec } from './codec.ts';
import type { RingReader } from '../ring/ring-reader.ts';
import type { Inbox } from './inbox.ts';
import { FLAG_PARCEL, RecordKind } from './wire.ts';

/** The actor that a record is for, and how its messages are read. */
export interface Receiver {
  readonly path: string;
  readonly codec: MessageCodec<never, unknown>;
  readonly isDead: boolean;
  deliver(envelope: Envelope): boolean;
}

/** The header of a record, kept beyond the reading of the next one. */
export interface RecordFacts {
  readonly position: number;
  readonly payloadBytes: number;
  readonly sequence: number;
  readonly isAsk: boolean;
  readonly deadlineAtMs: number;
}

export class RecordEnvelope extends Envelope implements RecordFacts {
  readonly position: number;
  readonly payloadBytes: number;
  readonly sequence: number;
  readonly isAsk: boolean;
  readonly isParcel: boolean;
  readonly target: number;
  readonly crashes: number;
  readonly deadlineAtMs: number;
  receiver: Receiver | undefined = undefined;
  parcel: Buffer | undefined = undefined;
  /** It was waited for long enough: others may be in hand beside it. */
  isCleared = false;
  private readonly inbox: Inbox;
  private view: BytesView | undefined = undefined;
  private decoded: unknown = undefined;
  private isSettled = false;

  /** Of the record that the reader has just moved to. */
  constructor(inbox: Inbox, reader: RingReader) {
    super();
    this.inbox = inbox;
    this.position = reader.position;
    this.payloadBytes = reader.payloadBytes;
    this.sequence = reader.sequence;
    this.isAsk = reader.kind === RecordKind.ask;
    this.isParcel = (reader.flags & FLAG_PARCEL) !== 0;
    this.target = reader.target;
    this.crashes = reader.crashes;
    this.deadlineAtMs = reader.deadlineAtMs;
  }

  get message(): unknown {
    return this.decoded;
  }

  /** What it may be called without showing it. */
  get type(): string {
    return this.receiver?.codec.name ?? 'record';
  }

  override open(): boolean {
    if (this.isSettled) return false;
    this.inbox.begin(this);
    // Opened before, and given back to its mailbox: it is decoded already.
    if (this.view !== undefined) return true;
    const { parcel, inbox, receiver } = this;
    const replyTo = this.isAsk ? inbox.replyTo(this, receiver) : undefined;
    this.view =
      parcel === undefined ? inbox.viewOf(this, replyTo) : new BytesView(parcel, 0, parcel.length, replyTo);
    try {
      this.decoded = receiver?.codec.decode(this.view);
      return true;
    } catch (thrown) {
      inbox.unreadable(this, thrown);
      this.finish();
      return false;
    }
  }

  override putOff(): void {
    if (!this.isSettled) this.inbox.putBack(this);
  }

  override settled(outcome: Outcome, reason?: ExitReason): void {
    if (this.isSettled) return;
    const { inbox } = this;
    if (outcome === 'lost') {
      // It may stay in the ring for the next incarnation, and with it its bytes.
      this.view?.end();
      inbox.lost(this);
      return;
    }
    if (this.isAsk && outcome === 'failed') inbox.fail(this, askFailed(this.receiver?.path, reason));
    if (this.isAsk && outcome === 'quarantined') {
      inbox.fail(this, new CodedError('E_QUARANTINED', `${this.receiver?.path} broke on it too often`));
    }
    this.finish();
  }

  /** The record leaves the ring. */
  finish(): void {
    if (this.isSettled) return;
    this.isSettled = true;
    this.view?.end();
    this.inbox.finish(this);
  }
}

function askFailed(path: string | undefined, reason: ExitReason | undefined): CodedError {
  const why = reason === undefined ? '' : `: ${describeExit(reason)}`;
  return new CodedError('E_ASK_FAILED', `${path} ended on this message${why}`, {
    details: { path, exit: reason?.kind ?? 'failed' },
    ...(reason?.kind === 'failed' ? { cause: fromWire(toWire(reason.error)) } : {}),
  });
}
