/**
 * Alerts that wait in their lane for an earlier one of their signature: its followers. Known here by their places only,
 * so that they take no room from alerts that may go.
 *
 * A follower stays in its lane, which keeps it and its order through any crash; who takes the partition over finds it
 * there again, and what it waits for in the retry set. It waits while an alert of its signature is set aside there, or
 * while enough of its signature are in hand already, and behind every other follower. So alerts of one signature and
 * partition come into hand in the order of their lane, however many there are, and hold up no other signature.
 *
 * Replayed alerts of a muted destination wait here too, apart from their signatures: nothing else is behind them.
 *
 * Bounded: a place is a number, and a lane that has `isCrowded` many is not read on; alerts themselves are kept only
 * while they may still be superseded, and of those no more bytes than `KEPT_BYTES_MAX`.
 */
import type { Input } from '../../runtime/durable/durable-store.ts';
import { cumulativeOf } from '../../runtime/durable/store-names.ts';
import type { Alert } from '../event.ts';

/** Of one signature, so that a window always has room for several others. */
export const IN_HAND_MAX = 32;
/** Followers are taken up again when so few are left in hand. */
const IN_HAND_LOW = IN_HAND_MAX / 2;
/** Of one destination: more than that are not looked for. */
const PLACES_MAX = 200_000;
const KEPT_BYTES_MAX = 16 * 1024 * 1024;
/** What replayed alerts of a muted destination wait for. */
const MUTE = 'mute';

export interface QueuedAlert {
  alert: Pick<Alert, 'signature'>;
  destination: string;
  partition: number;
  source: { inputs?: readonly Input[] };
}

export interface SignatureQueue<I> {
  readonly destination: string;
  readonly partition: number;
  readonly key: string;
  /** Those it waits for: names of alerts that are set aside. */
  readonly ahead: Set<string>;
  /** Those of which it is decided and not committed yet that they are set aside. */
  readonly pending: Set<string>;
  inHand: number;
  /** Of its followers, in order. */
  readonly places: number[];
  /** The last follower, while one that comes later would take its place. */
  latest: { item: I; place: number } | undefined;
  /** Its followers have waited for one that was set aside: they are a backlog. */
  hasWaited: boolean;
}

interface Shelf<I> {
  readonly queues: Map<string, SignatureQueue<I>>;
  /** Those whose followers may be taken up. */
  readonly ready: Set<SignatureQueue<I>>;
  places: number;
  /** Changes when the places of its followers become void. */
  round: number;
  /** Changes when what is known to be set aside becomes void. */
  loads: number;
  isLoaded: boolean;
  /** Some of its queues wait for a mute to end. */
  isMuted: boolean;
  /** What has left the retry set while it is being listed. */
  leftSince: Set<string> | undefined;
}

export class SignatureQueues<I extends QueuedAlert> {
  readonly #shelves = new Map<string, Shelf<I>>();
  #keptBytes = 0;

  /** Whether it is known what is set aside: before, its lanes must not be read. */
  isLoaded(destination: string): boolean {
    return this.#shelves.get(destination)?.isLoaded ?? false;
  }

  isCrowded(destination: string): boolean {
    return (this.#shelves.get(destination)?.places ?? 0) >= PLACES_MAX;
  }

  /** What was known of a destination is void, but for what is in hand. */
  unload(destination: string): void {
    this.forgetFollowers(destination);
    const shelf = this.#shelf(destination);
    shelf.isLoaded = false;
    shelf.loads += 1;
    for (const queue of shelf.queues.values()) {
      queue.ahead.clear();
      this.#look(shelf, queue);
    }
  }

  /** Its retry set is being listed; gives what `load` must be called with. */
  beginLoad(destination: string): number {
    const shelf = this.#shelf(destination);
    shelf.leftSince = new Set();
    return shelf.loads;
  }

  /** Which alerts are set aside. False when that has become void meanwhile. */
  load(
    destination: string,
    loads: number,
    found: Iterable<{ partition: number; signature: string; id: string }>,
  ): boolean {
    const shelf = this.#shelf(destination);
    const { leftSince } = shelf;
    if (loads !== shelf.loads || leftSince === undefined) return false;
    for (const { partition, signature, id } of found) {
      if (!leftSince.has(id))
        this.#queue(shelf, destination, partition, keyOf(partition, signature)).ahead.add(id);
    }
    shelf.leftSince = undefined;
    shelf.isLoaded = true;
    return true;
  }

  /** Its lanes are read from their start again. */
  forgetFollowers(destination: string): void {
    const shelf = this.#shelf(destination);
    shelf.round += 1;
    for (const queue of shelf.queues.values()) {
      queue.places.length = 0;
      this.#keep(queue, undefined);
      queue.hasWaited = false;
      this.#look(shelf, queue);
    }
    shelf.places = 0;
  }

  /** An alert is in hand from here on. */
  took(item: I): void {
    this.#queueOf(item).inHand += 1;
  }

  /** It is in hand no more, and neither delivered nor set aside: it will be found again. */
  released(item: I, id: string): void {
    const shelf = this.#shelf(item.destination);
    const queue = this.#queueOf(item);
    queue.pending.delete(id);
    queue.inHand = Math.max(0, queue.inHand - 1);
    this.#look(shelf, queue);
  }

  /** It has left the lane or set that it was in; when it was set aside, for the retry set. */
  left(item: I, id: string, isSetAside: boolean): void {
    const { ahead } = this.#queueOf(item);
    if (isSetAside) ahead.add(id);
    else {
      this.#shelf(item.destination).leftSince?.add(id);
      ahead.delete(id);
    }
    this.released(item, id);
  }

  /** It is to be set aside: from here on others of its signature wait for it, whatever becomes of the commit. */
  setAside(item: I, id: string): void {
    const shelf = this.#shelf(item.destination);
    const queue = this.#queueOf(item);
    queue.pending.add(id);
    this.#look(shelf, queue);
  }

  /** It cannot be set aside, and stays in hand. */
  notSetAside(item: I, id: string): void {
    const queue = this.#queueOf(item);
    queue.pending.delete(id);
    this.#look(this.#shelf(item.destination), queue);
  }

  /** Whether an alert that was read now has to wait. `isLimited`: for others in hand, too. */
  mustWait(item: I, isLimited: boolean): boolean {
    const queue = this.#queueOf(item);
    const { places, inHand } = queue;
    return isBlocked(queue) || places.length > 0 || (isLimited && inHand >= IN_HAND_MAX);
  }

  /**
   * It waits. With `mayCollapse` it takes the place of the last one that has waited for an alert that was set aside:
   * that one is given back, and is in hand.
   */
  park(item: I, mayCollapse: boolean): I | undefined {
    const shelf = this.#shelf(item.destination);
    const queue = this.#queueOf(item);
    const isWaiting = isBlocked(queue);
    queue.hasWaited ||= isWaiting;
    const mayReplace = mayCollapse && isWaiting;
    const earlier = mayReplace ? queue.latest : undefined;
    if (earlier !== undefined) {
      this.#removePlace(shelf, queue, earlier.place);
      this.#keep(queue, undefined);
      this.took(earlier.item);
    }
    const place = placeOf(item);
    this.#addPlace(shelf, queue, place);
    const bytes = bytesOf(item);
    if (mayReplace && this.#keptBytes + bytes <= KEPT_BYTES_MAX) this.#keep(queue, { item, place });
    this.#look(shelf, queue);
    return earlier?.item;
  }

  /** A replayed alert of a muted destination: it waits for the mute, and nothing for it. */
  parkMuted(item: I): void {
    const shelf = this.#shelf(item.destination);
    const queue = this.#queue(shelf, item.destination, item.partition, muteKeyOf(item.partition));
    queue.ahead.add(MUTE);
    shelf.isMuted = true;
    this.#addPlace(shelf, queue, placeOf(item));
  }

  unmute(destination: string): void {
    const shelf = this.#shelves.get(destination);
    // Asked again and again while there is nothing to be done.
    if (shelf?.isMuted !== true) return;
    shelf.isMuted = false;
    for (const queue of shelf.queues.values()) {
      if (queue.ahead.delete(MUTE)) this.#look(shelf, queue);
    }
  }

  /** Followers that may be taken up, of a destination for which `hasRoom` says so. */
  nextReady(hasRoom: (destination: string) => boolean): SignatureQueue<I> | undefined {
    for (const [destination, { ready }] of this.#shelves) {
      const [first] = ready;
      if (first === undefined || !hasRoom(destination)) continue;
      // The others have their turn before it has another.
      ready.delete(first);
      ready.add(first);
      return first;
    }
    return undefined;
  }

  isAnyReady(destination: string): boolean {
    return (this.#shelves.get(destination)?.ready.size ?? 0) > 0;
  }

  roundOf(destination: string): number {
    return this.#shelf(destination).round;
  }

  /**
   * Whether an entry at this place is the queue's next follower: then it is none any more. Those before it have left
   * their lane otherwise. Gives the alert itself when it is known.
   */
  takeUp(queue: SignatureQueue<I>, place: number): { isNext: boolean; item: I | undefined } {
    const shelf = this.#shelf(queue.destination);
    while (queue.places.length > 0 && (queue.places[0] as number) < place) this.#dropFirst(shelf, queue);
    if (queue.places[0] !== place) return { isNext: false, item: undefined };
    const item = queue.latest?.place === place ? queue.latest.item : undefined;
    this.#dropFirst(shelf, queue);
    this.#look(shelf, queue);
    return { isNext: true, item };
  }

  /** They are in their lane no more. */
  dropAll(queue: SignatureQueue<I>): void {
    const shelf = this.#shelf(queue.destination);
    while (queue.places.length > 0) this.#dropFirst(shelf, queue);
    this.#look(shelf, queue);
  }

  #shelf(destination: string): Shelf<I> {
    let shelf = this.#shelves.get(destination);
    if (shelf === undefined) {
      shelf = {
        queues: new Map(),
        ready: new Set(),
        places: 0,
        round: 0,
        loads: 0,
        isLoaded: false,
        isMuted: false,
        leftSince: undefined,
      };
      this.#shelves.set(destination, shelf);
    }
    return shelf;
  }

  #queueOf({ destination, partition, alert }: I): SignatureQueue<I> {
    return this.#queue(this.#shelf(destination), destination, partition, keyOf(partition, alert.signature));
  }

  #queue(shelf: Shelf<I>, destination: string, partition: number, key: string): SignatureQueue<I> {
    let queue = shelf.queues.get(key);
    if (queue === undefined) {
      queue = {
        destination,
        partition,
        key,
        ahead: new Set(),
        pending: new Set(),
        inHand: 0,
        places: [],
        latest: undefined,
        hasWaited: false,
      };
      shelf.queues.set(key, queue);
    }
    return queue;
  }

  /** Notes whether it is ready; forgets it when there is nothing to know. */
  #look(shelf: Shelf<I>, queue: SignatureQueue<I>): void {
    const { ahead, pending, places, inHand, key } = queue;
    if (places.length > 0 && !isBlocked(queue) && inHand <= IN_HAND_LOW) shelf.ready.add(queue);
    else shelf.ready.delete(queue);
    if (places.length > 0) return;
    if (!isBlocked(queue)) queue.hasWaited = false;
    const isIdle = inHand === 0 && pending.size === 0 && (ahead.size === 0 || ahead.has(MUTE));
    if (isIdle) shelf.queues.delete(key);
  }

  #addPlace(shelf: Shelf<I>, { places }: SignatureQueue<I>, place: number): void {
    let at = places.length;
    while (at > 0 && (places[at - 1] as number) > place) at -= 1;
    if (places[at - 1] === place) return;
    places.splice(at, 0, place);
    shelf.places += 1;
  }

  #removePlace(shelf: Shelf<I>, { places }: SignatureQueue<I>, place: number): void {
    const at = places.lastIndexOf(place);
    if (at < 0) return;
    places.splice(at, 1);
    shelf.places -= 1;
  }

  #dropFirst(shelf: Shelf<I>, queue: SignatureQueue<I>): void {
    const place = queue.places.shift();
    shelf.places -= 1;
    if (queue.latest?.place === place) this.#keep(queue, undefined);
  }

  #keep(queue: SignatureQueue<I>, latest: SignatureQueue<I>['latest']): void {
    if (queue.latest !== undefined) this.#keptBytes -= bytesOf(queue.latest.item);
    queue.latest = latest;
    if (latest !== undefined) this.#keptBytes += bytesOf(latest.item);
  }
}

/** Whether its followers wait for one that is set aside. */
export function isBlocked({ ahead, pending }: Pick<SignatureQueue<unknown>, 'ahead' | 'pending'>): boolean {
  return ahead.size > 0 || pending.size > 0;
}

function keyOf(partition: number, signature: string): string {
  return `${partition} ${signature}`;
}

/** No signature has it. */
function muteKeyOf(partition: number): string {
  return String(partition);
}

function placeOf({ source }: QueuedAlert): number {
  return cumulativeOf(source.inputs?.[0]?.id ?? '0-0');
}

function bytesOf({ source }: QueuedAlert): number {
  return source.inputs?.[0]?.bytes ?? 0;
}
