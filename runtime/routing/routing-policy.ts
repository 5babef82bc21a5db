/**
 * Which member of a group gets a message. Each router has a policy of its own: some of them count.
 *
 * Not how it gets there (router.ts). Invariant: `choose` gives an index of the members it was given, or -1 when it cannot
 * say, and never throws.
 */
import type { ActorRef } from '../actor-ref.ts';
import { hashOf, ownerOf, shardOf } from './shards.ts';
import type { Key } from './shards.ts';

export interface RoutingPolicy<M> {
  /** For paths and people. */
  readonly name: string;
  /** Whether messages of the same key keep their order: then nobody else may ever take one. */
  readonly keepsKeys: boolean;
  /** Whether another member with room is taken when the chosen one has none. */
  readonly spillsOver: boolean;
  /** Of at least one member. */
  choose(members: readonly ActorRef<M>[], message: M): number;
}

/** What happens when the chosen member is full: the next one that has room takes it, or its own policy decides. */
export interface SpreadOptions {
  whenFull?: 'next' | 'ownPolicy';
}

/** One after the other. */
export function roundRobin<M>({ whenFull = 'next' }: SpreadOptions = {}): RoutingPolicy<M> {
  let last = -1;
  return {
    name: 'roundRobin',
    keepsKeys: false,
    spillsOver: whenFull === 'next',
    choose: (members) => (last = (last + 1) % members.length),
  };
}

/**
 * The member with the most credit: of equal mailboxes the one in which the fewest messages wait. Equal ones take turns. A
 * message in hand does not wait any more, so among idle and busy members with empty mailboxes it is round robin. Looks at
 * every member for each message.
 */
export function leastBusy<M>({ whenFull = 'next' }: SpreadOptions = {}): RoutingPolicy<M> {
  let last = -1;
  return {
    name: 'leastBusy',
    keepsKeys: false,
    spillsOver: whenFull === 'next',
    choose(members) {
      const { length } = members;
      let most = -1;
      let chosen = 0;
      for (let step = 1; step <= length; step++) {
        const index = (last + step) % length;
        const { credit } = members[index] as ActorRef<M>;
        if (credit <= most) continue;
        most = credit;
        chosen = index;
      }
      return (last = chosen);
    },
  };
}

/**
 * Messages of one key go to one member, for as long as the members are the same: key, shard, member. A full member is
 * never passed over. When members come or go some keys have another member at once; whoever needs the order kept over that
 * uses a KeyedPool.
 */
export function byKey<M>(keyOf: (message: M) => Key): RoutingPolicy<M> {
  let known: readonly ActorRef<M>[] = [];
  let hashes: number[] = [];
  let owners = new Map<number, number>();
  return {
    name: 'byKey',
    keepsKeys: true,
    spillsOver: false,
    choose(members, message) {
      const shard = shardOfMessage(keyOf, message);
      if (shard === undefined) return -1;
      if (members !== known) {
        known = members;
        hashes = members.map(({ path }) => hashOf(path));
        owners = new Map();
      }
      let owner = owners.get(shard);
      if (owner === undefined) {
        owner = ownerOf(shard, hashes);
        owners.set(shard, owner);
      }
      return owner;
    },
  };
}

/** Undefined when the key cannot be read: a `tell` must not throw, whatever it is given. */
export function shardOfMessage<M>(keyOf: (message: M) => Key, message: M): number | undefined {
  try {
    const key: unknown = keyOf(message);
    return isKey(key) ? shardOf(key) : undefined;
  } catch {
    return undefined;
  }
}

/** Anything else would be one key for many: all that has none is `undefined`, all objects are `[object Object]`. */
function isKey(key: unknown): key is Key {
  return (
    typeof key === 'string' || typeof key === 'bigint' || (typeof key === 'number' && Number.isFinite(key))
  );
}
