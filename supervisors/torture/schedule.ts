/**
 * Which faults come, in which order, at which node: a matter of the seed alone. When they come is not: each begins when
 * what it takes is free, so the times are those of the machine.
 */
import type { FaultKind } from './faults/fault.ts';
import { seededRandom } from './random.ts';

export interface PlannedFault {
  /** From 1. */
  nth: number;
  kind: FaultKind;
  node: string;
  /** Of everything that it draws. */
  random: () => number;
}

/** Each kind once, in an order drawn anew, and so on without end. */
export function* scheduleOf(
  kinds: readonly FaultKind[],
  nodes: readonly string[],
  seed: number,
): Generator<PlannedFault, void> {
  // The traffic draws from the same seed; a stream of its own keeps the schedule apart from it.
  const random = seededRandom(seed ^ 0x5bd1e995);
  for (let nth = 0; ;) {
    for (const kind of shuffled(kinds, random)) {
      nth += 1;
      const node = nodes[Math.floor(random() * nodes.length)] ?? '';
      yield { nth, kind, node, random: seededRandom(Math.floor(random() * 2 ** 32)) };
    }
  }
}

function shuffled<T>(items: readonly T[], random: () => number): T[] {
  const mixed = [...items];
  for (let at = mixed.length - 1; at > 0; at--) {
    const other = Math.floor(random() * (at + 1));
    [mixed[at], mixed[other]] = [mixed[other] as T, mixed[at] as T];
  }
  return mixed;
}
