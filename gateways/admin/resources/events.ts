/** Where an event went. */
import { Type } from 'typebox';
import type { EventsPort } from '../admin-port.ts';
import { endpoint, ok } from '../endpoint.ts';
import type { AnyEndpoint } from '../endpoint.ts';
import { closed } from '../inputs.ts';
import { lineageDocument } from '../lineage-documents.ts';
import { STORE_ERRORS } from '../problems.ts';

export function eventEndpoints(events: EventsPort): AnyEndpoint[] {
  return [
    endpoint({
      operationId: 'getEvent',
      method: 'get',
      path: '/api/v2/events/:id',
      scope: 'read',
      tag: 'events',
      summary: 'The way of an event, by its id, that of one of its alerts, or its correlation id',
      params: closed({
        id: Type.String({
          pattern: '^[A-Za-z0-9._-]{1,128}$',
          description:
            'the id of an event, of an alert or of a request: 1 to 128 characters A-Z a-z 0-9 . _ -',
        }),
      }),
      replies: {
        200: {
          description: 'What is known of it; state says so when that is nothing',
          schema: lineageDocument,
        },
      },
      errors: STORE_ERRORS,
      answer: async ({ params: { id }, signal }) => ok(await events.trace(id, signal)),
    }),
  ];
}
