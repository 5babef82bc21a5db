/** How long it takes after each kind of fault until all is well: kept, and told as p50 and max. */

export interface Recovery {
  /** From the end of the harm until the node that was meant has taken an event that was sent after it. */
  takenMs: number;
  /** Until its alert was at the destination. */
  arrivedMs: number;
}

export interface KindReport {
  kind: string;
  injected: number;
  /** Why it could not be, each time that it could not. */
  missed: string[];
  takenMs: Span | null;
  arrivedMs: Span | null;
}

export interface Span {
  p50: number;
  max: number;
}

export class Recoveries {
  readonly #kinds = new Map<string, { injected: number; missed: string[]; recoveries: Recovery[] }>();

  /** Kinds that are to be told of even when none of them comes. */
  constructor(kinds: readonly string[]) {
    for (const kind of kinds) this.#kinds.set(kind, { injected: 0, missed: [], recoveries: [] });
  }

  noteInjected(kind: string): void {
    this.#of(kind).injected += 1;
  }

  noteMissed(kind: string, why: string): void {
    this.#of(kind).missed.push(why);
  }

  noteRecovery(kind: string, recovery: Recovery): void {
    this.#of(kind).recoveries.push(recovery);
  }

  get injected(): number {
    return [...this.#kinds.values()].reduce((sum, { injected }) => sum + injected, 0);
  }

  report(): KindReport[] {
    return [...this.#kinds].map(([kind, { injected, missed, recoveries }]) => ({
      kind,
      injected,
      missed,
      takenMs: spanOf(recoveries.map(({ takenMs }) => takenMs)),
      arrivedMs: spanOf(recoveries.map(({ arrivedMs }) => arrivedMs)),
    }));
  }

  #of(kind: string): { injected: number; missed: string[]; recoveries: Recovery[] } {
    let found = this.#kinds.get(kind);
    if (found === undefined) this.#kinds.set(kind, (found = { injected: 0, missed: [], recoveries: [] }));
    return found;
  }
}

function spanOf(valuesMs: readonly number[]): Span | null {
  if (valuesMs.length === 0) return null;
  const sorted = [...valuesMs].sort((a, b) => a - b);
  const at = (share: number): number => Math.round(sorted[Math.floor((sorted.length - 1) * share)] ?? NaN);
  return { p50: at(0.5), max: at(1) };
}
