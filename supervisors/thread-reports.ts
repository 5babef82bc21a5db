/**
 * What the threads of a process say beside their work: what they log, which rule set they use, which destinations are
 * not well.
 */
import type { LaneReport } from '../actors/forward/lane-watch.ts';
import type { Log } from '../runtime/telemetry/log.ts';
import type { ThreadLogEntry } from '../runtime/thread/thread-log.ts';
import type { FromForwardThread } from './threads/forward-thread.ts';
import type { FromMatchThread } from './threads/match-thread.ts';

/** For `ThreadSlotOptions.onLog`: writes what a slot's thread logs into the log of the process that owns the slot. */
export function threadLog(log: Log, id: string): (entry: ThreadLogEntry) => void {
  return ({ level, path, text, fields, leftOut }) => {
    log[level]({ id, path, ...fields, ...(leftOut === 0 ? {} : { left_out: leftOut }) }, text);
  };
}

export class ThreadReports {
  readonly #log: Log;
  readonly #applied = new Map<string, number>();
  readonly #lanes = new Map<string, readonly LaneReport[]>();

  constructor(log: Log) {
    this.#log = log;
  }

  receive(id: string, payload: unknown): void {
    const message = payload as FromMatchThread | FromForwardThread;
    switch (message.type) {
      case 'applied':
        this.#applied.set(id, message.applied.version);
        for (const refused of message.applied.refused)
          this.#log.error({ id, refused }, 'a rule was left out');
        break;
      case 'lanes':
        this.#lanes.set(id, message.lanes);
        break;
    }
  }

  get applied(): { worker: string; version: number }[] {
    return [...this.#applied].map(([worker, version]) => ({ worker, version }));
  }

  /** Those that are not well, each once though several threads send to it: as the one says that has seen it longest. */
  get destinations(): LaneReport[] {
    const byName = new Map<string, LaneReport>();
    for (const report of [...this.#lanes.values()].flat()) {
      const other = byName.get(report.name);
      if (other === undefined || report.since < other.since) byName.set(report.name, report);
    }
    return [...byName.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  }
}
