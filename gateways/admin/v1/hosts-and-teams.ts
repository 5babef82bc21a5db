/** Development hosts and teams of the old API. Their changes are in the configuration audit, as all are. */
import { Type } from 'typebox';
import { CodedError, codeOf } from '../../../runtime/errors.ts';
import type { HostsPort, Page, TeamsPort } from '../admin-port.ts';
import { created, ok } from '../endpoint.ts';
import type { AnyEndpoint } from '../endpoint.ts';
import { closed, hostname, reason, team } from '../inputs.ts';
import { notFound, STORE_ERRORS } from '../problems.ts';
import { wholeList } from './numbered-pages.ts';
import { onWhatIsThere, reasonBody, said, v1Endpoint } from './v1-endpoint.ts';

const params = closed({ hostname });

export function v1HostEndpoints(hosts: HostsPort): AnyEndpoint[] {
  const path = '/api/v1/dev-hosts';
  const successor = '/api/v2/dev-hosts';
  return [
    v1Endpoint({
      operationId: 'v1ListDevHosts',
      method: 'get',
      path,
      successor,
      scope: 'read',
      tag: 'v1',
      summary: 'All development hosts',
      replies: {
        200: {
          description: 'Hosts',
          schema: Type.Object({ hosts: Type.Array(Type.Object({ hostname: Type.String() })) }),
        },
      },
      errors: STORE_ERRORS,
      answer: async () => {
        const all = await wholeList((page: Page<string>) => hosts.page(page));
        return ok({ hosts: all.map((host) => ({ hostname: host.hostname })) });
      },
    }),
    v1Endpoint({
      operationId: 'v1AddDevHost',
      method: 'post',
      path,
      successor,
      scope: 'admin',
      tag: 'v1',
      summary: 'Adds a development host',
      body: { schema: Type.Object({ hostname, reason: Type.Optional(reason) }) },
      replies: { 201: { description: 'Added', schema: said } },
      errors: ['E_EXISTS', ...STORE_ERRORS],
      answer: async ({ body, caller }) => {
        const added = await hosts.add(body.hostname, { caller, reason: body.reason ?? null });
        return created({ message: 'Development host added successfully' }, path, added.hostname);
      },
    }),
    v1Endpoint({
      operationId: 'v1RemoveDevHost',
      method: 'delete',
      path: `${path}/:hostname`,
      successor: '/api/v2/dev-hosts/{hostname}',
      scope: 'admin',
      tag: 'v1',
      summary: 'Removes a development host',
      params,
      body: reasonBody,
      replies: { 200: { description: 'Removed', schema: said } },
      errors: ['E_NOT_FOUND', ...STORE_ERRORS],
      answer: async (call) => {
        const change = { caller: call.caller, reason: call.body.reason ?? null };
        if (await hosts.remove(call.params.hostname, change)) {
          return ok({ message: 'Development host deleted successfully' });
        }
        throw notFound('development host', 'List the development hosts.');
      },
    }),
  ];
}

const unknownHost = () => notFound('host among the teams', 'List the teams.');

export function v1TeamEndpoints(teams: TeamsPort): AnyEndpoint[] {
  const path = '/api/v1/teams';
  const item = `${path}/:hostname`;
  const successor = '/api/v2/teams/{hostname}';
  return [
    v1Endpoint({
      operationId: 'v1ListTeams',
      method: 'get',
      path,
      successor: '/api/v2/teams',
      scope: 'read',
      tag: 'v1',
      summary: 'All hosts with their teams',
      replies: {
        200: {
          description: 'Hosts',
          schema: Type.Object({
            teams: Type.Array(Type.Object({ hostname: Type.String(), team_assignment: Type.String() })),
          }),
        },
      },
      errors: STORE_ERRORS,
      answer: async () => {
        const all = await wholeList((page: Page<string>) => teams.page(page));
        return ok({
          teams: all.map((host) => ({ hostname: host.hostname, team_assignment: host.team })),
        });
      },
    }),
    v1Endpoint({
      operationId: 'v1AddTeam',
      method: 'post',
      path,
      successor,
      scope: 'admin',
      tag: 'v1',
      summary: 'Says which team answers for a host that has none yet',
      body: {
        schema: Type.Object({ hostname, team_assignment: team, reason: Type.Optional(reason) }),
      },
      replies: { 201: { description: 'Added', schema: said } },
      errors: ['E_EXISTS', ...STORE_ERRORS],
      answer: async ({ body, caller }) => {
        const change = { caller, reason: body.reason ?? null, expectedVersion: null };
        try {
          const added = await teams.put(body.hostname, body.team_assignment, change);
          return created({ message: 'Team mapping added successfully' }, path, added.hostname);
        } catch (thrown) {
          if (codeOf(thrown) !== 'E_VERSION_STALE') throw thrown;
          throw new CodedError('E_EXISTS', 'this host has a team already', { mend: 'Change it with PUT.' });
        }
      },
    }),
    v1Endpoint({
      operationId: 'v1UpdateTeam',
      method: 'put',
      path: item,
      successor,
      scope: 'admin',
      tag: 'v1',
      summary: 'Changes the team of a host',
      params,
      body: { schema: Type.Object({ team_assignment: team, reason: Type.Optional(reason) }) },
      replies: { 200: { description: 'Changed', schema: said } },
      errors: ['E_NOT_FOUND', 'E_VERSION_CONFLICT', ...STORE_ERRORS],
      answer: async (call) => {
        const { hostname: host } = call.params;
        const change = { caller: call.caller, reason: call.body.reason ?? null };
        await onWhatIsThere(async () => {
          const present = await teams.get(host);
          if (present === undefined) throw unknownHost();
          await teams.put(host, call.body.team_assignment, { ...change, expectedVersion: present.version });
        });
        return ok({ message: 'Team mapping updated successfully' });
      },
    }),
    v1Endpoint({
      operationId: 'v1RemoveTeam',
      method: 'delete',
      path: item,
      successor,
      scope: 'admin',
      tag: 'v1',
      summary: 'Takes a host out of the teams',
      params,
      body: reasonBody,
      replies: { 200: { description: 'Removed', schema: said } },
      errors: ['E_NOT_FOUND', ...STORE_ERRORS],
      answer: async (call) => {
        const change = { caller: call.caller, reason: call.body.reason ?? null, expectedVersion: undefined };
        if (!(await teams.remove(call.params.hostname, change))) throw unknownHost();
        return ok({ message: 'Team mapping deleted successfully' });
      },
    }),
  ];
}
