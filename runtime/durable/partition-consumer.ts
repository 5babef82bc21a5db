/**
 * A consumer's part of one lane of one partition: takes batches from its buffer, handles and commits them one after the other, and
 * narrows down a message that breaks the handler. `consumer.ts` reads for all partitions and fills the buffers.
 *
 * Invariant: the buffer always continues the store's lane without a hole, or is thrown away as a whole.
 */
import type { Clock } from '../clock.ts';
import { sleep } from '../clock.ts';
import { CodedError, codeOf, kindOf, messageOf } from '../errors.ts';
import { nameOfRange, splitRanges } from './bisect.ts';
import type { Range } from './bisect.ts';
import type { Batch, ConsumerOptions, PartitionProgress, Piece, ProgressMark, Suspect } from './consumer.ts';
import type { CommitPlan, Entry, Input, StrikeRecord, Token } from './durable-store.ts';
import { START } from './durable-store.ts';
import type { Diverted } from './spill.ts';
import type { LaneTurn, TurnTaker } from './lane-turns.ts';
import { mergePlans } from './merge-plans.ts';
import { laneFull } from './store-errors.ts';
import { checkCommit, compareIds } from './store-names.ts';

/** An uncertain lease is looked at again soon: its renewal is a matter of a moment. */
const LEASE_CHECK_MS_MAX = 50;

export interface PartitionConsumerSettings extends ConsumerOptions {
  clock: Clock;
  batchEntriesMax: number;
  batchMessagesMax: () => number;
  readBytesMax: number;
  strikesMax: number;
  backOffMinMs: number;
  backOffMaxMs: number;
  /** Nothing is begun while it is true; `lookAgain` tells that it is not any more. */
  isSuspended: () => boolean;
}

export interface ReadPosition {
  afterId: string;
  /** Changes whenever the buffer is thrown away. */
  serial: number;
}

/** Entries in hand: they are the buffer's beginning as long as its serial is the same. */
interface Taken {
  entries: readonly Entry[];
  serial: number;
  generation: number;
}

export interface PartitionConsumer extends TurnTaker {
  readonly partition: number;
  readonly lane: string;
  isHungry(): boolean;
  /** Where a read under this generation of the store goes on. */
  position(generation: number): ReadPosition;
  /** What a read from that position found. Void when the buffer was thrown away meanwhile. */
  offer(entries: readonly Entry[], from: ReadPosition): void;
  /** What it has read and not committed, and failures since the last success. */
  describe(): PartitionProgress;
  /** Rejects with what ended it. */
  readonly ended: Promise<void>;
  stop(): Promise<void>;
}

export function createPartitionConsumer(
  settings: PartitionConsumerSettings,
  partition: number,
  token: Token,
  lane: string,
  turn: LaneTurn,
  suspect: Suspect | undefined,
  onHungry: (track: string, isMoved: boolean) => void,
): PartitionConsumer {
  const { store, clock } = settings;
  const name = trackName(partition, lane);
  const stopping = new AbortController();
  let buffer: Entry[] = [];
  let generation = store.generation;
  let afterId = START;
  let serial = 1;
  let isPrepared = false;
  let wake = (): void => {};
  let failures = 0;
  let isWaiting = false;
  /** Entries with strikes, handled alone and in pieces. */
  let struck = new Map<string, StrikeRecord>();
  /** Entries up to this one are handled alone: one of them broke a batch. */
  let aloneUntilId: string | undefined;
  /** What followed from the pieces of the present struck entry that went well, by range. */
  let donePieces = new Map<string, CommitPlan>();
  let doneEntryId = '';

  const isStopping = (): boolean => stopping.signal.aborted;

  /** Ids and entries of another generation may mean something else: the head of the lane tells what is there. */
  function startOver(): void {
    buffer = [];
    afterId = START;
    serial += 1;
    generation = store.generation;
    donePieces.clear();
    onHungry(name, true);
    turn.dropped();
  }

  /** Waits longer each time, until something succeeds. */
  async function backOff(reason: CodedError, mostMs = settings.backOffMaxMs): Promise<void> {
    failures += 1;
    isWaiting = true;
    settings.onWaiting?.(partition, reason);
    const most = Math.min(mostMs, settings.backOffMinMs * 2 ** Math.min(failures - 1, 16));
    await sleep(clock, most * (0.5 + Math.random() / 2), stopping.signal);
  }

  function goOn(): void {
    failures = 0;
    if (isWaiting) settings.onWaiting?.(partition, undefined);
    isWaiting = false;
  }

  /** Retries what depends on the store alone, until it succeeds, fails for good, or the work stops. */
  async function insist<T>(work: () => Promise<T>): Promise<T | undefined> {
    while (!isStopping()) {
      try {
        return await work();
      } catch (thrown) {
        if (kindOf(thrown) !== 'transient') throw thrown;
        await backOff(thrown as CodedError);
      }
    }
    return undefined;
  }

  /** Charges what killed the previous incarnation. Of several entries at once none is charged: each is tried alone. */
  async function prepare(): Promise<void> {
    if (suspect !== undefined && suspect.firstId === suspect.lastId) {
      await insist(() => charge(suspect.firstId, suspect, suspect.reason, suspect.message));
    } else if (suspect !== undefined) {
      aloneUntilId = suspect.lastId;
    }
    struck = (await insist(() => store.strikes(partition, lane))) ?? struck;
    isPrepared = true;
    onHungry(name, false);
  }

  function charge(
    entryId: string,
    { lo, hi }: Range,
    reason: string,
    message: string,
  ): Promise<StrikeRecord | undefined> {
    return store.addStrike(partition, lane, entryId, { lo, hi, reason, message, atMs: clock.wallMs() });
  }

  function mustBeAlone(entry: Entry): boolean {
    if (struck.has(entry.id)) return true;
    return aloneUntilId !== undefined && compareIds(entry.id, aloneUntilId) <= 0;
  }

  /** The next entries that may be handled together, at least one and at most as many as are ready. */
  function nextEntries(ready: number): Entry[] {
    const [head] = buffer;
    if (head === undefined || mustBeAlone(head)) return buffer.slice(0, 1);
    const messagesMax = settings.batchMessagesMax();
    let messages = 0;
    const end = buffer.findIndex((entry, index) => {
      messages += entry.count;
      const isTooMuch = index >= settings.batchEntriesMax || index >= ready || messages > messagesMax;
      return index > 0 && (isTooMuch || mustBeAlone(entry));
    });
    return end < 0 ? buffer.slice() : buffer.slice(0, end);
  }

  /** Runs the handler or the quarantine under a progress mark. */
  async function marked<T>(pieces: readonly Piece[], work: () => Promise<T>): Promise<T> {
    const [first, last] = [pieces[0], pieces.at(-1)];
    if (first === undefined || last === undefined) return work();
    const mark: ProgressMark = {
      partition,
      lane,
      firstId: first.entry.id,
      lastId: last.entry.id,
      lo: first.lo,
      hi: first.hi,
    };
    settings.onProgress?.(partition, mark);
    try {
      return await work();
    } finally {
      settings.onProgress?.(partition, undefined);
    }
  }

  function handle(pieces: readonly Piece[]): Promise<CommitPlan> {
    const batch: Batch = { partition, lane, pieces };
    return marked(pieces, async () => {
      const plan = await settings.handle(batch);
      // A plan that no store can take is a failure of the handler, found while its message is still known.
      checkCommit({ ...plan, partition, token });
      return plan;
    });
  }

  /** What follows from the entries, or undefined when they must be taken up again. */
  async function planFor(entries: readonly Entry[]): Promise<CommitPlan | undefined> {
    const [head] = entries;
    if (head === undefined) return undefined;
    if (struck.has(head.id)) return planForStruck(head);
    try {
      return await handle(entries.map((entry) => ({ entry, lo: 0, hi: entry.count })));
    } catch (thrown) {
      if (kindOf(thrown) === 'transient') await backOff(thrown as CodedError);
      else if (entries.length > 1) aloneUntilId = entries.at(-1)?.id;
      else await strike(head, { lo: 0, hi: head.count }, thrown);
      return undefined;
    }
  }

  /** Handles a struck entry piece by piece; what went well is remembered until the entry is committed. */
  async function planForStruck(entry: Entry): Promise<CommitPlan | undefined> {
    if (doneEntryId !== entry.id) {
      doneEntryId = entry.id;
      donePieces = new Map();
    }
    const history = struck.get(entry.id);
    if (history === undefined) return undefined;
    const ranges = splitRanges(entry.count, history.ranges);
    for (const range of ranges) {
      const name = nameOfRange(range);
      if (donePieces.has(name)) continue;
      if (isStopping() || settings.isSuspended()) return undefined;
      const isOffender = range.hi - range.lo === 1 && (history.ranges[name] ?? 0) >= settings.strikesMax;
      const piece = { entry, ...range };
      try {
        const plan = isOffender
          ? await marked([piece], () => settings.quarantine({ entry, index: range.lo, history }))
          : await handle([piece]);
        donePieces.set(name, plan);
        goOn();
      } catch (thrown) {
        // What fails to be quarantined is not the message's fault: it is tried again, never dropped.
        if (isOffender || kindOf(thrown) === 'transient') await backOff(waitable(thrown));
        else await strike(entry, range, thrown);
        return undefined;
      }
    }
    return mergePlans(ranges.map((range) => donePieces.get(nameOfRange(range)) ?? {}));
  }

  async function strike(entry: Entry, range: Range, thrown: unknown): Promise<void> {
    const index = indexOf(thrown);
    const isKnown = index !== undefined && index >= range.lo && index < range.hi;
    const failed = isKnown ? { lo: index, hi: index + 1 } : range;
    const record = await insist(() => charge(entry.id, failed, codeOf(thrown), messageOf(thrown)));
    if (record !== undefined) struck.set(entry.id, record);
    else if (!isStopping()) startOver();
    // A message alone is tried again only after a pause: what broke it may pass.
    if (record !== undefined && failed.hi - failed.lo === 1) await backOff(waitable(thrown));
  }

  /** What is meant for full lanes is put outside. Waits while that cannot be; undefined when the work stops. */
  async function divert(plan: CommitPlan): Promise<Diverted | undefined> {
    const { spiller } = settings;
    return spiller === undefined ? plan : insist(() => spiller.divert(partition, plan));
  }

  /** False when it was not, and everything begins at the head again. */
  async function commit(taken: Taken, plan: CommitPlan): Promise<boolean> {
    let committed: Diverted | undefined;
    try {
      committed = await commitOnce(taken, plan);
    } finally {
      settings.spiller?.settled(partition, committed);
    }
    if (committed === undefined) return false;
    const { entries } = taken;
    goOn();
    if (taken.serial === serial) buffer = buffer.slice(entries.length);
    for (const { id } of entries) struck.delete(id);
    const lastId = entries.at(-1)?.id;
    if (aloneUntilId !== undefined && lastId !== undefined && compareIds(lastId, aloneUntilId) >= 0) {
      aloneUntilId = undefined;
    }
    donePieces.clear();
    if (isHungry()) onHungry(name, false);
    settings.onCommitted?.(partition, entries);
    return true;
  }

  /** What was committed in the end; undefined when it was not, and everything begins at the head again. */
  async function commitOnce(taken: Taken, plan: CommitPlan): Promise<Diverted | undefined> {
    const { entries } = taken;
    const inputs = entries.map((entry) => inputOf(entry));
    let fullLane: string | undefined;
    for (;;) {
      const diverted = await divert(plan);
      if (diverted === undefined) return undefined;
      try {
        const result = await store.commit({
          ...diverted,
          partition,
          token,
          inputs,
          generation: taken.generation,
        });
        if (result.status === 'committed') return diverted;
        if (result.status === 'repeat') {
          // An earlier commit that seemed lost came in late. It covered the first entry, and who knows how many more.
          startOver();
          return undefined;
        }
        if (result.status === 'fenced') throw fenced(partition, result.current);
        const isNew = result.lane !== fullLane && settings.spiller?.noteFull(partition, result.lane) === true;
        fullLane = isNew ? result.lane : undefined;
        if (isNew) continue;
        await backOff(laneFull(result.lane));
        if (isStopping()) return undefined;
      } catch (thrown) {
        if (kindOf(thrown) !== 'transient') throw thrown;
        // Done or not, the head of the lane tells.
        startOver();
        await backOff(thrown as CodedError);
        return undefined;
      }
    }
  }

  function isHungry(): boolean {
    if (!isPrepared || isStopping() || buffer.length >= settings.batchEntriesMax) return false;
    return buffer.reduce((bytes, { payload }) => bytes + payload.length, 0) < settings.readBytesMax;
  }

  async function work(): Promise<void> {
    await prepare();
    while (!isStopping()) {
      if (generation !== store.generation) startOver();
      const ready = turn.ready(waiting());
      if (ready === 0) {
        if (turn.mustLook(waiting())) await insist(() => turn.look(waiting()));
        else await woken();
        continue;
      }
      if (settings.mayAct?.(partition) === false) {
        await backOff(leaseUncertain(partition), LEASE_CHECK_MS_MAX);
        continue;
      }
      const taken: Taken = { entries: nextEntries(ready), serial, generation };
      const last = taken.entries.at(-1);
      let isCommitted = false;
      turn.begin();
      try {
        const plan = await planFor(taken.entries);
        isCommitted = plan !== undefined && (await commit(taken, plan));
      } finally {
        turn.end(
          isCommitted && last !== undefined ? { id: last.id, generation: taken.generation } : undefined,
        );
      }
    }
  }

  function waiting(): readonly Entry[] {
    return settings.isSuspended() || isStopping() ? [] : buffer;
  }

  function woken(): Promise<void> {
    return new Promise((resolve) => {
      wake = resolve;
    });
  }

  const ended = work();

  return {
    partition,
    lane,
    ended,
    waiting,
    isHungry,

    position(storeGeneration) {
      if (storeGeneration !== generation) startOver();
      return { afterId, serial };
    },

    offer(entries, from) {
      const last = entries.at(-1);
      if (from.serial !== serial || generation !== store.generation || last === undefined) return;
      buffer = [...buffer, ...entries];
      afterId = last.id;
      wake();
    },

    lookAgain: () => wake(),
    describe: () => ({ partition, lane, entriesRead: buffer.length, failures }),

    async stop() {
      stopping.abort();
      wake();
      await ended.catch(() => {});
    },
  };
}

/** The name of one lane of one partition. */
export function trackName(partition: number, lane: string): string {
  return `${partition} ${lane}`;
}

function inputOf({ lane, id, payload, overflow }: Entry): Input {
  if (overflow === undefined) return { lane, id, bytes: payload.length };
  return { lane, id, bytes: payload.length + overflow.keys.length, keys: overflow.keys };
}

function indexOf(thrown: unknown): number | undefined {
  if (typeof thrown !== 'object' || thrown === null || !('details' in thrown)) return undefined;
  const { details } = thrown;
  if (typeof details !== 'object' || details === null || !('index' in details)) return undefined;
  return Number.isSafeInteger(details.index) ? (details.index as number) : undefined;
}

function waitable(thrown: unknown): CodedError {
  return new CodedError(codeOf(thrown), messageOf(thrown), { kind: 'transient', cause: thrown });
}

function fenced(partition: number, current: string): CodedError {
  return new CodedError('E_FENCED', `another incarnation owns partition ${partition}`, {
    kind: 'permanent',
    details: { partition, current },
    mend: 'Stop; the present owner goes on with everything that is not committed.',
  });
}

function leaseUncertain(partition: number): CodedError {
  return new CodedError('E_LEASE_UNCERTAIN', `the lease of partition ${partition} may have expired`, {
    kind: 'transient',
    details: { partition },
  });
}
