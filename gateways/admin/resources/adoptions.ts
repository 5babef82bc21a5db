/**
 * What a Redis that is gone for good has left in PostgreSQL: seen, and taken over by the one of the node that is asked.
 */
import { Type } from 'typebox';
import type { AdoptionsPort } from '../admin-port.ts';
import { endpoint, ok } from '../endpoint.ts';
import type { AnyEndpoint } from '../endpoint.ts';
import { adoptionDocument, storeDocument } from '../failure-documents.ts';
import { changeOf, closed, reason, reasonQuery, textOf } from '../inputs.ts';
import { notFound, STORE_ERRORS } from '../problems.ts';

export function adoptionEndpoints(adoptions: AdoptionsPort): AnyEndpoint[] {
  const path = '/api/v2/failures';
  return [
    endpoint({
      operationId: 'listStores',
      method: 'get',
      path: `${path}/stores`,
      scope: 'read',
      tag: 'failures',
      summary:
        'Each Redis behind this PostgreSQL: whether a node of it lives, and what it has here that has not ended',
      replies: {
        200: { description: 'The stores', schema: Type.Object({ items: Type.Array(storeDocument) }) },
      },
      errors: ['E_SEARCH_TOO_LONG', ...STORE_ERRORS],
      answer: async () => ok({ items: await adoptions.stores() }),
    }),
    endpoint({
      operationId: 'adoptFailures',
      method: 'post',
      path: `${path}/adopt`,
      scope: 'operate',
      tag: 'failures',
      summary: 'Takes over what a Redis that is gone for good has left here; with dry_run only says what',
      query: reasonQuery,
      body: {
        schema: closed({
          store: textOf(100),
          dry_run: Type.Optional(Type.Boolean()),
          reason: Type.Optional(reason),
        }),
      },
      replies: { 200: { description: 'What was taken over, or would be', schema: adoptionDocument } },
      errors: ['E_NOT_FOUND', 'E_STORE_ALIVE', ...STORE_ERRORS],
      answer: async (call) => {
        const { store, dry_run: isPreview = false } = call.body;
        const adopted = isPreview
          ? await adoptions.preview(store)
          : await adoptions.adopt(store, changeOf(call));
        if (adopted === undefined) throw notFound('store', 'List the stores.');
        return ok(adopted);
      },
    }),
  ];
}
