/**
 * What runs in the thread that builds rule sets: JSON in, a shared image out; or only what each rule would cost in it.
 */
import { buildRuleSet, ruleCost } from '../../actors/match/rule-set/rule-set.ts';
import type { BuiltRuleSet, RuleCost } from '../../actors/match/rule-set/rule-set.ts';
import type { RuleRow } from '../../actors/ports.ts';
import { toWire } from '../../runtime/errors.ts';
import type { WireError } from '../../runtime/errors.ts';
import { nameThread } from '../../runtime/shared/thread-name.ts';

export interface BuildTask {
  /** JSON of the rules: one text is sent at once, ten thousand objects are not. */
  rules: string;
  /** Undefined: only judged, one by one. */
  version: number | undefined;
}

/** `costs` in the order of the rules. A refusal passes as a value: an error would lose its code on the way. */
export type BuildAnswer = { built: BuiltRuleSet } | { costs: RuleCost[] } | { refused: WireError };

export default function build({ rules, version }: BuildTask): BuildAnswer {
  nameThread('rule-builder');
  try {
    const rows = JSON.parse(rules) as RuleRow[];
    if (version === undefined) return { costs: rows.map(costInForce) };
    return { built: buildRuleSet(rows.map(asInForce), version) };
  } catch (thrown) {
    return { refused: toWire(thrown) };
  }
}

/** Its tests count, since nodes hold them too. Never throws. */
export function costInForce(row: RuleRow): RuleCost {
  return ruleCost({ ...asInForce(row), tests: row.tests });
}

/** A suspended rule matches nothing; another one may still clear it. Who matches runs no tests, and they may be large. */
function asInForce(row: RuleRow): RuleRow {
  return { ...row, tests: [], is_active: row.is_active && (row.suspended ?? null) === null };
}
