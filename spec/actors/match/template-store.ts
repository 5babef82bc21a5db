/** The store of unmatched templates in memory, for specs of what uses it: the same semantics as the real one. */
import type {
  StoredChange,
  StoredTemplate,
  TemplateAlert,
  TemplateChange,
  UnmatchedStore,
} from '../../../actors/ports.ts';
import { UnmatchedWatch } from '../../../actors/match/unmatched.ts';
import type { UnmatchedOptions, UnmatchedSettings } from '../../../actors/match/unmatched.ts';
import { FakeClock } from '../../support/fake-clock.ts';

interface Row extends Omit<TemplateChange, 'alert'> {
  latch: TemplateAlert | null;
}

export class MemoryTemplateStore implements UnmatchedStore {
  readonly rows = new Map<string, Row>();
  readonly calls: number[] = [];
  isAway = false;

  async load(partitions: readonly number[], sinceMs: number, limit: number): Promise<StoredTemplate[]> {
    this.#reach();
    return [...this.rows.values()]
      .filter(({ partition, lastSeenMs }) => partitions.includes(partition) && lastSeenMs >= sinceMs)
      .slice(0, limit)
      .map(({ latch, ...row }) => ({ ...row, carrier: latch?.carrier ?? null, alerts: latch?.alerts ?? [] }));
  }

  async store(changes: readonly TemplateChange[], windowMs: number): Promise<StoredChange[]> {
    this.#reach();
    this.calls.push(changes.length);
    const isAlerting = changes.some(({ alert }) => alert !== null);
    return changes.map(({ alert, ...change }) => {
      const key = `${change.host} ${change.fingerprint}`;
      const before = this.rows.get(key);
      const held = before?.latch ?? null;
      const stands =
        before !== undefined && held !== null && change.firstSeenMs - before.lastSeenMs <= windowMs;
      const latch = stands ? held : alert;
      this.rows.set(key, {
        ...change,
        count: (before?.count ?? 0) + change.count,
        firstSeenMs: Math.min(before?.firstSeenMs ?? Infinity, change.firstSeenMs),
        lastSeenMs: Math.max(before?.lastSeenMs ?? -Infinity, change.lastSeenMs),
        latch,
      });
      return { isNew: before === undefined, isLatched: latch !== null, alert: isAlerting ? latch : null };
    });
  }

  async trim(): Promise<number> {
    this.#reach();
    return 0;
  }

  #reach(): void {
    if (this.isAway) throw Object.assign(new Error('away'), { kind: 'transient' });
  }
}

export const UNMATCHED_SETTINGS: UnmatchedSettings = {
  threshold: 3,
  windowMs: 3_600_000,
  alertsPerMinuteMax: 10,
  team: 'NETO',
  rowsMax: 1_000,
};

/** A watch for specs that are not about it. */
export function unmatchedWatch(options: Partial<UnmatchedOptions> = {}): UnmatchedWatch {
  return new UnmatchedWatch({
    store: new MemoryTemplateStore(),
    clock: new FakeClock(),
    partitions: [2],
    settings: () => UNMATCHED_SETTINGS,
    count: () => undefined,
    onHeld: () => undefined,
    ...options,
  });
}
