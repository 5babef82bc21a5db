/**
 * Deals partitions out to slots: evenly, and so that as few as can be change their owner. No I/O.
 */

/**
 * `present`: what each slot has now, by index; of slots past `slots` everything is dealt out again. Every partition below
 * `partitions` comes to exactly one slot, and no slot has two more than another.
 */
export function dealPartitions(
  present: readonly (readonly number[])[],
  slots: number,
  partitions: number,
): number[][] {
  const shares = Array.from({ length: slots }, (_, slot) => [...(present[slot] ?? [])]);
  const least = Math.floor(partitions / slots);
  let withOneMore = partitions % slots;
  // Who has most keeps one more, so that nothing moves that could stay.
  for (const share of [...shares].sort((a, b) => b.length - a.length)) {
    const isGranted = withOneMore > 0 && share.length > least;
    if (isGranted) withOneMore -= 1;
    share.splice(isGranted ? least + 1 : least);
  }
  const taken = new Set(shares.flat());
  for (let partition = 0; partition < partitions; partition++) {
    if (taken.has(partition)) continue;
    const poorest = shares.reduce((a, b) => (b.length < a.length ? b : a));
    poorest.push(partition);
  }
  for (const share of shares) share.sort((a, b) => a - b);
  return shares;
}
