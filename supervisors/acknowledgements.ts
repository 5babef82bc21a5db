/**
 * How far each partition's acknowledgements went, as the gateways report it: passed on to PostgreSQL as a second memory
 * beside the files on disk, and to a gateway that starts. And what the store has lost of them: recorded until it is.
 */
import { sleep } from '../runtime/clock.ts';
import type { Clock } from '../runtime/clock.ts';
import type { LostRange } from '../runtime/durable/witness.ts';
import type { Log } from '../runtime/telemetry/log.ts';

/** PostgreSQL's part. */
export interface AcknowledgementStore {
  report(reports: readonly { partition: number; sequence: number; reportedAtMs: number }[]): Promise<void>;
  recordLosses(losses: readonly Loss[]): Promise<void>;
}

type Loss = LostRange & { detectedAtMs: number };

const REPORT_EVERY_MS = 2_000;
const RETRY_MS = 2_000;

export class Acknowledgements {
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #highest = new Map<number, number>();
  /** Bounded by how often a store can come back older. */
  #unrecorded: Loss[] = [];
  #lostEvents = 0;
  #recording: Promise<void> | undefined;
  #stopping = new AbortController();
  #store: AcknowledgementStore | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(clock: Clock, log: Log) {
    this.#clock = clock;
    this.#log = log;
  }

  /** Events that the store has lost, as found out since the start. */
  get lostEvents(): number {
    return this.#lostEvents;
  }

  /** By partition. */
  get highest(): [partition: number, accepted: number][] {
    return [...this.#highest];
  }

  note(highest: readonly (readonly [partition: number, accepted: number])[]): void {
    for (const [partition, accepted] of highest) {
      this.#highest.set(partition, Math.max(accepted, this.#highest.get(partition) ?? 0));
    }
  }

  /** From now on `store` is the second memory, until `stop`; another one may follow. */
  keepIn(store: AcknowledgementStore): void {
    clearInterval(this.#timer);
    this.#store = store;
    this.#stopping = new AbortController();
    this.#timer = setInterval(() => void this.#report(), REPORT_EVERY_MS);
    this.#record();
  }

  /** The store came back older than it was. A loss is tried until PostgreSQL has it, over restarts of the ground too. */
  lost(ranges: readonly LostRange[]): void {
    const detectedAtMs = this.#clock.wallMs();
    const losses = ranges.map(({ partition, from, to }) => ({ partition, from, to, detectedAtMs }));
    this.#log.error({ losses }, 'Redis came back older than it was: acknowledged events are gone');
    this.#unrecorded.push(...losses);
    this.#lostEvents += ranges.reduce((sum, { from, to }) => sum + to - from + 1, 0);
    this.#record();
  }

  /** Reports a last time. What could not be recorded waits for the next `keepIn`. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#stopping.abort();
    await this.#recording;
    await this.#report();
    this.#store = undefined;
  }

  /** One at a time: whoever records takes what has come meanwhile along. */
  #record(): void {
    this.#recording ??= this.#recordAll().finally(() => {
      this.#recording = undefined;
      // What came after the last look.
      if (this.#mayRecord) this.#record();
    });
  }

  get #mayRecord(): boolean {
    return this.#unrecorded.length > 0 && this.#store !== undefined && !this.#stopping.signal.aborted;
  }

  async #recordAll(): Promise<void> {
    while (this.#mayRecord) {
      const losses = [...this.#unrecorded];
      try {
        await this.#store?.recordLosses(losses);
        this.#unrecorded = this.#unrecorded.slice(losses.length);
      } catch {
        // PostgreSQL is away: the loss is in the log, and is tried again.
        await sleep(this.#clock, RETRY_MS, this.#stopping.signal);
      }
    }
  }

  async #report(): Promise<void> {
    const reportedAtMs = this.#clock.wallMs();
    const reports = this.highest.map(([partition, sequence]) => ({ partition, sequence, reportedAtMs }));
    // The files on disk are the first memory; this one is brought up to date when it can be.
    await this.#store?.report(reports).catch(() => undefined);
  }
}
