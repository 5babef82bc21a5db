/**
 * The supervising side's part in talk between threads: it makes the rings and hands both ends out, to itself and its slots,
 * and to two slots that are to talk without it.
 *
 * Rings belong to it and not to any thread, so they survive whoever reads them. When a thread has died it charges what was
 * in hand, and quarantines what was in hand too often. Invariants: one ring has one writer and one reader at any time; a
 * record leaves its ring settled, quarantined or as a dead letter, and never silently.
 */
import { MessageChannel } from 'node:worker_threads';
import type { MessagePort } from 'node:worker_threads';
import type { ActorSystem } from '../actor-system.ts';
import { CodedError, toWire } from '../errors.ts';
import { describeExit } from '../exit-reason.ts';
import type { ExitReason } from '../exit-reason.ts';
import { askRefused } from '../pending-asks.ts';
import { createRing, RING_DEFAULT } from '../ring/ring-layout.ts';
import type { RingOptions } from '../ring/ring-layout.ts';
import { RingReader } from '../ring/ring-reader.ts';
import { publishDrafts, recordHead } from '../ring/ring-writer.ts';
import { Endpoint } from './endpoint.ts';
import { RingQuarantine } from './ring-quarantine.ts';
import type { RecordDeath } from './ring-quarantine.ts';
import { FLAG_PARCEL, RecordKind } from './wire.ts';
import type { LinkHandout } from './wire.ts';

export interface ExchangeOptions {
  /** What threads call the supervising side. */
  name?: string;
  /** The supervising side's own actors. */
  system: ActorSystem;
  /** Of each ring; two of them for each pair that talks. */
  ring?: RingOptions;
  /** Deaths with a record in hand until it is quarantined. */
  deathsMax?: number;
  log?: (text: string, fields: Record<string, unknown>) => void;
}

export const SUPERVISING_SIDE = 'supervisor';
const DEATHS_MAX = 3;
/** Records whose deaths are remembered; beyond it the counts in the rings stand alone. */
const HISTORIES_MAX = 1_024;

interface Member {
  epoch: number;
  isUp: boolean;
}

/** A pair that talks: the ring from `a` to `b`, and back. The supervising side is always `a`. */
interface Line {
  a: string;
  b: string;
  forth: SharedArrayBuffer;
  back: SharedArrayBuffer;
}

export class Exchange {
  readonly endpoint: Endpoint;
  readonly quarantine = new RingQuarantine();
  private readonly options: ExchangeOptions;
  private readonly ring: RingOptions;
  private readonly members = new Map<string, Member>();
  private readonly lines: Line[] = [];
  private readonly histories = new Map<string, RecordDeath[]>();

  constructor(options: ExchangeOptions) {
    this.options = options;
    this.ring = options.ring ?? RING_DEFAULT;
    this.endpoint = new Endpoint(options.name ?? SUPERVISING_SIDE, options.system, options.log);
    this.endpoint.open();
  }

  /** A slot takes part from now on. Errors: `E_NAME_TAKEN`. */
  join(slot: string): void {
    if (this.members.has(slot) || slot === this.endpoint.name) {
      throw new CodedError('E_NAME_TAKEN', `${slot} takes part in this exchange already`, {
        details: { name: slot },
        mend: 'Give every slot an id of its own.',
      });
    }
    this.members.set(slot, { epoch: 0, isUp: false });
    this.addLine(this.endpoint.name, slot);
  }

  /** Lets two slots talk to each other directly. Safe to call again. Errors: `E_PEER_UNKNOWN`. */
  connect(a: string, b: string): void {
    for (const slot of [a, b]) {
      if (this.members.has(slot)) continue;
      throw new CodedError('E_PEER_UNKNOWN', `${slot} takes no part in this exchange`, {
        kind: 'defect',
        details: { peer: slot, known: [...this.members.keys()] },
        mend: 'Give the slot this exchange in its options.',
      });
    }
    if (this.lines.some((line) => isBetween(line, a, b))) return;
    const line = this.addLine(a, b);
    const { port1, port2 } = this.portsFor(line);
    this.introduce(a, handout(line, a, port1));
    this.introduce(b, handout(line, b, port2));
  }

  /** For the slot: the ends of its links, for the incarnation that is about to start. */
  begin(slot: string, epoch: number): LinkHandout[] {
    const member = this.members.get(slot) as Member;
    member.epoch = epoch;
    member.isUp = true;
    return this.linesOf(slot).map((line) => {
      const peer = peerOf(line, slot);
      const { port1, port2 } = this.portsFor(line);
      this.introduce(peer, handout(line, peer, port2));
      return handout(line, slot, port1);
    });
  }

  /** For the slot: nothing of that incarnation runs any more. */
  ended(slot: string, reason: ExitReason): void {
    const member = this.members.get(slot) as Member;
    member.isUp = false;
    // What it had told when its code was cut short; its peers look when they are told of its end or its successor.
    for (const line of this.linesOf(slot)) publishDrafts(ringTo(line, peerOf(line, slot)));
    this.endpoint.linkTo(slot)?.disconnect();
    for (const line of this.linesOf(slot)) this.judge(line, slot, member.epoch, reason);
  }

  /** For the slot: no incarnation will follow. What waits for it becomes dead letters. */
  abandon(slot: string, reason: ExitReason): void {
    for (const line of this.linesOf(slot)) {
      const peer = peerOf(line, slot);
      if (peer === this.endpoint.name) this.endpoint.linkTo(slot)?.peerGone(reason);
      else this.endpoint.linkTo(peer)?.post({ type: 'peerGone', peer: slot, reason });
      const reader = new RingReader(ringTo(line, slot));
      while (reader.next()) {
        this.endpoint.deadLetter(`/${slot}`, 'record', 'left');
        if (reader.kind === RecordKind.ask) {
          this.failAsk(peer, slot, reader.sequence, askRefused('E_ACTOR_STOPPED', `/${slot}`));
        }
        reader.settle(reader.position);
      }
    }
  }

  /** Sends a quarantined record to its actor again, from here. False when it is not there, or finds no room. */
  release(id: number): boolean {
    const record = this.quarantine.list().find((candidate) => candidate.id === id);
    if (record?.payload === undefined) return false;
    const head = recordHead(RecordKind.message, record.target, 0);
    const sequence = this.endpoint.linkTo(record.to)?.outbox.send(head, record.payload) ?? -1;
    if (sequence < 0) return false;
    this.quarantine.take(id);
    return true;
  }

  close(): void {
    this.endpoint.close();
  }

  private addLine(a: string, b: string): Line {
    const line = { a, b, forth: createRing(this.ring), back: createRing(this.ring) };
    this.lines.push(line);
    if (a === this.endpoint.name) this.endpoint.connect(handout(line, a, undefined));
    return line;
  }

  private linesOf(slot: string): Line[] {
    return this.lines.filter(({ a, b }) => a === slot || b === slot);
  }

  /** A port between the two, if both run. */
  private portsFor({ a, b }: Line): { port1: MessagePort | undefined; port2: MessagePort | undefined } {
    return this.isUp(a) && this.isUp(b) ? new MessageChannel() : { port1: undefined, port2: undefined };
  }

  private isUp(name: string): boolean {
    return name === this.endpoint.name || this.members.get(name)?.isUp === true;
  }

  /** Gives one end to whom it belongs; a thread that is down gets it when it begins. */
  private introduce(whom: string, end: LinkHandout): void {
    if (whom === this.endpoint.name) this.endpoint.connect(end);
    else if (this.isUp(whom)) {
      this.endpoint
        .linkTo(whom)
        ?.post({ type: 'peer', handout: end }, end.port === undefined ? [] : [end.port]);
    }
  }

  /** Charges the death to what the thread had in hand. */
  private judge(line: Line, slot: string, epoch: number, reason: ExitReason): void {
    const isCharged =
      reason.kind === 'failed' ||
      reason.kind === 'hung' ||
      reason.kind === 'outOfMemory' ||
      reason.kind === 'exited';
    const from = peerOf(line, slot);
    const reader = new RingReader(ringTo(line, slot));
    while (reader.next()) {
      const { position, sequence } = reader;
      if (!reader.isInHand(position)) continue;
      if (!isCharged) {
        reader.putBack(position);
        continue;
      }
      const history = this.remember(`${from} ${slot} ${sequence}`, {
        atMs: this.endpoint.clock.wallMs(),
        epoch,
        reason: describeExit(reason),
      });
      if (reader.addCrash(position) >= (this.options.deathsMax ?? DEATHS_MAX)) {
        this.quarantineRecord(reader, from, slot, history);
      }
    }
  }

  private remember(key: string, death: RecordDeath): RecordDeath[] {
    const history = this.histories.get(key) ?? [];
    history.push(death);
    this.histories.set(key, history);
    const [oldest] = this.histories.keys();
    if (this.histories.size > HISTORIES_MAX && oldest !== undefined) this.histories.delete(oldest);
    return history;
  }

  private quarantineRecord(reader: RingReader, from: string, to: string, history: RecordDeath[]): void {
    const { position, payloadBytes, target, kind, flags, sequence } = reader;
    const isAsk = kind === RecordKind.ask;
    this.histories.delete(`${from} ${to} ${sequence}`);
    this.quarantine.add({
      from,
      to,
      target,
      isAsk,
      payload:
        (flags & FLAG_PARCEL) === 0
          ? Buffer.from(
              reader.bytes.subarray(reader.payloadAt(position), reader.payloadAt(position) + payloadBytes),
            )
          : this.parcelOf(from, to, sequence),
      history,
    });
    reader.settle(position);
    this.options.log?.('a message was quarantined', { from, to, deaths: history.length });
    if (!isAsk) return;
    const error = new CodedError('E_QUARANTINED', `/${to} died of it ${history.length} times`, {
      details: { path: `/${to}`, deaths: history.length },
    });
    this.failAsk(from, to, sequence, error);
  }

  private parcelOf(from: string, to: string, sequence: number): Buffer | undefined {
    const memory =
      from === this.endpoint.name ? this.endpoint.linkTo(to)?.outbox.parcelOf(sequence) : undefined;
    return memory === undefined ? undefined : Buffer.from(memory);
  }

  private failAsk(asker: string, asked: string, reference: number, error: CodedError): void {
    if (asker === this.endpoint.name) this.endpoint.linkTo(asked)?.answered(reference, { error });
    else {
      this.endpoint.linkTo(asker)?.post({ type: 'askFailed', peer: asked, reference, error: toWire(error) });
    }
  }
}

function isBetween(line: Line, a: string, b: string): boolean {
  return (line.a === a && line.b === b) || (line.a === b && line.b === a);
}

function peerOf({ a, b }: Line, slot: string): string {
  return a === slot ? b : a;
}

/** The ring that `reader` reads. */
function ringTo({ b, forth, back }: Line, reader: string): SharedArrayBuffer {
  return b === reader ? forth : back;
}

function handout(line: Line, whom: string, port: MessagePort | undefined): LinkHandout {
  const peer = peerOf(line, whom);
  return { peer, out: ringTo(line, peer), in: ringTo(line, whom), port };
}
