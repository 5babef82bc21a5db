/**
 * Keeps the rule set that match threads run: the image of a snapshot's rules with the rest of the same snapshot.
 *
 * A snapshot with the rules of the one before is in force at once, with the image there is. Other rules are built beside
 * what goes on; of those that come while a set is built, only the newest is built next. A set that cannot be built leaves
 * the old one in force, whole: a match thread never runs with the rules of one version and the rest of another. It is
 * tried again ever more slowly, and at once when the rules change again.
 *
 * Invariant: nothing here refers to an image that no thread uses any more, or its memory would never come back.
 */
import type { BuiltRuleSet, RefusedRule } from '../../actors/match/rule-set/rule-set.ts';
import { RuleSet } from '../../actors/match/rule-set/rule-set.ts';
import type { RuleRow, Snapshot } from '../../actors/ports.ts';
import type { Settings } from '../../actors/settings.ts';
import type { Clock } from '../../runtime/clock.ts';
import { CodedError, codeOf, kindOf, messageOf } from '../../runtime/errors.ts';
import { CounterBlock } from '../../runtime/shared/counters.ts';
import { Backoff } from '../../runtime/supervision/backoff.ts';
import type { Log } from '../../runtime/telemetry/log.ts';
import { rulesText } from '../snapshot-text.ts';
import type { MatchInForce } from '../threads/worker-messages.ts';
import type { HitTally } from './hit-tally.ts';
import { AT, RULE_SET_LAYOUT } from './rule-set-counters.ts';

/** What is to hold in match threads. */
export interface SnapshotInForce {
  version: number;
  settings: Settings;
  snapshot: Snapshot;
}

export interface RuleSetKeeperOptions {
  /** `rules`: JSON of the rows. */
  build: (rules: string, version: number) => Promise<BuiltRuleSet>;
  tally: HitTally;
  clock: Clock;
  log: Pick<Log, 'info' | 'warn' | 'error'>;
  /** Another one is in force for match threads. */
  onChange: () => void;
  /** A new image, before any thread has it. */
  onImage: (rules: RuleSet) => void;
}

/** For `GET /status`. */
export interface RuleSetView {
  /** The snapshot that match threads are told; 0 before there is one. */
  version: number;
  /** Active ones that are in use. */
  in_use: number;
  suspended: number;
  /** Active ones that do not compile. */
  refused: number;
  image_bytes: number;
  build_ms: number;
  is_building: boolean;
  /** Why the newest rules are not in force; null when they are, or are being built for the first time. */
  failure: { code: string; message: string; since: string; attempts: number } | null;
}

/** Later ones have a higher number; versions may go back, when PostgreSQL was restored. */
interface Wanted {
  number: number;
  inForce: SnapshotInForce;
}

interface Present extends Wanted {
  built: BuiltRuleSet;
  build: number;
  rules: RuleSet;
  buildMs: number;
}

interface Failure {
  rules: readonly RuleRow[];
  error: unknown;
  sinceMs: number;
  attempts: number;
}

const RETRY = { initialMs: 500, maxMs: 60_000, resetAfterMs: 120_000 };
/** A start that has no set yet gives up after so many, and is tried again from its beginning by its supervisor. */
const FIRST_ATTEMPTS_MAX = 3;
/** Rules that do not compile, in the log; all are counted. */
const REFUSED_LOGGED_MAX = 20;
/** Images that threads may still use. Each is as large as the present one. */
const RETIRING_MAX = 3;

export class RuleSetKeeper {
  readonly counters = new CounterBlock(RULE_SET_LAYOUT);
  readonly #options: RuleSetKeeperOptions;
  readonly #backoff = new Backoff(RETRY, Math.random);
  #wanted: Wanted | undefined;
  #puts = 0;
  #present: Present | undefined;
  /** The newest snapshot with the rules that are being built. */
  #building: Wanted | undefined;
  #builds = 0;
  #failure: Failure | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** Read for the last time when no thread uses them any more. */
  #retiring: RuleSet[] = [];
  #loggedRefused = '[]';
  readonly #waiters = new Set<PromiseWithResolvers<void>>();
  #isClosed = false;

  constructor(options: RuleSetKeeperOptions) {
    this.#options = options;
  }

  /** What match threads are to run; undefined before the first set is built. */
  get inForce(): MatchInForce | undefined {
    if (this.#present === undefined) return undefined;
    const { inForce, built, build } = this.#present;
    const { version, settings, snapshot } = inForce;
    const { developmentHosts, teams, destinations } = snapshot;
    return {
      version,
      settings,
      decisions: { version, developmentHosts, teams, destinations, image: built.image, build },
      rules: built.rules,
    };
  }

  get view(): RuleSetView {
    const { inForce, built, buildMs = 0 } = this.#present ?? {};
    return {
      version: inForce?.version ?? 0,
      in_use: built?.rules ?? 0,
      suspended: inForce === undefined ? 0 : suspendedIn(inForce),
      refused: built?.refused.length ?? 0,
      image_bytes: built?.image.byteLength ?? 0,
      build_ms: Math.round(buildMs),
      is_building: this.#building !== undefined,
      failure: this.#failure === undefined ? null : failureDocument(this.#failure),
    };
  }

  /** Another snapshot is to hold. */
  put(snapshot: SnapshotInForce): void {
    const wanted = { number: ++this.#puts, inForce: snapshot };
    this.#wanted = wanted;
    const { rules } = snapshot.snapshot;
    if (this.#present !== undefined && rulesOf(this.#present) === rules) {
      this.#recover();
      this.#hold({ ...this.#present, ...wanted });
    } else if (this.#building !== undefined && rulesOf(this.#building) === rules) {
      this.#building = wanted;
    } else if (this.#failure?.rules !== rules) {
      this.#recover();
      this.#buildNext();
    }
  }

  /** Settles when there is a set. Rejects with why the first cannot be built; another call tries it again. */
  async ready(): Promise<void> {
    if (this.#present !== undefined) return;
    const waiter = Promise.withResolvers<void>();
    this.#waiters.add(waiter);
    await waiter.promise;
  }

  /** Brings the tally up to date. */
  countHits(): void {
    for (const rules of this.#images) this.#options.tally.read(rules);
  }

  /** No thread uses another image than the present one any more. */
  settle(): void {
    for (const rules of this.#retiring) this.#options.tally.read(rules);
    this.#retiring = [];
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.countHits();
    this.#tellWaiters(new CodedError('E_INTERRUPTED', 'the node stops', { kind: 'transient' }));
  }

  get #images(): RuleSet[] {
    return this.#present === undefined ? this.#retiring : [...this.#retiring, this.#present.rules];
  }

  #buildNext(): void {
    const wanted = this.#wanted;
    if (this.#building !== undefined || wanted === undefined || this.#isClosed) return;
    if (this.#present !== undefined && rulesOf(this.#present) === rulesOf(wanted)) return;
    this.#building = wanted;
    void this.#build(wanted.inForce);
  }

  /** Never rejects. */
  async #build({ version, snapshot: { rules } }: SnapshotInForce): Promise<void> {
    const { build, clock } = this.#options;
    const startedMs = clock.monotonicMs();
    try {
      const built = await build(rulesText(rules), version);
      this.#take(built, clock.monotonicMs() - startedMs);
    } catch (thrown) {
      this.#building = undefined;
      if (!this.#isClosed) this.#fail(rules, thrown);
    }
    // What has come meanwhile; after a failure its own time comes.
    if (this.#failure === undefined) this.#buildNext();
  }

  #take(built: BuiltRuleSet, buildMs: number): void {
    const { log, onImage } = this.#options;
    const wanted = this.#building;
    if (wanted === undefined || this.#isClosed) return;
    this.counters.add(AT.builds);
    const rules = new RuleSet(built.image);
    this.#building = undefined;
    // The rules were changed back meanwhile: what is in force is newer.
    if (this.#present !== undefined && this.#present.number > wanted.number) return;
    onImage(rules);
    this.#recover();
    this.#logRefused(built.refused);
    const { version } = wanted.inForce;
    log.info(
      { version, rules: built.rules, image_bytes: built.image.byteLength, build_ms: Math.round(buildMs) },
      'rule set built',
    );
    this.#hold({ ...wanted, built, build: ++this.#builds, rules, buildMs });
  }

  #hold(present: Present): void {
    const before = this.#present?.rules;
    this.#present = present;
    if (before !== undefined && before !== present.rules) {
      this.#retiring.push(before);
      // Its last hits may be lost: a thread that is so far behind hangs.
      if (this.#retiring.length > RETIRING_MAX) this.#options.tally.read(this.#retiring.shift()!);
    }
    const { built, buildMs, inForce } = present;
    this.counters.set(AT.imageBytes, built.image.byteLength);
    this.counters.set(AT.buildMs, Math.round(buildMs));
    this.counters.set(AT.suspended, suspendedIn(inForce));
    this.counters.set(AT.refused, built.refused.length);
    this.#tellWaiters();
    this.#options.onChange();
  }

  #fail(rules: readonly RuleRow[], error: unknown): void {
    const { clock, log } = this.#options;
    this.counters.add(AT.failures);
    const { sinceMs = clock.wallMs(), attempts: before = 0 } = this.#failure ?? {};
    const attempts = before + 1;
    // The same rules would be refused again; others, which came meanwhile, are tried at once.
    const isFinal = kindOf(error) !== 'transient';
    const isOver = this.#wanted === undefined || rulesOf(this.#wanted) !== rules;
    const retryMs = isFinal || isOver ? undefined : this.#backoff.next(clock.monotonicMs());
    const stays = this.#present === undefined ? 'there is none' : 'the old one stays in force';
    log.error(
      {
        code: codeOf(error),
        message: messageOf(error),
        mend: (error as { mend?: string }).mend,
        attempts,
        ...(retryMs === undefined ? {} : { retry_ms: Math.round(retryMs) }),
      },
      `the rule set cannot be built; ${stays}`,
    );
    if (isOver) return;
    this.#failure = { rules, error, sinceMs, attempts };
    this.counters.set(AT.behind, 1);
    if (isFinal || attempts >= FIRST_ATTEMPTS_MAX) this.#tellWaiters(error);
    if (retryMs !== undefined) this.#timer = setTimeout(() => this.#buildNext(), retryMs);
  }

  /** What failed is of no interest any more. */
  #recover(): void {
    clearTimeout(this.#timer);
    this.#failure = undefined;
    this.#backoff.reset();
    this.counters.set(AT.behind, 0);
  }

  #tellWaiters(error?: unknown): void {
    for (const { resolve, reject } of this.#waiters) {
      if (error === undefined) resolve();
      else reject(error);
    }
    this.#waiters.clear();
  }

  #logRefused(refused: readonly RefusedRule[]): void {
    const names = JSON.stringify(refused);
    if (names === this.#loggedRefused) return;
    this.#loggedRefused = names;
    for (const rule of refused.slice(0, REFUSED_LOGGED_MAX)) {
      this.#options.log.error({ refused: rule, refused_in_all: refused.length }, 'a rule was left out');
    }
  }
}

function rulesOf({ inForce }: Wanted): readonly RuleRow[] {
  return inForce.snapshot.rules;
}

function suspendedIn({ snapshot }: SnapshotInForce): number {
  return snapshot.rules.filter(({ suspended = null }) => suspended !== null).length;
}

function failureDocument({ error, sinceMs, attempts }: Failure): RuleSetView['failure'] {
  return {
    code: codeOf(error),
    message: messageOf(error),
    since: new Date(sinceMs).toISOString(),
    attempts,
  };
}
