/**
 * Finds the one message of an entry that breaks its handler, when nobody can say which it is: pure logic over the
 * ranges that have failed so far. They are kept in the store, so the search goes on where a dead thread left it.
 *
 * Invariant: the pieces cover the entry without overlap, and a range that never failed is never cut.
 */

/** Messages `lo` to `hi - 1`. */
export interface Range {
  lo: number;
  hi: number;
}

/** The pieces to handle one by one: every failed range is cut off from the rest and into halves. */
export function splitRanges(count: number, failedRanges: Readonly<Record<string, number>>): Range[] {
  const cuts = new Set([0, count]);
  for (const name of Object.keys(failedRanges)) {
    const { lo, hi } = parseRange(name);
    cuts.add(lo).add(hi);
    if (hi - lo > 1) cuts.add(lo + Math.floor((hi - lo) / 2));
  }
  const sorted = [...cuts].filter((cut) => cut >= 0 && cut <= count).sort((a, b) => a - b);
  return sorted.slice(1).map((hi, index) => ({ lo: sorted[index] ?? 0, hi }));
}

/** The range's name in a strike record. */
export function nameOfRange({ lo, hi }: Range): string {
  return `${lo}-${hi}`;
}

function parseRange(name: string): Range {
  const [lo = 0, hi = 0] = name.split('-').map(Number);
  return { lo, hi };
}
