/** How many events come, in numbers for people and charts. */
import type { MetricsPort } from '../admin-port.ts';
import { ratesDocument } from '../documents.ts';
import { endpoint, ok } from '../endpoint.ts';
import type { AnyEndpoint } from '../endpoint.ts';

export function metricsEndpoints(metrics: MetricsPort): AnyEndpoint[] {
  return [
    endpoint({
      operationId: 'getRates',
      method: 'get',
      path: '/api/v2/metrics',
      scope: 'read',
      tag: 'metrics',
      summary:
        'Events accepted per minute: now, over a quarter of an hour, over an hour, and by hour of the last day',
      replies: { 200: { description: 'Rates', schema: ratesDocument } },
      errors: ['E_CALL_TIMEOUT'],
      answer: async () => ok(await metrics.rates()),
    }),
  ];
}
