/**
 * What waits for the ingest threads, taken in turn: API keys take turns, and within a key the addresses that use it.
 *
 * Deficit round robin (Shreedhar and Varghese, 1995) in two levels: whose turn it is may have so much work done, and what
 * was too much is owed and waited for in later rounds. Who has just come goes before those who wait already, and joins
 * them after its first turn (RFC 8290): a quiet source waits for nobody's backlog, nor for a round of many sources. What
 * one source has waiting stays in its order. Bounded by the budgets of what may wait at all.
 */
import { RingBuffer } from '../../runtime/ring-buffer.ts';

/** Work of one turn: one large body, or some dozens of small ones. */
const TURN_WORK = 65_536;
/** Those who have nothing waiting are kept while they owe; past this many in all, their debts are forgiven. */
const TAKERS_MAX = 16_384;

/** The place of an item in the queue. */
export interface Place<Item> {
  readonly item: Item;
  readonly work: number;
  readonly lane: Lane<Item>;
  before: Place<Item> | undefined;
  after: Place<Item> | undefined;
}

export class FairQueue<Item> {
  readonly #keys = new Map<string, KeyLanes<Item>>();
  readonly #turns = new Turns<KeyLanes<Item>>();
  #length = 0;
  #sources = 0;

  get length(): number {
    return this.#length;
  }
  /** Sources that have something waiting. */
  get sources(): number {
    return this.#sources;
  }

  push(source: { key: { name: string }; network: string }, item: Item, work: number): Place<Item> {
    const key = this.#key(source.key.name);
    const lane = key.lane(source.network);
    const place: Place<Item> = { item, work, lane, before: lane.last, after: undefined };
    if (lane.last === undefined) {
      lane.first = place;
      key.busy += 1;
      this.#sources += 1;
    } else lane.last.after = place;
    lane.last = place;
    key.turns.enter(lane);
    this.#turns.enter(key);
    this.#length += 1;
    return place;
  }

  /** The next item; undefined when nothing waits. */
  take(): Item | undefined {
    const key = this.#turns.next();
    const lane = key?.turns.next();
    const place = lane?.first;
    if (key === undefined || lane === undefined || place === undefined) return undefined;
    key.deficit -= place.work;
    lane.deficit -= place.work;
    this.remove(place);
    return place.item;
  }

  /** Takes an item out, wherever it stands. Once for each. */
  remove({ lane, before, after }: Place<Item>): void {
    if (before === undefined) lane.first = after;
    else before.after = after;
    if (after === undefined) lane.last = before;
    else after.before = before;
    this.#length -= 1;
    if (lane.first === undefined) {
      lane.key.busy -= 1;
      this.#sources -= 1;
    }
    // Nobody is left to whom anything is owed.
    if (this.#length === 0) this.#forget();
  }

  #key(name: string): KeyLanes<Item> {
    let key = this.#keys.get(name);
    if (key === undefined) {
      key = new KeyLanes(name, (gone) => this.#keys.delete(gone.name));
      this.#keys.set(name, key);
    }
    return key;
  }

  #forget(): void {
    this.#keys.clear();
    this.#turns.clear();
  }
}

/** One who takes turns. */
interface Taker {
  /** What it may still have done in this round; below zero it owes. */
  deficit: number;
  isIn: boolean;
  readonly isEmpty: boolean;
  /** It takes no further turn until it enters again. */
  left(): void;
}

/** The address of a key: what it has waiting, first to last. */
class Lane<Item> implements Taker {
  deficit = 0;
  isIn = false;
  first: Place<Item> | undefined;
  last: Place<Item> | undefined;
  readonly key: KeyLanes<Item>;
  readonly #network: string;

  constructor(key: KeyLanes<Item>, network: string) {
    this.key = key;
    this.#network = network;
  }

  get isEmpty(): boolean {
    return this.first === undefined;
  }

  left(): void {
    this.key.lanes.delete(this.#network);
  }
}

class KeyLanes<Item> implements Taker {
  deficit = 0;
  isIn = false;
  /** Lanes that are not empty. */
  busy = 0;
  readonly name: string;
  readonly lanes = new Map<string, Lane<Item>>();
  readonly turns = new Turns<Lane<Item>>();
  readonly #onLeft: (key: KeyLanes<Item>) => void;

  constructor(name: string, onLeft: (key: KeyLanes<Item>) => void) {
    this.name = name;
    this.#onLeft = onLeft;
  }

  get isEmpty(): boolean {
    return this.busy === 0;
  }

  lane(network: string): Lane<Item> {
    let lane = this.lanes.get(network);
    if (lane === undefined) {
      lane = new Lane(this, network);
      this.lanes.set(network, lane);
    }
    return lane;
  }

  left(): void {
    this.#onLeft(this);
  }
}

/** Whose turn it is, among those who entered. */
class Turns<T extends Taker> {
  /** Those who have just come, and those who had their first turn. */
  #fresh = new RingBuffer<T>(TAKERS_MAX);
  #known = new RingBuffer<T>(TAKERS_MAX);

  enter(taker: T): void {
    if (taker.isIn) return;
    if (this.#fresh.length + this.#known.length >= TAKERS_MAX) this.#forgive();
    taker.isIn = true;
    taker.deficit = TURN_WORK;
    this.#fresh.push(taker);
  }

  /** One that has something waiting and owes nothing; undefined when none has anything. */
  next(): T | undefined {
    for (;;) {
      const from = this.#fresh.length > 0 ? this.#fresh : this.#known;
      const taker = from.shift();
      if (taker === undefined) return undefined;
      if (taker.deficit <= 0) {
        taker.deficit += TURN_WORK;
        this.#known.push(taker);
      } else if (!taker.isEmpty) {
        from.unshift(taker);
        return taker;
      } else if (from === this.#fresh) {
        // Else whoever sends one thing at a time would come first each time.
        this.#known.push(taker);
      } else this.#leave(taker);
    }
  }

  clear(): void {
    this.#fresh = new RingBuffer(TAKERS_MAX);
    this.#known = new RingBuffer(TAKERS_MAX);
  }

  #forgive(): void {
    for (const from of [this.#fresh, this.#known]) {
      for (let left = from.length; left > 0; left--) {
        const taker = from.shift();
        if (taker === undefined) continue;
        if (taker.isEmpty) this.#leave(taker);
        else from.push(taker);
      }
    }
  }

  #leave(taker: T): void {
    taker.isIn = false;
    taker.left();
  }
}
