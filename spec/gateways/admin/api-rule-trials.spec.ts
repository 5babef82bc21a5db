/**
 * Rules as software on a real node: tried on events, run over the audit log, searched for what never decides, gone back
 * with. Nothing of a trial is ever in force.
 */
import { expect } from 'chai';
import { before, describe, it } from 'mocha';
import { until } from '../../support/node-under-test.ts';
import { API_TIMEOUT_MS, WAIT_MS, askingANode, items } from './api-asking.ts';
import type { Item } from './api-asking.ts';

const HANDLED = { prod_handling: 'Page_only', dev_handling: 'Ignore', team_assignment: 'NETO' };
const rule = (name: string, fields: object): object => ({ ...HANDLED, name, ...fields });

const RULES = [
  rule('broad', { match_string: 'link', host: 'core-*', priority: 50 }),
  rule('narrow', { match_string: 'link down', host: 'core-1', priority: 60, prod_handling: 'Ticket_only' }),
  rule('power', { match_string: 'power supply', priority: 70 }),
  rule('fan', { match_string: 'fan (\\d+) failed', match_type: 'regex', priority: 80 }),
];
const event = (hostname: string, message: string): object => ({
  hostname,
  message,
  timestamp: new Date().toISOString(),
});
const EVENTS = [
  event('core-1', 'link down on eth0'),
  event('core-2', 'link up on eth1'),
  event('edge-1', 'power supply 2 failed'),
  event('lab-1', 'power supply 1 failed'),
  event('edge-2', 'nothing to see'),
];

const handledBy = (item: Item | undefined): unknown[] =>
  (item?.['matches'] as Item[]).map(({ name, candidate }) => [name, candidate]);

describe('Rules as software', function () {
  this.timeout(API_TIMEOUT_MS);
  const asking = askingANode();
  const { ask, good, refused } = asking;
  const ids = new Map<string, number>();

  before(async () => {
    await good('putSetting', { params: { key: 'audit.unmatched.policy' }, body: { value: 'all' } });
    // Only the rules of this file: those that a node begins with go.
    const { rules } = (await good('getRuleSet')).body as { rules: { id: number }[] };
    for (const { id } of rules) await good('deleteRule', { params: { id }, headers: { 'if-match': '*' } });
    const { body } = await good('applyRuleSet', { body: { rules: RULES, development_hosts: ['lab-1'] } });
    for (const { id, name } of body['rules'] as Item[]) ids.set(String(name), Number(id));
    const version = body['snapshot_version'] as number;
    await until(
      async () => {
        const { workers } = (await good('getEffectiveSettings')).body as { workers: { version: number }[] };
        return workers.every((worker) => worker.version >= version);
      },
      WAIT_MS,
      () => 'the rules are not in force',
    );
    expect((await asking.node.post(JSON.stringify(EVENTS))).body.accepted).to.equal(EVENTS.length);
    await until(
      async () => items(await good('listAuditLogs')).length >= EVENTS.length,
      WAIT_MS,
      () => 'the events are not audited',
    );
  });

  describe('a test', () => {
    it('says what is decided about given events, by which rules, with which alerts', async () => {
      const { body } = await good('testRules', {
        body: { events: [EVENTS[0], EVENTS[3], { message: 'Power Supply 7' }], nearest: 1 },
      });
      const [first, second, third] = body['items'] as Item[];
      expect(body['rule_set']).to.include({ base: 'in_force', added: 0, changed: 0, removed: 0 });
      expect(first).to.include({ decision: 'Page_only', environment: 'prod', error: null, event_id: null });
      expect(handledBy(first)).to.deep.equal([['broad', null]]);
      expect((first?.['matches'] as Item[])[0]?.['alerts']).to.deep.include({
        destination: 'local',
        signature: `core-1::${ids.get('broad')}::-`,
        severity: null,
        status: 'firing',
      });
      expect(second).to.include({ decision: 'Ignore', environment: 'dev' });
      expect(third?.['event']).to.include({ hostname: 'test-host', message: 'Power Supply 7', source: null });
      expect(handledBy(third)).to.deep.equal([['power', null]]);
    });

    it('reads lines as the ingest port does, and says which cannot be read', async () => {
      const lines = ['<34>Oct 11 22:14:15 core-9 kernel: link lost', '{"message":"x"}', 'rubbish'];
      const { body } = await good('testRules', { body: { lines, received_at: '2026-11-01T00:00:00Z' } });
      const [first, second, third] = body['items'] as Item[];
      expect(first?.['event']).to.include({ program: 'kernel', severity: 2, facility: 4, source: 'syslog' });
      expect((first?.['event'] as Item)['event_time']).to.equal('2026-10-11T22:14:15.000Z');
      expect(first?.['decision']).to.equal('Page_only');
      expect((second?.['error'] as Item)['code']).to.equal('E_FIELD_MISSING');
      expect((third?.['error'] as Item)['code']).to.equal('E_LINE_UNREADABLE');
      expect(third).to.include({ decision: null, event: null });
    });

    it('says why not: the nearest rules, or the one that is asked for', async () => {
      const asked = { event: { hostname: 'edge-3', message: 'fan 12 faild' } };
      const nearest = (await good('testRules', { body: asked })).body['items'] as Item[];
      expect(nearest[0]?.['decision']).to.equal('Unmatched');
      const [fan] = nearest[0]?.['explained'] as Item[];
      expect(fan).to.include({ name: 'fan', why: 'criteria' });
      expect((fan?.['criteria'] as Item[])[0]).to.include({
        field: 'match_string',
        outcome: 'not_held',
        near: ' fail',
      });

      const reached = { event: EVENTS[0], rule_id: ids.get('narrow') };
      const [item] = (await good('testRules', { body: reached })).body['items'] as Item[];
      expect(item?.['explained']).to.have.length(1);
      expect((item?.['explained'] as Item[])[0]).to.include({ name: 'narrow', why: 'not_reached' });
    });

    it('takes changed rules, in the place of those in force or instead of all of them', async () => {
      const changed = {
        event: EVENTS[0],
        rules: [
          rule('broad', { match_string: 'links' }),
          rule('new', { host: 'core-1', continue: true, priority: 1 }),
        ],
      };
      const first = await good('testRules', { body: changed });
      expect(first.body['rule_set']).to.include({ rules: 5, added: 1, changed: 1, removed: 0 });
      const [item] = first.body['items'] as Item[];
      expect(handledBy(item)).to.deep.equal([
        ['new', 1],
        ['narrow', null],
      ]);
      expect((item?.['matches'] as Item[])[0]?.['rule_id']).to.equal(null);
      const alone = await good('testRules', { body: { ...changed, base: 'none' } });
      expect(handledBy((alone.body['items'] as Item[])[0])).to.deep.equal([['new', 1]]);
      const without = await good('testRules', { body: { event: EVENTS[0], remove: [ids.get('broad')] } });
      expect(handledBy((without.body['items'] as Item[])[0])).to.deep.equal([['narrow', null]]);
    });

    it('takes the newest audited events', async () => {
      const { body } = await good('testRules', { body: { recent: { limit: 1, hostname: 'CORE-2' } } });
      const [item, ...others] = body['items'] as Item[];
      expect(others).to.deep.equal([]);
      expect(item?.['event']).to.include({ hostname: 'core-2', message: 'link up on eth1' });
      expect(item?.['event_id']).to.match(/^[0-9a-f-]{36}-\d+$/);
      expect(item?.['decision']).to.equal('Page_only');
    });

    it('is refused by field', async () => {
      const test = (body: object) => ask('testRules', { body });
      await refused(test({}), 400, 'E_BODY_INVALID', '');
      await refused(test({ event: {}, lines: ['x'] }), 400, 'E_BODY_INVALID', 'lines');
      await refused(test({ events: Array(101).fill({ message: 'x' }) }), 400, 'E_BODY_INVALID', 'events');
      await refused(test({ event: { message: 'x' }, rule_id: 999 }), 400, 'E_BODY_INVALID', 'rule_id');
      await refused(test({ recent: { from: '2026-02-30T00:00:00Z' } }), 400, 'E_BODY_INVALID');
      const event = { message: 'x' };
      await refused(test({ event, remove: [999] }), 400, 'E_CONFIG_INVALID', 'remove[0]');
      await refused(
        test({ event, base: 'none', remove: [ids.get('fan')] }),
        400,
        'E_CONFIG_INVALID',
        'remove[0]',
      );
      const twice = [rule('fan', { host: 'a' }), { ...HANDLED, id: ids.get('fan'), host: 'b' }];
      await refused(test({ event, rules: twice }), 400, 'E_CONFIG_INVALID', 'rules[1]');
      const failing = rule('x', { host: 'a', tests: [{ event }] });
      await refused(test({ event, rules: [failing] }), 400, 'E_CONFIG_INVALID', 'rules[0].tests[0]');
      await refused(test({ event, rules: [rule('x', {})] }), 400, 'E_CONFIG_INVALID', 'rules[0]');
    });
  });

  describe('a backtest', () => {
    it('counts what a change gains, loses and changes, by rule, with examples', async () => {
      const { body } = await good('backtestRules', {
        body: {
          rules: [
            rule('quiet', { match_string: 'nothing' }),
            rule('power', { match_string: 'power supply', priority: 70, prod_handling: 'Ticket_only' }),
          ],
          remove: [ids.get('broad')],
          from: new Date(Date.now() - 3_600_000).toISOString(),
        },
      });
      expect(body['rule_set']).to.include({ rules: 4, added: 1, changed: 1, removed: 1 });
      // core-1 goes from broad to narrow; core-2 from broad to nothing; edge-1 is ticketed; lab-1 is ignored as before.
      expect(body['counts']).to.deep.equal({ gained: 1, lost: 1, changed: 2, unchanged: 1 });
      expect(body['events']).to.deep.equal({
        looked_at: 5,
        unreadable: 0,
        decided_otherwise_when_stored: 0,
        stored_unmatched: 1,
      });
      expect(body['window']).to.include({ ended_by: 'window' });
      // The policy became `all` when this file began.
      expect(body['caveat']).to.match(/^audit\.unmatched\.policy was changed within the window/);
      const later = await good('backtestRules', { body: { from: new Date().toISOString() } });
      expect(later.body['caveat']).to.equal(null);
      expect(body['alerts']).to.deep.equal({
        before: 3,
        after: 3,
        destinations: [{ destination: 'local', before: 3, after: 3 }],
      });
      const rules = body['rules'] as Item[];
      expect(
        rules.map(({ name, before, after, gained, lost, changed }) => [
          name,
          before,
          after,
          gained,
          lost,
          changed,
        ]),
      ).to.deep.equal([
        ['broad', 2, 0, 0, 2, 0],
        ['narrow', 0, 1, 1, 0, 0],
        ['power', 2, 2, 0, 0, 1],
        ['quiet', 0, 1, 1, 0, 0],
      ]);
      const samples = body['samples'] as Record<string, Item[]>;
      expect(samples['gained']?.map(({ message }) => message)).to.deep.equal(['nothing to see']);
      expect(samples['lost']?.map(({ hostname }) => hostname)).to.deep.equal(['core-2']);
      expect((samples['changed'] ?? []).map(({ hostname }) => hostname).sort()).to.deep.equal([
        'core-1',
        'edge-1',
      ]);
      expect((await good('getRuleSet')).body['rules']).to.have.length(RULES.length);
    });

    it('stops at its bounds and says so, and what the audit log does not keep', async () => {
      const { body } = await good('backtestRules', { body: { events_max: 2, samples: 0 } });
      expect(body['window']).to.include({ ended_by: 'events_max' });
      expect(body['counts']).to.deep.equal({ gained: 0, lost: 0, changed: 0, unchanged: 2 });
      await good('unsetSetting', {
        params: { key: 'audit.unmatched.policy' },
        headers: { 'if-match': '*' },
      });
      await until(
        async () => {
          const sampled = await good('backtestRules', { body: { events_max: 1 } });
          return sampled.body['unmatched_policy'] === 'sample' && /one in a hundred/.test(sampled.text);
        },
        WAIT_MS,
        () => 'the policy does not show',
      );
    });

    it('runs one at a time', async () => {
      const replies = await Promise.all([1, 2, 3].map(() => ask('backtestRules', { body: {} })));
      const statuses = replies.map(({ status }) => status).sort();
      expect(statuses).to.deep.equal([200, 409, 409]);
      expect(replies.find(({ status }) => status === 409)?.body['code']).to.equal('E_BACKTEST_RUNNING');
    });

    it('refuses a window that is none', async () => {
      const body = { from: '2026-01-02T00:00:00Z', to: '2026-01-01T00:00:00Z' };
      await refused(ask('backtestRules', { body }), 400, 'E_BODY_INVALID', 'to');
      await refused(ask('backtestRules', { body: { from: 'yesterday' } }), 400, 'E_BODY_INVALID', 'from');
      await refused(
        ask('backtestRules', { body: { events_max: 200_001 } }),
        400,
        'E_BODY_INVALID',
        'events_max',
      );
    });
  });

  describe('coverage', () => {
    it('names rules that an earlier one shadows, and pairs that decide otherwise, page by page', async () => {
      const { body } = await good('getRuleCoverage', { query: { kind: 'shadowed' } });
      expect(body['totals']).to.include({ shadowed: 1, overlapping: 1 });
      expect(body).to.include({ rules: RULES.length, all_pairs_compared: true });
      const [shadowed] = body['items'] as Item[];
      expect(shadowed).to.include({ kind: 'shadowed', name: 'narrow', events: null });
      expect(shadowed?.['other']).to.include({ name: 'broad' });
      const overlapping = await good('getRuleCoverage', { query: { kind: 'overlapping' } });
      const [pair] = overlapping.body['items'] as Item[];
      expect(pair).to.include({ name: 'broad', events: 1 });
      expect(pair?.['other']).to.include({ name: 'narrow' });
      const kinds = (await asking.all('getRuleCoverage', 1)).map(({ kind }) => kind);
      expect(kinds.slice(-2)).to.deep.equal(['shadowed', 'overlapping']);
      expect(kinds).to.include('never_fired');
    });
  });

  describe('versions', () => {
    it('show who changed what, and a rule goes back to one of them', async () => {
      const made = await good('createRule', {
        body: rule('versions', { host: 'v' }),
        query: { reason: 'first' },
      });
      const params = { id: Number(made.body['id']) };
      const replace = (fields: object) =>
        good('replaceRule', { params, body: rule('versions', fields), headers: { 'if-match': '*' } });
      await replace({ host: 'v', priority: 2, active_from: '2026-01-01T00:00:00Z' });
      const third = await replace({ host: 'w', priority: 3 });
      const versions = await asking.all('listRuleVersions', 2, {}, params);
      expect(versions.map(({ version, operation, reason }) => [version, operation, reason])).to.deep.equal([
        [3, 'UPDATE', null],
        [2, 'UPDATE', null],
        [1, 'CREATE', 'first'],
      ]);
      expect({ ...(versions[2]?.['rule'] as Item), suspended: null }).to.deep.equal(made.body);
      expect(versions[0]?.['changed_by']).to.equal('admin');
      const etag = third.headers.get('etag') ?? '';
      const rollback = (body: object, tag = etag) =>
        ask('rollbackRule', { params, body, headers: { 'if-match': tag } });
      await refused(rollback({ to_version: 9 }), 404, 'E_RULE_VERSION_UNKNOWN');
      await refused(rollback({}, '"1"'), 412, 'E_VERSION_STALE');
      const back = await rollback({ to_version: 1, reason: 'it was better' });
      expect(back.body, back.text).to.deep.equal({ ...made.body, version: 4 });
      expect((await asking.newest({ resource: 'alert_rules' }))['reason']).to.equal('it was better');
      const again = await good('rollbackRule', { params, headers: { 'if-match': '"4"' } });
      expect(again.body).to.include({ host: 'w', priority: 3, version: 5 });
      await good('deleteRule', { params, headers: { 'if-match': '*' } });
      await refused(rollback({}, '*'), 404, 'E_NOT_FOUND');
      const [removed] = await asking.all('listRuleVersions', 10, {}, params);
      expect(removed).to.deep.include({ version: 6, operation: 'DELETE', rule: null });
      await refused(ask('listRuleVersions', { params: { id: 999_999 } }), 404, 'E_NOT_FOUND');
    });
  });

  describe('tests in a rule', () => {
    it('refuse every way of saving it when they fail, and are kept when they pass', async () => {
      const failing = rule('tested', { match_string: 'down', tests: [{ event: { message: 'up' } }] });
      await refused(ask('createRule', { body: failing }), 400, 'E_RULE_INVALID', 'tests[0]');
      const document = { rules: [rule('other', { host: 'a' }), failing] };
      await refused(ask('applyRuleSet', { body: document }), 400, 'E_CONFIG_INVALID', 'rules[1].tests[0]');
      await refused(ask('checkRuleSet', { body: document }), 400, 'E_CONFIG_INVALID', 'rules[1].tests[0]');
      const passing = rule('tested', { match_string: 'down', tests: [{ event: { message: 'down' } }] });
      const { body } = await good('createRule', { body: passing });
      expect(body['tests']).to.deep.equal([{ event: { message: 'down' } }]);
      const headers = { 'if-match': '*' };
      const params = { id: Number(body['id']) };
      const replaced = ask('replaceRule', { params, headers, body: failing });
      await refused(replaced, 400, 'E_RULE_INVALID', 'tests[0]');
      expect((await good('getRule', { params })).body).to.deep.equal(body);
    });
  });
});
