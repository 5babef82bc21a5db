/**
 * What keeps the automata of a thread within a number of bytes. When there are too many, those are dropped that were not
 * used since the last time, and all of them when that is less than half; they are made anew when they are needed.
 */
import type { Automaton } from './automaton.ts';

export interface AutomatonHolder {
  automaton: Automaton | undefined;
  /** Whether it was used since the pool looked last. */
  isUsed: boolean;
  /** What the pool has counted for it. */
  countedBytes: number;
}

export class AutomatonPool {
  private readonly bytesMax: number;
  private readonly holders = new Set<AutomatonHolder>();
  private heldBytes = 0;
  private droppedCount = 0;

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax;
  }

  get figures(): { automata: number; bytes: number; dropped: number } {
    return { automata: this.holders.size, bytes: this.heldBytes, dropped: this.droppedCount };
  }

  /** Counts the automaton of a holder anew, after it was made or has grown. */
  count(holder: AutomatonHolder): void {
    const bytes = holder.automaton?.bytes ?? 0;
    this.heldBytes += bytes - holder.countedBytes;
    holder.countedBytes = bytes;
    this.holders.add(holder);
    if (this.heldBytes <= this.bytesMax) return;
    for (const other of this.holders) {
      if (other !== holder && !other.isUsed) this.drop(other);
      other.isUsed = false;
    }
    if (this.heldBytes <= this.bytesMax / 2) return;
    for (const other of this.holders) if (other !== holder) this.drop(other);
  }

  private drop(holder: AutomatonHolder): void {
    this.heldBytes -= holder.countedBytes;
    holder.countedBytes = 0;
    holder.automaton = undefined;
    this.holders.delete(holder);
    this.droppedCount++;
  }
}
