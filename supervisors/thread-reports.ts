/**
 * What the threads of a process say beside their work: what they log, and which destinations are not well.
 */
import type { LaneReport } from '../actors/forward/lane-watch.ts';
import type { Log } from '../runtime/telemetry/log.ts';
import type { ThreadLogEntry } from '../runtime/thread/thread-log.ts';

/** For `ThreadSlotOptions.onLog`: writes what a slot's thread logs into the log of the process that owns the slot. */
export function threadLog(log: Log, id: string): (entry: ThreadLogEntry) => void {
  return ({ level, path, text, fields, leftOut }) => {
    log[level]({ id, path, ...fields, ...(leftOut === 0 ? {} : { left_out: leftOut }) }, text);
  };
}

/** The destinations that are not well, as the forward threads see them. */
export class LaneReports {
  readonly #lanes = new Map<string, readonly LaneReport[]>();

  /** All that a thread says now replaces what it said before. */
  put(worker: string, lanes: readonly LaneReport[]): void {
    this.#lanes.set(worker, lanes);
  }

  delete(worker: string): void {
    this.#lanes.delete(worker);
  }

  /** Each once though several threads send to it: as the one says that has seen it longest. */
  get destinations(): LaneReport[] {
    const byName = new Map<string, LaneReport>();
    for (const report of [...this.#lanes.values()].flat()) {
      const other = byName.get(report.name);
      if (other === undefined || report.since < other.since) byName.set(report.name, report);
    }
    return [...byName.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  }
}
