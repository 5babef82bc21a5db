/** Which team answers for which host. */
import { Type } from 'typebox';
import type { TeamsPort } from '../admin-port.ts';
import { pageQuery, readPage } from '../cursor.ts';
import { listOf, teamDocument } from '../documents.ts';
import { created, endpoint, NO_CONTENT, ok } from '../endpoint.ts';
import type { AnyEndpoint } from '../endpoint.ts';
import { closed, hostname, itemChangeOf, reason, reasonBody, reasonQuery, team } from '../inputs.ts';
import { isNew, requirePresent } from '../preconditions.ts';
import { notFound, STORE_ERRORS } from '../problems.ts';

const params = closed({ hostname });
const position = Type.String({ minLength: 1 });
const unknownHost = () => notFound('host among the teams', 'List the teams.');

export function teamEndpoints(teams: TeamsPort): AnyEndpoint[] {
  const path = '/api/v2/teams';
  const item = `${path}/:hostname`;
  return [
    endpoint({
      operationId: 'listTeams',
      method: 'get',
      path,
      scope: 'read',
      tag: 'teams',
      summary: 'Hosts with their teams, by host name',
      query: closed(pageQuery),
      replies: { 200: { description: 'A page of hosts', schema: listOf(teamDocument) } },
      errors: ['E_CURSOR_INVALID', ...STORE_ERRORS],
      answer: async ({ query }) => ok(await readPage(query, position, (page) => teams.page(page))),
    }),
    endpoint({
      operationId: 'getTeam',
      method: 'get',
      path: item,
      scope: 'read',
      tag: 'teams',
      summary: 'The team of one host',
      params,
      isVersioned: true,
      replies: { 200: { description: 'The host and its team', schema: teamDocument } },
      errors: ['E_NOT_FOUND', ...STORE_ERRORS],
      answer: async (call) => {
        const found = await teams.get(call.params.hostname);
        if (found === undefined) throw unknownHost();
        return ok(found, found.version);
      },
    }),
    endpoint({
      operationId: 'putTeam',
      method: 'put',
      path: item,
      scope: 'admin',
      tag: 'teams',
      summary: 'Says which team answers for a host',
      params,
      query: reasonQuery,
      body: { schema: closed({ team, reason: Type.Optional(reason) }) },
      ifMatch: 'update',
      isVersioned: true,
      replies: {
        200: { description: 'Changed', schema: teamDocument },
        201: { description: 'Added', schema: teamDocument },
      },
      errors: STORE_ERRORS,
      answer: async (call) => {
        const { hostname: host } = call.params;
        await requirePresent(call.precondition, () => teams.get(host));
        const put = await teams.put(host, call.body.team, itemChangeOf(call));
        return isNew(call.precondition)
          ? created(put, path, put.hostname, put.version)
          : ok(put, put.version);
      },
    }),
    endpoint({
      operationId: 'deleteTeam',
      method: 'delete',
      path: item,
      scope: 'admin',
      tag: 'teams',
      summary: 'Takes a host out of the teams',
      params,
      query: reasonQuery,
      body: { schema: reasonBody, isOptional: true },
      ifMatch: 'required',
      replies: { 204: { description: 'It is gone' } },
      errors: ['E_NOT_FOUND', ...STORE_ERRORS],
      answer: async (call) => {
        if (!(await teams.remove(call.params.hostname, itemChangeOf(call)))) throw unknownHost();
        return NO_CONTENT;
      },
    }),
  ];
}
