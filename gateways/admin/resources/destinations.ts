/** Where alerts go. */
import { Type } from 'typebox';
import type { DestinationsPort } from '../admin-port.ts';
import { pageQuery, readPage } from '../cursor.ts';
import { destinationDocument, handling, listOf, oneOf, orNull } from '../documents.ts';
import { created, endpoint, NO_CONTENT, ok } from '../endpoint.ts';
import type { AnyEndpoint } from '../endpoint.ts';
import { closed, itemChangeOf, name, reasonBody, reasonQuery, team, textOf, wholeNumber } from '../inputs.ts';
import { isNew, requirePresent } from '../preconditions.ts';
import { notFound, STORE_ERRORS } from '../problems.ts';

/** What it means is judged behind the port. A credential is never in it, only where it is found. */
export const destinationInput = Type.Object(
  {
    name: Type.Optional(name),
    kind: oneOf(['moogsoft', 'webhook']),
    url: textOf(2_048),
    secret_ref: Type.Optional(orNull(textOf(1_024))),
    routes: Type.Optional(
      Type.Array(
        closed({
          team: Type.Optional(team),
          severity_at_most: Type.Optional(wholeNumber(0, 7)),
          environment: Type.Optional(oneOf(['prod', 'dev'])),
          handling: Type.Optional(handling),
        }),
        { maxItems: 100 },
      ),
    ),
    rate_per_second: Type.Optional(Type.Number({ minimum: 0.01, maximum: 1_000_000 })),
    concurrency: Type.Optional(wholeNumber(1, 256)),
    timeout_ms: Type.Optional(wholeNumber(100, 120_000)),
  },
  { title: 'DestinationInput', additionalProperties: false },
);

const params = closed({ name });
const position = Type.String({ minLength: 1 });
const unknownDestination = () => notFound('destination', 'List the destinations.');

export function destinationEndpoints(destinations: DestinationsPort): AnyEndpoint[] {
  const path = '/api/v2/destinations';
  const item = `${path}/:name`;
  return [
    endpoint({
      operationId: 'listDestinations',
      method: 'get',
      path,
      scope: 'read',
      tag: 'destinations',
      summary: 'Destinations by name',
      query: closed(pageQuery),
      replies: { 200: { description: 'A page of destinations', schema: listOf(destinationDocument) } },
      errors: ['E_CURSOR_INVALID', ...STORE_ERRORS],
      answer: async ({ query }) => ok(await readPage(query, position, (page) => destinations.page(page))),
    }),
    endpoint({
      operationId: 'getDestination',
      method: 'get',
      path: item,
      scope: 'read',
      tag: 'destinations',
      summary: 'One destination',
      params,
      isVersioned: true,
      replies: { 200: { description: 'The destination', schema: destinationDocument } },
      errors: ['E_NOT_FOUND', ...STORE_ERRORS],
      answer: async (call) => {
        const found = await destinations.get(call.params.name);
        if (found === undefined) throw unknownDestination();
        return ok(found, found.version);
      },
    }),
    endpoint({
      operationId: 'putDestination',
      method: 'put',
      path: item,
      scope: 'admin',
      tag: 'destinations',
      summary: 'Adds or replaces a destination; what is left out has its default',
      params,
      query: reasonQuery,
      body: { schema: destinationInput, checkedBy: 'port' },
      ifMatch: 'update',
      isVersioned: true,
      replies: {
        200: { description: 'Replaced', schema: destinationDocument },
        201: { description: 'Added', schema: destinationDocument },
      },
      errors: ['E_CONFIG_INVALID', 'E_DESTINATION_INVALID', 'E_ROW_INVALID', ...STORE_ERRORS],
      answer: async (call) => {
        const change = { caller: call.caller, reason: call.query.reason ?? null, ...call.precondition };
        await requirePresent(call.precondition, () => destinations.get(call.params.name));
        const put = await destinations.put(call.params.name, call.body, change);
        return isNew(call.precondition) ? created(put, path, put.name, put.version) : ok(put, put.version);
      },
    }),
    endpoint({
      operationId: 'deleteDestination',
      method: 'delete',
      path: item,
      scope: 'admin',
      tag: 'destinations',
      summary: 'Removes a destination',
      params,
      query: reasonQuery,
      body: { schema: reasonBody, isOptional: true },
      ifMatch: 'required',
      replies: { 204: { description: 'It is gone' } },
      errors: ['E_NOT_FOUND', ...STORE_ERRORS],
      answer: async (call) => {
        if (!(await destinations.remove(call.params.name, itemChangeOf(call)))) throw unknownDestination();
        return NO_CONTENT;
      },
    }),
  ];
}
