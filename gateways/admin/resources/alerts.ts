/** The built-in sink, and what it took last. */
import { Type } from 'typebox';
import { recentAlertsDocument } from '../documents.ts';
import { endpoint, ok } from '../endpoint.ts';
import type { AnyEndpoint } from '../endpoint.ts';
import { closed, wholeNumber } from '../inputs.ts';
import type { RecentAlertRing } from '../recent-alerts.ts';

const NUMBER_MAX = 999_999_999_999_999;

export function alertEndpoints(recent: RecentAlertRing): AnyEndpoint[] {
  return [
    endpoint({
      operationId: 'listRecentAlerts',
      method: 'get',
      path: '/api/v2/alerts/recent',
      scope: 'read',
      tag: 'alerts',
      summary: 'What the local sink took last, at most 200; after is the value of next of the last answer',
      query: closed({ after: Type.Optional(wholeNumber(0, NUMBER_MAX)) }),
      replies: { 200: { description: 'Alerts, oldest first', schema: recentAlertsDocument } },
      errors: [],
      answer: async ({ query }) => ok(recent.after(query.after ?? 0)),
    }),
    endpoint({
      operationId: 'sendToSink',
      method: 'post',
      path: '/api/v2/sink/moogsoft',
      scope: 'sink',
      tag: 'alerts',
      summary: 'The local sink: takes alerts as Moogsoft does, keeps the last 1,000 in memory',
      body: {
        schema: Type.Record(Type.String(), Type.Unknown(), {
          description: 'one alert, or several under events',
        }),
        checkedBy: 'port',
        isRaw: true,
      },
      replies: { 200: { description: 'Taken', schema: Type.Object({ status: Type.Literal('taken') }) } },
      errors: [],
      answer: async ({ rawBody }) => {
        recent.take(rawBody);
        return ok({ status: 'taken' });
      },
    }),
  ];
}
