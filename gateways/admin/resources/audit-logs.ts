/** What was decided about events. */
import { Type } from 'typebox';
import { HANDLINGS } from '../../../actors/event.ts';
import type { AuditLogsPort } from '../admin-port.ts';
import { pageQuery, readPage } from '../cursor.ts';
import { auditLogEntry, idNumber, listOf, oneOf } from '../documents.ts';
import { endpoint, ok } from '../endpoint.ts';
import type { AnyEndpoint } from '../endpoint.ts';
import { closed, given, hostname, msOf, time } from '../inputs.ts';
import { STORE_ERRORS } from '../problems.ts';

const position = closed({ receivedAtMs: Type.Integer(), eventId: Type.String({ maxLength: 128 }) });

export function auditLogEndpoints(auditLogs: AuditLogsPort): AnyEndpoint[] {
  return [
    endpoint({
      operationId: 'listAuditLogs',
      method: 'get',
      path: '/api/v2/audit-logs',
      scope: 'read',
      tag: 'audit-logs',
      summary: 'Decisions about events, newest first; from and to go by receipt',
      query: closed({
        ...pageQuery,
        hostname: Type.Optional(hostname),
        rule_id: Type.Optional(idNumber),
        decision: Type.Optional(oneOf([...HANDLINGS, 'Unmatched'])),
        from: Type.Optional(time),
        to: Type.Optional(time),
      }),
      replies: { 200: { description: 'A page of decisions', schema: listOf(auditLogEntry) } },
      errors: ['E_CURSOR_INVALID', 'E_SEARCH_TOO_LONG', ...STORE_ERRORS],
      answer: async ({ query: { hostname: host, rule_id, decision, from, to, ...page } }) => {
        const filters = given({
          hostname: host,
          ruleId: rule_id,
          decision,
          fromMs: msOf(from, 'from'),
          toMs: msOf(to, 'to'),
        });
        return ok(await readPage(page, position, (at) => auditLogs.search({ ...filters, ...at })));
      },
    }),
  ];
}
