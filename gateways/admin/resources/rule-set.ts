/** Everything that decides, in one document: rules, development hosts, teams and destinations. */
import { Type } from 'typebox';
import type { RulesPort } from '../admin-port.ts';
import { appliedDocument, idNumber, orNull, ruleDocument } from '../documents.ts';
import { endpoint, ok } from '../endpoint.ts';
import type { AnyEndpoint } from '../endpoint.ts';
import { hostname, reason, team } from '../inputs.ts';
import { STORE_ERRORS } from '../problems.ts';
import { ruleInput } from '../rule-documents.ts';
import { ruleSetDocument } from '../rule-set-documents.ts';
import { destinationInput } from './destinations.ts';

/** With the version its writer saw: another one stored, and nothing of the document is applied. */
const ruleOfSet = Type.Object(
  { ...ruleInput.properties, expected_version: Type.Optional(idNumber) },
  { title: 'RuleOfSet', additionalProperties: false },
);
const ruleSetInput = Type.Object(
  {
    rules: Type.Optional(orNull(Type.Array(ruleOfSet))),
    development_hosts: Type.Optional(orNull(Type.Array(hostname))),
    teams: Type.Optional(orNull(Type.Record(Type.String(), team))),
    destinations: Type.Optional(orNull(Type.Array(destinationInput))),
    reason: Type.Optional(reason),
  },
  { title: 'RuleSetInput', additionalProperties: false },
);

const { suspended: _, ...ruleFields } = ruleDocument.properties;
const checkedRule = Type.Object({
  ...ruleFields,
  id: Type.Optional(idNumber),
  version: Type.Optional(idNumber),
  expected_version: Type.Optional(idNumber),
});
const checkedDocument = Type.Object(
  { valid: Type.Literal(true), rules: Type.Array(checkedRule) },
  { title: 'CheckedRuleSet' },
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
      body: { schema: ruleSetInput, checkedBy: 'port', isLarge: true },
      replies: { 200: { description: 'What was changed', schema: appliedDocument } },
      errors: [
        'E_CONFIG_INVALID',
        'E_RULE_INVALID',
        'E_DESTINATION_INVALID',
        'E_ROW_INVALID',
        'E_VERSION_CONFLICT',
        'E_RULE_SET_TOO_LARGE',
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
      summary:
        'Judges such a document as PUT does, but for expected versions and names taken; applies nothing',
      body: { schema: ruleSetInput, checkedBy: 'port', isLarge: true },
      replies: {
        200: {
          description: 'It could be applied; its rules, whole and in one form',
          schema: checkedDocument,
        },
      },
      errors: ['E_CONFIG_INVALID', 'E_ROW_INVALID', ...STORE_ERRORS],
      answer: async ({ body }) => {
        return ok({ valid: true as const, rules: await rules.checkSet(body) });
      },
    }),
  ];
}
