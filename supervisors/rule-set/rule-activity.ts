/**
 * Stores how often rules have matched, every few seconds. What was counted since is lost when the process is killed, and
 * counted twice when PostgreSQL stores it and the answer is lost: the figures tell rules that fire from rules that do not,
 * the audit tells what has happened.
 */
import type { RuleHits } from '../../actors/match/rule-set/rule-set.ts';
import type { Log } from '../../runtime/telemetry/log.ts';
import type { HitTally } from './hit-tally.ts';

/** PostgreSQL's part. */
export interface ActivityStore {
  add(hits: readonly RuleHits[]): Promise<void>;
}

export interface RuleActivityOptions {
  store: ActivityStore;
  tally: HitTally;
  /** Brings the tally up to date. */
  count: () => void;
  log: Pick<Log, 'info' | 'warn'>;
  everyMs?: number;
}

const EVERY_MS = 5_000;

export class RuleActivity {
  readonly #options: RuleActivityOptions;
  #timer: NodeJS.Timeout | undefined;
  #storing: Promise<void> | undefined;
  #isAway = false;

  constructor(options: RuleActivityOptions) {
    this.#options = options;
  }

  start(): void {
    this.#timer = setInterval(() => void this.store(), this.#options.everyMs ?? EVERY_MS);
  }

  /** After a last attempt. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#storing;
    await this.store();
  }

  /** Stores what has been counted. Never rejects: what cannot be stored waits for the next time. */
  store(): Promise<void> {
    this.#storing ??= this.#store().finally(() => {
      this.#storing = undefined;
    });
    return this.#storing;
  }

  async #store(): Promise<void> {
    const { store, tally, count, log } = this.#options;
    count();
    const taken = tally.take();
    if (taken.length === 0) return;
    try {
      await store.add(taken);
      if (this.#isAway) log.info({}, 'hits of rules can be stored again');
      this.#isAway = false;
    } catch (thrown) {
      tally.giveBack(taken);
      if (!this.#isAway)
        log.warn({ error: thrown }, 'hits of rules cannot be stored; they are kept and tried again');
      this.#isAway = true;
    }
  }
}
