/**
 * Counts how often rules have matched, from the images that count it, until it is stored. Bounded: one entry for each
 * rule, and no more rules than the largest set has.
 */
import type { RuleHits, RuleSet } from '../../actors/match/rule-set/rule-set.ts';

/** The largest set, and as many again that were removed before their hits were stored. Further ones are not counted. */
const RULES_MAX = 100_000;

export class HitTally {
  /** By id. */
  #waiting = new Map<number, RuleHits>();
  /** What has been read of each image already, by rule. */
  readonly #read = new WeakMap<RuleSet, Map<number, number>>();

  /** What was counted in the image since it was read last. */
  read(rules: RuleSet): void {
    const before = this.#read.get(rules) ?? new Map<number, number>();
    this.#read.set(rules, before);
    for (const { ruleId, hits, lastReceivedAtMs } of rules.hits()) {
      // An image counts in 32 bits.
      const more = (hits - (before.get(ruleId) ?? 0)) >>> 0;
      if (more === 0) continue;
      before.set(ruleId, hits);
      this.#add({ ruleId, hits: more, lastReceivedAtMs });
    }
  }

  /** All that waits; it no longer does. */
  take(): RuleHits[] {
    const taken = [...this.#waiting.values()];
    this.#waiting = new Map();
    return taken;
  }

  /** It could not be stored. */
  giveBack(taken: readonly RuleHits[]): void {
    for (const hits of taken) this.#add(hits);
  }

  #add({ ruleId, hits, lastReceivedAtMs }: RuleHits): void {
    const waiting = this.#waiting.get(ruleId);
    if (waiting === undefined && this.#waiting.size >= RULES_MAX) return;
    this.#waiting.set(ruleId, {
      ruleId,
      hits: hits + (waiting?.hits ?? 0),
      lastReceivedAtMs: Math.max(lastReceivedAtMs, waiting?.lastReceivedAtMs ?? 0),
    });
  }
}
