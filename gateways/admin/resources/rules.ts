/** Rules, one by one. The whole set in one document is rule-set.ts. */
import { Type } from 'typebox';
import type { RulesPort } from '../admin-port.ts';
import { pageQuery, readPage } from '../cursor.ts';
import { idNumber, listOf, ruleDocument } from '../documents.ts';
import { created, endpoint, NO_CONTENT, ok } from '../endpoint.ts';
import type { AnyEndpoint } from '../endpoint.ts';
import { closed, given, itemChangeOf, reasonBody, reasonQuery, team, textOf } from '../inputs.ts';
import { notFound, STORE_ERRORS } from '../problems.ts';
import { rollbackRequest, ruleInput, ruleVersionDocument } from '../rule-documents.ts';

const params = closed({ id: idNumber });
const auditId = Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER });
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
      errors: ['E_RULE_INVALID', 'E_ROW_INVALID', 'E_EXISTS', 'E_RULE_SET_TOO_LARGE', ...STORE_ERRORS],
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
      errors: [
        'E_NOT_FOUND',
        'E_RULE_INVALID',
        'E_ROW_INVALID',
        'E_EXISTS',
        'E_RULE_SET_TOO_LARGE',
        ...STORE_ERRORS,
      ],
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
    endpoint({
      operationId: 'listRuleVersions',
      method: 'get',
      path: `${item}/versions`,
      scope: 'read',
      tag: 'rules',
      summary: 'A rule as it was after each change, newest first; who changed it, and why',
      params,
      query: closed(pageQuery),
      replies: { 200: { description: 'A page of versions', schema: listOf(ruleVersionDocument) } },
      errors: ['E_NOT_FOUND', 'E_CURSOR_INVALID', ...STORE_ERRORS],
      answer: async ({ params: { id }, query }) =>
        ok(
          await readPage(query, auditId, async (at) => {
            const found = await rules.versions(id, at);
            if (found === undefined) throw unknownRule();
            return found;
          }),
        ),
    }),
    endpoint({
      operationId: 'rollbackRule',
      method: 'post',
      path: `${item}/rollback`,
      scope: 'admin',
      tag: 'rules',
      summary: 'Back to an earlier version; without one, to the version before the last change',
      params,
      query: reasonQuery,
      body: { schema: rollbackRequest, isOptional: true },
      ifMatch: 'required',
      isVersioned: true,
      replies: { 200: { description: 'The rule as it is in force', schema: ruleDocument } },
      errors: [
        'E_NOT_FOUND',
        'E_RULE_VERSION_UNKNOWN',
        'E_RULE_INVALID',
        'E_ROW_INVALID',
        'E_EXISTS',
        'E_RULE_SET_TOO_LARGE',
        ...STORE_ERRORS,
      ],
      answer: async (call) => {
        const rule = await rules.rollback(call.params.id, call.body.to_version, itemChangeOf(call));
        if (rule === undefined) throw unknownRule();
        return ok(rule, rule.version);
      },
    }),
  ];
}
