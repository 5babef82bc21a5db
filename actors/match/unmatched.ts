/**
 * What becomes of events that no rule matches: they are counted by host and template, and a template that comes too
 * often raises one meta-alert, latched until it was quiet for a whole window.
 *
 * Each batch opens a turn, gives it every unmatched event, and at its end takes the alerts that go with the batch's
 * commit. An alert is written down in the store, with the frame that carries it, before it goes: whoever handles that
 * frame again (a commit that failed, a thread that died) sends the same alert again, with the same id, and nobody raises
 * another. Alerts name no events, so the books are not touched: each event still ends as `unmatched`.
 *
 * What a crash costs: counts of the last `FLUSH_EVERY_MS`. What it repeats: an alert whose commit nobody knows of, under
 * its id. Counting knows each event by its place in its mailbox, so a batch that is tried again counts once.
 * When the store is away everything is kept, within the table's bounds, and alerts wait for it.
 */
import type { Clock } from '../../runtime/clock.ts';
import { countOf, cumulativeOf } from '../../runtime/durable/store-names.ts';
import type { Batch } from '../../runtime/durable/consumer.ts';
import type { Entry } from '../../runtime/durable/durable-store.ts';
import type { Alert, NormalizedEvent } from '../event.ts';
import type { StoredChange, TemplateChange, UnmatchedStore } from '../ports.ts';
import type { DecisionBasis } from './decide.ts';
import { floodAlerts, metaAlerts } from './meta-alert.ts';
import { TemplateMask } from './template.ts';
import { fingerprintOf, seedOf, UnmatchedTable } from './unmatched-table.ts';
import type { UnmatchedBounds, UnmatchedEntry } from './unmatched-table.ts';

export interface UnmatchedSettings {
  /** Events of one template of one host in one window; 0 for no alerts. */
  threshold: number;
  windowMs: number;
  /** Meta-alerts of this thread. */
  alertsPerMinuteMax: number;
  /** Of hosts that no team claims. */
  team: string;
  /** Of the store, of all threads. */
  rowsMax: number;
}

export interface UnmatchedOptions {
  store: UnmatchedStore;
  clock: Clock;
  /** Those that this thread takes events of. */
  partitions: readonly number[];
  /** Asked at every use. */
  settings: () => UnmatchedSettings;
  count: (
    what: 'metaAlerts' | 'floodAlerts' | 'heldMetaAlerts' | 'evictedTemplates' | 'templateFaults',
    n: number,
  ) => void;
  /** How many templates are held. */
  onHeld: (templates: number) => void;
  bounds?: UnmatchedBounds;
}

/** The turn of one batch. */
export interface UnmatchedTurn {
  /** What comes is of this entry, from the `lo`th event on, carried by this frame. Before any event of it. */
  enter(entry: Pick<Entry, 'id'>, frameId: string, lo: number): void;
  /** Gives the hash of the event's program and template, the same on this thread for as long as it lives. */
  take(event: NormalizedEvent, index: number): number;
  /** The alerts that go with the batch. Once, after everything that may fail. Never rejects. */
  alerts(basis: DecisionBasis): Promise<Alert[]>;
}

/** How long what was counted may be in no store but this memory. */
export const FLUSH_EVERY_MS = 5_000;
const TRIM_EVERY_MS = 60_000;
/** Of one statement; those with most new events first. */
const ROWS_PER_FLUSH_MAX = 1_000;
const LOADED_MAX = 5_000;
const LOAD_AGAIN_MS = 10_000;
const DUE_MAX = 1_000;
const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
/** Rows that nothing was added to for so long go. */
const KEPT_MS = 30 * 24 * HOUR_MS;
/** An alert of somebody else that is younger may have been lost with them: it is sent again under its id. */
const YOUNG_ALERT_MS = MINUTE_MS;

/** One mailbox of one partition. */
interface Track {
  /** Of the last event counted. */
  position: number;
  /** Alerts that the last batch took with it; what is behind its beginning is committed. */
  carried: { position: number; frameId: string; alerts: readonly Alert[] }[];
}

export class UnmatchedWatch {
  readonly #options: UnmatchedOptions;
  readonly #table: UnmatchedTable;
  readonly #mask = new TemplateMask();
  readonly #tracks = new Map<string, Track>();
  readonly #due = new Map<number, UnmatchedEntry[]>();
  /** By frame: alerts of which it is not known whether they went. */
  readonly #unsure = new Map<string, Alert[]>();
  readonly #held = new WeakSet<UnmatchedEntry>();
  #dueCount = 0;
  #minuteFromMs = -Infinity;
  #raisedInMinute = 0;
  #floodHour = -1;
  #evictedTold = 0;
  #loading: Promise<void> | undefined;
  #isLoaded = false;
  #loadAgainAtMs = -Infinity;
  #flushing: Promise<void> = Promise.resolve();
  #cancelFlush: (() => void) | undefined;
  #trimAtMs: number;
  #isClosed = false;

  constructor(options: UnmatchedOptions) {
    this.#options = options;
    this.#table = new UnmatchedTable(options.bounds);
    this.#trimAtMs = options.clock.monotonicMs() + TRIM_EVERY_MS;
    this.#flushLater();
  }

  get templates(): readonly UnmatchedEntry[] {
    return this.#table.entries();
  }

  /** A new consumer begins at the heads of its mailboxes, whose places may be numbered anew. */
  begin(): void {
    for (const { carried } of this.#tracks.values()) {
      for (const { frameId, alerts } of carried) this.#addUnsure(frameId, alerts);
    }
    this.#tracks.clear();
  }

  open(batch: Pick<Batch, 'partition' | 'lane'>): UnmatchedTurn {
    const { partition } = batch;
    const name = `${partition}/${batch.lane}`;
    const track = this.#tracks.get(name) ?? { position: -1, carried: [] };
    this.#tracks.set(name, track);
    const { windowMs, threshold } = this.#options.settings();
    let first: { position: number; frameId: string } | undefined;
    let entryFrom = 0;
    return {
      enter: (entry, frameId, lo) => {
        entryFrom = cumulativeOf(entry.id) - countOf(entry.id);
        first ??= { position: entryFrom + lo, frameId };
      },
      take: (event, index) => {
        const mask = this.#mask;
        mask.mask(event.message, seedOf(event.program, event.trapOid));
        const { high } = mask.hash;
        const position = entryFrom + index;
        if (position > track.position) {
          track.position = position;
          const entry = this.#table.count(event, partition, mask, windowMs);
          if (threshold > 0 && entry.windowCount >= threshold) this.#noteDue(entry);
        }
        return high;
      },
      alerts: (basis) =>
        first === undefined ? Promise.resolve([]) : this.#alerts(partition, track, first, basis),
    };
  }

  /** Stores what is not stored yet, as far as one statement goes, and begins nothing any more. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#cancelFlush?.();
    await this.#flushing;
    await this.#flush();
  }

  #addUnsure(frameId: string, alerts: readonly Alert[]): void {
    this.#unsure.set(frameId, [...(this.#unsure.get(frameId) ?? []), ...alerts]);
  }

  #noteDue(entry: UnmatchedEntry): void {
    if (entry.isDue || entry.isLatched || this.#dueCount >= DUE_MAX) return;
    entry.isDue = true;
    this.#dueCount += 1;
    const due = this.#due.get(entry.partition) ?? [];
    due.push(entry);
    this.#due.set(entry.partition, due);
  }

  async #alerts(
    partition: number,
    track: Track,
    first: { position: number; frameId: string },
    basis: DecisionBasis,
  ): Promise<Alert[]> {
    await this.#load();
    const { position, frameId } = first;
    // A batch begins behind what is committed, but for the pieces of an entry that is handled in several.
    track.carried = track.carried.filter(
      (carried) => carried.position >= position || carried.frameId === frameId,
    );
    const again = track.carried
      .filter((carried) => carried.position >= position)
      .flatMap(({ alerts }) => alerts);
    const unsure = this.#unsure.get(frameId) ?? [];
    this.#unsure.delete(frameId);
    const raised = await this.#raise(partition, frameId, basis);
    if (unsure.length + raised.length > 0) {
      track.carried.push({ position, frameId, alerts: [...unsure, ...raised] });
    }
    return [...again, ...unsure, ...raised];
  }

  /** Latches what is due, as far as the minute has room, and gives its alerts. */
  async #raise(partition: number, frameId: string, basis: DecisionBasis): Promise<Alert[]> {
    const due = this.#due.get(partition);
    if (due === undefined || !this.#isLoaded) return [];
    const { clock, settings } = this.#options;
    const { threshold, windowMs, alertsPerMinuteMax, team } = settings();
    const nowMs = clock.monotonicMs();
    if (nowMs - this.#minuteFromMs >= MINUTE_MS) {
      this.#minuteFromMs = nowMs;
      this.#raisedInMinute = 0;
    }
    const room = threshold === 0 ? due.length : Math.max(0, alertsPerMinuteMax - this.#raisedInMinute);
    const raising = due.splice(0, room);
    if (due.length === 0) this.#due.delete(partition);
    const held = due.filter((entry) => !this.#held.has(entry));
    for (const entry of held) this.#held.add(entry);
    this.#options.count('heldMetaAlerts', held.length);
    this.#dueCount -= raising.length;
    // Before anything is waited for: another partition may be at it too.
    this.#raisedInMinute += raising.length;
    // Somebody may have changed the threshold, or the window may be over.
    const wanted = raising.filter(
      (entry) => threshold > 0 && entry.windowCount >= threshold && !entry.isLatched,
    );
    for (const entry of raising) entry.isDue = false;
    const alertedAtMs = clock.wallMs();
    const alerts = await this.#latch(
      wanted.map((entry) => {
        const fingerprint = fingerprintOf(entry);
        const built = metaAlerts(entry, fingerprint, { windowMs, team }, basis);
        return { entry, alert: { carrier: frameId, alertedAtMs, alerts: built } };
      }),
      windowMs,
    );
    if (held.length === 0) return alerts;
    const hour = Math.floor(alertedAtMs / HOUR_MS);
    if (hour === this.#floodHour) return alerts;
    this.#floodHour = hour;
    const flood = floodAlerts(
      { partition, hour, atMs: alertedAtMs, waiting: due.length, alertsPerMinuteMax, team },
      basis,
    );
    this.#options.count('floodAlerts', 1);
    return [...alerts, ...flood];
  }

  async #latch(
    wanted: { entry: UnmatchedEntry; alert: NonNullable<TemplateChange['alert']> }[],
    windowMs: number,
  ): Promise<Alert[]> {
    if (wanted.length === 0) return [];
    const changes = wanted.map(({ entry, alert }) => takeChange(entry, alert));
    let stored: StoredChange[];
    try {
      stored = await this.#options.store.store(changes, windowMs);
    } catch {
      this.#options.count('templateFaults', 1);
      this.#raisedInMinute -= wanted.length;
      for (const [at, { entry }] of wanted.entries()) {
        giveBack(entry, changes[at]!);
        this.#noteDue(entry);
      }
      return [];
    }
    const nowMs = this.#options.clock.wallMs();
    return wanted.flatMap(({ entry, alert }, at) => {
      const standing = stored[at]!.alert ?? alert;
      entry.isStored = true;
      entry.isLatched = true;
      const isOwn = standing.carrier === alert.carrier;
      if (isOwn) this.#options.count('metaAlerts', 1);
      return isOwn || nowMs - standing.alertedAtMs < YOUNG_ALERT_MS ? standing.alerts : [];
    });
  }

  /** Once, and again after a while when it failed: until then alerts wait. */
  async #load(): Promise<void> {
    if (this.#isLoaded) return;
    const { clock, store, partitions, settings } = this.#options;
    if (this.#loading === undefined && clock.monotonicMs() >= this.#loadAgainAtMs) {
      const { windowMs, threshold } = settings();
      const sinceMs = clock.wallMs() - windowMs;
      this.#loading = store.load(partitions, sinceMs, LOADED_MAX).then(
        (known) => {
          for (const { carrier, alerts, ...template } of known) {
            const isLatched = carrier !== null;
            const entry = this.#table.know({ ...template, isLatched }, this.#mask, windowMs);
            if (threshold > 0 && entry.windowCount >= threshold) this.#noteDue(entry);
            if (carrier === null || alerts.length === 0) continue;
            this.#addUnsure(carrier, alerts);
          }
          this.#isLoaded = true;
        },
        () => {
          this.#options.count('templateFaults', 1);
          this.#loadAgainAtMs = clock.monotonicMs() + LOAD_AGAIN_MS;
          this.#loading = undefined;
        },
      );
    }
    await this.#loading;
  }

  #flushLater(): void {
    this.#cancelFlush = this.#options.clock.after(
      FLUSH_EVERY_MS,
      () => {
        this.#flushing = this.#flush().then(() => {
          if (!this.#isClosed) this.#flushLater();
        });
      },
      { ref: false },
    );
  }

  async #flush(): Promise<void> {
    const { store, clock, settings, count, onHeld } = this.#options;
    count('evictedTemplates', this.#table.evicted - this.#evictedTold);
    this.#evictedTold = this.#table.evicted;
    onHeld(this.#table.size);
    const entries = this.#table
      .entries()
      .filter(({ unstored }) => unstored > 0)
      .sort((a, b) => b.unstored - a.unstored)
      .slice(0, ROWS_PER_FLUSH_MAX);
    const before = entries.map(({ isLatched, isStored }) => ({ isLatched, isStored }));
    const changes = entries.map((entry) => takeChange(entry, null));
    const { windowMs, rowsMax } = settings();
    try {
      if (entries.length > 0) {
        const stored = await store.store(changes, windowMs);
        for (const [at, entry] of entries.entries()) {
          const { isNew, isLatched } = stored[at]!;
          entry.isStored = true;
          const was = before[at]!;
          // Somebody has had it forgotten, or it went at the bound on rows.
          if ((was.isStored && isNew) || (was.isLatched && !isLatched)) forget(entry);
        }
      }
    } catch {
      count('templateFaults', 1);
      for (const [at, entry] of entries.entries()) giveBack(entry, changes[at]!);
      return;
    }
    if (clock.monotonicMs() < this.#trimAtMs) return;
    this.#trimAtMs = clock.monotonicMs() + TRIM_EVERY_MS;
    const keptMs = Math.max(KEPT_MS, 2 * windowMs);
    await store.trim(rowsMax, clock.wallMs() - keptMs).catch(() => count('templateFaults', 1));
  }
}

/** What is to be stored of an entry, which is as if it were: what comes meanwhile is of the next time. */
function takeChange(entry: UnmatchedEntry, alert: TemplateChange['alert']): TemplateChange {
  const { host, partition, program, trapOid, template, sample, sampleEventId } = entry;
  const change: TemplateChange = {
    host,
    fingerprint: fingerprintOf(entry),
    partition,
    program,
    trapOid,
    template,
    sample,
    sampleEventId,
    count: entry.unstored,
    firstSeenMs: entry.unstoredFirstMs,
    lastSeenMs: entry.lastSeenMs,
    windowStartMs: entry.windowStartMs,
    windowCount: entry.windowCount,
    alert,
  };
  entry.unstored = 0;
  return change;
}

function giveBack(entry: UnmatchedEntry, { count, firstSeenMs }: TemplateChange): void {
  entry.unstoredFirstMs = entry.unstored === 0 ? firstSeenMs : Math.min(firstSeenMs, entry.unstoredFirstMs);
  entry.unstored += count;
}

function forget(entry: UnmatchedEntry): void {
  entry.isLatched = false;
  entry.windowStartMs = entry.lastSeenMs;
  entry.windowCount = entry.unstored;
}
