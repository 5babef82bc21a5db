/** A rule and an event to start from, for the specs of this folder. */
import type { NormalizedEvent } from '../../../actors/event.ts';
import type { DecisionsInForce } from '../../../actors/match/match-handler.ts';
import { buildRuleSet } from '../../../actors/match/rule-set/rule-set.ts';
import { RULE_DEFAULTS } from '../../../actors/ports.ts';
import type { RuleRow, Snapshot } from '../../../actors/ports.ts';

export const receivedAtMs = Date.parse('2024-05-01T12:00:00Z');

export function ruleOf(fields: Partial<RuleRow>): RuleRow {
  return {
    id: 1,
    version: 1,
    ...RULE_DEFAULTS,
    prod_handling: 'Page_and_ticket',
    dev_handling: 'Ignore',
    team_assignment: 'NETO',
    ...fields,
  };
}

export function eventOf(fields: Partial<NormalizedEvent>): NormalizedEvent {
  return {
    id: '017f22e2-79b0-7cc3-98c4-dc0c0c07398f-0',
    receivedAtMs,
    correlationId: 'c-1',
    hostname: 'router-1.example.net',
    message: 'link down',
    eventTimeMs: receivedAtMs,
    clockSkewed: false,
    textRepaired: false,
    fields: {},
    ...fields,
  };
}

let builds = 0;

/** A snapshot as a match thread gets it, with an image of its own. */
export function decisionsOf({ rules, ...rest }: Snapshot): DecisionsInForce {
  return { ...rest, image: buildRuleSet(rules, rest.version).image, build: ++builds };
}
