/**
 * Judges a set of rules before it is saved: whether a node could build and hold it. Whoever saves waits for it with
 * everything locked, so each rule is judged once for as long as it stays the same object.
 */
import { setCost } from '../../actors/match/rule-set/rule-set.ts';
import type { RuleCost } from '../../actors/match/rule-set/rule-set.ts';
import type { RuleRow } from '../../actors/ports.ts';
import { rulesText } from '../snapshot-text.ts';
import { costInForce } from './build-rules.ts';
import type { RuleBuilder } from './rule-builder.ts';

/** So few take less time than a thread takes to start. */
const RULES_BESIDE_MAX = 300;

/** More new ones are judged in the thread of `builder`: whoever asks has others to answer. Errors: E_RULE_SET_TOO_LARGE. */
export function setJudge(builder: Pick<RuleBuilder, 'costs'>): (rules: readonly RuleRow[]) => Promise<void> {
  const known = new WeakMap<RuleRow, RuleCost>();
  return async (rules) => {
    const news = rules.filter((rule) => !known.has(rule));
    const costs =
      news.length <= RULES_BESIDE_MAX ? news.map(costInForce) : await builder.costs(rulesText(news));
    for (const [at, rule] of news.entries()) known.set(rule, costs[at]!);
    setCost(rules.map((rule) => known.get(rule)!));
  };
}
