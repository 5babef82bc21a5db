/**
 * Keeps the rule set in force: read from PostgreSQL, kept on disk as the last good one, told to whoever subscribes.
 *
 * Polled, and asked at once when a change is known. PostgreSQL is the truth: when it was restored to an earlier version,
 * that one is in force. Invariant: a set that cannot be read leaves the last one in force, and a node whose PostgreSQL is
 * away starts with the one on disk, which is always a whole one.
 */
import { readFile, rename, writeFile } from 'node:fs/promises';
import { BehaviorSubject, filter } from 'rxjs';
import type { Observable } from 'rxjs';
import type { Snapshot } from '../actors/ports.ts';
import type { Log } from '../runtime/telemetry/log.ts';

export interface SnapshotSource {
  currentVersion(): Promise<number>;
  load(): Promise<Snapshot>;
}

const POLL_MS = 500;

export class SnapshotKeeper {
  readonly #source: SnapshotSource;
  readonly #file: string;
  readonly #log: Log;
  readonly #latest = new BehaviorSubject<Snapshot | undefined>(undefined);
  #timer: NodeJS.Timeout | undefined;
  #refreshing: Promise<void> | undefined;
  #isAway = false;

  constructor(source: SnapshotSource, file: string, log: Log) {
    this.#source = source;
    this.#file = file;
    this.#log = log;
  }

  /** The present one first, then every later one. */
  get changes(): Observable<Snapshot> {
    return this.#latest.pipe(filter((snapshot) => snapshot !== undefined));
  }

  get current(): Snapshot | undefined {
    return this.#latest.value;
  }

  /** Loads the first one, from PostgreSQL or else from disk, and keeps it fresh. Rejects when there is neither. */
  async start(): Promise<void> {
    try {
      await this.#publish(await this.#source.load());
    } catch (thrown) {
      const kept = await this.#readKept();
      if (kept === undefined) throw thrown;
      this.#log.warn({ version: kept.version }, 'PostgreSQL is away: the last good rule set is in force');
      this.#latest.next(kept);
    }
    this.#timer = setInterval(() => void this.refresh(), POLL_MS);
  }

  /** Looks for a newer one now. Never rejects. */
  refresh(): Promise<void> {
    this.#refreshing ??= this.#refresh().finally(() => {
      this.#refreshing = undefined;
    });
    return this.#refreshing;
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#refreshing;
    this.#latest.complete();
  }

  async #refresh(): Promise<void> {
    try {
      const version = await this.#source.currentVersion();
      if (version !== this.#latest.value?.version) await this.#publish(await this.#source.load());
      if (this.#isAway) this.#log.info('the rule set can be read again');
      this.#isAway = false;
    } catch (thrown) {
      if (!this.#isAway)
        this.#log.warn({ error: thrown }, 'the rule set cannot be read; the last one stays in force');
      this.#isAway = true;
    }
  }

  /** One after the other: two that write the same draft at once would leave a torn one. */
  async #publish(snapshot: Snapshot): Promise<void> {
    this.#latest.next(snapshot);
    this.#log.info({ version: snapshot.version, rules: snapshot.rules.length }, 'rule set in force');
    await this.#keep(snapshot);
  }

  async #keep(snapshot: Snapshot): Promise<void> {
    try {
      const draft = `${this.#file}.draft`;
      await writeFile(draft, JSON.stringify(snapshot), { mode: 0o600, flush: true });
      await rename(draft, this.#file);
    } catch (thrown) {
      this.#log.warn({ error: thrown }, 'the rule set cannot be kept on disk');
    }
  }

  async #readKept(): Promise<Snapshot | undefined> {
    try {
      const kept = JSON.parse(await readFile(this.#file, 'utf8')) as Snapshot;
      return isWhole(kept) ? kept : undefined;
    } catch {
      return undefined;
    }
  }
}

function isWhole({ version, rules, developmentHosts, teams, destinations }: Snapshot): boolean {
  const areLists = [rules, developmentHosts, destinations].every((list) => Array.isArray(list));
  return areLists && typeof version === 'number' && typeof teams === 'object' && teams !== null;
}
