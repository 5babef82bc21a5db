/** Rules of the old API: the ten columns it knew. What API v2 knows besides stays as it is when a rule is changed. */
import { Type } from 'typebox';
import { HANDLINGS } from '../../../actors/event.ts';
import type { Page, RulePosition, RulesPort } from '../admin-port.ts';
import { idNumber, oneOf, orNull } from '../documents.ts';
import type { RuleDocument } from '../documents.ts';
import { created, ok } from '../endpoint.ts';
import type { AnyEndpoint } from '../endpoint.ts';
import { closed, given, reason, team, wholeNumber } from '../inputs.ts';
import { faulty, notFound, STORE_ERRORS } from '../problems.ts';
import { wholeList } from './numbered-pages.ts';
import { onWhatIsThere, reasonBody, said, v1Endpoint } from './v1-endpoint.ts';

const handling = oneOf(HANDLINGS as readonly ['Page_and_ticket', 'Page_only', 'Ticket_only', 'Ignore']);
/** Old clients send an empty text for none. */
const criterion = Type.Optional(orNull(Type.String({ maxLength: 1_000, description: 'a text' })));
const columns = {
  match_string: criterion,
  trap_oid: criterion,
  syslog_severity: Type.Optional(orNull(wholeNumber(0, 7))),
  match_type: Type.Optional(oneOf(['contains', 'regex', 'oid_prefix'])),
  priority: Type.Optional(wholeNumber(0, 1_000_000)),
  is_active: Type.Optional(Type.Boolean()),
};
// Columns that the old API did not have are not looked at, as it did not: a client may send back what it was shown.
const newRule = Type.Object({
  ...columns,
  prod_handling: handling,
  dev_handling: handling,
  team_assignment: team,
  reason: Type.Optional(reason),
});
const changedRule = Type.Object({
  ...columns,
  prod_handling: Type.Optional(handling),
  dev_handling: Type.Optional(handling),
  team_assignment: Type.Optional(team),
  reason: Type.Optional(reason),
});
const COLUMNS = [
  'match_string',
  'trap_oid',
  'syslog_severity',
  'match_type',
  'priority',
  'prod_handling',
  'dev_handling',
  'team_assignment',
  'is_active',
] as const;

const shownRule = Type.Object(
  { id: idNumber, match_string: orNull(Type.String()) },
  { additionalProperties: true },
);
const params = closed({ id: idNumber });
const unknownRule = () => notFound('rule', 'List the rules to see their ids.');

export function v1RuleEndpoints(rules: RulesPort): AnyEndpoint[] {
  const path = '/api/v1/rules';
  const item = `${path}/:id`;
  const successor = '/api/v2/rules/{id}';
  return [
    v1Endpoint({
      operationId: 'v1ListRules',
      method: 'get',
      path,
      successor: '/api/v2/rules',
      scope: 'read',
      tag: 'v1',
      summary: 'All rules in the order they are tried',
      replies: { 200: { description: 'Rules', schema: Type.Object({ rules: Type.Array(shownRule) }) } },
      errors: STORE_ERRORS,
      answer: async () =>
        ok({ rules: (await wholeList((page: Page<RulePosition>) => rules.page(page))).map(shown) }),
    }),
    v1Endpoint({
      operationId: 'v1CreateRule',
      method: 'post',
      path,
      successor: '/api/v2/rules',
      scope: 'admin',
      tag: 'v1',
      summary: 'Adds a rule',
      body: { schema: newRule },
      replies: {
        201: { description: 'Added', schema: Type.Object({ id: idNumber, message: Type.String() }) },
      },
      errors: ['E_RULE_INVALID', 'E_ROW_INVALID', 'E_RULE_SET_TOO_LARGE', ...STORE_ERRORS],
      answer: async ({ body, caller }) => {
        const rule = await rules.create(columnsOf(body), { caller, reason: body.reason ?? null });
        return created({ id: rule.id, message: 'Rule created successfully' }, path, rule.id);
      },
    }),
    v1Endpoint({
      operationId: 'v1GetRule',
      method: 'get',
      path: item,
      successor,
      scope: 'read',
      tag: 'v1',
      summary: 'One rule',
      params,
      replies: { 200: { description: 'The rule', schema: shownRule } },
      errors: ['E_NOT_FOUND', ...STORE_ERRORS],
      answer: async (call) => {
        const rule = await rules.get(call.params.id);
        if (rule === undefined) throw unknownRule();
        return ok(shown(rule));
      },
    }),
    v1Endpoint({
      operationId: 'v1UpdateRule',
      method: 'put',
      path: item,
      successor,
      scope: 'admin',
      tag: 'v1',
      summary: 'Changes the columns given',
      params,
      body: { schema: changedRule },
      replies: { 200: { description: 'Changed', schema: said } },
      errors: [
        'E_NOT_FOUND',
        'E_RULE_INVALID',
        'E_ROW_INVALID',
        'E_VERSION_CONFLICT',
        'E_RULE_SET_TOO_LARGE',
        ...STORE_ERRORS,
      ],
      answer: async (call) => {
        const { id } = call.params;
        const changes = columnsOf(call.body);
        if (Object.keys(changes).length === 0) {
          const mend = `Give at least one of ${COLUMNS.join(', ')}.`;
          throw faulty('E_BODY_INVALID', 'the body', [{ field: '', why: 'changes nothing', mend }]);
        }
        const change = { caller: call.caller, reason: call.body.reason ?? null };
        await onWhatIsThere(async () => {
          const present = await rules.get(id);
          if (present === undefined) throw unknownRule();
          const { version: expectedVersion, id: _, ...rule } = present;
          await rules.replace(id, { ...rule, ...changes }, { ...change, expectedVersion });
        });
        return ok({ message: 'Rule updated successfully' });
      },
    }),
    v1Endpoint({
      operationId: 'v1DeleteRule',
      method: 'delete',
      path: item,
      successor,
      scope: 'admin',
      tag: 'v1',
      summary: 'Removes a rule',
      params,
      body: reasonBody,
      replies: { 200: { description: 'Removed', schema: said } },
      errors: ['E_NOT_FOUND', ...STORE_ERRORS],
      answer: async ({ params: { id }, body, caller }) => {
        const change = { caller, reason: body.reason ?? null, expectedVersion: undefined };
        if (!(await rules.remove(id, change))) throw unknownRule();
        return ok({ message: 'Rule deleted successfully' });
      },
    }),
  ];
}

function shown(rule: RuleDocument): Record<string, unknown> {
  return { id: rule.id, ...Object.fromEntries(COLUMNS.map((column) => [column, rule[column]])) };
}

/** The old columns of a body that are there, as a rule of today has them. */
function columnsOf(body: Partial<Record<(typeof COLUMNS)[number], unknown>>): Record<string, unknown> {
  return given(
    Object.fromEntries(COLUMNS.map((column) => [column, body[column] === '' ? null : body[column]])),
  );
}
