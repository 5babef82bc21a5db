/**
 * Which rejects have to go: the arithmetic of the bounds. No I/O.
 *
 * An API key that is over its own bound loses its oldest. When all keys together hold too much, every key may keep the
 * same share at most, so those lose that hold most. Invariant: a key within its bound that holds no more than an equal
 * share of all loses nothing, whatever the others send.
 */

export interface RejectBounds {
  /** Of one API key. */
  keyRowsMax: number;
  /** Of bodies, of one API key. */
  keyBytesMax: number;
  /** Of all API keys together. */
  totalRowsMax: number;
  totalBytesMax: number;
}

/** Several requests of nothing but rejects. */
export const REJECT_BOUNDS: RejectBounds = {
  keyRowsMax: 250_000,
  keyBytesMax: 256 * 1024 ** 2,
  totalRowsMax: 2_000_000,
  totalBytesMax: 2 * 1024 ** 3,
};

export interface KeptRejects {
  keyName: string;
  keptRows: number;
  keptBytes: number;
}

/** The oldest of a key, until at least so many rows and bytes are gone. */
export interface Eviction {
  keyName: string;
  rows: number;
  bytes: number;
}

/** How full what was over its bound is left, so that not every call pays for it. */
const LOW_WATER = 0.9;

/** Undefined when the key is within its own bound. */
export function evictionOfKey(
  { keyName, keptRows, keptBytes }: KeptRejects,
  { keyRowsMax, keyBytesMax }: Pick<RejectBounds, 'keyRowsMax' | 'keyBytesMax'>,
): Eviction | undefined {
  const rows = keptRows <= keyRowsMax ? 0 : keptRows - lowWater(keyRowsMax);
  const bytes = keptBytes <= keyBytesMax ? 0 : keptBytes - lowWater(keyBytesMax);
  return rows === 0 && bytes === 0 ? undefined : { keyName, rows, bytes };
}

/** What has to go of every key, for its own bound and for that of all; none when all is within bounds. By name. */
export function evictionsOfAll(kept: readonly KeptRejects[], bounds: RejectBounds): Eviction[] {
  const ofKeys = new Map(kept.map((key) => [key.keyName, evictionOfKey(key, bounds)]));
  const left = kept.map((key) => {
    const { rows = 0, bytes = 0 } = ofKeys.get(key.keyName) ?? {};
    return { ...key, rows: key.keptRows - rows, bytes: key.keptBytes - bytes };
  });
  const rowsLevel = levelFor(
    left.map(({ rows }) => rows),
    bounds.totalRowsMax,
  );
  const bytesLevel = levelFor(
    left.map(({ bytes }) => bytes),
    bounds.totalBytesMax,
  );
  return left
    .map(({ keyName, keptRows, keptBytes, rows, bytes }) => ({
      keyName,
      rows: keptRows - Math.min(rows, rowsLevel),
      bytes: keptBytes - Math.min(bytes, bytesLevel),
    }))
    .filter(({ rows, bytes }) => rows > 0 || bytes > 0)
    .sort((a, b) => (a.keyName < b.keyName ? -1 : 1));
}

export function isOverTotal(
  kept: Pick<KeptRejects, 'keptRows' | 'keptBytes'>,
  { totalRowsMax, totalBytesMax }: Pick<RejectBounds, 'totalRowsMax' | 'totalBytesMax'>,
): boolean {
  return kept.keptRows > totalRowsMax || kept.keptBytes > totalBytesMax;
}

/** What each may hold at most, so that all together are within the bound; Infinity when they are already. */
function levelFor(held: readonly number[], max: number): number {
  if (held.reduce((sum, each) => sum + each, 0) <= max) return Infinity;
  let left = lowWater(max);
  let sharers = held.length;
  for (const each of [...held].sort((a, b) => a - b)) {
    const share = Math.floor(left / sharers);
    if (each > share) return share;
    left -= each;
    sharers -= 1;
  }
  return Infinity;
}

function lowWater(max: number): number {
  return Math.floor(max * LOW_WATER);
}
