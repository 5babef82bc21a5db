/**
 * The batches of one session that have no ack yet, numbered from 1 on: what has to be sent, and sent again.
 *
 * Invariant: a batch leaves it only by its ack, in order. Bounded by whoever adds: `size` says how many there are.
 */
import type { Batch } from './line-batcher.ts';

export interface Numbered {
  seq: number;
  batch: Batch;
  /** Given to a server at least once: it may be stored. */
  wasSent: boolean;
}

export class Outbox {
  readonly #batches: Numbered[] = [];
  #lastSeq = 0;
  /** How many of them were sent on this connection. */
  #sent = 0;

  get size(): number {
    return this.#batches.length;
  }
  get hasUnsent(): boolean {
    return this.#sent < this.#batches.length;
  }
  /** Sent on this connection and without an ack. */
  get underWay(): number {
    return this.#sent;
  }

  add(batch: Batch): void {
    this.#batches.push({ seq: ++this.#lastSeq, batch, wasSent: false });
  }

  /** The next one for this connection; undefined when all are under way. */
  take(): Numbered | undefined {
    const next = this.#batches[this.#sent];
    if (next === undefined) return undefined;
    this.#sent += 1;
    next.wasSent = true;
    return next;
  }

  /** Takes out all up to this number. */
  ack(seq: number): Numbered[] {
    const count = this.#batches.filter((each) => each.seq <= seq).length;
    this.#sent = Math.max(0, this.#sent - count);
    return this.#batches.splice(0, count);
  }

  /** From this number on they have to be sent again; without one, all. */
  rewind(seq = 0): void {
    this.#sent = this.#batches.filter((each) => each.seq < seq).length;
  }

  /** Events that may be stored, though no ack says so. */
  get unanswered(): number {
    return this.#batches.reduce((sum, { wasSent, batch }) => sum + (wasSent ? batch.events : 0), 0);
  }
}

/** What goes over the wire: the number on a line of its own, then the batch as it is. */
export function numberedFrame({ seq, batch }: Numbered): Buffer {
  return Buffer.concat([Buffer.from(`{"seq":${seq}}\n`), batch.body]);
}
