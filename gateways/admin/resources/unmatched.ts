/** What no rule matched, by template of its messages. */
import { Type } from 'typebox';
import type { UnmatchedPort } from '../admin-port.ts';
import { pageQuery, readPage } from '../cursor.ts';
import { listOf } from '../documents.ts';
import { endpoint, NO_CONTENT, ok } from '../endpoint.ts';
import type { AnyEndpoint } from '../endpoint.ts';
import { changeOf, closed, given, hostname, msOf, reason, reasonQuery, time } from '../inputs.ts';
import { notFound, STORE_ERRORS } from '../problems.ts';
import { unmatchedDetailDocument, unmatchedDocument, unmatchedHostDocument } from '../unmatched-documents.ts';

const COUNT = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });
const fingerprint = Type.String({
  pattern: '^[0-9a-f]{16}$',
  description: 'a fingerprint of 16 hex digits, as the list shows it',
});
const params = closed({ fingerprint });
const position = closed({ count: COUNT, fingerprint });
const hostPosition = closed({ count: COUNT, host: Type.String({ minLength: 1, maxLength: 255 }) });
const unknownTemplate = () =>
  notFound('template', 'List the unmatched templates; it may have been forgotten.');

export function unmatchedEndpoints(unmatched: UnmatchedPort): AnyEndpoint[] {
  const path = '/api/v2/unmatched';
  const item = `${path}/:fingerprint`;
  return [
    endpoint({
      operationId: 'listUnmatched',
      method: 'get',
      path,
      scope: 'read',
      tag: 'unmatched',
      summary: 'What no rule matched, by template of the messages, the most events first',
      query: closed({
        ...pageQuery,
        hostname: Type.Optional(hostname),
        since: Type.Optional(time),
      }),
      replies: { 200: { description: 'A page of templates', schema: listOf(unmatchedDocument) } },
      errors: ['E_CURSOR_INVALID', 'E_SEARCH_TOO_LONG', ...STORE_ERRORS],
      answer: async ({ query: { hostname: host, since, ...page } }) => {
        const filters = given({ host, sinceMs: msOf(since, 'since') });
        return ok(await readPage(page, position, (at) => unmatched.search({ ...filters, ...at })));
      },
    }),
    endpoint({
      operationId: 'getUnmatched',
      method: 'get',
      path: item,
      scope: 'read',
      tag: 'unmatched',
      summary: 'One template, with a rule to begin from',
      params,
      replies: { 200: { description: 'The template', schema: unmatchedDetailDocument } },
      errors: ['E_NOT_FOUND', 'E_SEARCH_TOO_LONG', ...STORE_ERRORS],
      answer: async ({ params: { fingerprint: of } }) => {
        const found = await unmatched.get(of);
        if (found === undefined) throw unknownTemplate();
        return ok(found);
      },
    }),
    endpoint({
      operationId: 'listUnmatchedHosts',
      method: 'get',
      path: `${item}/hosts`,
      scope: 'read',
      tag: 'unmatched',
      summary: 'The hosts of one template, the most events first',
      params,
      query: closed(pageQuery),
      replies: { 200: { description: 'A page of hosts', schema: listOf(unmatchedHostDocument) } },
      errors: ['E_CURSOR_INVALID', ...STORE_ERRORS],
      answer: async ({ params: { fingerprint: of }, query }) =>
        ok(await readPage(query, hostPosition, (at) => unmatched.hosts(of, at))),
    }),
    endpoint({
      operationId: 'forgetUnmatched',
      method: 'post',
      path: `${item}/forget`,
      scope: 'operate',
      tag: 'unmatched',
      summary:
        'Forgets a template, of one host or of all: it is counted anew, and may raise a meta-alert again',
      params,
      query: reasonQuery,
      body: {
        schema: closed({ hostname: Type.Optional(hostname), reason: Type.Optional(reason) }),
        isOptional: true,
      },
      replies: { 204: { description: 'It is forgotten' } },
      errors: ['E_NOT_FOUND', ...STORE_ERRORS],
      answer: async (call) => {
        const { fingerprint: of } = call.params;
        if (await unmatched.forget(of, call.body.hostname, changeOf(call))) return NO_CONTENT;
        throw unknownTemplate();
      },
    }),
  ];
}
