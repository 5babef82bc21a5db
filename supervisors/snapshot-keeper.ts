/**
 * Keeps the configuration in force: read from PostgreSQL, kept on disk as the last good one, told to whoever subscribes,
 * and published for the other nodes.
 *
 * Polled, and asked at once when a change is known or a notice comes. PostgreSQL is the truth: when it was restored to an
 * earlier version, that one is in force. While it is away a newer one that another node has published is taken. Whoever
 * reads a version that is not published yet publishes it and settles its notices, so no node has to be the one that does
 * it. A connection may be lost without a sign, so a reading that is not done soon is not waited for: the next one goes
 * beside it, and what one has read that began earlier than another no longer counts then.
 *
 * Invariants: a set that cannot be read leaves the last one in force; a node whose PostgreSQL is away starts with the
 * newest of disk and Redis, which is always a whole one; from Redis only what a node with the same pepper has signed;
 * only what was read from PostgreSQL is published.
 */
import { readFile, rename, writeFile } from 'node:fs/promises';
import { BehaviorSubject, filter } from 'rxjs';
import type { Observable } from 'rxjs';
import type { Snapshot } from '../actors/ports.ts';
import { sleep, systemClock } from '../runtime/clock.ts';
import { CodedError, codeOf } from '../runtime/errors.ts';
import type { Log } from '../runtime/telemetry/log.ts';
import { rulesText, snapshotText } from './snapshot-text.ts';

/** Each call settles within a time limit of its own, or those that are never answered would pile up. */
export interface SnapshotSource {
  currentVersion(): Promise<number>;
  load(): Promise<Snapshot>;
  /** The next call goes over another connection; those under way may still be answered. */
  renew(): void;
}

/** How other nodes learn of a version, and this one of theirs. */
export interface SnapshotPublication {
  channel: {
    /** `document`: the snapshot as JSON. */
    publish(snapshot: Snapshot, document: string): Promise<void>;
    publishedVersion(): Promise<number | undefined>;
    /** As a node with the same pepper has signed it; undefined when nothing is. Errors: E_SNAPSHOT_UNSIGNED. */
    latest(): Promise<unknown>;
    /** Gives back what ends the listening. */
    onNotice(listener: () => void): () => void;
  };
  /** The notices that changes leave; the oldest first. */
  outbox: {
    unpublished(limit: number): Promise<{ id: number; snapshotVersion: number }[]>;
    markPublished(lastId: number): Promise<void>;
  };
}

interface Reading {
  /** Later ones are higher. */
  number: number;
  done: Promise<void>;
  /** PostgreSQL has said which version there is. */
  isAnswered: boolean;
}

/** Both together stay below the second in which a change is in force, also when the first reading of it is lost. */
const POLL_MS = 250;
/** Or twice as long as the last load took: then PostgreSQL is away as far as the configuration goes, and asked anew. */
const PATIENCE_MS = 650;
const START_PATIENCE_MS = 5_000;
/** As many as are ever kept. */
const NOTICES_MAX = 1_000;

export class SnapshotKeeper {
  readonly #source: SnapshotSource;
  readonly #file: string;
  readonly #log: Log;
  readonly #publication: SnapshotPublication | undefined;
  readonly #latest = new BehaviorSubject<Snapshot | undefined>(undefined);
  #timer: NodeJS.Timeout | undefined;
  #refreshing: Promise<void> | undefined;
  #reading: Reading | undefined;
  #readings = 0;
  /** The number of the reading that counted last. */
  #counted = 0;
  #loadMs = 0;
  #publishing: Promise<void> | undefined;
  #keeping: Promise<void> = Promise.resolve();
  #stopHearing = (): void => undefined;
  #isStopped = false;
  #isRung = false;
  #isAway = false;
  #isUnpublishable = false;
  #isUnsigned = false;
  /** Whether PostgreSQL has said that what is in force is the truth, without a gap since. */
  #isConfirmed = false;
  /** Whether it has to be published whatever version is there. */
  #isToPublish = true;
  #text: { of: Snapshot; text: string } | undefined;
  /** The version that is too large to be published. */
  #refusedVersion: number | undefined;

  constructor(source: SnapshotSource, file: string, log: Log, publication?: SnapshotPublication) {
    this.#source = source;
    this.#file = file;
    this.#log = log;
    this.#publication = publication;
  }

  /** The present one first, then every later one. */
  get changes(): Observable<Snapshot> {
    return this.#latest.pipe(filter((snapshot) => snapshot !== undefined));
  }

  get current(): Snapshot | undefined {
    return this.#latest.value;
  }

  /** Whether PostgreSQL could not be read at the last attempt. */
  get isSourceAway(): boolean {
    return this.#isAway;
  }

  /** Loads the first one, from PostgreSQL or else from disk or Redis, and keeps it fresh. Rejects when there is none. */
  async start(): Promise<void> {
    const reading = this.#readOnce();
    try {
      await withPatience(reading.done, START_PATIENCE_MS);
    } catch (thrown) {
      const kept = await this.#readKept();
      if (kept !== undefined && this.current === undefined) this.#latest.next(kept);
      await this.#takePublished();
      // It may only be slow, and there is nothing to begin with.
      if (this.current === undefined) await reading.done;
      if (!this.#isConfirmed) {
        this.#isAway = true;
        const { version } = this.current ?? {};
        this.#log.warn({ version, error: thrown }, 'PostgreSQL is away: the last good rule set is in force');
      }
    }
    await this.#publish();
    await this.#keeping;
    this.#stopHearing = this.#publication?.channel.onNotice(() => this.hear()) ?? this.#stopHearing;
    this.#timer = setInterval(() => void this.refresh(), POLL_MS);
  }

  /** Looks for another one: the look begins now, or after the one under way, which may be too early. Never rejects. */
  async refreshNow(): Promise<void> {
    await this.#refreshing;
    await this.refresh();
  }

  /** Looks for another one, unless a look is under way. Never rejects. */
  refresh(): Promise<void> {
    this.#refreshing ??= this.#refresh().finally(() => {
      this.#refreshing = undefined;
      if (this.#isRung && !this.#isStopped) void this.refresh();
    });
    return this.#refreshing;
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    clearInterval(this.#timer);
    this.#stopHearing();
    await this.#refreshing;
    // It may never be answered.
    await withPatience(this.#publishing ?? Promise.resolve(), PATIENCE_MS).catch(() => undefined);
    await this.#keeping;
    this.#latest.complete();
  }

  /** Something has changed. A look that has begun may have been too early: there is another one after it. */
  hear(): void {
    this.#isRung = true;
    if (this.#refreshing === undefined) void this.refresh();
  }

  async #refresh(): Promise<void> {
    this.#isRung = false;
    const reading = this.#readOnce();
    try {
      await withPatience(reading.done, Math.max(PATIENCE_MS, 2 * this.#loadMs));
    } catch (thrown) {
      if (this.#reading === reading) {
        this.#reading = undefined;
        this.#source.renew();
        this.#isRung = true;
      }
      this.#loseSource(thrown);
      await this.#takePublished();
      await this.#keeping;
      return;
    }
    if (this.#isAway) this.#log.info('the rule set can be read again');
    this.#isAway = false;
    void this.#publish();
    await this.#keeping;
  }

  #loseSource(thrown: unknown): void {
    this.#isConfirmed = false;
    if (!this.#isAway) {
      this.#log.warn({ error: thrown }, 'the rule set cannot be read; the last one stays in force');
    }
    this.#isAway = true;
  }

  /** The one under way that is still waited for, or a new one. */
  #readOnce(): Reading {
    if (this.#reading !== undefined) return this.#reading;
    const reading: Reading = { number: ++this.#readings, done: Promise.resolve(), isAnswered: false };
    this.#reading = reading;
    reading.done = this.#read(reading).finally(() => {
      if (this.#reading === reading) this.#reading = undefined;
    });
    // Nobody may wait for it any more when it fails.
    reading.done.catch(() => undefined);
    return reading;
  }

  async #read(reading: Reading): Promise<void> {
    const version = await this.#source.currentVersion();
    // It was given up, and another one got through meanwhile.
    if (this.#reading?.isAnswered === true) return;
    reading.isAnswered = true;
    this.#reading = reading;
    // After a gap, the same version may be another one: restored, and changed since.
    if (this.#isConfirmed && version === this.current?.version) return;
    const startedMs = systemClock.monotonicMs();
    const loaded = await this.#source.load();
    if (this.#isStopped || reading.number < this.#counted) return;
    this.#counted = reading.number;
    this.#loadMs = systemClock.monotonicMs() - startedMs;
    const isSame = this.current !== undefined && isSameSnapshot(loaded, this.current);
    if (!this.#isConfirmed) this.#isToPublish = true;
    this.#isConfirmed = true;
    if (!isSame) this.#putInForce(loaded);
  }

  /** What another node has published while PostgreSQL does not answer this one. Never rejects. */
  async #takePublished(): Promise<void> {
    if (this.#publication === undefined) return;
    const { channel } = this.#publication;
    const isNewer = (version: number): boolean => version > (this.current?.version ?? -1);
    try {
      const version = await channel.publishedVersion();
      if (version === undefined || !isNewer(version)) return;
      const published = asSnapshot(await channel.latest());
      if (published === undefined) {
        this.#cannotPublish(
          new CodedError('E_SNAPSHOT_DAMAGED', `what is published as version ${version} is no rule set`),
        );
      } else if (isNewer(published.version) && !this.#isConfirmed && !this.#isStopped) {
        this.#putInForce(published);
      }
      this.#isUnsigned = false;
    } catch (thrown) {
      if (codeOf(thrown) === 'E_SNAPSHOT_UNSIGNED') this.#ignoreUnsigned(thrown);
      else this.#cannotPublish(thrown);
    }
  }

  /** Publishes what is in force, if it is not what is published; one at a time. Never rejects. */
  #publish(): Promise<void> {
    this.#publishing ??= this.#publishNow().finally(() => {
      this.#publishing = undefined;
    });
    return this.#publishing;
  }

  async #publishNow(): Promise<void> {
    const { current } = this;
    if (this.#publication === undefined || current === undefined || !this.#isConfirmed) return;
    if (current.version === this.#refusedVersion) return;
    const { channel, outbox } = this.#publication;
    try {
      if (this.#isToPublish || (await channel.publishedVersion()) !== current.version) {
        const notices = await outbox.unpublished(NOTICES_MAX);
        await channel.publish(current, this.#textOf(current));
        const told = notices.filter(({ snapshotVersion }) => snapshotVersion <= current.version).at(-1);
        if (told !== undefined) await outbox.markPublished(told.id);
        if (this.current === current) this.#isToPublish = false;
      }
      if (this.#isUnpublishable) this.#log.info('the rule set can be published again');
      this.#isUnpublishable = false;
    } catch (thrown) {
      if (codeOf(thrown) === 'E_SNAPSHOT_TOO_LARGE') this.#refusedVersion = current.version;
      this.#cannotPublish(thrown);
    }
  }

  /** Told whatever else is wrong with Redis: somebody else may be writing there. */
  #ignoreUnsigned(thrown: unknown): void {
    if (!this.#isUnsigned) {
      this.#log.warn({ error: thrown }, 'the rule set in Redis has no valid signature and is ignored');
    }
    this.#isUnsigned = true;
  }

  #cannotPublish(thrown: unknown): void {
    if (!this.#isUnpublishable) {
      this.#log.warn({ error: thrown }, 'the rule set cannot be published or taken from Redis');
    }
    this.#isUnpublishable = true;
  }

  #putInForce(snapshot: Snapshot): void {
    this.#latest.next(snapshot);
    this.#log.info({ version: snapshot.version, rules: snapshot.rules.length }, 'rule set in force');
    // One after the other: two that write the same draft at once would leave a torn one.
    this.#keeping = this.#keeping.then(() => this.#keep(snapshot));
  }

  async #keep(snapshot: Snapshot): Promise<void> {
    if (snapshot !== this.current) return;
    try {
      const draft = `${this.#file}.draft`;
      await writeFile(draft, this.#textOf(snapshot), { mode: 0o600, flush: true });
      await rename(draft, this.#file);
    } catch (thrown) {
      this.#log.warn({ error: thrown }, 'the rule set cannot be kept on disk');
    }
  }

  /** Kept on disk and published: written once for both. */
  #textOf(snapshot: Snapshot): string {
    if (this.#text?.of !== snapshot) this.#text = { of: snapshot, text: snapshotText(snapshot) };
    return this.#text.text;
  }

  async #readKept(): Promise<Snapshot | undefined> {
    try {
      return asSnapshot(JSON.parse(await readFile(this.#file, 'utf8')));
    } catch {
      return undefined;
    }
  }
}

/** Of one version, unless PostgreSQL was restored. Rules that did not change are the same list. */
function isSameSnapshot(one: Snapshot, other: Snapshot): boolean {
  if (one.version !== other.version || one.rules.length !== other.rules.length) return false;
  return (
    (one.rules === other.rules || rulesText(one.rules) === rulesText(other.rules)) &&
    JSON.stringify({ ...one, rules: 0 }) === JSON.stringify({ ...other, rules: 0 })
  );
}

/** What was read, or E_DATABASE_AWAY after so long; the reading itself goes on. */
async function withPatience(reading: Promise<void>, patienceMs: number): Promise<void> {
  const done = new AbortController();
  const silence = sleep(systemClock, patienceMs, done.signal).then(() => {
    if (done.signal.aborted) return;
    throw new CodedError('E_DATABASE_AWAY', `PostgreSQL has not answered within ${patienceMs} ms`, {
      kind: 'transient',
    });
  });
  try {
    await Promise.race([reading, silence]);
  } finally {
    done.abort();
  }
}

/** A whole snapshot, from a file or a server that anybody may have written; an older program's lacks settings and keys. */
function asSnapshot(value: unknown): Snapshot | undefined {
  if (!isRecord(value)) return undefined;
  const { version, rules, developmentHosts, teams, destinations, settings = {}, keys = [] } = value;
  const areLists = [rules, developmentHosts, destinations, keys].every((list) => Array.isArray(list));
  const isWhole = areLists && Number.isSafeInteger(version) && isRecord(teams) && isRecord(settings);
  return isWhole ? ({ ...value, settings, keys } as unknown as Snapshot) : undefined;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
