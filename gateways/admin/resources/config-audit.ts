/** Who changed what, why, from what to what; and the proof that nobody touched the record. */
import { Type } from 'typebox';
import type { ConfigAuditPort } from '../admin-port.ts';
import { pageQuery, readPage } from '../cursor.ts';
import { configAuditEntry, configAuditVerdict, listOf, oneOf } from '../documents.ts';
import { endpoint, ok } from '../endpoint.ts';
import type { AnyEndpoint } from '../endpoint.ts';
import { closed, given, msOf, textOf, time } from '../inputs.ts';
import { notFound, STORE_ERRORS } from '../problems.ts';

const entryId = Type.Integer({
  minimum: 1,
  maximum: Number.MAX_SAFE_INTEGER,
  description: 'the number of an entry',
});

/** As the record calls them: the tables of sql/migrations. */
const RESOURCES = [
  'settings',
  'alert_rules',
  'rule_suspensions',
  'api_keys',
  'device_teams',
  'development_hosts',
  'destinations',
  'rejects',
  'unmatched_templates',
  'quarantined_events',
  'dead_letters',
  'replay_operations',
  'stores',
] as const;

export function configAuditEndpoints(audit: ConfigAuditPort): AnyEndpoint[] {
  const path = '/api/v2/config-audit';
  return [
    endpoint({
      operationId: 'listConfigAudit',
      method: 'get',
      path,
      scope: 'read',
      tag: 'config-audit',
      summary: 'Changes of the configuration, newest first',
      query: closed({
        ...pageQuery,
        changed_by: Type.Optional(textOf(200)),
        operation: Type.Optional(oneOf(['CREATE', 'UPDATE', 'DELETE'])),
        resource: Type.Optional(oneOf(RESOURCES)),
        record_key: Type.Optional(textOf(300)),
        from: Type.Optional(time),
        to: Type.Optional(time),
      }),
      replies: { 200: { description: 'A page of changes', schema: listOf(configAuditEntry) } },
      errors: ['E_CURSOR_INVALID', ...STORE_ERRORS],
      answer: async ({ query: { changed_by, operation, resource, record_key, from, to, ...page } }) => {
        const filters = given({
          changedBy: changed_by,
          operation,
          resource,
          recordKey: record_key,
          fromMs: msOf(from, 'from'),
          toMs: msOf(to, 'to'),
        });
        return ok(
          await readPage(page, entryId, ({ limit, after: beforeId }) =>
            audit.search({ ...filters, limit, ...given({ beforeId }) }),
          ),
        );
      },
    }),
    endpoint({
      operationId: 'verifyConfigAudit',
      method: 'get',
      path: `${path}/verify`,
      scope: 'read',
      tag: 'config-audit',
      summary: 'Recomputes the chain of hashes',
      replies: { 200: { description: 'Whether it is whole', schema: configAuditVerdict } },
      errors: STORE_ERRORS,
      answer: async () => ok(await audit.verify()),
    }),
    endpoint({
      operationId: 'getConfigAuditEntry',
      method: 'get',
      path: `${path}/:id`,
      scope: 'read',
      tag: 'config-audit',
      summary: 'One change',
      params: closed({ id: entryId }),
      replies: { 200: { description: 'The change', schema: configAuditEntry } },
      errors: ['E_NOT_FOUND', ...STORE_ERRORS],
      answer: async (call) => {
        const entry = await audit.get(call.params.id);
        if (entry === undefined) throw notFound('entry', 'List the configuration audit.');
        return ok(entry);
      },
    }),
  ];
}
