/**
 * What one thread is to the others: the actors that it exposes to them, and its links to them.
 *
 * Not the maker of links (exchange.ts, on the supervising side). Invariants: no message reaches an actor before all of the
 * thread have started, nor after its stop has begun; what was not handled by then stays in its ring.
 */
import { assert } from '../assert.ts';
import type { ActorRef } from '../actor-ref.ts';
import type { ActorSystem } from '../actor-system.ts';
import type { Clock } from '../clock.ts';
import type { DeadLetterReason } from '../dead-letters.ts';
import { CodedError, toWire, fromWire } from '../errors.ts';
import type { ExitReason } from '../exit-reason.ts';
import { LocalRef } from '../local-ref.ts';
import { targetOf } from './codec.ts';
import type { MessageCodec } from './codec.ts';
import { Link } from './link.ts';
import type { LinkHost } from './link.ts';
import type { Receiver, RecordEnvelope } from './record-envelope.ts';
import type { ThreadRef } from './thread-ref.ts';
import { EXPOSURES_MAX } from './wire.ts';
import type { Exposure, LinkHandout, SupervisorMessage } from './wire.ts';

/** How long a record with which a thread died before has the others wait for it. */
const SUSPECT_MS_MAX = 1_000;

interface Exposed extends Receiver {
  readonly exposure: Exposure;
}

export class Endpoint implements LinkHost {
  readonly name: string;
  readonly clock: Clock;
  unsettled = 0;
  suspect: RecordEnvelope | undefined = undefined;
  private readonly system: ActorSystem;
  private readonly log: (text: string, fields: Record<string, unknown>) => void;
  private readonly exposed = new Map<number, Exposed>();
  private readonly links = new Map<string, Link>();
  private state: 'starting' | 'open' | 'stopping' = 'starting';

  constructor(
    name: string,
    system: ActorSystem,
    log: (text: string, fields: Record<string, unknown>) => void = () => undefined,
  ) {
    this.name = name;
    this.system = system;
    this.clock = system.clock;
    this.log = log;
  }

  /**
   * Lets other threads tell and ask an actor of this thread under `actor`, for as long as it lives. Errors: `E_NOT_LOCAL`
   * for a ref of another thread, `E_NAME_TAKEN`.
   */
  expose<R>(actor: string, ref: ActorRef<R>, codec: MessageCodec<never, R>): void {
    if (!(ref instanceof LocalRef)) {
      throw new CodedError('E_NOT_LOCAL', `${ref.path} is not an actor of this thread`, { kind: 'defect' });
    }
    const target = targetOf(actor, codec);
    if (
      [...this.exposed.values()].some(
        ({ exposure }) => exposure.actor === actor || exposure.target === target,
      )
    ) {
      throw new CodedError('E_NAME_TAKEN', `${this.name} exposes an actor as ${actor} already`, {
        details: { name: actor },
        mend: 'Choose another name.',
      });
    }
    assert(this.exposed.size < EXPOSURES_MAX, 'the exposed actors of a thread are bounded');
    const { name, version, schemaHash } = codec;
    const local = ref as LocalRef<R>;
    this.exposed.set(target, {
      path: local.path,
      codec,
      exposure: { actor, target, name, version, schemaHash },
      get isDead() {
        return local.isDead;
      },
      deliver: (envelope) => local.deliver(envelope),
    });
    ref.onTerminated((reason) => this.unlessStopping(() => this.ended(target, reason)));
    this.announce();
  }

  /** The ref of an actor that `peer` exposes. Errors: `E_PEER_UNKNOWN` when there is no link to that thread. */
  ref<M>(peer: string, actor: string, codec: MessageCodec<M, unknown>): ThreadRef<M> {
    const link = this.links.get(peer);
    if (link !== undefined) return link.ref(actor, codec);
    throw new CodedError('E_PEER_UNKNOWN', `${this.name} has no link to ${peer}`, {
      kind: 'defect',
      details: { peer, known: [...this.links.keys()] },
      mend: 'Connect the two on the supervising side (exchange.connect) before the ref is asked for.',
    });
  }

  // ---- For whoever runs the thread -----------------------------------------------------------------------------

  /** A new link, or the next incarnation of one. */
  connect(handout: LinkHandout): Link {
    const present = this.links.get(handout.peer);
    if (present !== undefined) {
      present.connect(handout.port);
      return present;
    }
    const link = new Link(handout, this);
    this.links.set(handout.peer, link);
    return link;
  }

  linkTo(peer: string): Link | undefined {
    return this.links.get(peer);
  }

  /** Every actor has started: messages are delivered from here on. */
  open(): void {
    if (this.state !== 'starting') return;
    this.state = 'open';
    this.announce();
    this.flushAll();
  }

  /** The stop has begun, or the thread has failed. Answers still come and go. */
  stopTaking(): void {
    this.state = 'stopping';
  }

  close(): void {
    this.state = 'stopping';
    for (const link of this.links.values()) link.close();
    this.links.clear();
  }

  // ---- For its links -------------------------------------------------------------------------------------------

  get isOpen(): boolean {
    return this.state === 'open';
  }

  get exposures(): Exposure[] | undefined {
    return this.isOpen ? [...this.exposed.values()].map(({ exposure }) => exposure) : undefined;
  }

  receiverOf(target: number): Receiver | undefined {
    return this.exposed.get(target);
  }

  deadLetter(to: string, messageType: string, reason: DeadLetterReason): void {
    this.system.deadLetters.add({ to, messageType, reason, atMs: this.clock.wallMs() });
  }

  /**
   * An actor that ends because its thread does is not dead for its senders: the next incarnation has it again. A supervisor
   * that gives up lets its actors end first and says so in the same turn of the event loop.
   */
  unlessStopping(task: () => void): void {
    setImmediate(() => {
      if (this.state !== 'stopping') task();
    });
  }

  suspects(envelope: RecordEnvelope): void {
    this.suspect = envelope;
    this.clock.after(
      SUSPECT_MS_MAX,
      () => {
        // Its actor is down or slow, or others do not end: nobody waits for ever.
        envelope.isCleared = true;
        if (this.suspect !== envelope) return;
        this.suspect = undefined;
        this.flushAll();
      },
      { ref: false },
    );
  }

  flushAll(): void {
    for (const link of this.links.values()) link.inbox.flush();
  }

  ordered(message: SupervisorMessage): void {
    switch (message.type) {
      case 'peer':
        this.connect(message.handout);
        break;
      case 'peerGone':
        this.links.get(message.peer)?.peerGone(message.reason);
        break;
      case 'askFailed':
        this.links.get(message.peer)?.answered(message.reference, { error: fromWire(message.error) });
        break;
    }
  }

  call(path: string, listener: () => void): void {
    try {
      listener();
    } catch (thrown) {
      this.log('a termination listener threw', { path, error: toWire(thrown) });
    }
  }

  private ended(target: number, reason: ExitReason): void {
    this.exposed.delete(target);
    for (const link of this.links.values()) link.post({ type: 'ended', target, reason });
  }

  private announce(): void {
    for (const link of this.links.values()) link.announce();
  }
}
