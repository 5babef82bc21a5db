/**
 * The whole admin API as one table. Routing, the OpenAPI document, the page of the HTTP API and the specs follow it.
 */
import { createHash } from 'node:crypto';
import { Type } from 'typebox';
import type { AdminPort } from './admin-port.ts';
import { endpoint } from './endpoint.ts';
import type { AnyEndpoint } from './endpoint.ts';
import { openApiDocument } from './openapi.ts';
import type { RecentAlertRing } from './recent-alerts.ts';
import { actorEndpoints } from './resources/actors.ts';
import { adoptionEndpoints } from './resources/adoptions.ts';
import { alertEndpoints } from './resources/alerts.ts';
import { auditLogEndpoints } from './resources/audit-logs.ts';
import { configAuditEndpoints } from './resources/config-audit.ts';
import { configEndpoints } from './resources/config.ts';
import { destinationEndpoints } from './resources/destinations.ts';
import { devHostEndpoints } from './resources/dev-hosts.ts';
import { eventEndpoints } from './resources/events.ts';
import { failureEndpoints } from './resources/failures.ts';
import { keyEndpoints } from './resources/keys.ts';
import { metricsEndpoints } from './resources/metrics.ts';
import { nodeEndpoints } from './resources/node.ts';
import { partitionEndpoints } from './resources/partitions.ts';
import { replayEndpoints } from './resources/replays.ts';
import { ruleSetEndpoints } from './resources/rule-set.ts';
import { ruleTrialEndpoints } from './resources/rule-trials.ts';
import { ruleEndpoints } from './resources/rules.ts';
import { teamEndpoints } from './resources/teams.ts';
import { unmatchedEndpoints } from './resources/unmatched.ts';

/** In the order of the page of the HTTP API. Nothing of the port is called before the first request. */
export function adminEndpoints(port: AdminPort, recent: RecentAlertRing): AnyEndpoint[] {
  const endpoints: AnyEndpoint[] = [
    ...nodeEndpoints(port.node, port.ledger, port.metrics),
    ...metricsEndpoints(port.metrics),
    ...ruleSetEndpoints(port.rules),
    ...ruleEndpoints(port.rules),
    ...ruleTrialEndpoints(port.ruleTrials),
    ...devHostEndpoints(port.hosts),
    ...teamEndpoints(port.teams),
    ...destinationEndpoints(port.destinations),
    ...configEndpoints(port.settings),
    ...configAuditEndpoints(port.configAudit),
    ...keyEndpoints(port.keys),
    ...auditLogEndpoints(port.auditLogs),
    ...eventEndpoints(port.events),
    ...failureEndpoints(port.failures),
    ...adoptionEndpoints(port.adoptions),
    ...replayEndpoints(port.replays),
    ...unmatchedEndpoints(port.unmatched),
    ...actorEndpoints(port.actors),
    ...partitionEndpoints(port.partitions),
    ...alertEndpoints(recent),
  ];
  endpoints.push(openApiEndpoint(endpoints, port));
  return endpoints;
}

/** Describes all the others and itself. */
function openApiEndpoint(endpoints: readonly AnyEndpoint[], port: AdminPort): AnyEndpoint {
  let made: { document: unknown; etag: string } | undefined;
  return endpoint({
    operationId: 'getOpenApi',
    method: 'get',
    path: '/api/v2/openapi.json',
    scope: 'open',
    tag: 'node',
    summary: 'This API as an OpenAPI 3.1 document',
    isVersioned: true,
    replies: {
      200: {
        description: 'The document',
        schema: Type.Object({ openapi: Type.Literal('3.1.0') }, { additionalProperties: true }),
      },
    },
    errors: [],
    answer: async () => {
      if (made === undefined) {
        const document = openApiDocument(endpoints, (await port.node.version()).version);
        const hash = createHash('sha256').update(JSON.stringify(document)).digest('hex');
        made = { document, etag: hash.slice(0, ETAG_CHARS) };
      }
      return { status: 200, body: made.document, etag: made.etag };
    },
  });
}

const ETAG_CHARS = 32;
