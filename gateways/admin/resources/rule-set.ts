/** Everything that decides, in one document: rules, development hosts, teams and destinations. */
import { Type } from 'typebox';
import type { RulesPort } from '../admin-port.ts';
import { appliedDocument, orNull, ruleSetDocument } from '../documents.ts';
import { endpoint, ok } from '../endpoint.ts';
import type { AnyEndpoint } from '../endpoint.ts';
import { hostname, reason, team } from '../inputs.ts';
import { STORE_ERRORS } from '../problems.ts';
import { destinationInput } from './destinations.ts';
import { ruleInput } from './rules.ts';

const ruleSetInput = Type.Object(
  {
    rules: Type.Optional(orNull(Type.Array(ruleInput))),
    development_hosts: Type.Optional(orNull(Type.Array(hostname))),
    teams: Type.Optional(orNull(Type.Record(Type.String(), team))),
    destinations: Type.Optional(orNull(Type.Array(destinationInput))),
    reason: Type.Optional(reason),
  },
  { title: 'RuleSetInput', additionalProperties: false },
);

export function ruleSetEndpoints(rules: RulesPort): AnyEndpoint[] {
  const path = '/api/v2/rule-set';
  return [
    endpoint({
      operationId: 'getRuleSet',
      method: 'get',
      path,
      scope: 'read',
      tag: 'rule-set',
      summary: 'Rules, development hosts, teams and destinations, and their version',
      isVersioned: true,
      replies: { 200: { description: 'The rule set in force', schema: ruleSetDocument } },
      errors: STORE_ERRORS,
      answer: async () => {
        const set = await rules.set();
        return ok(set, set.version);
      },
    }),
    endpoint({
      operationId: 'applyRuleSet',
      method: 'put',
      path,
      scope: 'admin',
      tag: 'rule-set',
      summary: 'Applies a document of those, all of it or nothing; what it does not name stays',
      body: { schema: ruleSetInput, checkedBy: 'port' },
      replies: { 200: { description: 'What was changed', schema: appliedDocument } },
      errors: [
        'E_CONFIG_INVALID',
        'E_RULE_INVALID',
        'E_DESTINATION_INVALID',
        'E_ROW_INVALID',
        'E_VERSION_CONFLICT',
        ...STORE_ERRORS,
      ],
      answer: async ({ body, caller }) => ok(await rules.applySet(body, caller)),
    }),
    endpoint({
      operationId: 'checkRuleSet',
      method: 'post',
      path: `${path}/check`,
      scope: 'read',
      tag: 'rule-set',
      summary: 'Judges such a document as PUT does, and applies nothing',
      body: { schema: ruleSetInput, checkedBy: 'port' },
      replies: {
        200: { description: 'It could be applied', schema: Type.Object({ valid: Type.Literal(true) }) },
      },
      errors: ['E_CONFIG_INVALID', 'E_ROW_INVALID', ...STORE_ERRORS],
      answer: async ({ body }) => {
        await rules.checkSet(body);
        return ok({ valid: true as const });
      },
    }),
  ];
}
