/** The two audits of the old API: who changed what, and what was decided about events. Pages have numbers. */
import { Type } from 'typebox';
import { CodedError } from '../../../runtime/errors.ts';
import type { AuditLogsPort, ConfigAuditPort, ConfigAuditQuestion } from '../admin-port.ts';
import { idNumber } from '../documents.ts';
import type { AuditLogEntryDocument, ConfigAuditEntryDocument } from '../documents.ts';
import { ok } from '../endpoint.ts';
import type { AnyEndpoint } from '../endpoint.ts';
import { closed, given, hostname, textOf } from '../inputs.ts';
import { faulty, STORE_ERRORS } from '../problems.ts';
import { numberedPage, numberedQuery, pagination } from './numbered-pages.ts';
import type { NumberedQuery } from './numbered-pages.ts';
import { v1Endpoint, v1Time } from './v1-endpoint.ts';

const OPERATIONS = ['CREATE', 'UPDATE', 'DELETE'] as const;
/** What the tables of today were called. */
const OLD_NAMES: Readonly<Record<string, string>> = { settings: 'dynamic_config' };
const DATE_CHARS_MAX = 40;
const date = Type.Optional(Type.String({ maxLength: DATE_CHARS_MAX, description: 'a date or a time' }));
const dates = { start_date: date, end_date: date };
const filters = {
  changed_by: Type.Optional(textOf(200)),
  operation: Type.Optional(textOf(20)),
  table_name: Type.Optional(textOf(100)),
  record_id: Type.Optional(textOf(300)),
};
const rows = Type.Array(Type.Object({}, { additionalProperties: true }));
const ERRORS = ['E_PARAMETER_INVALID', ...STORE_ERRORS];

interface AuditFilters {
  changed_by?: string;
  operation?: string;
  table_name?: string;
  record_id?: string;
  start_date?: string;
  end_date?: string;
}

export function v1AuditEndpoints(configAudit: ConfigAuditPort, auditLogs: AuditLogsPort): AnyEndpoint[] {
  const search = (question: Omit<ConfigAuditQuestion, 'limit' | 'beforeId'>, page: NumberedQuery) =>
    numberedPage(page, ({ limit, after: beforeId }: { limit: number; after?: number }) =>
      configAudit.search({ ...question, limit, ...given({ beforeId }) }),
    );
  const successor = '/api/v2/config-audit';
  return [
    v1Endpoint({
      operationId: 'v1ConfigHistory',
      method: 'get',
      path: '/api/v1/config/history',
      successor: '/api/v2/config-audit?resource=settings',
      scope: 'read',
      tag: 'v1',
      summary: 'Changes of settings, newest first',
      query: closed(numberedQuery),
      replies: { 200: { description: 'Changes', schema: Type.Object({ history: rows, pagination }) } },
      errors: ERRORS,
      answer: async ({ query }) => {
        const page = await search({ resource: 'settings' }, query);
        return ok({ history: page.items.map(change), pagination: page.pagination });
      },
    }),
    v1Endpoint({
      operationId: 'v1Audit',
      method: 'get',
      path: '/api/v1/audit',
      successor,
      scope: 'read',
      tag: 'v1',
      summary:
        'Changes of the configuration with what was before and after; changed_by is a part of the name',
      query: closed({ ...numberedQuery, ...filters, ...dates }),
      replies: { 200: { description: 'Changes', schema: Type.Object({ logs: rows, pagination }) } },
      errors: ERRORS,
      answer: async ({ query: { page: number, limit, changed_by: changedByPart, ...rest } }) => {
        const page = await search(
          { ...questionOf(rest), ...given({ changedByPart }) },
          given({ page: number, limit }),
        );
        return ok({ logs: page.items.map(change), pagination: page.pagination });
      },
    }),
    v1Endpoint({
      operationId: 'v1ConfigAudit',
      method: 'get',
      path: '/api/v1/config-audit',
      successor,
      scope: 'read',
      tag: 'v1',
      summary: 'Changes of the configuration without their values; changed_by is the whole name',
      query: closed({ ...numberedQuery, ...filters, ...dates }),
      replies: { 200: { description: 'Changes', schema: Type.Object({ changes: rows, pagination }) } },
      errors: ERRORS,
      answer: async ({ query: { page: number, limit, changed_by: changedBy, ...rest } }) => {
        const page = await search(
          { ...questionOf(rest), ...given({ changedBy }) },
          given({ page: number, limit }),
        );
        const changes = page.items.map(change).map(({ old_values: _, new_values: __, ...bare }) => bare);
        return ok({ changes, pagination: page.pagination });
      },
    }),
    v1Endpoint({
      operationId: 'v1AuditLogs',
      method: 'get',
      path: '/api/v1/audit-logs',
      successor: '/api/v2/audit-logs',
      scope: 'read',
      tag: 'v1',
      summary: 'Decisions about events, newest first; dates go by receipt',
      query: closed({
        ...numberedQuery,
        ...dates,
        hostname: Type.Optional(hostname),
        rule_id: Type.Optional(idNumber),
      }),
      replies: { 200: { description: 'Decisions', schema: Type.Object({ logs: rows, pagination }) } },
      errors: ['E_SEARCH_TOO_LONG', ...ERRORS],
      answer: async ({ query: { page: number, limit, hostname: host, rule_id: ruleId, ...rest } }) => {
        const question = { ...given({ hostname: host?.toLowerCase(), ruleId }), ...timesOf(rest) };
        const page = await numberedPage(given({ page: number, limit }), (at: object & { limit: number }) =>
          auditLogs.search({ ...question, ...at }),
        );
        return ok({ logs: page.items.map(decision), pagination: page.pagination });
      },
    }),
  ];
}

function questionOf(asked: AuditFilters): Omit<ConfigAuditQuestion, 'limit'> {
  const { operation, table_name: table, record_id: recordKey } = asked;
  const [resource] = Object.entries(OLD_NAMES).find(([, old]) => old === table) ?? [table];
  return {
    ...given({ resource, recordKey }),
    ...(operation === undefined ? {} : { operation: operationOf(operation) }),
    ...timesOf(asked),
  };
}

function operationOf(text: string): (typeof OPERATIONS)[number] {
  const operation = OPERATIONS.find((known) => known === text.toUpperCase());
  if (operation !== undefined) return operation;
  const why = `must be one of ${OPERATIONS.join(', ')}`;
  throw faulty('E_PARAMETER_INVALID', 'a query parameter is not usable', [
    { field: 'operation', why, mend: `Give one of ${OPERATIONS.join(', ')}.` },
  ]);
}

/** From the start on, up to the end without it; a day is its first moment. Errors: E_PARAMETER_INVALID. */
function timesOf({ start_date: start, end_date: end }: Pick<AuditFilters, 'start_date' | 'end_date'>): {
  fromMs?: number;
  toMs?: number;
} {
  return given({ fromMs: msOf(start, 'start_date'), toMs: msOf(end, 'end_date') });
}

const ISO_TIME = /^\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d)?)?$/;

/** ISO 8601, UTC unless it says otherwise. */
function msOf(text: string | undefined, field: string): number | undefined {
  if (text === undefined) return undefined;
  // A plus sign that a client left as it is in a query string arrives as a blank.
  const sent = text.trim().replace(/^(.{16,}) (\d\d:?\d\d)$/, '$1+$2');
  const ms = ISO_TIME.test(sent) ? Date.parse(withZone(sent)) : Number.NaN;
  if (Number.isFinite(ms)) return ms;
  const mend = 'Give a date such as 2026-05-01, or a time such as 2026-05-01T12:00:00Z.';
  throw new CodedError('E_PARAMETER_INVALID', `${field} is no time`, {
    mend,
    details: { faults: [{ field, why: 'is no time', mend }] },
  });
}

function withZone(text: string): string {
  const time = text.replace(' ', 'T');
  return time.includes('T') && !/(?:Z|[+-]\d\d:?\d\d)$/.test(time) ? `${time}Z` : time;
}

function change(entry: ConfigAuditEntryDocument): Record<string, unknown> {
  const { record_key: key } = entry;
  return {
    id: entry.id,
    changed_at: v1Time(entry.changed_at),
    changed_by: entry.changed_by,
    operation: entry.operation,
    table_name: OLD_NAMES[entry.resource] ?? entry.resource,
    record_id: /^\d{1,15}$/.test(key) ? Number(key) : key,
    old_values: entry.old_values,
    new_values: entry.new_values,
    reason: entry.reason,
    correlation_id: entry.correlation_id,
  };
}

function decision(entry: AuditLogEntryDocument): Record<string, unknown> {
  return {
    id: entry.event_id,
    event_timestamp: v1Time(entry.event_time),
    hostname: entry.hostname,
    matched_rule_id: entry.matched_rule_id,
    handling_decision: entry.handling_decision,
    forwarded_to_moog: entry.forwarded,
    raw_message: entry.raw_message,
  };
}
