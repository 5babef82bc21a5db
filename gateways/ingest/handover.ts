/**
 * Whole bodies on their way from the loop to the ingest threads: at once while the window is open, else in their turn.
 *
 * Invariant: nothing overtakes what waits of the same source, since nothing goes at once while anything waits.
 */
import type { Clock } from '../../runtime/clock.ts';
import { BatchWriter, LARGE_BODY_BYTES } from './batch-writer.ts';
import { contentEncodingCodeOf } from './content-encoding.ts';
import { FairQueue } from './fair-queue.ts';
import type { Source } from './fair-share.ts';
import { HandoverWindow, workOf } from './handover-window.ts';
import type { IngestBatch, IngestPort } from './ingest-port.ts';
import { INGEST_COUNTER } from './metrics.ts';
import type { Counters } from './metrics.ts';
import type { RequestSlot } from './request-slots.ts';

export interface HandoverOptions {
  port: IngestPort;
  counters: Counters;
  clock: Clock;
  /** The time of this turn of the loop; sees to it that `flush` is called when the turn is over. */
  turnMs: () => number;
  /** The port did not take the batch. */
  onRefused: (batch: IngestBatch, fault: unknown) => void;
  /** Nobody waits for these any more, so they are not handed over. */
  onUnwanted: (slots: readonly RequestSlot[]) => void;
}

/** While anything waits: how often it is looked at whether what is with the threads for long makes room. */
const LOOK_EVERY_MS = 50;
const IDENTITY = contentEncodingCodeOf('identity');

export class Handover {
  readonly #options: HandoverOptions;
  readonly #writer = new BatchWriter();
  readonly #window = new HandoverWindow();
  readonly #queue = new FairQueue<readonly RequestSlot[]>();
  #queuedBytes = 0;
  #queuedRequests = 0;
  #cancelLook: (() => void) | undefined;

  constructor(options: HandoverOptions) {
    this.#options = options;
  }

  /** Whether `send` may be called; else `wait`. */
  get isOpen(): boolean {
    return this.#queue.length === 0 && this.#window.isOpen(this.#options.port.threads);
  }

  /** A buffer for a large body. */
  takeLarge(bytes: number): SharedArrayBuffer {
    return this.#writer.takeLarge(bytes);
  }

  /** For a large buffer whose body is never handed over. */
  giveBackLarge(buffer: SharedArrayBuffer): void {
    this.#writer.giveBackLarge(buffer);
  }

  /** Puts a body, the first `receivedBytes` of `body`, into the batch of this turn. */
  send(slot: RequestSlot, body: Uint8Array): void {
    const bytes = slot.receivedBytes;
    const isLarge = bytes > LARGE_BODY_BYTES;
    if (!this.#writer.hasRoom(isLarge ? 0 : bytes)) this.flush();
    if (isLarge) {
      let shared = body.buffer;
      if (!(shared instanceof SharedArrayBuffer)) {
        shared = this.#writer.takeLarge(bytes);
        new Uint8Array(shared).set(body.subarray(0, bytes));
      }
      slot.lease = this.#writer.addLarge(slot.head, shared, bytes);
    } else {
      slot.lease = this.#writer.addCopy(slot.head, body.subarray(0, bytes));
    }
    slot.partial = undefined;
    slot.state = 'waiting';
    slot.handedOver = this.#window.add(workOfSlot(slot), this.#options.turnMs());
    this.#options.counters.add(INGEST_COUNTER.bodyBytes, bytes);
  }

  /** Puts bodies, each in its slot's `partial`, into one batch in their order. Several together fit into an empty one. */
  sendTogether(slots: readonly RequestSlot[]): void {
    const bytes = slots.reduce((sum, { receivedBytes }) => sum + receivedBytes, 0);
    if (slots.length > 1 && !this.#writer.hasRoomFor(slots.length, bytes)) this.flush();
    for (const slot of slots) this.send(slot, slot.partial as Uint8Array);
  }

  /** Keeps bodies, each in its slot's `partial`, until it is their turn. They are handed over together. */
  wait(slots: readonly RequestSlot[], source: Source): void {
    let work = 0;
    for (const slot of slots) {
      slot.state = 'queued';
      work += workOfSlot(slot);
      this.#queuedBytes += slot.receivedBytes;
    }
    this.#queuedRequests += slots.length;
    const place = this.#queue.push(source, slots, work);
    for (const slot of slots) slot.place = place;
    this.#cancelLook ??= this.#options.clock.after(LOOK_EVERY_MS, () => this.#look(), { ref: false });
  }

  /** Takes a body that waits, and those that it waits together with, out of the queue. */
  withdraw({ place }: RequestSlot): void {
    if (place === undefined) return;
    this.#queue.remove(place);
    this.#left(place.item);
  }

  /** The threads are done with a body that was handed over. */
  settle(slot: RequestSlot): void {
    const { lease, handedOver } = slot;
    if (lease !== undefined) this.#writer.settle(lease);
    if (handedOver !== undefined) this.#window.settle(handedOver, workOfSlot(slot));
  }

  /** Hands over whose turn it is, as much as the window has room for. */
  advance(): void {
    if (this.#queue.length === 0) return;
    const { port, counters, onUnwanted } = this.#options;
    const nowMs = this.#options.turnMs();
    while (this.#window.isOpen(port.threads)) {
      const slots = this.#queue.take();
      if (slots === undefined) return;
      this.#left(slots);
      if (slots[0]?.isUnwanted?.() === true) {
        onUnwanted(slots);
        continue;
      }
      this.sendTogether(slots);
      for (const { completedMs } of slots) {
        counters.add(INGEST_COUNTER.delayedRequests, 1);
        counters.add(INGEST_COUNTER.delaySeconds, (nowMs - completedMs) / 1_000);
      }
    }
  }

  /** Gives what was put together to the threads. */
  flush(): void {
    const { port, counters, clock, onRefused } = this.#options;
    this.#window.letGo(clock.monotonicMs());
    counters.set(INGEST_COUNTER.queuedRequests, this.#queuedRequests);
    counters.set(INGEST_COUNTER.queuedBytes, this.#queuedBytes);
    counters.set(INGEST_COUNTER.queuedSources, this.#queue.sources);
    if (this.#writer.count === 0) return;
    const batch = this.#writer.take();
    counters.add(INGEST_COUNTER.batches, 1);
    try {
      port.submit(batch);
    } catch (fault) {
      onRefused(batch, fault);
    }
  }

  stop(): void {
    this.#cancelLook?.();
    this.#cancelLook = undefined;
  }

  #look(): void {
    this.#cancelLook = undefined;
    this.#window.letGo(this.#options.clock.monotonicMs());
    this.advance();
    if (this.#queue.length > 0) {
      this.#cancelLook = this.#options.clock.after(LOOK_EVERY_MS, () => this.#look(), { ref: false });
    }
  }

  #left(slots: readonly RequestSlot[]): void {
    for (const slot of slots) {
      slot.place = undefined;
      this.#queuedBytes -= slot.receivedBytes;
    }
    this.#queuedRequests -= slots.length;
  }
}

function workOfSlot({ receivedBytes, head }: RequestSlot): number {
  return workOf(receivedBytes, head.encoding !== IDENTITY);
}
