/**
 * What a full lane cannot take waits outside the store, in order, so that other lanes go on. The owner of the partition
 * puts it there (`divert`), and brings it back as soon as the lane has room.
 *
 * Two stores cannot write together, so each step leaves what a crash behind it repeats: (1) an attempt begins in the
 * store, which ends every earlier one; (2) the messages are put outside, numbered behind the lane's last one; (3) the
 * commit of their inputs books those numbers, or does nothing. On the way back: (4) messages are read behind the last
 * number taken; (5) a commit appends them and moves that number on, or does nothing; (6) what lies up to it is dropped.
 *
 * Invariants: outside counts only what is booked; whatever else lies there is written over by the next attempt. While a
 * lane has messages outside, nothing else is appended to it: the store refuses that, so no hand-over breaks the order.
 *
 * Before there is no room outside either, messages may be *shed*: another lane takes them in the same commit, in a form
 * of the caller's, and they need not keep their order any more.
 */
import type { Clock } from '../clock.ts';
import { sleep } from '../clock.ts';
import { CodedError, kindOf } from '../errors.ts';
import type {
  Bounds,
  CommitPlan,
  CommitRequest,
  DurableStore,
  LaneSpill,
  Output,
  Spill,
  SpillLook,
  Token,
} from './durable-store.ts';
import { mergePlans } from './merge-plans.ts';
import { laneFull, spillFull, spillOvertaken } from './store-errors.ts';

/** Keeps messages outside the store, by partition, lane and number. */
export interface SpillStore {
  /**
   * Puts them under the numbers behind `after`, instead of what an earlier attempt has put there. False when a later one
   * has: nothing must count on them then. Idempotent.
   */
  put(at: SpillPlace & { attempt: number; after: number }, payloads: readonly Buffer[]): Promise<boolean>;
  /** Those behind `after`, in order, none behind `upTo`; fewer than there are. */
  take(at: SpillPlace, after: number, upTo: number, limit: number): Promise<SpilledMessage[]>;
  /** Forgets those up to this number. Idempotent. */
  drop(at: SpillPlace, upTo: number): Promise<void>;
}

export interface SpillPlace {
  partition: number;
  lane: string;
}

export interface SpilledMessage {
  number: number;
  payload: Buffer;
}

export interface SpillBounds {
  /** Of all lanes of a partition together; 0: nothing is put outside. What is empty takes any one batch. */
  messagesMax: number;
  bytesMax: number;
}

/** What is not put outside but into another lane. */
export interface Shedding {
  lane: string;
  /**
   * Divides what would be put outside. `fill` is the part of the bounds that would be taken then: above 1 there is no
   * room for all. `shed` are outputs of `lane`; the counters advance with their commit. Pure: it may be asked in vain.
   */
  divide(outputs: readonly Output[], fill: number): Divided;
}
export interface Divided extends Pick<CommitPlan, 'counters'> {
  kept: readonly Output[];
  shed: readonly Output[];
}

export interface SpillerOptions {
  store: DurableStore;
  outside: SpillStore;
  shedding?: Shedding;
  /** Asked at every attempt. */
  bounds: () => SpillBounds;
  /** Of a lane that is refilled. */
  laneBounds: (lane: string) => Bounds;
  /** False while the lease is not surely valid: nothing is brought back then. */
  mayAct?: (partition: number) => boolean;
  onSpilled?: (messages: number) => void;
  onRefilled?: (messages: number) => void;
  /** They were booked and are not there: they are lost, and the ledger says so. */
  onMissing?: (at: SpillPlace, messages: number) => void;
  /** Of every batch, as it was committed in the end. */
  onCommitted?: (plan: Diverted) => void;
  /** Bringing back fails, and is tried again. */
  onTrouble?: (partition: number, error: unknown) => void;
  clock: Clock;
}

export type Diverted = CommitPlan & Pick<CommitRequest, 'spills'>;

export const REFILL_MESSAGES_MAX = 500;
const REFILL_BYTES_MAX = 1024 ** 2;
/** A lane is refilled once this part of it is free, so that it is not done message by message. */
const ROOM_PART_MIN = 0.1;
const LOOK_MS_MIN = 50;
const LOOK_MS_MAX = 1_000;

/** Of one partition. */
interface Owned {
  token: Token;
  /** That may have messages outside. */
  lanes: Set<string>;
  /** Full: the batch in hand is to be put outside. */
  full: Set<string>;
  /** Grows with every attempt: what was seen before says nothing any more. */
  attempts: number;
  /** Of the last one. Whether one that is abandoned was committed, or still will be, is not known. */
  fate: 'in hand' | 'committed' | 'abandoned';
  stopping: AbortController;
  wake: () => void;
  ended: Promise<void>;
}

export class Spiller {
  readonly #options: SpillerOptions;
  readonly #owned = new Map<number, Owned>();

  constructor(options: SpillerOptions) {
    this.#options = options;
  }

  /** From here on what is outside is brought back, also what earlier owners have put there. */
  assign(partition: number, token: Token): void {
    const owned: Owned = {
      token,
      lanes: new Set(),
      full: new Set(),
      attempts: 0,
      fate: 'committed',
      stopping: new AbortController(),
      wake: () => {},
      ended: Promise.resolve(),
    };
    this.#owned.set(partition, owned);
    owned.ended = this.#refill(partition, owned);
  }

  async release(partition: number): Promise<void> {
    const owned = this.#owned.get(partition);
    this.#owned.delete(partition);
    owned?.stopping.abort();
    owned?.wake();
    await owned?.ended;
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#owned.keys()].map((partition) => this.release(partition)));
  }

  /** The store has no room in the lane: `divert` is to put outside what is meant for it. False when that is no use. */
  noteFull(partition: number, lane: string): boolean {
    const owned = this.#owned.get(partition);
    if (owned === undefined || this.#options.bounds().messagesMax === 0) return false;
    owned.full.add(lane);
    return true;
  }

  /**
   * The plan as it can be committed now: what is meant for lanes without room is put outside, or shed. Rejects with
   * E_SPILL_FULL when there is no room outside, with E_FENCED, and with what keeps them; then nothing has changed.
   */
  async divert(partition: number, plan: CommitPlan): Promise<Diverted> {
    const owned = this.#owned.get(partition);
    const byLane = Map.groupBy(plan.outputs ?? [], ({ lane }) => lane);
    const wanted = [...byLane.keys()].filter(
      (lane) => owned?.lanes.has(lane) === true || owned?.full.has(lane),
    );
    if (owned === undefined || wanted.length === 0) return plan;
    owned.attempts += 1;
    owned.fate = 'in hand';
    const { shedding } = this.#options;
    const asked = shedding === undefined ? wanted : [...wanted, shedding.lane];
    const look = await this.#look(partition, owned, asked, true);
    const full = wanted.filter((lane) => !hasRoom(look.lanes[lane], byLane.get(lane) ?? []));
    const { kept, shed, counters } = this.#divide(
      look,
      full.flatMap((lane) => byLane.get(lane) ?? []),
    );
    this.#requireRoom(look, kept);
    const going = Map.groupBy(kept, ({ lane }) => lane);
    const { attempt } = look;
    const lanes: Spill[] = [];
    for (const [lane, outputs] of going) {
      const after = look.lanes[lane]?.last ?? 0;
      lanes.push({ lane, after, count: outputs.length, bytes: bytesOf(outputs) });
      // Whether the commit comes through or not: the next look tells.
      owned.lanes.add(lane);
      const payloads = outputs.map(({ payload }) => payload);
      const isThere = await this.#options.outside.put({ partition, lane, attempt, after }, payloads);
      if (!isThere) throw spillOvertaken(lane);
    }
    owned.full.clear();
    if (full.length === 0) return plan;
    const others = (plan.outputs ?? []).filter(({ lane }) => !full.includes(lane));
    const diverted = mergePlans([
      { ...plan, outputs: others },
      { outputs: shed, ...(counters && { counters }) },
    ]);
    return lanes.length === 0 ? diverted : { ...diverted, spills: { attempt, lanes } };
  }

  /** The plan that `divert` gave last is committed; without one it was given up, and may be committed all the same. */
  settled(partition: number, committed: Diverted | undefined): void {
    const owned = this.#owned.get(partition);
    const lanes = committed?.spills?.lanes ?? [];
    if (lanes.length > 0) this.#options.onSpilled?.(lanes.reduce((sum, { count }) => sum + count, 0));
    if (committed !== undefined) this.#options.onCommitted?.(committed);
    if (owned === undefined || owned.fate !== 'in hand') return;
    owned.fate = committed === undefined ? 'abandoned' : 'committed';
    owned.wake();
  }

  /** All of it is kept where the lane of what is shed has no room. */
  #divide({ waiting, lanes }: SpillLook, outputs: readonly Output[]): Divided {
    const { shedding } = this.#options;
    const all: Divided = { kept: outputs, shed: [] };
    if (shedding === undefined || outputs.length === 0) return all;
    const { messagesMax, bytesMax } = this.#options.bounds();
    const fill = Math.max(
      (waiting.messages + outputs.length) / messagesMax,
      (waiting.bytes + bytesOf(outputs)) / bytesMax,
    );
    const divided = shedding.divide(outputs, fill);
    return divided.shed.length === 0 || hasRoom(lanes[shedding.lane], divided.shed) ? divided : all;
  }

  #requireRoom({ waiting: { messages, bytes } }: SpillLook, outputs: readonly Output[]): void {
    const { messagesMax, bytesMax } = this.#options.bounds();
    const [first] = outputs;
    if (first === undefined) return;
    if (messagesMax === 0) throw laneFull(first.lane);
    if (messages === 0) return;
    if (messages + outputs.length > messagesMax || bytes + bytesOf(outputs) > bytesMax) {
      throw spillFull(first.lane);
    }
  }

  async #look(
    partition: number,
    { token }: Owned,
    lanes: readonly string[],
    isAttempt: boolean,
  ): Promise<SpillLook> {
    const look = await this.#options.store.lookAtSpills(partition, token, lanes, { isAttempt });
    if (look.status === 'looked') return look;
    throw new CodedError('E_FENCED', `another incarnation owns partition ${partition}`, {
      details: { partition, current: look.current },
      mend: 'Stop; the present owner goes on with everything that is not committed.',
    });
  }

  /** Until the partition is given up. Never rejects: who commits finds out by itself what is wrong. */
  async #refill(partition: number, owned: Owned): Promise<void> {
    const { clock, mayAct, onTrouble } = this.#options;
    const { signal } = owned.stopping;
    let isBegun = false;
    let waitMs = LOOK_MS_MIN;
    while (!signal.aborted) {
      let isMoving = false;
      try {
        if (!isBegun) await this.#begin(partition, owned);
        isBegun = true;
        if (mayAct?.(partition) !== false) isMoving = await this.#refillOnce(partition, owned);
      } catch (thrown) {
        // Of a fenced one nothing is left to do here.
        if (kindOf(thrown) !== 'transient' && (thrown as CodedError).code === 'E_FENCED') return;
        onTrouble?.(partition, thrown);
      }
      if (isBegun && owned.lanes.size === 0) {
        await new Promise<void>((resolve) => {
          owned.wake = resolve;
          if (signal.aborted) resolve();
        });
        waitMs = LOOK_MS_MIN;
      } else if (!isMoving) {
        await sleep(clock, waitMs, signal);
        waitMs = Math.min(LOOK_MS_MAX, waitMs * 2);
      } else waitMs = LOOK_MS_MIN;
    }
  }

  /** What earlier owners have left: messages outside, and those that are in the lane and not dropped yet. */
  async #begin(partition: number, owned: Owned): Promise<void> {
    const { store, outside } = this.#options;
    const { spilled } = await store.ledger(partition, { terminal: [], inputLanes: [] });
    for (const [lane, { taken, messages }] of Object.entries(spilled)) {
      if (messages > 0) owned.lanes.add(lane);
      await outside.drop({ partition, lane }, taken);
    }
  }

  /** Whether anything came back. */
  async #refillOnce(partition: number, owned: Owned): Promise<boolean> {
    if (owned.lanes.size === 0) return false;
    const { attempts, fate } = owned;
    // A new attempt ends the one that was given up: from then on it is known what came of it.
    const look = await this.#look(partition, owned, [...owned.lanes], fate === 'abandoned');
    const isCertain = attempts === owned.attempts && fate !== 'in hand' && fate === owned.fate;
    if (isCertain) owned.fate = 'committed';
    let isMoving = false;
    for (const [lane, found] of Object.entries(look.lanes)) {
      if (owned.stopping.signal.aborted) return isMoving;
      if (found.last === found.taken && isCertain && attempts === owned.attempts) owned.lanes.delete(lane);
      else if (found.last > found.taken)
        isMoving = (await this.#bringBack(partition, owned, lane, found)) || isMoving;
    }
    return isMoving;
  }

  async #bringBack(partition: number, owned: Owned, lane: string, found: LaneSpill): Promise<boolean> {
    const { store, outside, laneBounds, onRefilled, onMissing } = this.#options;
    const bounds = laneBounds(lane);
    const { taken: after, last } = found;
    const limit = Math.min(REFILL_MESSAGES_MAX, last - after, Math.max(1, bounds.entriesMax - found.entries));
    if (!isWorthIt(found, bounds)) return false;
    const place = { partition, lane };
    const taken = upToBytes(await outside.take(place, after, last, limit), REFILL_BYTES_MAX);
    const count = (taken.at(-1)?.number ?? last) - after;
    const missing = count - taken.length;
    const payloads = taken.map(({ payload }) => payload);
    const outputs = payloads.map((payload) => ({ lane, payload, bounds }));
    const refill = { lane, after, count, missing, bytes: bytesOf(outputs) };
    const { status } = await store.commit({ partition, token: owned.token, outputs, refill });
    if (status !== 'committed') return false;
    onRefilled?.(taken.length);
    if (missing > 0) onMissing?.(place, missing);
    await outside.drop(place, after + count);
    return true;
  }
}

function hasRoom(found: LaneSpill | undefined, outputs: readonly Output[]): boolean {
  const bounds = outputs[0]?.bounds;
  if (found === undefined || bounds === undefined || found.last > found.taken) return false;
  if (found.entries === 0) return true;
  const isOver =
    found.entries + outputs.length > bounds.entriesMax ||
    found.entryBytes + bytesOf(outputs) > bounds.bytesMax;
  return (
    !isOver && (bounds.messagesMax === undefined || found.entries + outputs.length <= bounds.messagesMax)
  );
}

function isWorthIt(found: LaneSpill, bounds: Bounds): boolean {
  if (found.entries === 0) return true;
  const room = bounds.entriesMax - found.entries;
  const roomMin = Math.min(found.last - found.taken, Math.max(1, bounds.entriesMax * ROOM_PART_MIN));
  const bytesRoom = bounds.bytesMax - found.entryBytes;
  return room >= roomMin && bytesRoom >= Math.min(found.bytes, bounds.bytesMax * ROOM_PART_MIN);
}

/** At least one when there is one. */
function upToBytes(messages: readonly SpilledMessage[], bytesMax: number): readonly SpilledMessage[] {
  let bytes = 0;
  const end = messages.findIndex(({ payload }, index) => {
    bytes += payload.length;
    return index > 0 && bytes > bytesMax;
  });
  return end < 0 ? messages : messages.slice(0, end);
}

function bytesOf(outputs: readonly Pick<Output, 'payload'>[]): number {
  return outputs.reduce((sum, { payload }) => sum + payload.length, 0);
}
