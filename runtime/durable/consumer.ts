/**
 * Drives a handler from the head of a lane, for the partitions this owner holds: read, handle, commit, in order within
 * each partition; partitions go on independently. A lane may have an overflow lane beside it: of the two one goes on at a
 * time, in an order that keeps that of each key (lane-turns.ts). The next batch is read while the present one is handled.
 *
 * What goes wrong: a transient error waits and tries again, charging nothing. Any other failure charges a strike to
 * the entry and narrows down the message at fault; that one ends in quarantine, the rest goes on. A lost connection
 * drops everything read and begins at the head again. A lost lease ends the consumer.
 *
 * Invariant: an entry is consumed only by the commit that stores what followed from it; whatever happens before that
 * may happen again, so a handler must be idempotent.
 */
import type { Clock } from '../clock.ts';
import { systemClock } from '../clock.ts';
import { CodedError, kindOf } from '../errors.ts';
import type { CommitPlan, DurableStore, Entry, StrikeRecord, Token } from './durable-store.ts';
import { createLaneTurns, EVERY_TURN } from './lane-turns.ts';
import type { LaneTurn } from './lane-turns.ts';
import type { Spiller } from './spill.ts';
import { createPartitionConsumer, trackName } from './partition-consumer.ts';
import type { PartitionConsumer } from './partition-consumer.ts';

/** Messages [lo, hi) of an entry. */
export interface Piece {
  entry: Entry;
  lo: number;
  hi: number;
}

export interface Batch {
  partition: number;
  lane: string;
  /** In order. */
  pieces: readonly Piece[];
}

/** A message that breaks its handler. */
export interface Offence {
  entry: Entry;
  index: number;
  history: StrikeRecord;
}

/** What is being handled at this moment: kept by the host where it survives the thread. */
export interface ProgressMark {
  partition: number;
  lane: string;
  firstId: string;
  lastId: string;
  /** The range within the entry, when it is a single one. */
  lo: number;
  hi: number;
}

/** What a previous incarnation was handling when it died. */
export interface Suspect extends ProgressMark {
  /** The exit reason, as a stable code. */
  reason: string;
  message: string;
}

export interface ConsumerOptions {
  store: DurableStore;
  lane: string;
  /** Takes what is diverted from `lane`. */
  overflowLane?: string;
  /**
   * Handles the pieces and says what follows from them. An error of kind `transient` is waited out; `details.index`
   * (a number) names the message at fault in an entry handled alone.
   */
  handle: (batch: Batch) => Promise<CommitPlan>;
  /** Keeps a message at fault where it is never lost, idempotently, and says what follows in the books. */
  quarantine: (offence: Offence) => Promise<CommitPlan>;
  /** Called before each handling and, with undefined, after it. */
  onProgress?: (partition: number, mark: ProgressMark | undefined) => void;
  /** False while the lease is not surely valid: nothing is begun then. Fencing protects the commit in any case. */
  mayAct?: (partition: number) => boolean;
  /** It waits for something: the error, or E_LANE_FULL. Not a hang. Undefined when it goes on. */
  onWaiting?: (partition: number, reason: CodedError | undefined) => void;
  onCommitted?: (partition: number, entries: readonly Entry[]) => void;
  /** Takes what full output lanes have no room for; without one the partition waits for them. The consumer ends it. */
  spiller?: Spiller;
  clock?: Clock;
  batchEntriesMax?: number;
  /** A function is asked before each batch. */
  batchMessagesMax?: number | (() => number);
  /** Of one read. A partition that holds as much reads no further, so it holds less than twice that. */
  readBytesMax?: number;
  /** How long one read waits for something new. */
  blockMs?: number;
  /** Failures of one message, handled alone, before it is quarantined. */
  strikesMax?: number;
  backOffMinMs?: number;
  backOffMaxMs?: number;
}

export interface PartitionProgress {
  partition: number;
  lane: string;
  /** Read and not committed yet. */
  entriesRead: number;
  /** Since the last success. */
  failures: number;
}

export interface Consumer {
  /** Begins with a partition, at its head. */
  assign(partition: number, token: Token, suspect?: Suspect): void;
  /** Stops with a partition after what is in hand is committed. */
  release(partition: number): Promise<void>;
  /** Settles after `stop`; rejects with what ended it: E_FENCED, or what the store refused for good. */
  run(): Promise<void>;
  /** Begins no batch any more; what is in hand is handled and committed. What is read already waits. */
  suspend(): void;
  /** Goes on after `suspend`. */
  resume(): void;
  describe(): PartitionProgress[];
  /** Ends after what is in hand is committed. */
  stop(): Promise<void>;
}

/** Small frames come by the hundred under many small requests; `BATCH_MESSAGES_MAX` bounds large ones. */
export const BATCH_ENTRIES_MAX = 256;
export const BATCH_MESSAGES_MAX = 2_000;
export const READ_BYTES_MAX = 8 * 1024 ** 2;
export const BLOCK_MS = 500;
export const STRIKES_MAX = 3;
export const BACK_OFF_MIN_MS = 10;
export const BACK_OFF_MAX_MS = 1_000;

export function createConsumer(options: ConsumerOptions): Consumer {
  const { store, lane, overflowLane, batchMessagesMax = BATCH_MESSAGES_MAX } = options;
  const settings = {
    ...options,
    clock: options.clock ?? systemClock,
    batchEntriesMax: options.batchEntriesMax ?? BATCH_ENTRIES_MAX,
    batchMessagesMax: typeof batchMessagesMax === 'function' ? batchMessagesMax : () => batchMessagesMax,
    readBytesMax: options.readBytesMax ?? READ_BYTES_MAX,
    strikesMax: options.strikesMax ?? STRIKES_MAX,
    backOffMinMs: options.backOffMinMs ?? BACK_OFF_MIN_MS,
    backOffMaxMs: options.backOffMaxMs ?? BACK_OFF_MAX_MS,
    isSuspended: () => isSuspended,
  };
  /** Of each partition one for each lane. */
  const tracks = new Map<string, PartitionConsumer>();
  let isStopping = false;
  let isSuspended = false;
  let reading: AbortController | undefined;
  /** Which tracks the present read waits for. */
  let readFor = new Set<string>();
  let settleRun = (): void => {};
  let wakeReader = (): void => {};
  let failure: { error: unknown } | undefined;

  /** A track wants entries: the present read must include it, and from where it stands. */
  function readAgain(track: string, isMoved: boolean): void {
    if (readFor.has(track) && !isMoved) return;
    reading?.abort();
    wakeReader();
  }

  async function readOn(): Promise<void> {
    let failures = 0;
    while (!isStopping) {
      const hungry = [...tracks.values()].filter((track) => track.isHungry());
      readFor = new Set(hungry.map((track) => trackName(track.partition, track.lane)));
      if (hungry.length === 0) {
        await new Promise<void>((resolve) => {
          wakeReader = resolve;
        });
        continue;
      }
      const { generation } = store;
      const asked = hungry.map((track) => ({ track, from: track.position(generation) }));
      reading = new AbortController();
      try {
        const entries = await store.read(
          asked.map(({ track: { partition, lane: of }, from }) => ({
            partition,
            lane: of,
            afterId: from.afterId,
          })),
          {
            entriesMax: settings.batchEntriesMax,
            bytesMax: settings.readBytesMax,
            blockMs: options.blockMs ?? BLOCK_MS,
            signal: reading.signal,
          },
        );
        const byTrack = Map.groupBy(entries, (entry) => trackName(entry.partition, entry.lane));
        for (const { track, from } of asked) {
          track.offer(byTrack.get(trackName(track.partition, track.lane)) ?? [], from);
        }
        failures = 0;
      } catch (thrown) {
        if (kindOf(thrown) !== 'transient') throw thrown;
        failures += 1;
        const waitMs = Math.min(settings.backOffMaxMs, settings.backOffMinMs * 2 ** Math.min(failures, 16));
        await pause(waitMs);
      }
    }
  }

  function tracksOf(partition: number): PartitionConsumer[] {
    return [...tracks.values()].filter((track) => track.partition === partition);
  }

  function pause(waitMs: number): Promise<void> {
    return new Promise((resolve) => {
      const cancel = settings.clock.after(waitMs, resolve);
      wakeReader = () => {
        if (!isStopping) return;
        cancel();
        resolve();
      };
    });
  }

  function fail(error: unknown): void {
    failure ??= { error };
    isStopping = true;
    reading?.abort();
    wakeReader();
    for (const track of tracks.values()) void track.stop();
    void settings.spiller?.stop();
    settleRun();
  }

  return {
    assign(partition, token, suspect) {
      if (isStopping) {
        throw new CodedError('E_CONSUMER_STOPPED', 'the consumer has stopped', { kind: 'transient' });
      }
      if (tracksOf(partition).length > 0) {
        throw new CodedError('E_PARTITION_ASSIGNED', `partition ${partition} is assigned already`, {
          kind: 'defect',
          mend: 'Release it first.',
        });
      }
      settings.spiller?.assign(partition, token);
      const begin = (of: string, turn: LaneTurn): PartitionConsumer => {
        const mine = suspect?.lane === of ? suspect : undefined;
        const track = createPartitionConsumer(settings, partition, token, of, turn, mine, readAgain);
        tracks.set(trackName(partition, of), track);
        void track.ended.catch(fail);
        return track;
      };
      if (overflowLane === undefined) {
        begin(lane, EVERY_TURN);
        return;
      }
      const turns = createLaneTurns(store, partition, lane);
      turns.takers = {
        express: begin(lane, turns.express),
        overflow: begin(overflowLane, turns.overflow),
      };
    },

    async release(partition) {
      const mine = tracksOf(partition);
      await Promise.all(mine.map((track) => track.stop()));
      await settings.spiller?.release(partition);
      for (const track of mine) tracks.delete(trackName(partition, track.lane));
    },

    run() {
      return new Promise((resolve, reject) => {
        settleRun = () => {
          if (failure === undefined) resolve();
          else reject(asError(failure.error));
        };
        if (isStopping) settleRun();
        else readOn().catch(fail);
      });
    },

    suspend() {
      isSuspended = true;
    },

    resume() {
      isSuspended = false;
      for (const track of tracks.values()) track.lookAgain();
    },

    describe: () => [...tracks.values()].map((track) => track.describe()),

    async stop() {
      isStopping = true;
      reading?.abort();
      wakeReader();
      await Promise.all([...tracks.values()].map((track) => track.stop()));
      await settings.spiller?.stop();
      settleRun();
    },
  };
}

function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}
