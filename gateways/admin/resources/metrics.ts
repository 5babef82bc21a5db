/** How many events come, how long they take, and how well they fare, in numbers for people and charts. */
import type { MetricsPort } from '../admin-port.ts';
import { endpoint, ok } from '../endpoint.ts';
import type { AnyEndpoint } from '../endpoint.ts';
import { metricsDocument, sloDocument } from '../metric-documents.ts';

export function metricsEndpoints(metrics: MetricsPort): AnyEndpoint[] {
  return [
    endpoint({
      operationId: 'getRates',
      method: 'get',
      path: '/api/v2/metrics',
      scope: 'read',
      tag: 'metrics',
      summary:
        'Events accepted per minute, now and by hour of the last day; how long each stage of their way takes',
      replies: { 200: { description: 'Rates and latency', schema: metricsDocument } },
      errors: ['E_CALL_TIMEOUT'],
      answer: async () => {
        const [rates, latency] = await Promise.all([metrics.rates(), metrics.latency()]);
        return ok({ ...rates, latency });
      },
    }),
    endpoint({
      operationId: 'getSlo',
      method: 'get',
      path: '/api/v2/slo',
      scope: 'read',
      tag: 'metrics',
      summary: 'How this node stands against its service level objectives over the last day',
      replies: { 200: { description: 'Objectives', schema: sloDocument } },
      errors: ['E_CALL_TIMEOUT'],
      answer: async () => ok(await metrics.slo()),
    }),
  ];
}
