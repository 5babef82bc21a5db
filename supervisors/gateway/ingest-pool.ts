/**
 * The decoding threads of one gateway process, as many as are wanted: a further one takes batches as soon as it runs;
 * one that leaves gets no new batch, answers what it has, and stops.
 */
import type { TreePlace } from '../../runtime/placement.ts';
import { Supervisor } from '../../runtime/supervision/supervisor.ts';
import type { ChildSpec } from '../../runtime/supervision/child-spec.ts';
import type { ThreadSlot } from '../../runtime/thread/thread-slot.ts';
import type { ResizablePool } from '../pools/pool-size.ts';
import { RESTART_BACKOFF, THREAD_INTENSITY } from '../restart-policy.ts';
import type { IngestThreads } from './ingest-threads.ts';

export interface IngestPoolOptions {
  gateway: string;
  size: number;
  threads: IngestThreads;
  openSlot: (id: string) => ThreadSlot;
  onLeft: (id: string) => void;
  tree?: TreePlace;
}

const THREAD_STOP_MS = 10_000;

export class IngestPool implements ResizablePool {
  readonly supervisor: Supervisor;
  readonly #options: IngestPoolOptions;
  /** By number. One whose thread has left is kept: its counters go on when a thread of that number comes again. */
  readonly #slots: ThreadSlot[] = [];
  #size: number;

  constructor(options: IngestPoolOptions) {
    this.#options = options;
    this.#size = options.size;
    this.supervisor = new Supervisor(
      {
        id: `${options.gateway}-threads`,
        strategy: 'oneForOne',
        intensity: THREAD_INTENSITY,
        children: Array.from({ length: options.size }, (_, index) => this.#child(this.#join(index))),
      },
      { tree: options.tree },
    );
  }

  get size(): number {
    return this.#size;
  }

  /** Those at work. */
  get slots(): readonly ThreadSlot[] {
    return this.#slots.slice(0, this.#size);
  }

  isAt(target: number): boolean {
    return this.#size === target;
  }

  /** One step: between two, a newer target is heard. */
  approach(target: number): Promise<void> {
    return this.#size < target ? this.#grow() : this.#shrink();
  }

  async #grow(): Promise<void> {
    const slot = this.#join(this.#size);
    try {
      await this.supervisor.addChild(this.#child(slot));
    } catch (thrown) {
      this.#options.threads.remove(slot.id);
      this.#options.onLeft(slot.id);
      throw thrown;
    }
    this.#size += 1;
  }

  async #shrink(): Promise<void> {
    const slot = this.#slots[this.#size - 1];
    if (slot === undefined) return;
    const { threads, onLeft } = this.#options;
    await threads.leave(slot.id);
    await this.supervisor.removeChild(slot.id);
    threads.remove(slot.id);
    this.#size -= 1;
    onLeft(slot.id);
  }

  #join(index: number): ThreadSlot {
    const { gateway, threads, openSlot } = this.#options;
    const slot = (this.#slots[index] ??= openSlot(`${gateway}-ingest-${index}`));
    threads.add(slot);
    return slot;
  }

  #child(slot: ThreadSlot): ChildSpec {
    const { threads } = this.#options;
    return {
      id: slot.id,
      // The batches' keeper knows when the thread is there and when it is gone.
      start: async (start) => {
        const child = await slot.start(start);
        threads.threadReady(slot.id);
        void child.exited.then(() => threads.threadGone(slot.id));
        return child;
      },
      restart: 'permanent',
      shutdownDeadlineMs: THREAD_STOP_MS,
      backoff: RESTART_BACKOFF,
    };
  }
}
