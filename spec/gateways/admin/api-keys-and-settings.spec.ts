/**
 * Keys, settings and the record of events on a real node, from the change to its effect everywhere.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { until } from '../../support/node-under-test.ts';
import { API_TIMEOUT_MS, WAIT_MS, askingANode, items } from './api-asking.ts';
import type { Item } from './api-asking.ts';
import type { ApiReply } from './api-under-test.ts';
import { HOSTILE, RULE } from './good-calls.ts';

describe('Keys, settings and events over the API', function () {
  this.timeout(API_TIMEOUT_MS);
  const asking = askingANode();
  const { ask, good, refused, newest, all } = asking;

  describe('keys', () => {
    const key = async (name: string, scopes: string[], more: object = {}): Promise<string> => {
      const { body } = await good('createKey', { body: { name, scopes, ...more } });
      expect(String(body['key'])).to.match(/^[A-Za-z0-9_-]{43}$/);
      return String(body['key']);
    };

    it('are shown once, never again, and open at once what their scopes say, on every port', async () => {
      const reader = await key('spec-reader', ['read']);
      expect((await asking.api.send('GET', '/api/v2/version', { key: reader })).status).to.equal(200);
      await refused(ask('createRule', { key: reader, body: RULE }), 403, 'E_SCOPE_MISSING');
      const relay = await key('spec-relay', ['ingest']);
      const event = JSON.stringify({ hostname: 'h', message: 'm', timestamp: new Date().toISOString() });
      expect((await asking.node.post(event, { 'x-api-key': relay })).status).to.equal(200);
      for (const operationId of ['listKeys', 'listConfigAudit', 'getRuleSet', 'getStatus']) {
        const { text } = await good(
          operationId,
          operationId.startsWith('list') ? { query: { limit: 200 } } : {},
        );
        expect(text).to.not.include(reader);
        expect(text).to.not.include(relay);
      }
      expect(readFileSync(join(asking.node.dir, 'log', 'mutt.log'), 'utf8')).to.not.include(reader);
      expect(readFileSync(join(asking.node.dir, 'snapshot.json'), 'utf8')).to.not.include(reader);
    });

    it('opt in to ids of events: an event that comes again is stored once', async () => {
      const opted = await key('spec-event-ids', ['ingest'], { event_ids: true });
      const plain = await key('spec-no-event-ids', ['ingest']);
      const { body } = await good('getKey', { params: { name: 'spec-event-ids' } });
      expect(body['event_ids']).to.equal(true);
      const accepted = async (): Promise<number> => Number((await good('getLedger')).body['accepted']);
      const before = await accepted();
      const at = { hostname: 'h', timestamp: new Date().toISOString() };
      const events = [1, 2].map((id) => JSON.stringify({ ...at, message: 'with an id', id }));
      for (const sent of [events[0]!, events.join('\n'), `[${events.join(',')}]`]) {
        expect((await asking.node.post(sent, { 'x-api-key': opted })).status).to.equal(200);
      }
      expect((await accepted()) - before).to.equal(2);
      for (const _ of [1, 2]) await asking.node.post(events[0]!, { 'x-api-key': plain });
      expect((await accepted()) - before).to.equal(4);
      await until(
        async () =>
          /^mutt_ingest_duplicate_events_total 3$/m.test((await asking.api.send('GET', '/metrics')).text),
        WAIT_MS,
        () => 'the duplicates are not counted',
      );
    });

    it('name who changed what', async () => {
      const changer = await key('spec-changer', ['admin']);
      await asking.api.whenKey(changer, true);
      await good('addDevHost', {
        key: changer,
        body: { hostname: 'changed-by', reason: 'why not' },
        headers: { 'x-correlation-id': 'my.change-1' },
      });
      expect(await newest({ changed_by: 'spec-changer' })).to.include({
        operation: 'CREATE',
        resource: 'development_hosts',
        record_key: 'changed-by',
        reason: 'why not',
        correlation_id: 'my.change-1',
      });
    });

    it('are rotated with an overlap, and without', async () => {
      const first = await key('spec-rotated', ['read']);
      await asking.api.whenKey(first, true);
      const { body } = await good('rotateKey', {
        params: { name: 'spec-rotated' },
        body: { overlap_seconds: 600 },
      });
      const second = String(body['key']);
      await asking.api.whenKey(second, true);
      expect((await asking.api.send('GET', '/api/v2/version', { key: first })).status).to.equal(200);
      expect(Date.parse(String(body['previous_expires_at']))).to.be.greaterThan(Date.now() + 500_000);
      const third = String(
        (await good('rotateKey', { params: { name: 'spec-rotated' }, body: { overlap_seconds: 0 } })).body[
          'key'
        ],
      );
      await asking.api.whenKey(third, true);
      await asking.api.whenKey(second, false);
      await asking.api.whenKey(first, false);
    });

    it('end when they are revoked, for ever and under this name', async () => {
      const gone = await key('spec-gone', ['read', 'ingest']);
      await asking.api.whenKey(gone, true);
      const { body } = await good('revokeKey', { params: { name: 'spec-gone' }, body: { reason: 'lost' } });
      expect(body['state']).to.equal('revoked');
      await asking.api.whenKey(gone, false);
      await until(
        async () => (await asking.node.post('{}', { 'x-api-key': gone })).status === 401,
        WAIT_MS,
        () => 'the ingest port still takes it',
      );
      await refused(ask('revokeKey', { params: { name: 'spec-gone' } }), 404, 'E_NOT_FOUND');
      await refused(ask('rotateKey', { params: { name: 'spec-gone' } }), 404, 'E_NOT_FOUND');
      await refused(ask('createKey', { body: { name: 'spec-gone', scopes: ['read'] } }), 409, 'E_KEY_EXISTS');
    });

    it('end by themselves at their time', async () => {
      const expiresAt = new Date(Date.now() + 6_000).toISOString();
      const brief = await key('spec-brief', ['read'], { expires_at: expiresAt });
      await asking.api.whenKey(brief, true);
      await asking.api.whenKey(brief, false);
      await refused(asking.api.send('GET', '/api/v2/version', { key: brief }), 401, 'E_KEY_EXPIRED');
      expect((await good('getKey', { params: { name: 'spec-brief' } })).body['state']).to.equal('expired');
    });

    it("of the node's own files are shown and not changed", async () => {
      for (const name of ['admin', 'ingest', 'sink']) {
        expect((await good('getKey', { params: { name } })).body['source']).to.equal('node');
        await refused(ask('createKey', { body: { name, scopes: ['read'] } }), 409, 'E_KEY_OF_NODE');
        await refused(ask('rotateKey', { params: { name } }), 409, 'E_KEY_OF_NODE');
        await refused(ask('revokeKey', { params: { name } }), 409, 'E_KEY_OF_NODE');
      }
    });
  });

  describe('settings', () => {
    it('are in effect on every worker soon after they are set, and back after a rollback', async () => {
      const params = { key: 'match.batch.eventsMax' };
      const whenEverywhere = async (value: number): Promise<void> =>
        until(
          async () => {
            const { body } = await good('getEffectiveSettings');
            const workers = body['workers'] as { version: number }[];
            const isEverywhere =
              workers.length > 4 && workers.every(({ version }) => version === body['snapshot_version']);
            return isEverywhere && (body['settings'] as Item)['match.batch.eventsMax'] === value;
          },
          WAIT_MS,
          () => `${value} is not in effect everywhere`,
        );
      const first = await good('putSetting', { params, body: { value: 1_111, reason: 'first' } });
      await whenEverywhere(1_111);
      const headers = { 'if-match': first.headers.get('etag') ?? '' };
      await good('putSetting', { params, headers, body: { value: 2_222, reason: 'second' } });
      await whenEverywhere(2_222);
      const back = await good('rollbackSetting', { params, body: { reason: 'worse' } });
      expect(back.body['value']).to.equal(1_111);
      await whenEverywhere(1_111);
      const history = items(
        await good('listConfigAudit', { query: { resource: 'settings', record_key: params.key } }),
      );
      expect(history.map(({ reason }) => reason)).to.deep.equal(['worse', 'second', 'first']);
      const [newestEntry] = history;
      expect((newestEntry?.['old_values'] as Item)['value']).to.equal(2_222);
      expect((newestEntry?.['new_values'] as Item)['value']).to.equal(1_111);
    });

    it('show a guard as long as it watches', async () => {
      const params = { key: 'audit.unmatched.policy' };
      const guard = { watch_seconds: 600, error_rate_max: 0.01, latency_p99_ms_max: 500 };
      const { body } = await good('putSetting', { params, body: { value: 'all', guard } });
      expect(body['guard']).to.include({
        error_rate_max: 0.01,
        latency_p99_ms_max: 500,
        previous_value: null,
      });
      await good('unsetSetting', { params, headers: { 'if-match': '*' } });
      expect((await good('getSetting', { params })).body).to.include({
        guard: null,
        value: 'sample',
        source: 'default',
      });
    });

    it('limit how often a key may ask, with when to come again, and others are not held up', async () => {
      const { body } = await good('createKey', { body: { name: 'spec-busy', scopes: ['read'] } });
      const busy = String(body['key']);
      await asking.api.whenKey(busy, true);
      const headers = { 'if-match': '*' };
      await good('putSetting', { params: { key: 'api.rate.burst' }, headers, body: { value: 3 } });
      await good('putSetting', {
        params: { key: 'api.rate.requestsPerSecond' },
        headers,
        body: { value: 1 },
      });
      let limited: ApiReply | undefined;
      await until(
        async () => {
          const reply = await ask('getVersion', { key: busy });
          if (reply.status === 429) limited = reply;
          return limited !== undefined;
        },
        WAIT_MS,
        () => 'nothing limits it',
      );
      expect(limited?.body['code']).to.equal('E_RATE_LIMITED');
      expect(Number(limited?.headers.get('retry-after'))).to.be.within(1, 3);
      expect(limited?.headers.get('ratelimit-policy')).to.equal('"key";q=3;w=3');
      expect(limited?.headers.get('ratelimit')).to.match(/^"key";r=0;t=\d+$/);
      // Another key, and whoever needs none, have their own.
      expect((await asking.api.send('GET', '/metrics', { key: null })).status).to.equal(200);
      const put = async (key: string, value: number): Promise<void> => {
        await until(
          async () => {
            const reply = await ask('putSetting', {
              params: { key },
              headers: { 'if-match': '*' },
              body: { value },
            });
            return reply.status === 200;
          },
          WAIT_MS,
          () => `${key} cannot be raised again`,
        );
      };
      await put('api.rate.requestsPerSecond', 10_000);
      await put('api.rate.burst', 10_000);
      await until(
        async () => (await ask('getVersion', { key: busy })).status === 200,
        WAIT_MS,
        () => 'still limited',
      );
    });
  });

  describe('the audit of events', () => {
    it('finds what was decided, by host, rule, decision and time, page by page', async () => {
      await good('putSetting', {
        params: { key: 'audit.unmatched.policy' },
        headers: { 'if-match': '*' },
        body: { value: 'all' },
      });
      const rule = await good('createRule', {
        body: { ...RULE, name: 'searched', match_string: 'find me', priority: 1 },
      });
      const { version } = (await good('getRuleSet')).body;
      await asking.node.whenApplied(Number(version), WAIT_MS);
      const events = Array.from({ length: 12 }, (_, at) => ({
        hostname: `audited-${at % 2}`,
        message: at % 3 === 0 ? `find me ${HOSTILE[at] ?? ''}` : `nothing ${at}`,
        timestamp: new Date().toISOString(),
      }));
      const from = new Date(Date.now() - 60_000).toISOString();
      for (const event of events)
        expect((await asking.node.post(JSON.stringify(event))).status).to.equal(200);
      const ofHost = (host: string, more: Record<string, string | number> = {}): Promise<Item[]> =>
        all('listAuditLogs', 2, { hostname: host, from, ...more });
      await until(
        async () => (await ofHost('audited-0')).length + (await ofHost('audited-1')).length === events.length,
        WAIT_MS,
        () => 'not every decision is there',
      );
      const rows = await ofHost('audited-0');
      expect(rows.map((row) => row['received_at'])).to.deep.equal(
        rows.map((row) => row['received_at']).sort((a, b) => (String(a) < String(b) ? 1 : -1)),
      );
      expect(new Set(rows.map((row) => row['event_id'])).size).to.equal(6);
      const found = await ofHost('audited-0', {
        rule_id: Number(rule.body['id']),
        decision: 'Page_and_ticket',
      });
      expect(found).to.have.length(2);
      expect(await ofHost('audited-0', { decision: 'Unmatched' })).to.have.length(4);
      expect(await ofHost('audited-0', { to: from })).to.deep.equal([]);
      expect(found.map((row) => (row['matches'] as Item[])[0]?.['rule_id'])).to.deep.equal([
        rule.body['id'],
        rule.body['id'],
      ]);
    });
  });

  describe('after all this', () => {
    it('leave a record of changes that is whole', async () => {
      const { body } = await good('verifyConfigAudit');
      expect(body).to.deep.include({ intact: true, problems: [] });
      expect(Number(body['entries'])).to.be.greaterThan(40);
    });
  });
});
