/**
 * One end of a link between two threads: a ring out, a ring in, and a port beside them for control.
 *
 * The rings stay over the incarnations of either thread; a port is only as old as the younger of the two. A wake-up is a
 * message on the port: measured beside `Atomics.waitAsync` (idle threads of one machine, p50 of a round trip with two
 * wake-ups) it takes 10 to 12 µs against 22 to 27 µs, needs no time-out against lost notifications and, unlike waitAsync,
 * holds its thread alive. Looking some turns longer before sleeping made both worse.
 */
import { receiveMessageOnPort } from 'node:worker_threads';
import type { MessagePort } from 'node:worker_threads';
import type { Clock } from '../clock.ts';
import type { DeadLetterReason } from '../dead-letters.ts';
import { messageTypeOf } from '../dead-letters.ts';
import type { CodedError } from '../errors.ts';
import type { ExitReason } from '../exit-reason.ts';
import type { BytesView } from '../ring/bytes-view.ts';
import type { MessageCodec } from './codec.ts';
import { Inbox } from './inbox.ts';
import type { InboxHost, InboxLink } from './inbox.ts';
import { Outbox } from './outbox.ts';
import type { OutboxLink } from './outbox.ts';
import { RemoteAsks } from './remote-asks.ts';
import { ThreadRef } from './thread-ref.ts';
import { EXPOSURES_MAX, LOOK } from './wire.ts';
import type { Exposure, LinkHandout, LinkMessage, SupervisorMessage } from './wire.ts';

/** What a link needs of its endpoint. */
export interface LinkHost extends InboxHost {
  readonly clock: Clock;
  /** What is exposed; undefined until everything has started. */
  readonly exposures: Exposure[] | undefined;
  /** From the supervising side. */
  ordered(message: SupervisorMessage): void;
  /** Calls a listener of someone else's: what it throws is logged. */
  call(path: string, listener: () => void): void;
}

export class Link implements OutboxLink, InboxLink {
  readonly peer: string;
  readonly outbox: Outbox;
  readonly inbox: Inbox;
  readonly asks: RemoteAsks;
  private readonly host: LinkHost;
  private readonly refs = new Map<number, ThreadRef<never>>();
  /** Parcels that came before they were taken. */
  private readonly parcels = new Map<number, SharedArrayBuffer>();
  private theirs: Exposure[] | undefined = undefined;
  /** Of the peer's present incarnation: actors that are dead for good, for refs that are asked for later. */
  private readonly gone = new Map<number, ExitReason>();
  private port: MessagePort | undefined = undefined;

  constructor(handout: LinkHandout, host: LinkHost) {
    this.peer = handout.peer;
    this.host = host;
    this.asks = new RemoteAsks(host.clock);
    this.outbox = new Outbox(handout.out, this);
    this.inbox = new Inbox(handout.in, host, this);
    this.connect(handout.port);
    this.inbox.look();
  }

  /** Errors: none; what does not fit is told when the other side has said what it has. */
  ref<M>(actor: string, codec: MessageCodec<M, unknown>): ThreadRef<M> {
    const made = new ThreadRef<M>(this, actor, codec);
    const present = this.refs.get(made.target);
    if (present !== undefined && !present.isDead) return present;
    this.refs.set(made.target, made as unknown as ThreadRef<never>);
    const reason = this.gone.get(made.target);
    if (reason !== undefined) made.ended(reason);
    else if (this.theirs !== undefined) made.announced(this.theirs);
    return made;
  }

  /** The peer has a new incarnation (with a port), or has lost its last one. */
  connect(port: MessagePort | undefined): void {
    this.disconnect();
    if (port === undefined) return;
    this.port = port;
    port.on('message', this.receive);
    this.announce();
    this.inbox.askForParcels();
    this.outbox.pump();
    this.inbox.look();
  }

  disconnect(): void {
    this.port?.off('message', this.receive);
    this.port?.close();
    this.port = undefined;
    this.theirs = undefined;
    this.gone.clear();
    for (const ref of this.refs.values()) ref.unannounced();
    // Its last records may have come without a sign.
    this.inbox.look();
  }

  /** Tells the peer what is exposed here. */
  announce(): void {
    const { exposures } = this.host;
    if (exposures !== undefined) this.post({ type: 'exposures', list: exposures });
  }

  post(message: LinkMessage, transferList: MessagePort[] = []): void {
    this.port?.postMessage(message, transferList);
  }

  /** No incarnation of the peer will follow. */
  peerGone(reason: ExitReason): void {
    this.disconnect();
    for (const ref of this.refs.values()) ref.ended(reason);
  }

  /** Nothing more is read or sent. */
  close(): void {
    this.inbox.close();
    this.outbox.close();
    this.port?.close();
    this.port = undefined;
  }

  call(path: string, listener: () => void): void {
    this.host.call(path, listener);
  }

  deadLetter(to: string, message: unknown, reason: DeadLetterReason): void {
    this.host.deadLetter(to, messageTypeOf(message), reason);
  }

  // ---- For outbox and inbox ------------------------------------------------------------------------------------

  wakePeer(): void {
    this.port?.postMessage(LOOK);
  }

  postParcel(sequence: number, bytes: SharedArrayBuffer): void {
    this.post({ type: 'parcel', sequence, bytes });
  }

  answered(reference: number, outcome: { reply: BytesView } | { error: CodedError }): void {
    if (!this.asks.answered(reference, outcome)) this.host.deadLetter(`/${this.peer}`, 'reply', 'late');
  }

  takeParcel(sequence: number): Buffer | undefined {
    // It was posted before its record was written, so it may stand in the port's queue.
    while (!this.parcels.has(sequence) && this.port !== undefined) {
      const next = receiveMessageOnPort(this.port) as { message: LinkMessage } | undefined;
      if (next === undefined) break;
      this.receive(next.message);
    }
    const bytes = this.parcels.get(sequence);
    this.parcels.delete(sequence);
    if (bytes === undefined) this.post({ type: 'parcelWanted', sequence });
    return bytes === undefined ? undefined : Buffer.from(bytes);
  }

  /** Bounded by what may be exposed at once: of more the longest gone are forgotten. */
  private noteGone(target: number, reason: ExitReason): void {
    this.theirs = this.theirs?.filter((exposure) => exposure.target !== target);
    this.gone.set(target, reason);
    const [oldest] = this.gone.keys();
    if (this.gone.size > EXPOSURES_MAX && oldest !== undefined) this.gone.delete(oldest);
    this.refs.get(target)?.ended(reason);
  }

  private readonly receive = (message: LinkMessage): void => {
    if (message === LOOK) {
      this.inbox.look();
      this.outbox.pump();
      return;
    }
    switch (message.type) {
      case 'exposures':
        this.theirs = message.list;
        for (const { target } of message.list) this.gone.delete(target);
        for (const ref of this.refs.values()) ref.announced(message.list);
        break;
      case 'ended':
        this.noteGone(message.target, message.reason);
        break;
      case 'parcel':
        if (message.bytes !== undefined) this.parcels.set(message.sequence, message.bytes);
        if (this.inbox.parcelCame(message.sequence, message.bytes)) this.parcels.delete(message.sequence);
        break;
      case 'parcelWanted':
        this.post({
          type: 'parcel',
          sequence: message.sequence,
          bytes: this.outbox.parcelOf(message.sequence),
        });
        break;
      default:
        this.host.ordered(message);
    }
  };
}
