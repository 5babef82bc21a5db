/**
 * Which rules are filed under a text such as a host's name: a hash table in shared memory, from the hash of the text to
 * ranks. It holds no texts. Two texts of one hash share an entry: a rule too many is a candidate, and is not confirmed.
 *
 * Three numbers each: hash, and where its ranks begin and end; an entry that ends at 0 is free. The size is a power of
 * two, at least twice the number of keys, so that a search is short.
 */

const ENTRY = 3;
const HASH_START = 0x811c9dc5 | 0;

/** FNV-1a over UTF-16 units, as far as `hash` is, one unit further. */
export function hashOn(hash: number, unit: number): number {
  return Math.imul(hash ^ unit, 0x01000193);
}

/** Of nothing: where a hash begins. */
export { HASH_START };

/** The hash of a whole text. */
export function hashOf(text: string): number {
  let hash = HASH_START;
  for (let at = 0; at < text.length; at++) hash = hashOn(hash, text.charCodeAt(at));
  return hash;
}

/** @param ranks takes the ranks, each key's in order. */
export function makeKeyTable(filed: ReadonlyMap<string, readonly number[]>, ranks: number[]): Int32Array {
  if (filed.size === 0) return new Int32Array(0);
  const byHash = new Map<number, number[]>();
  for (const [key, list] of filed) {
    const hash = hashOf(key);
    byHash.set(hash, [...(byHash.get(hash) ?? []), ...list]);
  }
  const size = 2 ** Math.ceil(Math.log2(2 * byHash.size));
  const table = new Int32Array(size * ENTRY);
  for (const [hash, list] of byHash) {
    let entry = slotOf(hash, size);
    while (table[entry * ENTRY + 2] !== 0) entry = (entry + 1) & (size - 1);
    table.set([hash, ranks.length, ranks.length + list.length], entry * ENTRY);
    for (const rank of list) ranks.push(rank);
  }
  return table;
}

/** The place in `table` of where the ranks begin under `hash`, with where they end behind it; -1 when there are none. */
export function findKey(table: Int32Array, hash: number): number {
  const size = table.length / ENTRY;
  for (let entry = slotOf(hash, size); ; entry = (entry + 1) & (size - 1)) {
    const at = entry * ENTRY;
    if (table[at + 2] === 0) return -1;
    if (table[at] === hash) return at + 1;
  }
}

function slotOf(hash: number, size: number): number {
  return (hash ^ (hash >>> 15)) & (size - 1);
}
