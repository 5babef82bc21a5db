import type { RuleInput } from '../../../gateways/postgres/rule-input.ts';

/** A rule to store, with no more than there has to be. */
export function ruleOf(name: string | null, changes: Partial<RuleInput> = {}): RuleInput {
  return {
    name,
    match_string: 'link down',
    prod_handling: 'Page_only',
    dev_handling: 'Ignore',
    team_assignment: 'NetOps',
    ...changes,
  };
}
