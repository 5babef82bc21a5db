/**
 * The ingest threads of one gateway process, behind the port its loop knows: batches in, verdicts out.
 *
 * Bodies lie in shared memory, so they outlive a thread that dies of one. What a dead thread had not begun to store is
 * given to its successor; what it may have stored already is answered `away`, because storing it again could double it;
 * a body that has killed two threads is parked raw and answered like any unreadable one: a relay that got 503 for it
 * would send it again for ever.
 *
 * Invariant: every row of every batch gets one verdict. Bounded by the gateway's budget of bodies in flight.
 */
import type { Clock } from '../../runtime/clock.ts';
import { ROW, ROW_STAGE, ROW_WORDS } from '../../gateways/ingest/ingest-port.ts';
import type { IngestBatch, IngestPort, IngestVerdict } from '../../gateways/ingest/ingest-port.ts';
import type { ToWorker } from '../threads/worker-messages.ts';

/** One thread, as far as batches are concerned. */
export interface IngestThread {
  readonly id: string;
  /** False when there is no thread in the slot now. */
  post(message: ToIngestThread | ToWorker): boolean;
}

export interface ToIngestThread {
  type: 'batch';
  batchId: number;
  batch: IngestBatch;
}

export interface FromIngestThread {
  type: 'verdicts';
  batchId: number;
  verdicts: IngestVerdict[];
}

interface Outstanding {
  batch: IngestBatch;
  /** Requests without a verdict. Known here and not from the table: a thread marks a row and may die before it says so. */
  open: Set<number>;
  thread: IngestThread | undefined;
  stopWaiting: (() => void) | undefined;
}

const DEATHS_TO_PARK = 2;
/** How long batches wait when there is no thread: longer than a restart takes, shorter than a relay's patience. */
const WAIT_FOR_THREAD_MS = 3_000;

export class IngestThreads implements IngestPort {
  readonly #threads = new Map<string, IngestThread>();
  /** Threads that get no new batch, with who waits until they have answered the last. */
  readonly #leaving = new Map<string, PromiseWithResolvers<void>>();
  readonly #clock: Clock;
  readonly #outstanding = new Map<number, Outstanding>();
  /** Rows each thread has been given and not answered. Present only while the thread is ready. */
  readonly #load = new Map<string, number>();
  #listener: (verdicts: readonly IngestVerdict[]) => void = () => undefined;
  #batchId = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get threads(): number {
    return this.#load.size - this.#leaving.size;
  }

  /** A thread more, which takes batches once it is ready. */
  add(thread: IngestThread): void {
    this.#threads.set(thread.id, thread);
  }

  /** From now on the thread gets no new batch. Settles when it has answered every one it had, or is gone. */
  leave(id: string): Promise<void> {
    const drained = this.#leaving.get(id) ?? Promise.withResolvers<void>();
    this.#leaving.set(id, drained);
    this.#settleLeaving(id);
    return drained.promise;
  }

  /** The thread is gone for good. */
  remove(id: string): void {
    this.#threads.delete(id);
    this.#leaving.delete(id);
  }

  onVerdicts(listener: (verdicts: readonly IngestVerdict[]) => void): void {
    this.#listener = listener;
  }

  submit(batch: IngestBatch): void {
    const batchId = ++this.#batchId;
    const open = new Set(requestsOf(batch));
    const outstanding: Outstanding = { batch, open, thread: undefined, stopWaiting: undefined };
    this.#outstanding.set(batchId, outstanding);
    this.#assign(batchId, outstanding);
  }

  /** The thread has started and takes batches. */
  threadReady(id: string): void {
    this.#load.set(id, 0);
    this.#assignWaiting();
  }

  /** The thread is gone, and nothing more will come from it: what it had is sorted out. */
  threadGone(id: string): void {
    this.#load.delete(id);
    for (const [batchId, outstanding] of this.#outstanding) {
      if (outstanding.thread?.id !== id) continue;
      outstanding.thread = undefined;
      this.#sortOut(batchId, outstanding);
    }
    // What found its port closed a moment ago, and nobody else to ask.
    this.#assignWaiting();
    this.#settleLeaving(id);
  }

  /** To be given what the threads send. */
  receive({ batchId, verdicts }: FromIngestThread): void {
    const outstanding = this.#outstanding.get(batchId);
    if (outstanding !== undefined) this.#close(batchId, outstanding, verdicts);
  }

  #assignWaiting(): void {
    for (const [batchId, outstanding] of this.#outstanding) {
      if (outstanding.thread === undefined) this.#assign(batchId, outstanding);
    }
  }

  #assign(batchId: number, outstanding: Outstanding): void {
    const thread = this.#leastLoaded();
    if (thread?.post({ type: 'batch', batchId, batch: outstanding.batch }) === true) {
      outstanding.thread = thread;
      outstanding.stopWaiting?.();
      outstanding.stopWaiting = undefined;
      this.#load.set(thread.id, (this.#load.get(thread.id) ?? 0) + outstanding.open.size);
      return;
    }
    // From the moment it has nobody; looking in vain once more does not make it longer.
    outstanding.stopWaiting ??= this.#clock.after(WAIT_FOR_THREAD_MS, () => this.#giveUp(batchId), {
      ref: false,
    });
  }

  #leastLoaded(): IngestThread | undefined {
    let best: IngestThread | undefined;
    let least = Infinity;
    for (const thread of this.#threads.values()) {
      if (this.#leaving.has(thread.id)) continue;
      const load = this.#load.get(thread.id) ?? Infinity;
      if (load < least) {
        best = thread;
        least = load;
      }
    }
    return best;
  }

  #sortOut(batchId: number, outstanding: Outstanding): void {
    const { batch } = outstanding;
    const table = new Uint32Array(batch.table);
    const doubtful: IngestVerdict[] = [];
    for (let at = 0; at < batch.count * ROW_WORDS; at += ROW_WORDS) {
      const request = table[at + ROW.request] ?? 0;
      if (!outstanding.open.has(request)) continue;
      const stage = table[at + ROW.stage];
      if (stage === ROW_STAGE.storing || stage === ROW_STAGE.answered) {
        table[at + ROW.stage] = ROW_STAGE.answered;
        doubtful.push(away(request));
      } else if (stage === ROW_STAGE.decoding) {
        const deaths = (table[at + ROW.deaths] ?? 0) + 1;
        table[at + ROW.deaths] = deaths;
        table[at + ROW.stage] = deaths >= DEATHS_TO_PARK ? ROW_STAGE.parking : ROW_STAGE.untouched;
      }
    }
    if (doubtful.length > 0) this.#close(batchId, outstanding, doubtful);
    if (outstanding.open.size > 0) this.#assign(batchId, outstanding);
  }

  #close(batchId: number, outstanding: Outstanding, verdicts: readonly IngestVerdict[]): void {
    const first = verdicts.filter(({ request }) => outstanding.open.delete(request));
    const { thread } = outstanding;
    const load = thread === undefined ? undefined : this.#load.get(thread.id);
    if (thread !== undefined && load !== undefined) this.#load.set(thread.id, load - first.length);
    if (outstanding.open.size === 0) {
      outstanding.stopWaiting?.();
      this.#outstanding.delete(batchId);
    }
    if (first.length > 0) this.#listener(first);
    if (thread !== undefined) this.#settleLeaving(thread.id);
  }

  #settleLeaving(id: string): void {
    if ((this.#load.get(id) ?? 0) === 0) this.#leaving.get(id)?.resolve();
  }

  /** Nothing of a batch that still waits for a thread has been stored. */
  #giveUp(batchId: number): void {
    const outstanding = this.#outstanding.get(batchId);
    if (outstanding === undefined || outstanding.thread !== undefined) return;
    this.#close(batchId, outstanding, [...outstanding.open].map(away));
  }
}

function requestsOf({ table, count }: IngestBatch): number[] {
  const words = new Uint32Array(table);
  return Array.from({ length: count }, (_, index) => words[index * ROW_WORDS + ROW.request] ?? 0);
}

function away(request: number): IngestVerdict {
  return { request, status: 'away', accepted: 0, rejected: 0, errors: [] };
}
