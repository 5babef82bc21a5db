/** API keys. A key is shown once, when it is made; after that nobody can tell it. */
import { Type } from 'typebox';
import type { KeysPort } from '../admin-port.ts';
import { pageQuery, readPage } from '../cursor.ts';
import { keyDocument, listOf, newKeyDocument, oneOf, orNull, SCOPES } from '../documents.ts';
import { created, endpoint, ok } from '../endpoint.ts';
import type { AnyEndpoint } from '../endpoint.ts';
import {
  changeOf,
  closed,
  msOf,
  name,
  reason,
  reasonBody,
  reasonQuery,
  time,
  wholeNumber,
} from '../inputs.ts';
import { notFound, STORE_ERRORS } from '../problems.ts';

const OVERLAP_DEFAULT_S = 86_400;
const OVERLAP_MAX_S = 30 * 86_400;

const params = closed({ name });
const position = Type.String({ minLength: 1 });
const unknownKey = () => notFound('key', 'List the keys.');

export function keyEndpoints(keys: KeysPort): AnyEndpoint[] {
  const path = '/api/v2/keys';
  const item = `${path}/:name`;
  return [
    endpoint({
      operationId: 'listKeys',
      method: 'get',
      path,
      scope: 'admin',
      tag: 'keys',
      summary: "Keys by name, the node's own first; never the keys themselves",
      query: closed(pageQuery),
      replies: { 200: { description: 'A page of keys', schema: listOf(keyDocument) } },
      errors: ['E_CURSOR_INVALID', ...STORE_ERRORS],
      answer: async ({ query }) => ok(await readPage(query, position, (page) => keys.page(page))),
    }),
    endpoint({
      operationId: 'createKey',
      method: 'post',
      path,
      scope: 'admin',
      tag: 'keys',
      summary: 'Makes a key; the answer is the only place that shows it',
      query: reasonQuery,
      body: {
        schema: closed({
          name,
          scopes: Type.Array(oneOf(SCOPES), {
            minItems: 1,
            maxItems: SCOPES.length,
            uniqueItems: true,
            description: `a list of one or more of ${SCOPES.join(', ')}, each once`,
          }),
          expires_at: Type.Optional(orNull(time)),
          event_ids: Type.Optional(Type.Boolean()),
          reason: Type.Optional(reason),
        }),
      },
      replies: { 201: { description: 'The key', schema: newKeyDocument } },
      errors: ['E_KEY_EXISTS', 'E_KEYS_FULL', ...STORE_ERRORS],
      answer: async (call) => {
        const { name: named, scopes, expires_at: expiresAt, event_ids: eventIds = false } = call.body;
        const expiresAtMs = msOf(expiresAt ?? undefined, 'expires_at') ?? null;
        const made = await keys.create({ name: named, scopes, expiresAtMs, eventIds }, changeOf(call));
        return created(made, path, made.name);
      },
    }),
    endpoint({
      operationId: 'getKey',
      method: 'get',
      path: item,
      scope: 'admin',
      tag: 'keys',
      summary: 'One key, without its value',
      params,
      replies: { 200: { description: 'The key', schema: keyDocument } },
      errors: ['E_NOT_FOUND', ...STORE_ERRORS],
      answer: async (call) => {
        const key = await keys.get(call.params.name);
        if (key === undefined) throw unknownKey();
        return ok(key);
      },
    }),
    endpoint({
      operationId: 'rotateKey',
      method: 'post',
      path: `${item}/rotate`,
      scope: 'admin',
      tag: 'keys',
      summary: 'Makes a new value; the old one works until previous_expires_at',
      params,
      query: reasonQuery,
      body: {
        schema: closed({
          overlap_seconds: Type.Optional(wholeNumber(0, OVERLAP_MAX_S)),
          reason: Type.Optional(reason),
        }),
        isOptional: true,
      },
      replies: { 200: { description: 'The key with its new value', schema: newKeyDocument } },
      errors: ['E_NOT_FOUND', 'E_KEY_OF_NODE', 'E_KEY_PEPPER', 'E_KEY_ROTATING', ...STORE_ERRORS],
      answer: async (call) => {
        const overlap = call.body.overlap_seconds ?? OVERLAP_DEFAULT_S;
        const rotated = await keys.rotate(call.params.name, overlap, changeOf(call));
        if (rotated === undefined) throw unknownKey();
        return ok(rotated);
      },
    }),
    endpoint({
      operationId: 'revokeKey',
      method: 'delete',
      path: item,
      scope: 'admin',
      tag: 'keys',
      summary: 'Ends a key at once and for ever; its name is not used again',
      params,
      query: reasonQuery,
      body: { schema: reasonBody, isOptional: true },
      replies: { 200: { description: 'The revoked key', schema: keyDocument } },
      errors: ['E_NOT_FOUND', 'E_KEY_OF_NODE', ...STORE_ERRORS],
      answer: async (call) => {
        const isRevoked = await keys.revoke(call.params.name, changeOf(call));
        const key = isRevoked ? await keys.get(call.params.name) : undefined;
        if (key === undefined) throw unknownKey();
        return ok(key);
      },
    }),
  ];
}
