/**
 * What the threads of a process say beside their work: what they log, which destinations are not well, and
 * which partitions wait.
 */
import type { LaneReport } from '../actors/forward/lane-watch.ts';
import type { Log } from '../runtime/telemetry/log.ts';
import type { ThreadLogEntry } from '../runtime/thread/thread-log.ts';
import type { PartitionWait } from './threads/partition-waits.ts';

/** For `ThreadSlotOptions.onLog`: writes what a slot's thread logs into the log of the process that owns the slot. */
export function threadLog(log: Log, id: string): (entry: ThreadLogEntry) => void {
  return ({ level, path, text, fields, leftOut }) => {
    log[level]({ id, path, ...fields, ...(leftOut === 0 ? {} : { left_out: leftOut }) }, text);
  };
}

/** What threads have said last, by slot: forward threads which destinations are not well, all which partitions wait. */
export class ThreadReports {
  readonly #lanes = new Map<string, readonly LaneReport[]>();
  readonly #waits = new Map<string, readonly PartitionWait[]>();

  /** All that a thread says now replaces what it said before. */
  putLanes(worker: string, lanes: readonly LaneReport[]): void {
    this.#lanes.set(worker, lanes);
  }

  putWaits(worker: string, waits: readonly PartitionWait[]): void {
    this.#waits.set(worker, waits);
  }

  delete(worker: string): void {
    this.#lanes.delete(worker);
    this.#waits.delete(worker);
  }

  /** As one thread sees them. */
  lanesOf(worker: string): readonly LaneReport[] {
    return this.#lanes.get(worker) ?? [];
  }

  waitsOf(worker: string): readonly PartitionWait[] {
    return this.#waits.get(worker) ?? [];
  }

  /** As all threads see them. */
  get waits(): readonly PartitionWait[] {
    return [...this.#waits.values()].flat();
  }

  /** The destinations that are not well, each once though several threads send to it: as the one says that has seen it longest. */
  get destinations(): LaneReport[] {
    const byName = new Map<string, LaneReport>();
    for (const report of [...this.#lanes.values()].flat()) {
      const other = byName.get(report.name);
      if (other === undefined || report.since < other.since) byName.set(report.name, report);
    }
    return [...byName.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  }
}
