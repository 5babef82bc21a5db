/** Where alerts go. */
import { Type } from 'typebox';
import { AUTH_FORMS, CONTENT_TYPES, KIND_NAMES } from '../../../actors/ports.ts';
import type { DestinationsPort } from '../admin-port.ts';
import { pageQuery, readPage } from '../cursor.ts';
import { TESTED_STATUSES, destinationTestDocument } from '../destination-documents.ts';
import { handling, listOf, oneOf, orNull } from '../documents.ts';
import { created, endpoint, NO_CONTENT, ok } from '../endpoint.ts';
import type { AnyEndpoint } from '../endpoint.ts';
import {
  changeOf,
  closed,
  itemChangeOf,
  msOf,
  name,
  reasonBody,
  reasonQuery,
  team,
  textOf,
  time,
  wholeNumber,
} from '../inputs.ts';
import { isNew, requirePresent } from '../preconditions.ts';
import { notFound, STORE_ERRORS } from '../problems.ts';
import { destinationDocument } from '../rule-set-documents.ts';

/** What it means is judged behind the port. A credential is never in it, only where it is found. */
export const destinationInput = Type.Object(
  {
    name: Type.Optional(name),
    kind: oneOf([...KIND_NAMES]),
    url: Type.Optional(orNull(textOf(2_048))),
    secret_ref: Type.Optional(orNull(textOf(1_024))),
    auth: Type.Optional(orNull(oneOf([...AUTH_FORMS]))),
    template: Type.Optional(orNull(textOf(32_768))),
    content_type: Type.Optional(orNull(oneOf([...CONTENT_TYPES]))),
    resolve_after_ms: Type.Optional(orNull(wholeNumber(60_000, 2_592_000_000))),
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
    stale_after_ms: Type.Optional(orNull(wholeNumber(1_000, 2_147_483_647))),
    collapse: Type.Optional(Type.Boolean()),
  },
  { title: 'DestinationInput', additionalProperties: false },
);

/** Left out, the stored destination is tested. */
const testInput = Type.Partial(destinationInput, {
  title: 'DestinationTestInput',
  additionalProperties: false,
});

/** Why it is held, and until when; without a time until somebody ends it. */
const holdBody = closed({ until: Type.Optional(orNull(time)), reason: textOf(1_000) });
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
      operationId: 'testDestination',
      method: 'post',
      path: `${item}/test`,
      scope: 'admin',
      tag: 'destinations',
      summary:
        'Sends one marked alert to it, or to what the body says, and tells what came back and what it means',
      params,
      query: closed({ status: Type.Optional(oneOf([...TESTED_STATUSES])) }),
      body: { schema: testInput, checkedBy: 'port', isOptional: true },
      replies: { 200: { description: 'What came of it', schema: destinationTestDocument } },
      errors: ['E_NOT_FOUND', 'E_DESTINATION_INVALID', 'E_DESTINATION_TESTS_BUSY', ...STORE_ERRORS],
      answer: async ({ params: { name: tested }, query: { status = 'firing' }, body }) => {
        const isGiven = !(typeof body === 'object' && body !== null && Object.keys(body).length === 0);
        const told = await destinations.test(tested, isGiven ? body : undefined, status);
        if (told === undefined) throw unknownDestination();
        return ok(told);
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
    holdEndpoint(
      destinations,
      'pause',
      'Holds back what waits for a destination, until a time or until it is resumed',
    ),
    holdEndpoint(
      destinations,
      'mute',
      'Lets alerts for a destination end unsent, until a time or until it is resumed',
    ),
    endpoint({
      operationId: 'resumeDestination',
      method: 'post',
      path: `${item}/resume`,
      scope: 'operate',
      tag: 'destinations',
      summary: 'Ends a pause or mute of a destination',
      params,
      query: reasonQuery,
      body: { schema: reasonBody, isOptional: true },
      isVersioned: true,
      replies: { 200: { description: 'It is not held', schema: destinationDocument } },
      errors: ['E_NOT_FOUND', ...STORE_ERRORS],
      answer: async (call) => {
        const resumed = await destinations.hold(call.params.name, null, changeOf(call));
        if (resumed === undefined) throw unknownDestination();
        return ok(resumed, resumed.version);
      },
    }),
  ];
}

function holdEndpoint(destinations: DestinationsPort, kind: 'pause' | 'mute', summary: string): AnyEndpoint {
  return endpoint({
    operationId: `${kind}Destination`,
    method: 'post',
    path: `/api/v2/destinations/:name/${kind}`,
    scope: 'operate',
    tag: 'destinations',
    summary,
    params,
    body: { schema: holdBody },
    isVersioned: true,
    replies: { 200: { description: 'It is held', schema: destinationDocument } },
    errors: ['E_NOT_FOUND', 'E_PARAMETER_INVALID', ...STORE_ERRORS],
    answer: async ({ caller, params: { name: of }, body: { until, reason } }) => {
      const untilMs = msOf(until ?? undefined, 'until') ?? null;
      const held = await destinations.hold(of, { kind, untilMs, reason }, { caller, reason });
      if (held === undefined) throw unknownDestination();
      return ok(held, held.version);
    },
  });
}
