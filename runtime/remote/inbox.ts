/**
 * The receiving half of a link: reads one ring and gives its records to the actors of this thread.
 *
 * It never decodes and never settles by itself: an actor's envelope does, when its turn has come and its handler is done. A
 * record with which an earlier thread died is handled alone, with nothing else in hand, so that the next death is charged to
 * the right one. Invariant: records of one sender to one actor are delivered in the order written; answers are taken at
 * once, since who waits for one may be what holds up the rest.
 */
import type { ReplyTo, SendResult } from '../actor-ref.ts';
import { CodedError, fromWire, toWire } from '../errors.ts';
import { processMs } from '../shared/vitals.ts';
import { BytesView } from '../ring/bytes-view.ts';
import { RECORD_TOO_LARGE, recordHead } from '../ring/ring-writer.ts';
import { RingReader } from '../ring/ring-reader.ts';
import { askRefused, promisedReply } from '../pending-asks.ts';
import { messageTooLarge, SEND_STOPPED } from './outbox.ts';
import type { Outbox } from './outbox.ts';
import { RecordEnvelope } from './record-envelope.ts';
import type { Receiver, RecordFacts } from './record-envelope.ts';
import type { DeadLetterReason } from '../dead-letters.ts';
import { FLAG_PARCEL, RecordKind } from './wire.ts';

/** Records taken before the actors and the event loop have their turn. */
const RECORDS_PER_LOOK = 256;
/** When an actor that is only draining its mailbox is asked again. */
const RETRY_MS = 20;

/** What all inboxes of one thread share. */
export interface InboxHost {
  /** False until every actor has started, and from the stop on: messages stay in their rings. */
  readonly isOpen: boolean;
  /** Given to actors and not settled yet. */
  unsettled: number;
  /** A record with which a thread died before: while it is set nothing else is delivered. */
  suspect: RecordEnvelope | undefined;
  /** Makes it the suspect, for a while. */
  suspects(envelope: RecordEnvelope): void;
  receiverOf(target: number): Receiver | undefined;
  deadLetter(to: string, type: string, reason: DeadLetterReason): void;
  /** Calls `task` soon, unless the thread is on its way out by then. */
  unlessStopping(task: () => void): void;
  /** Something was settled that others may have waited for. */
  flushAll(): void;
}

/** What the inbox needs of its link. */
export interface InboxLink {
  readonly peer: string;
  readonly outbox: Outbox;
  wakePeer(): void;
  answered(reference: number, outcome: { reply: BytesView } | { error: CodedError }): void;
  /** The bytes, if they are here; else they are asked for and `parcelCame` follows. */
  takeParcel(sequence: number): Buffer | undefined;
}

export class Inbox {
  private readonly reader: RingReader;
  private readonly host: InboxHost;
  private readonly link: InboxLink;
  /** Read and not delivered, in order. Bounded by the ring. */
  private readonly held: RecordEnvelope[] = [];
  private isLooking = false;
  private isClosed = false;
  private isFlushing = false;
  private retry: NodeJS.Timeout | undefined;

  constructor(memory: SharedArrayBuffer, host: InboxHost, link: InboxLink) {
    this.reader = new RingReader(memory, () => link.wakePeer());
    this.host = host;
    this.link = link;
  }

  /** Reads what has come. Safe to call at any time. */
  readonly look = (): void => {
    if (this.isLooking || this.isClosed) return;
    this.isLooking = true;
    this.read();
  };

  private readonly read = (): void => {
    if (this.isClosed) return;
    const { reader } = this;
    for (let taken = 0; taken < RECORDS_PER_LOOK; taken++) {
      if (reader.next()) {
        this.take();
      } else if (reader.sleep()) {
        this.isLooking = false;
        return;
      }
    }
    setImmediate(this.read);
  };

  /** Delivers what was held back, as far as it may be delivered now. */
  flush(): void {
    // Delivering to the dead settles, and settling flushes.
    if (this.isFlushing) return;
    this.isFlushing = true;
    while (this.held[0] !== undefined && this.deliver(this.held[0])) this.held.shift();
    this.isFlushing = false;
  }

  /** The sender has said what became of a parcel. True when it was that of a held record. */
  parcelCame(sequence: number, bytes: SharedArrayBuffer | undefined): boolean {
    const envelope = this.held.find((one) => one.isParcel && one.sequence === sequence);
    if (envelope === undefined || envelope.parcel !== undefined) return false;
    if (bytes === undefined) {
      this.held.splice(this.held.indexOf(envelope), 1);
      this.host.deadLetter(`/${this.link.peer}`, 'parcel', 'left');
      this.reader.settle(envelope.position);
    } else {
      envelope.parcel = Buffer.from(bytes);
    }
    this.flush();
    return true;
  }

  /** Parcels that are waited for: a new connection must ask for them again. */
  askForParcels(): void {
    for (const envelope of this.held) {
      if (envelope.isParcel && envelope.parcel === undefined) {
        envelope.parcel = this.link.takeParcel(envelope.sequence);
      }
    }
    this.flush();
  }

  /** Reads nothing more. What is not settled stays in the ring for the next incarnation. */
  close(): void {
    this.isClosed = true;
    clearTimeout(this.retry);
    this.held.length = 0;
  }

  // ---- For the envelopes ---------------------------------------------------------------------------------------

  begin({ position }: RecordEnvelope): void {
    this.reader.begin(position);
  }

  /** Put off by its actor, which has it still: whoever is in hand when the thread dies, this one is not. */
  putBack({ position }: RecordEnvelope): void {
    this.reader.putBack(position);
  }

  viewOf({ position, payloadBytes }: RecordFacts, replyTo: ReplyTo<unknown> | undefined): BytesView {
    return new BytesView(this.reader.bytes, this.reader.payloadAt(position), payloadBytes, replyTo);
  }

  replyTo(facts: RecordFacts, receiver: Receiver | undefined): ReplyTo<unknown> {
    return new RingReply(this, facts, receiver);
  }

  finish(envelope: RecordEnvelope): void {
    const { host } = this;
    host.unsettled -= 1;
    this.reader.settle(envelope.position);
    if (host.suspect === undefined) return;
    if (host.suspect === envelope) host.suspect = undefined;
    if (host.suspect === undefined || host.unsettled === 0) host.flushAll();
  }

  unreadable(envelope: RecordEnvelope, thrown: unknown): void {
    const { receiver } = envelope;
    this.host.deadLetter(receiver?.path ?? '', receiver?.codec.name ?? '', 'invalid');
    if (envelope.isAsk) this.fail(envelope, fromWire(toWire(thrown)));
  }

  /** Its actor took it and will not handle it. When the thread is on its way out, its next incarnation will. */
  lost(envelope: RecordEnvelope): void {
    const { receiver } = envelope;
    this.reader.putBack(envelope.position);
    this.host.unlessStopping(() => {
      const code = receiver?.isDead === false ? 'E_MAILBOX_FULL' : 'E_ACTOR_STOPPED';
      if (envelope.isAsk) this.fail(envelope, askRefused(code, receiver?.path ?? ''));
      envelope.finish();
    });
  }

  fail(facts: RecordFacts, error: CodedError): void {
    const head = recordHead(RecordKind.failure, 0, facts.sequence);
    this.link.outbox.reply(head, JSON.stringify(toWire(error)));
  }

  answer(facts: RecordFacts, receiver: Receiver | undefined, reply: unknown): SendResult<unknown> {
    const { replies } = receiver?.codec ?? {};
    const late = { refused: 'E_REPLY_LATE', message: reply } as const;
    if (facts.deadlineAtMs < processMs()) {
      this.host.deadLetter(`/${this.link.peer}`, 'reply', 'late');
      return late;
    }
    const promised = promisedReply(receiver ?? { path: '' }, reply);
    if (promised !== undefined) {
      this.fail(facts, promised);
      return { refused: 'E_REPLY_PROMISED', message: reply, error: promised };
    }
    let payload: Uint8Array | string;
    try {
      if (replies === undefined) {
        throw new CodedError(
          'E_MESSAGE_UNSENDABLE',
          `codec ${receiver?.codec.name} has no schema for replies`,
          {
            kind: 'defect',
            mend: 'Give the codec a reply schema on both sides.',
          },
        );
      }
      payload = replies.encode(reply, false);
    } catch (thrown) {
      const error = fromWire(toWire(thrown));
      this.fail(facts, error);
      return { refused: 'E_MESSAGE_UNSENDABLE', message: reply, error };
    }
    const head = recordHead(RecordKind.reply, 0, facts.sequence);
    const result = this.link.outbox.reply(head, payload);
    if (result >= 0) return 'accepted';
    if (result === SEND_STOPPED) return { refused: 'E_ACTOR_STOPPED', message: reply };
    if (result !== RECORD_TOO_LARGE) return { refused: 'E_MAILBOX_FULL', message: reply };
    const error = messageTooLarge();
    this.fail(facts, error);
    return { refused: 'E_MESSAGE_TOO_LARGE', message: reply, error };
  }

  answeredTwice(): void {
    this.host.deadLetter(`/${this.link.peer}`, 'reply', 'late');
  }

  // ---- Taking and delivering -----------------------------------------------------------------------------------

  private take(): void {
    const { reader } = this;
    const { kind, position } = reader;
    if (kind === RecordKind.reply || kind === RecordKind.failure) {
      this.takeAnswer(kind === RecordKind.failure, (reader.flags & FLAG_PARCEL) !== 0, reader.reference);
      reader.settle(position);
      return;
    }
    const envelope = new RecordEnvelope(this, reader);
    if (envelope.isParcel) envelope.parcel = this.link.takeParcel(envelope.sequence);
    if (this.held.length > 0 || !this.deliver(envelope)) this.held.push(envelope);
  }

  private takeAnswer(isFailure: boolean, isParcel: boolean, reference: number): void {
    const { reader, link } = this;
    const parcel = isParcel ? link.takeParcel(reader.sequence) : undefined;
    // An answer lost with its sender is an answer that does not come: the deadline ends the ask.
    if (isParcel && parcel === undefined) return;
    const view =
      parcel === undefined
        ? new BytesView(reader.bytes, reader.payloadAt(reader.position), reader.payloadBytes)
        : new BytesView(parcel, 0, parcel.length);
    link.answered(reference, isFailure ? { error: fromWire(JSON.parse(view.text())) } : { reply: view });
    view.end();
  }

  /** False when its time has not come. */
  private deliver(envelope: RecordEnvelope): boolean {
    const { host } = this;
    if (!host.isOpen || (envelope.isParcel && envelope.parcel === undefined)) return false;
    if (envelope.crashes > 0 && host.suspect === undefined && !envelope.isCleared) host.suspects(envelope);
    if (host.suspect !== undefined && (host.suspect !== envelope || host.unsettled > 0)) return false;
    const receiver = (envelope.receiver ??= host.receiverOf(envelope.target));
    if (receiver === undefined || receiver.isDead) {
      host.unsettled += 1;
      host.deadLetter(receiver?.path ?? `/(target ${envelope.target})`, envelope.type, 'stopped');
      if (envelope.isAsk) this.fail(envelope, askRefused('E_ACTOR_STOPPED', receiver?.path ?? 'the actor'));
      envelope.finish();
      return true;
    }
    host.unsettled += 1;
    if (receiver.deliver(envelope)) return true;
    host.unsettled -= 1;
    // It drains its mailbox before a restart, and takes messages again afterwards.
    this.retry ??= setTimeout(() => {
      this.retry = undefined;
      this.flush();
    }, RETRY_MS);
    return false;
  }
}

/** Where the answer to an ask of another thread goes. */
class RingReply implements ReplyTo<unknown> {
  private readonly inbox: Inbox;
  private readonly facts: RecordFacts;
  private readonly receiver: Receiver | undefined;
  private isOver = false;

  constructor(inbox: Inbox, facts: RecordFacts, receiver: Receiver | undefined) {
    this.inbox = inbox;
    this.facts = facts;
    this.receiver = receiver;
  }

  tell(reply: unknown): SendResult<unknown> {
    if (this.isOver) {
      this.inbox.answeredTwice();
      return { refused: 'E_REPLY_LATE', message: reply };
    }
    this.isOver = true;
    return this.inbox.answer(this.facts, this.receiver, reply);
  }
}
