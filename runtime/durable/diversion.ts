/**
 * A writer's part in keeping express lanes short: messages of diverted keys go to the overflow lane of their partition,
 * all others to its express lane. Who is diverted is decided in the store (`scripts/append.lua`), for all writers at once.
 *
 * Invariants: the keys that a writer treats as diverted hold those of the store's version that it names, and every key
 * of which it still holds a message for the overflow lane. So no message of a key overtakes an earlier one, whether the
 * key is diverted or returns.
 */
import type { AppendRequest, KeyCounts } from './durable-store.ts';
import type { Flight } from './flight.ts';
import { halve, isDivisible } from './halves.ts';
import type { Waiter } from './waiter.ts';
import type { Place } from './writer.ts';

export interface DiversionOptions<Part> {
  expressLane: string;
  overflowLane: string;
  /** As in `ExpressAppend`; asked before each append. */
  fairMessages: () => number;
  /** A 32-bit integer. */
  keyAt: (part: Part, index: number) => number;
  /** Those messages of the part, in order: some, but not all. */
  select: (part: Part, isChosen: (index: number) => boolean) => Part;
}

/** What is known of one partition. */
interface Route {
  version: number;
  /** Of the store's version. */
  known: ReadonlySet<number>;
  /** Those, and what goes with what is held for the overflow lane. */
  diverted: ReadonlySet<number>;
  /** In the express lane, at the last append of this writer. */
  waiting: number;
}

export class Diversion<Part extends { byteLength: number }, Tag> {
  readonly #options: DiversionOptions<Part>;
  readonly #routes = new Map<number, Route>();

  constructor(options: DiversionOptions<Part>) {
    this.#options = options;
  }

  /** Where what is diverted from this place goes; undefined for any place but an express lane. */
  overflowOf({ partition, lane }: Place): Place | undefined {
    const { expressLane, overflowLane } = this.#options;
    return lane === expressLane ? { partition, lane: overflowLane } : undefined;
  }

  /**
   * Divides what was submitted to an express lane, in order. When nothing is held for the overflow lane, a key that only
   * went along has its own lane again: what it went with may have been refused.
   */
  divide(
    { partition }: Place,
    waiters: Waiter<Part, Tag>[],
    isAnyHeld: boolean,
  ): { express: Waiter<Part, Tag>[]; overflow: Waiter<Part, Tag>[] } {
    const route = this.#routeOf(partition);
    if (!isAnyHeld) route.diverted = route.known;
    if (route.diverted.size === 0) return { express: waiters, overflow: [] };
    const diverted = this.#withKeysOfUndivided(route.diverted, waiters);
    route.diverted = diverted;
    const { keyAt, select } = this.#options;
    const express: Waiter<Part, Tag>[] = [];
    const overflow: Waiter<Part, Tag>[] = [];
    for (const waiter of waiters) {
      const { part, count } = waiter;
      const isDiverted = (index: number): boolean => diverted.has(keyAt(part, index));
      let goes = 0;
      for (let index = 0; index < count; index++) if (isDiverted(index)) goes += 1;
      if (goes === 0) express.push(waiter);
      else if (goes === count || !isDivisible(waiter)) overflow.push(waiter);
      else {
        const [leaves, stays] = halve(waiter, isDiverted, select);
        express.push(stays);
        overflow.push(leaves);
      }
    }
    return { express, overflow };
  }

  /**
   * Keys that go with a diverted one in what cannot be divided are diverted, too: what stands before and behind it takes
   * the same way.
   */
  #withKeysOfUndivided(
    diverted: ReadonlySet<number>,
    waiters: readonly Waiter<Part, Tag>[],
  ): ReadonlySet<number> {
    const keysOf = ({ part, count }: Waiter<Part, Tag>): number[] =>
      Array.from({ length: count }, (_, index) => this.#options.keyAt(part, index));
    let open = waiters.filter((waiter) => waiter.count > 1 && !isDivisible(waiter)).map(keysOf);
    const all = new Set(diverted);
    for (let before = -1; open.length > 0 && before !== all.size;) {
      before = all.size;
      open = open.filter((keys) => {
        const goes = keys.some((key) => all.has(key));
        if (goes) for (const key of keys) all.add(key);
        return !goes;
      });
    }
    return all;
  }

  /** What the store is told of a frame's keys: always in the overflow lane, in the express lane when it may be crowded. */
  keysOf(place: Place, waiters: readonly Waiter<Part, Tag>[]): KeyCounts | undefined {
    const { expressLane, overflowLane, fairMessages, keyAt } = this.#options;
    if (place.lane === expressLane) {
      const fair = fairMessages();
      if (fair === 0 || this.#routeOf(place.partition).waiting < fair / 2) return undefined;
    } else if (place.lane !== overflowLane) return undefined;
    const keys = new Map<number, number>();
    for (const { part, count } of waiters) {
      for (let index = 0; index < count; index++) {
        const key = keyAt(part, index);
        keys.set(key, (keys.get(key) ?? 0) + 1);
      }
    }
    return keys;
  }

  /** What an append says of it. */
  termsOf(place: Place, { keys }: Pick<Flight<Part, Tag>, 'keys'>): Pick<AppendRequest, 'diversion'> {
    const { expressLane, overflowLane, fairMessages } = this.#options;
    if (place.lane === overflowLane && keys !== undefined) return { diversion: { expressLane, keys } };
    if (place.lane !== expressLane) return {};
    const { version } = this.#routeOf(place.partition);
    return {
      diversion: { version, fairMessages: fairMessages(), ...(keys === undefined ? {} : { keys }) },
    };
  }

  noteWaiting({ partition }: Place, waiting: number): void {
    this.#routeOf(partition).waiting = waiting;
  }

  /**
   * Takes over what the store said. Only when the fate of everything that was sent to the express lane is known; `held`
   * waits for the overflow lane.
   */
  adopt(
    { partition }: Place,
    { version, keys }: { version: number; keys: readonly number[] },
    held: readonly Waiter<Part, Tag>[],
  ): void {
    const known = new Set(keys);
    const diverted = new Set(keys);
    for (const { part, count } of held) {
      for (let index = 0; index < count; index++) diverted.add(this.#options.keyAt(part, index));
    }
    Object.assign(this.#routeOf(partition), { version, known, diverted });
  }

  #routeOf(partition: number): Route {
    let route = this.#routes.get(partition);
    if (route === undefined) {
      route = { version: 0, known: new Set(), diverted: new Set(), waiting: 0 };
      this.#routes.set(partition, route);
    }
    return route;
  }
}
