/** Hosts whose events are handled as development. */
import { Type } from 'typebox';
import type { HostsPort } from '../admin-port.ts';
import { pageQuery, readPage } from '../cursor.ts';
import { devHostDocument, listOf } from '../documents.ts';
import { created, endpoint, NO_CONTENT, ok } from '../endpoint.ts';
import type { AnyEndpoint } from '../endpoint.ts';
import { changeOf, closed, hostname, reason, reasonBody, reasonQuery } from '../inputs.ts';
import { notFound, STORE_ERRORS } from '../problems.ts';

const position = Type.String({ minLength: 1 });

export function devHostEndpoints(hosts: HostsPort): AnyEndpoint[] {
  const path = '/api/v2/dev-hosts';
  return [
    endpoint({
      operationId: 'listDevHosts',
      method: 'get',
      path,
      scope: 'read',
      tag: 'dev-hosts',
      summary: 'Development hosts by name',
      query: closed(pageQuery),
      replies: { 200: { description: 'A page of hosts', schema: listOf(devHostDocument) } },
      errors: ['E_CURSOR_INVALID', ...STORE_ERRORS],
      answer: async ({ query }) => ok(await readPage(query, position, (page) => hosts.page(page))),
    }),
    endpoint({
      operationId: 'addDevHost',
      method: 'post',
      path,
      scope: 'admin',
      tag: 'dev-hosts',
      summary: 'Adds a development host; names are case-folded',
      query: reasonQuery,
      body: { schema: closed({ hostname, reason: Type.Optional(reason) }) },
      replies: { 201: { description: 'The host', schema: devHostDocument } },
      errors: ['E_EXISTS', ...STORE_ERRORS],
      answer: async (call) => {
        const added = await hosts.add(call.body.hostname, changeOf(call));
        return created(added, path, added.hostname);
      },
    }),
    endpoint({
      operationId: 'removeDevHost',
      method: 'delete',
      path: `${path}/:hostname`,
      scope: 'admin',
      tag: 'dev-hosts',
      summary: 'Removes a development host',
      params: closed({ hostname }),
      query: reasonQuery,
      body: { schema: reasonBody, isOptional: true },
      replies: { 204: { description: 'It is gone' } },
      errors: ['E_NOT_FOUND', ...STORE_ERRORS],
      answer: async (call) => {
        if (await hosts.remove(call.params.hostname, changeOf(call))) return NO_CONTENT;
        throw notFound('development host', 'List the development hosts.');
      },
    }),
  ];
}
