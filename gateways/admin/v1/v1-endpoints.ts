/**
 * The old API (`/api/v1`) as one table over the same ports as API v2, for clients of the predecessor: its paths, shapes
 * and statuses, with the checks, the audit and the keys of today. It gets no new abilities.
 */
import { Type } from 'typebox';
import type { AdminPort } from '../admin-port.ts';
import { ratesDocument } from '../documents.ts';
import { ok } from '../endpoint.ts';
import type { AnyEndpoint } from '../endpoint.ts';
import { v1AuditEndpoints } from './audits.ts';
import { v1ConfigEndpoints } from './config.ts';
import { v1HostEndpoints, v1TeamEndpoints } from './hosts-and-teams.ts';
import { v1RuleEndpoints } from './rules.ts';
import { V1_VERSION, V2_VERSION, v1Endpoint } from './v1-endpoint.ts';

/** In the order of the page of API v1. Nothing of the port is called before the first request. */
export function v1Endpoints(port: AdminPort): AnyEndpoint[] {
  return [
    v1Endpoint({
      operationId: 'v1GetVersion',
      method: 'get',
      path: '/api/v1/version',
      successor: '/api/v2/version',
      scope: 'open',
      tag: 'v1',
      summary: 'The versions of the API that are served',
      replies: {
        200: {
          description: 'Versions',
          schema: Type.Object({ current_version: Type.String() }, { additionalProperties: true }),
        },
      },
      errors: [],
      answer: async () =>
        ok({
          current_version: V2_VERSION,
          default_version: V2_VERSION,
          supported_versions: [V2_VERSION, V1_VERSION],
          version_history: [
            { version: V2_VERSION, status: 'current' },
            { version: V1_VERSION, status: 'deprecated' },
          ],
        }),
    }),
    v1Endpoint({
      operationId: 'v1GetMetrics',
      method: 'get',
      path: '/api/v1/metrics',
      successor: '/api/v2/metrics',
      scope: 'read',
      tag: 'v1',
      summary: 'Events accepted per minute, now and over the last 24 hours',
      replies: { 200: { description: 'Rates', schema: ratesDocument } },
      errors: ['E_CALL_TIMEOUT'],
      answer: async () => ok(await port.metrics.rates()),
    }),
    ...v1ConfigEndpoints(port.settings),
    ...v1RuleEndpoints(port.rules),
    ...v1AuditEndpoints(port.configAudit, port.auditLogs),
    ...v1HostEndpoints(port.hosts),
    ...v1TeamEndpoints(port.teams),
  ];
}
