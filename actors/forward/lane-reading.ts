/**
 * Reads the lanes of a forward actor's partitions, all in one waiting read, from behind what was taken last.
 *
 * Invariant: an entry is passed over only when it was taken. A lane that is read from its start again has a new
 * position: what a reading from the old one finds is void, or the entries between would be lost to this incarnation.
 */
import { sleep } from '../../runtime/clock.ts';
import type { Clock } from '../../runtime/clock.ts';
import { START } from '../../runtime/durable/durable-store.ts';
import type { DurableStore, Entry, LanePosition } from '../../runtime/durable/durable-store.ts';
import type { CodedError } from '../../runtime/errors.ts';
import { kindOf } from '../../runtime/errors.ts';
import { alertLane, destinationOf } from './messages.ts';

/** What one reading has found. */
export interface ReadEntries {
  entries: Entry[];
  from: ReadonlySet<LanePosition>;
  /** Of the store, when it was read. */
  generation: number;
}

export interface LaneReadingOptions {
  store: Pick<DurableStore, 'generation' | 'read'>;
  clock: Clock;
  signal: AbortSignal;
  partitions: () => Iterable<number>;
  hasRoom: (destination: string) => boolean;
  /** So many are worth reading now: none where little room is left, since what has none was read in vain. */
  wanted: (destination: string) => number;
  /** Before each reading. */
  onBegin: () => void;
  /** The next reading does not begin before `taken` is called. */
  onEntries: (found: ReadEntries) => void;
  onFatal: (error: CodedError) => void;
}

/** Of each lane. */
const READ_ENTRIES_MIN = 8;
const READ_ENTRIES_MAX = 64;
const READ_BYTES_MAX = 1024 * 1024;
const READ_BLOCK_MS = 1_000;
export const READ_RETRY_MS = 200;

export class LaneReading {
  readonly #options: LaneReadingOptions;
  /** `<partition> <lane>` to the last id read. */
  readonly #positions = new Map<string, LanePosition>();
  /** Destinations that the present reading leaves out, their windows being full enough. */
  #leftOut: ReadonlySet<string> = new Set();
  readonly #destinations = new Set<string>();
  #reading: AbortController | undefined;
  #handedOver: PromiseWithResolvers<void> | undefined;
  #isStopped = false;

  constructor(options: LaneReadingOptions) {
    this.#options = options;
    options.signal.addEventListener('abort', () => this.#reading?.abort());
  }

  /** Its lanes are read from their start. */
  add(destination: string): void {
    this.#destinations.add(destination);
    this.#rewind(destination);
  }

  remove(destination: string): void {
    this.#destinations.delete(destination);
    const lane = alertLane(destination);
    for (const partition of this.#options.partitions()) this.#positions.delete(`${partition} ${lane}`);
    this.restart();
  }

  readAgain(destination: string): void {
    if (this.#destinations.has(destination)) this.#rewind(destination);
    this.restart();
  }

  #rewind(destination: string): void {
    const lane = alertLane(destination);
    for (const partition of this.#options.partitions()) {
      this.#positions.set(`${partition} ${lane}`, { partition, lane, afterId: START });
    }
  }

  /** Ends the waiting: other lanes are to be waited for. */
  restart(): void {
    // Asked at every delivery, and each abort makes an error, with its stack.
    if (this.#reading?.signal.aborted === false) this.#reading.abort();
  }

  isLeftOut(destination: string): boolean {
    return this.#leftOut.has(destination);
  }

  stop(): void {
    this.#isStopped = true;
    this.restart();
  }

  /** False for an entry that is void or has no room now; another is passed over from here on. */
  take({ partition, lane, id }: Entry, from: ReadonlySet<LanePosition>): boolean {
    const position = this.#positions.get(`${partition} ${lane}`);
    if (position === undefined || !from.has(position)) return false;
    if (!this.#options.hasRoom(destinationOf(lane))) return false;
    position.afterId = id;
    return true;
  }

  taken(): void {
    this.#handedOver?.resolve();
  }

  /** Until it is stopped. */
  async run(): Promise<void> {
    const { signal, clock, store, onBegin, onFatal } = this.#options;
    while (!signal.aborted && !this.#isStopped) {
      onBegin();
      const reading = new AbortController();
      this.#reading = reading;
      const entriesMax = this.#choose();
      const from = [...this.#positions.values()].filter(
        ({ lane }) => !this.#leftOut.has(destinationOf(lane)),
      );
      try {
        const { generation } = store;
        const bounds = { entriesMax, bytesMax: READ_BYTES_MAX, blockMs: READ_BLOCK_MS };
        const entries =
          from.length === 0 ? [] : await store.read(from, { ...bounds, signal: reading.signal });
        if (entries.length > 0) await this.#handOver({ entries, from: new Set(from), generation });
        else if (from.length === 0) await sleep(clock, READ_BLOCK_MS, reading.signal);
      } catch (thrown) {
        if (kindOf(thrown) !== 'transient') {
          onFatal(thrown as CodedError);
          return;
        }
        await sleep(clock, READ_RETRY_MS, signal);
      }
    }
  }

  /** Leaves out who wants nothing. Gives how much of each lane is read: all lanes together what one window wants. */
  #choose(): number {
    const leftOut = new Set<string>();
    let most = 0;
    for (const name of this.#destinations) {
      const wanted = this.#options.wanted(name);
      if (wanted === 0) leftOut.add(name);
      most = Math.max(most, wanted);
    }
    this.#leftOut = leftOut;
    const partitions = [...this.#options.partitions()].length;
    return Math.min(READ_ENTRIES_MAX, Math.max(READ_ENTRIES_MIN, Math.ceil(most / partitions)));
  }

  /** The next reading must not start before these positions are known. */
  async #handOver(found: ReadEntries): Promise<void> {
    this.#handedOver = Promise.withResolvers<void>();
    this.#options.onEntries(found);
    await this.#handedOver.promise;
  }
}
