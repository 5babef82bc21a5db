/**
 * From a key to a shard to a member: pure, and the same in every thread and process.
 *
 * A key always has the same one of `SHARDS` virtual shards, and a shard belongs to the member with the highest weight for
 * it (rendezvous hashing). Invariant: when a member comes or goes only the shards move that it gets or had.
 */
import { SHARDS } from '../limits.ts';

/** A number is finite. */
export type Key = string | number | bigint;

/** Which shard a key is in. The numbers 1 and 1n and the text '1' are the same key. */
export function shardOf(key: Key): number {
  return mixed(hashOf(String(key))) % SHARDS;
}

/** Index of the member that has the shard; -1 when there is none. `hashes` are the `hashOf` of the members' ids. */
export function ownerOf(shard: number, hashes: readonly number[]): number {
  let owner = -1;
  let highest = -1;
  for (const [index, hash] of hashes.entries()) {
    const weight = mixed(hash ^ Math.imul(shard + 1, 0x9e3779b1));
    if (weight > highest) {
      highest = weight;
      owner = index;
    }
  }
  return owner;
}

/** FNV-1a over the UTF-16 units. */
export function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  }
  return hash >>> 0;
}

/** The finalizer of MurmurHash3: FNV alone leaves similar texts close together. */
function mixed(hash: number): number {
  let bits = hash;
  bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
  return (bits ^ (bits >>> 16)) >>> 0;
}
