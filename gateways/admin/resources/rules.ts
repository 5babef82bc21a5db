/** Rules, one by one. The whole set in one document is rule-set.ts. */
import { Type } from 'typebox';
import type { RulesPort } from '../admin-port.ts';
import { pageQuery, readPage } from '../cursor.ts';
import { handling, idNumber, listOf, oneOf, orNull, ruleDocument } from '../documents.ts';
import { created, endpoint, NO_CONTENT, ok } from '../endpoint.ts';
import type { AnyEndpoint } from '../endpoint.ts';
import {
  closed,
  given,
  itemChangeOf,
  reasonBody,
  reasonQuery,
  team,
  textOf,
  wholeNumber,
} from '../inputs.ts';
import { notFound, STORE_ERRORS } from '../problems.ts';

const optional = (charsMax: number) => Type.Optional(orNull(textOf(charsMax)));
const coded = (maximum: number, example: string) =>
  Type.Optional(
    orNull(
      Type.Union([wholeNumber(0, maximum), Type.String({ minLength: 1 })], {
        description: `a number from 0 to ${maximum} or its name, such as ${example}`,
      }),
    ),
  );

/** A rule as people write it. What it means is judged behind the port; a spec keeps the two from drifting apart. */
export const ruleInput = Type.Object(
  {
    name: optional(100),
    id: Type.Optional(idNumber),
    version: Type.Optional(idNumber),
    match_string: optional(1_000),
    match_type: Type.Optional(oneOf(['contains', 'regex', 'oid_prefix'])),
    case_sensitive: Type.Optional(Type.Boolean()),
    trap_oid: optional(1_000),
    syslog_severity: coded(7, 'err'),
    severity_op: Type.Optional(oneOf(['=', '<=', '>='])),
    host: optional(255),
    program: optional(255),
    facility: coded(23, 'local7'),
    network: optional(64),
    priority: Type.Optional(wholeNumber(0, 1_000_000)),
    continue: Type.Optional(Type.Boolean()),
    prod_handling: handling,
    dev_handling: handling,
    team_assignment: team,
    severity: coded(7, 'err'),
    signature: optional(512),
    clears: Type.Optional(orNull(idNumber)),
    active_from: optional(64),
    active_until: optional(64),
    is_active: Type.Optional(Type.Boolean()),
    tests: Type.Optional(Type.Array(Type.Object({}), { maxItems: 100 })),
  },
  { title: 'RuleInput', additionalProperties: false },
);

const params = closed({ id: idNumber });
const position = closed({ priority: Type.Integer(), id: idNumber });
const unknownRule = () => notFound('rule', 'List the rules to see their ids.');

export function ruleEndpoints(rules: RulesPort): AnyEndpoint[] {
  const path = '/api/v2/rules';
  const item = `${path}/:id`;
  return [
    endpoint({
      operationId: 'listRules',
      method: 'get',
      path,
      scope: 'read',
      tag: 'rules',
      summary: 'Rules in the order they are tried',
      query: closed({
        ...pageQuery,
        q: Type.Optional(textOf(200)),
        team: Type.Optional(team),
        is_active: Type.Optional(Type.Boolean({ description: 'true or false' })),
      }),
      replies: { 200: { description: 'A page of rules', schema: listOf(ruleDocument) } },
      errors: ['E_CURSOR_INVALID', ...STORE_ERRORS],
      answer: async ({ query: { q, team: ofTeam, is_active: isActive, ...page } }) =>
        ok(
          await readPage(page, position, (at) =>
            rules.page({ ...at, ...given({ q, team: ofTeam, isActive }) }),
          ),
        ),
    }),
    endpoint({
      operationId: 'createRule',
      method: 'post',
      path,
      scope: 'admin',
      tag: 'rules',
      summary: 'Adds a rule',
      query: reasonQuery,
      body: { schema: ruleInput, checkedBy: 'port' },
      isVersioned: true,
      replies: { 201: { description: 'The rule as it is in force', schema: ruleDocument } },
      errors: ['E_RULE_INVALID', 'E_ROW_INVALID', 'E_EXISTS', ...STORE_ERRORS],
      answer: async (call) => {
        const rule = await rules.create(call.body, {
          caller: call.caller,
          reason: call.query.reason ?? null,
        });
        return created(rule, path, rule.id, rule.version);
      },
    }),
    endpoint({
      operationId: 'getRule',
      method: 'get',
      path: item,
      scope: 'read',
      tag: 'rules',
      summary: 'One rule',
      params,
      isVersioned: true,
      replies: { 200: { description: 'The rule', schema: ruleDocument } },
      errors: ['E_NOT_FOUND', ...STORE_ERRORS],
      answer: async ({ params: { id } }) => {
        const rule = await rules.get(id);
        if (rule === undefined) throw unknownRule();
        return ok(rule, rule.version);
      },
    }),
    endpoint({
      operationId: 'replaceRule',
      method: 'put',
      path: item,
      scope: 'admin',
      tag: 'rules',
      summary: 'Replaces a rule by the whole rule given; what is left out has its default',
      params,
      query: reasonQuery,
      body: { schema: ruleInput, checkedBy: 'port' },
      ifMatch: 'required',
      isVersioned: true,
      replies: { 200: { description: 'The rule as it is in force', schema: ruleDocument } },
      errors: ['E_NOT_FOUND', 'E_RULE_INVALID', 'E_ROW_INVALID', 'E_EXISTS', ...STORE_ERRORS],
      answer: async (call) => {
        const change = { caller: call.caller, reason: call.query.reason ?? null, ...call.precondition };
        const rule = await rules.replace(call.params.id, call.body, change);
        if (rule === undefined) throw unknownRule();
        return ok(rule, rule.version);
      },
    }),
    endpoint({
      operationId: 'deleteRule',
      method: 'delete',
      path: item,
      scope: 'admin',
      tag: 'rules',
      summary: 'Removes a rule',
      params,
      query: reasonQuery,
      body: { schema: reasonBody, isOptional: true },
      ifMatch: 'required',
      replies: { 204: { description: 'It is gone' } },
      errors: ['E_NOT_FOUND', 'E_ROW_INVALID', ...STORE_ERRORS],
      answer: async (call) => {
        if (!(await rules.remove(call.params.id, itemChangeOf(call)))) throw unknownRule();
        return NO_CONTENT;
      },
    }),
  ];
}
