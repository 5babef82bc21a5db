/**
 * Makes a suspension hold everywhere: a rule that was over its budget is out of this node's image at once, and out of
 * every node's rule set as soon as PostgreSQL has it. While PostgreSQL is away it is kept here and tried again, and every
 * image that is built meanwhile begins with it.
 *
 * Invariant: only the version of the rule that offended is suspended; saving the rule again lifts it.
 */
import type { RuleSet } from '../../actors/match/rule-set/rule-set.ts';
import { sleep } from '../../runtime/clock.ts';
import type { Clock } from '../../runtime/clock.ts';
import { kindOf } from '../../runtime/errors.ts';
import { Backoff } from '../../runtime/supervision/backoff.ts';
import type { Log } from '../../runtime/telemetry/log.ts';
import type { OffenderFound } from '../threads/worker-messages.ts';

export type Offence = OffenderFound['offender'];

/** PostgreSQL's part. */
export interface SuspensionStore {
  /** False when it is so already, or this version of the rule is no more. Idempotent. */
  suspend(offence: Offence, author: { changedBy: string }): Promise<boolean>;
}

export interface RuleSuspensionsOptions {
  /** Undefined while there is none. */
  store: () => SuspensionStore | undefined;
  /** Named in the audit. */
  node: string;
  clock: Clock;
  log: Pick<Log, 'info' | 'warn' | 'error'>;
  /** A suspension is written: there is another snapshot. */
  onWritten: () => void;
}

/** Far more than one set can have before it does nothing else; further ones hold only in the present image. */
const WAITING_MAX = 1_000;
const RETRY = { initialMs: 500, maxMs: 30_000, resetAfterMs: 60_000 };

export class RuleSuspensions {
  readonly #options: RuleSuspensionsOptions;
  /** Not written yet, by rule. */
  readonly #waiting = new Map<number, Offence>();
  readonly #backoff = new Backoff(RETRY, Math.random);
  readonly #stopped = new AbortController();
  #writing: Promise<void> | undefined;
  #isAway = false;

  constructor(options: RuleSuspensionsOptions) {
    this.#options = options;
  }

  /** Suspensions that PostgreSQL does not have yet. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** A rule was over its budget; its image leaves it out by now. */
  report(offence: Offence): void {
    const { ruleId, ruleVersion, eventId, code, message } = offence;
    this.#options.log.error(
      { rule_id: ruleId, rule_version: ruleVersion, event_id: eventId, code, message },
      'a rule is suspended: it was over its budget; save it again to lift that',
    );
    if (this.#waiting.size >= WAITING_MAX && !this.#waiting.has(ruleId)) return;
    this.#waiting.set(ruleId, offence);
    this.#begin();
  }

  /** A new image leaves out what is not written yet. */
  holdIn(rules: RuleSet): void {
    for (const { ruleId, ruleVersion } of this.#waiting.values()) {
      if (rules.rule(ruleId)?.version === ruleVersion) rules.suspend(ruleId);
    }
  }

  /** What is not written by then is found anew by the next start. */
  async stop(): Promise<void> {
    this.#stopped.abort();
    await this.#writing;
  }

  #begin(): void {
    this.#writing ??= this.#write().finally(() => {
      this.#writing = undefined;
      if (this.#waiting.size > 0 && !this.#stopped.signal.aborted) this.#begin();
    });
  }

  async #write(): Promise<void> {
    const { clock } = this.#options;
    const { signal } = this.#stopped;
    while (this.#waiting.size > 0 && !signal.aborted) {
      for (const offence of [...this.#waiting.values()]) {
        if (!(await this.#writeOne(offence))) break;
      }
      if (this.#waiting.size > 0) await sleep(clock, this.#backoff.next(clock.monotonicMs()), signal);
    }
  }

  /** False when it has to be tried again. */
  async #writeOne(offence: Offence): Promise<boolean> {
    const { store, node, log, onWritten } = this.#options;
    try {
      const present = store();
      if (present === undefined) return false;
      const isNew = await present.suspend(offence, { changedBy: node });
      this.#settle(offence);
      if (this.#isAway) log.info({}, 'suspensions of rules can be stored again');
      this.#isAway = false;
      if (isNew) onWritten();
      return true;
    } catch (thrown) {
      if (kindOf(thrown) !== 'transient') {
        // The same would be refused again; it holds in this node's image.
        this.#settle(offence);
        log.error({ error: thrown, rule_id: offence.ruleId }, 'the suspension of a rule cannot be stored');
        return true;
      }
      if (!this.#isAway)
        log.warn({ error: thrown }, 'suspensions of rules cannot be stored; they hold on this node');
      this.#isAway = true;
      return false;
    }
  }

  #settle(offence: Offence): void {
    if (this.#waiting.get(offence.ruleId) === offence) this.#waiting.delete(offence.ruleId);
  }
}
