/**
 * The old API of a whole node, as clients of the predecessor call it: every endpoint of the table against real stores.
 */
import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import type { AdminPort } from '../../../../gateways/admin/admin-port.ts';
import { v1Endpoints } from '../../../../gateways/admin/v1/v1-endpoints.ts';
import { NodeUnderTest, until } from '../../../support/node-under-test.ts';

interface Reply {
  status: number;
  headers: Headers;
  body: Record<string, unknown>;
}

const RFC_1123 = /^(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT$/;

describe('API v1', function () {
  this.timeout(180_000);
  let node: NodeUnderTest;
  /** Operations that were called with success. */
  const called = new Set<string>();
  // The table is only listed here, never called.
  const table = v1Endpoints({} as AdminPort);

  before(async () => {
    node = await NodeUnderTest.start();
  });
  after(() => node.close());

  async function ask(
    method: string,
    path: string,
    body?: unknown,
    key: string | null = node.adminKey,
  ): Promise<Reply> {
    const reply = await fetch(`http://127.0.0.1:${node.ports.admin}/api/v1${path}`, {
      method,
      headers: key === null ? {} : { 'x-api-key': key },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
      signal: AbortSignal.timeout(20_000),
    });
    const text = await reply.text();
    const asked = `/api/v1${path.split('?')[0]}`;
    const named = asked.replace(/[^/]+$/, ':name');
    const ofMethod = table.filter((endpoint) => endpoint.method === method.toLowerCase());
    const found =
      ofMethod.find((endpoint) => endpoint.path === asked) ??
      ofMethod.find((endpoint) => endpoint.path.replace(/:\w+/, ':name') === named);
    if (reply.ok && found !== undefined) called.add(found.operationId);
    return {
      status: reply.status,
      headers: reply.headers,
      body: (text === '' ? {} : JSON.parse(text)) as Reply['body'],
    };
  }
  async function good(method: string, path: string, body?: unknown, status = 200): Promise<Reply['body']> {
    const reply = await ask(method, path, body);
    expect(reply.status, JSON.stringify(reply.body)).to.equal(status);
    return reply.body;
  }
  async function refused(
    method: string,
    path: string,
    status: number,
    code: string,
    body?: unknown,
  ): Promise<Reply['body']> {
    const reply = await ask(method, path, body);
    expect([reply.status, reply.body['code']], JSON.stringify(reply.body)).to.deep.equal([status, code]);
    expect(reply.body['error']).to.be.a('string').and.not.equal('');
    return reply.body;
  }

  const RULE = { prod_handling: 'Page_only', dev_handling: 'Ignore', team_assignment: 'NETO' };

  describe('rules', () => {
    let id: number;

    it('are added with what the old API required', async () => {
      const added = await good('POST', '/rules', { ...RULE, match_string: 'v1 pattern', trap_oid: '' }, 201);
      expect(added).to.have.keys('id', 'message');
      id = added['id'] as number;
      for (const [body, why] of [
        [{ ...RULE }, 'no criterion'],
        [{ ...RULE, match_string: '' }, 'an empty criterion'],
        [{ match_string: 'a' }, 'no handling'],
        [{ ...RULE, match_string: '(', match_type: 'regex' }, 'a regex that does not compile'],
        [{ ...RULE, match_string: 'a', prod_handling: 'Email_only' }, 'a handling that there is not'],
      ] as const) {
        const reply = await ask('POST', '/rules', body);
        expect(reply.status, why).to.equal(400);
        expect(reply.body['errors'], why).to.be.an('array');
      }
      await refused('POST', '/rules', 400, 'E_JSON_MALFORMED', '{');
    });

    it('are shown with the old columns, one and all', async () => {
      const rule = await good('GET', `/rules/${id}`);
      expect(rule).to.deep.equal({
        id,
        match_string: 'v1 pattern',
        trap_oid: null,
        syslog_severity: null,
        match_type: 'contains',
        priority: 100,
        ...RULE,
        is_active: true,
      });
      const { rules } = await good('GET', '/rules');
      expect(rules).to.deep.include(rule);
      await refused('GET', '/rules/999999', 404, 'E_NOT_FOUND');
      await refused('GET', '/rules/x', 400, 'E_PARAMETER_INVALID');
    });

    it('keep what the old API does not know when they are changed', async () => {
      const before = await node.admin<Record<string, unknown>>(`/api/v2/rules/${id}`);
      const { version: _, id: __, ...whole } = before.body;
      const put = await fetch(`http://127.0.0.1:${node.ports.admin}/api/v2/rules/${id}`, {
        method: 'PUT',
        headers: { 'x-api-key': node.adminKey, 'if-match': '*' },
        body: JSON.stringify({ ...whole, host: 'core-*', continue: true }),
      });
      expect(put.status).to.equal(200);
      const shown = await good('GET', `/rules/${id}`);
      expect(await good('PUT', `/rules/${id}`, { ...shown, priority: 5, reason: 'why not' })).to.have.keys(
        'message',
      );
      const { body } = await node.admin<Record<string, unknown>>(`/api/v2/rules/${id}`);
      expect(body).to.include({ host: 'core-*', continue: true, priority: 5, match_string: 'v1 pattern' });
    });

    it('are not changed by nothing, nor by what makes no rule', async () => {
      await refused('PUT', `/rules/${id}`, 400, 'E_BODY_INVALID', {});
      await refused('PUT', `/rules/${id}`, 400, 'E_BODY_INVALID', { unknown: 1 });
      await refused('PUT', `/rules/${id}`, 400, 'E_BODY_INVALID', { priority: 'high' });
      await refused('PUT', `/rules/${id}`, 400, 'E_RULE_INVALID', { match_string: '(', match_type: 'regex' });
      await refused('PUT', '/rules/999999', 404, 'E_NOT_FOUND', { priority: 1 });
    });

    it('lose no change when many are made at once', async () => {
      const columns = ['priority', 'team_assignment', 'syslog_severity', 'is_active'] as const;
      const values = { priority: 9, team_assignment: 'SYS', syslog_severity: 4, is_active: false };
      const replies = await Promise.all(
        columns.map((column) => ask('PUT', `/rules/${id}`, { [column]: values[column] })),
      );
      expect(replies.map(({ status }) => status)).to.deep.equal([200, 200, 200, 200]);
      expect(await good('GET', `/rules/${id}`)).to.include(values);
    });

    it('go, with a reason or without', async () => {
      await good('DELETE', `/rules/${id}`, { reason: 'no longer needed' });
      await refused('DELETE', `/rules/${id}`, 404, 'E_NOT_FOUND');
    });
  });

  it('development hosts come and go', async () => {
    await good('POST', '/dev-hosts', { hostname: 'Lab-1.example.net' }, 201);
    await refused('POST', '/dev-hosts', 409, 'E_EXISTS', { hostname: 'lab-1.example.net' });
    await refused('POST', '/dev-hosts', 400, 'E_BODY_INVALID', {});
    expect((await good('GET', '/dev-hosts'))['hosts']).to.deep.include({ hostname: 'lab-1.example.net' });
    await good('DELETE', '/dev-hosts/lab-1.example.net');
    await refused('DELETE', '/dev-hosts/lab-1.example.net', 404, 'E_NOT_FOUND');
  });

  it('teams come, change and go', async () => {
    await good('POST', '/teams', { hostname: 'r9', team_assignment: 'NETO' }, 201);
    await refused('POST', '/teams', 409, 'E_EXISTS', { hostname: 'R9', team_assignment: 'SYS' });
    await good('PUT', '/teams/r9', { team_assignment: 'SYS' });
    await refused('PUT', '/teams/r10', 404, 'E_NOT_FOUND', { team_assignment: 'SYS' });
    await refused('PUT', '/teams/r9', 400, 'E_BODY_INVALID', {});
    expect((await good('GET', '/teams'))['teams']).to.deep.include({
      hostname: 'r9',
      team_assignment: 'SYS',
    });
    await good('DELETE', '/teams/r9');
    await refused('DELETE', '/teams/r9', 404, 'E_NOT_FOUND');
  });

  describe('settings', () => {
    it('are listed, read, set and unset', async () => {
      const { config, count } = await good('GET', '/config');
      expect(Object.keys(config as object)).to.have.length(count as number);
      const key = 'match.batch.eventsMax';
      const present = (config as Record<string, unknown>)[key];
      expect(await good('GET', `/config/${key}`)).to.deep.equal({ key, value: present });
      expect(await good('PUT', `/config/${key}`, { value: 1_500, reason: 'a try' })).to.deep.equal({
        key,
        old_value: present,
        new_value: 1_500,
      });
      // Old clients send text.
      expect(await good('PUT', `/config/${key}`, { value: '1600' })).to.deep.equal({
        key,
        old_value: 1_500,
        new_value: 1_600,
      });
      await good('DELETE', `/config/${key}`);
      await refused('DELETE', `/config/${key}`, 404, 'E_NOT_FOUND');
      expect(await good('GET', `/config/${key}`)).to.deep.equal({ key, value: present });
    });

    it('are checked like those of API v2', async () => {
      await refused('PUT', '/config/match.batch.eventsMax', 400, 'E_SETTING_INVALID', { value: 0 });
      await refused('PUT', '/config/match.batch.eventsMax', 400, 'E_BODY_INVALID', {});
      await refused('PUT', '/config/max_ingest_queue_size', 404, 'E_SETTING_UNKNOWN', { value: 1 });
      await refused('GET', '/config/max_ingest_queue_size', 404, 'E_SETTING_UNKNOWN');
    });
  });

  describe('the audit', () => {
    it('has every change of above, with who, why, before and after', async () => {
      const { logs, pagination } = await good('GET', '/audit?table_name=alert_rules&limit=200');
      const all = logs as Record<string, unknown>[];
      expect(pagination).to.include({ page: 1, limit: 200, total: all.length, pages: 1 });
      expect(all[0]).to.include({
        operation: 'DELETE',
        table_name: 'alert_rules',
        reason: 'no longer needed',
      });
      expect(all[0]).to.have.keys(
        'id',
        'changed_at',
        'changed_by',
        'operation',
        'table_name',
        'record_id',
        'old_values',
        'new_values',
        'reason',
        'correlation_id',
      );
      expect(all[0]?.['record_id']).to.be.a('number');
      expect(all[0]?.['changed_at']).to.match(RFC_1123);
      expect(all[0]?.['old_values']).to.be.an('object');
      for (const table of ['development_hosts', 'device_teams']) {
        expect((await good('GET', `/audit?table_name=${table}`))['logs'], table).to.be.an('array').that.is.not
          .empty;
      }
    });

    it('finds by part of a name, operation, record and time', async () => {
      const total = async (query: string): Promise<number> =>
        ((await good('GET', `/audit?${query}`))['pagination'] as { total: number }).total;
      expect(await total('changed_by=ADM')).to.be.greaterThan(0);
      expect(await total('changed_by=nobody')).to.equal(0);
      expect(await total('operation=delete&table_name=device_teams&record_id=r9')).to.equal(1);
      expect(await total('end_date=2020-01-01')).to.equal(0);
      expect(await total('start_date=2020-01-01T00:00:00')).to.be.greaterThan(0);
      expect(await total('start_date=2020-01-01T00:00:00+02:00')).to.be.greaterThan(0);
      await refused('GET', '/audit?operation=BURN', 400, 'E_PARAMETER_INVALID');
      await refused('GET', '/audit?start_date=yesterday', 400, 'E_PARAMETER_INVALID');
      await refused('GET', '/audit?start_date=2026-13-45', 400, 'E_PARAMETER_INVALID');
      await refused('GET', '/audit?tabel_name=x', 400, 'E_PARAMETER_UNKNOWN');
    });

    it('of settings is their history', async () => {
      const { history, pagination } = await good('GET', '/config/history?limit=2');
      const entries = history as Record<string, unknown>[];
      expect(entries).to.have.length(2);
      expect(entries[0]).to.include({ operation: 'DELETE', table_name: 'dynamic_config' });
      expect(entries[0]).to.include({ record_id: 'match.batch.eventsMax' });
      expect(pagination).to.deep.equal({ page: 1, limit: 2, total: 3, pages: 2 });
      const second = await good('GET', '/config/history?limit=2&page=2');
      expect(second['history']).to.have.length(1);
      expect((second['history'] as Record<string, unknown>[])[0]).to.include({
        operation: 'CREATE',
        reason: 'a try',
      });
      expect((await good('GET', '/config/history?page=3&limit=2'))['history']).to.deep.equal([]);
    });

    it('without values takes the whole name', async () => {
      const { changes } = await good('GET', '/config-audit?changed_by=admin&table_name=dynamic_config');
      expect(changes).to.have.length(3);
      expect((changes as object[])[0]).to.have.keys(
        'id',
        'changed_at',
        'changed_by',
        'operation',
        'table_name',
        'record_id',
        'reason',
        'correlation_id',
      );
      expect((await good('GET', '/config-audit?changed_by=adm'))['changes']).to.deep.equal([]);
    });

    for (const query of [
      'page=0',
      'page=x',
      'page=1.5',
      'limit=0',
      'limit=201',
      'limit=x',
      'page=-1',
      'page=41',
    ]) {
      it(`refuses ${query}`, async () => {
        await refused('GET', `/audit?${query}`, 400, 'E_PARAMETER_INVALID');
      });
    }
  });

  it('shows what was decided about events', async () => {
    await good('POST', '/rules', { ...RULE, match_string: 'v1 event', prod_handling: 'Ignore' }, 201);
    await until(
      async () => {
        const timestamp = new Date().toISOString();
        await node.post(JSON.stringify({ hostname: 'V1-host', message: 'a v1 event', timestamp }));
        const { logs } = await good('GET', '/audit-logs?hostname=v1-host');
        return (logs as Record<string, unknown>[]).some((log) => log['handling_decision'] === 'Ignore');
      },
      60_000,
      () => node.output,
    );
    await node.settled();
    const { logs, pagination } = await good('GET', '/audit-logs?hostname=V1-Host&limit=1');
    const [log] = logs as Record<string, unknown>[];
    expect(log).to.include({ hostname: 'v1-host', forwarded_to_moog: false });
    expect(log?.['event_timestamp']).to.match(RFC_1123);
    expect(log?.['raw_message']).to.include('a v1 event');
    expect((pagination as { total: number }).total).to.be.greaterThan(0);
    const rule = log?.['matched_rule_id'] as number;
    expect((await good('GET', `/audit-logs?rule_id=${rule}`))['logs']).to.be.an('array').that.is.not.empty;
    expect((await good('GET', '/audit-logs?hostname=nobody'))['logs']).to.deep.equal([]);
    await refused('GET', '/audit-logs?rule_id=x', 400, 'E_PARAMETER_INVALID');
    await refused('GET', '/audit-logs?page=x', 400, 'E_PARAMETER_INVALID');
  });

  it('shows rates like API v2', async () => {
    const rates = await good('GET', '/metrics');
    expect(rates).to.have.keys('summary', 'chart_24h');
    const inV2 = Object.keys((await node.admin<object>('/api/v2/metrics')).body);
    expect(inV2).to.deep.equal([...Object.keys(rates), 'latency']);
  });

  it('says its version without a key', async () => {
    const reply = await ask('GET', '/version', undefined, null);
    expect(reply.status).to.equal(200);
    expect(reply.body).to.include({ current_version: '2.0', default_version: '2.0' });
    expect(reply.body['supported_versions']).to.deep.equal(['2.0', '1.0']);
    expect(reply.body['version_history']).to.be.an('array');
  });

  it('says with every answer, refusals included, that it is deprecated and what takes its place', async () => {
    for (const [reply, successor] of [
      [await ask('GET', '/rules'), '/api/v2/rules'],
      [await ask('GET', '/rules/999999'), '/api/v2/rules/{id}'],
      [await ask('GET', '/teams?x=1'), '/api/v2/teams'],
      [await ask('GET', '/config', undefined, null), '/api/v2/config'],
      [await ask('PUT', '/config/log.level', '{'), '/api/v2/config/{key}'],
    ] as const) {
      expect(reply.headers.get('deprecation')).to.equal('@1767225600');
      expect(Date.parse(reply.headers.get('sunset') ?? '')).to.be.greaterThan(Date.parse('2027-01-01'));
      expect(reply.headers.get('link')).to.equal(`<${successor}>; rel="successor-version"`);
      expect(reply.headers.get('x-api-version')).to.equal('1.0');
      expect(reply.headers.get('x-api-supported-versions')).to.equal('2.0, 1.0');
    }
  });

  it('needs keys with the scopes of API v2', async () => {
    const made = await node.admin<{ key: string }>('/api/v2/keys', {
      method: 'POST',
      body: { name: 'v1-reader', scopes: ['read'] },
    });
    await until(
      async () => (await ask('GET', '/rules', undefined, made.body.key)).status === 200,
      20_000,
      () => 'the key is not taken',
    );
    for (const { method, path, scope } of table) {
      const bare = path.replace('/api/v1', '').replace(/:\w+/, '1');
      const anonymous = await ask(method.toUpperCase(), bare, undefined, null);
      if (scope !== 'open') {
        expect([anonymous.status, anonymous.body['code']], path).to.deep.equal([401, 'E_KEY_MISSING']);
        expect(anonymous.body['error'], path).to.be.a('string');
      }
      const { status } = await ask(
        method.toUpperCase(),
        bare,
        scope === 'admin' ? {} : undefined,
        made.body.key,
      );
      if (scope === 'admin') expect(status, path).to.equal(403);
      else expect(status, path).to.not.equal(403);
    }
  });

  // Mocha runs what is in a describe after what is beside it.
  describe('in the end', () => {
    it('was called with success at every endpoint of its table', () => {
      const missed = table.map(({ operationId }) => operationId).filter((each) => !called.has(each));
      expect(missed).to.deep.equal([]);
    });
  });
});
