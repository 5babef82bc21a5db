/**
 * What a real node refuses: each kind of fault with its field, why and how to mend it, and nothing of it done; and text that
 * was made to do harm, which is text.
 */
import { expect } from 'chai';
import { describe, it } from 'mocha';
import type { Asked } from './api-under-test.ts';
import { API_TIMEOUT_MS, askingANode, items } from './api-asking.ts';
import { DESTINATION, HOSTILE, RULE } from './good-calls.ts';

const UNSTORABLE = ['\0', 'a\0b', '\ud800', 'a\udfffb'];

describe('What the API refuses', function () {
  this.timeout(API_TIMEOUT_MS);
  const asking = askingANode();
  const { ask, good, refused, newest } = asking;

  describe('faults', () => {
    const bad: [what: string, operationId: string, asked: Asked, code: string, field: string][] = [
      [
        'a field too many',
        'addDevHost',
        { body: { hostname: 'a', hostnam: 'b' } },
        'E_BODY_INVALID',
        'hostnam',
      ],
      ['a missing field', 'addDevHost', { body: {} }, 'E_BODY_INVALID', 'hostname'],
      ['a wrong type', 'addDevHost', { body: { hostname: 1 } }, 'E_BODY_INVALID', 'hostname'],
      ['a blank name', 'addDevHost', { body: { hostname: ' ' } }, 'E_BODY_INVALID', 'hostname'],
      ['a long name', 'addDevHost', { body: { hostname: 'h'.repeat(256) } }, 'E_BODY_INVALID', 'hostname'],
      ['a null name', 'addDevHost', { body: { hostname: null } }, 'E_BODY_INVALID', 'hostname'],
      [
        'a long reason',
        'addDevHost',
        { body: { hostname: 'a', reason: 'r'.repeat(1_001) } },
        'E_BODY_INVALID',
        'reason',
      ],
      [
        'a blank team',
        'putTeam',
        { params: { hostname: 'x' }, body: { team: '' } },
        'E_BODY_INVALID',
        'team',
      ],
      [
        'an unknown scope',
        'createKey',
        { body: { name: 'k', scopes: ['root'] } },
        'E_BODY_INVALID',
        'scopes[0]',
      ],
      ['no scope', 'createKey', { body: { name: 'k', scopes: [] } }, 'E_BODY_INVALID', 'scopes'],
      [
        'a scope twice',
        'createKey',
        { body: { name: 'k', scopes: ['read', 'read'] } },
        'E_BODY_INVALID',
        'scopes',
      ],
      ['a bad name', 'createKey', { body: { name: 'a b', scopes: ['read'] } }, 'E_BODY_INVALID', 'name'],
      [
        'no time',
        'createKey',
        { body: { name: 'k', scopes: ['read'], expires_at: 'soon' } },
        'E_BODY_INVALID',
        'expires_at',
      ],
      [
        'a time gone by',
        'createKey',
        { body: { name: 'k', scopes: ['read'], expires_at: '2001-01-01T00:00:00Z' } },
        'E_BODY_INVALID',
        'expires_at',
      ],
      [
        'a misspelt criterion',
        'createRule',
        { body: { ...RULE, match_sting: 'x' } },
        'E_RULE_INVALID',
        'match_sting',
      ],
      [
        'an unsafe expression',
        'createRule',
        { body: { ...RULE, match_type: 'regex', match_string: '(a)\\1' } },
        'E_RULE_INVALID',
        'match_string',
      ],
      ['no criterion', 'createRule', { body: { ...RULE, match_string: null } }, 'E_RULE_INVALID', ''],
      [
        'an unknown handling',
        'createRule',
        { body: { ...RULE, prod_handling: 'Page_ony' } },
        'E_RULE_INVALID',
        'prod_handling',
      ],
      [
        'another rule than the address',
        'replaceRule',
        { params: { id: 1 }, headers: { 'if-match': '*' }, body: { ...RULE, id: 2 } },
        'E_RULE_INVALID',
        'id',
      ],
      [
        'a password in an address',
        'putDestination',
        { params: { name: 'd' }, body: { kind: 'webhook', url: 'http://u:hunter2@x/' } },
        'E_DESTINATION_INVALID',
        'url',
      ],
      [
        'another destination than the address',
        'putDestination',
        { params: { name: 'd' }, body: { ...DESTINATION, name: 'e' } },
        'E_DESTINATION_INVALID',
        'name',
      ],
      [
        'a rate of nothing',
        'putDestination',
        { params: { name: 'd' }, body: { ...DESTINATION, rate_per_second: 0 } },
        'E_DESTINATION_INVALID',
        'rate_per_second',
      ],
      [
        'a value out of range',
        'putSetting',
        { params: { key: 'pool.match.size' }, body: { value: 65 } },
        'E_SETTING_INVALID',
        'value',
      ],
      [
        'a value that is no choice',
        'putSetting',
        { params: { key: 'log.level' }, body: { value: 'loud' } },
        'E_SETTING_INVALID',
        'value',
      ],
      [
        'a value of another type',
        'putSetting',
        { params: { key: 'pool.match.size' }, body: { value: '4' } },
        'E_SETTING_INVALID',
        'value',
      ],
      ['no value', 'putSetting', { params: { key: 'pool.match.size' }, body: {} }, 'E_BODY_INVALID', 'value'],
      [
        'a list as value',
        'putSetting',
        { params: { key: 'pool.match.size' }, body: { value: [1] } },
        'E_BODY_INVALID',
        'value',
      ],
      [
        'a guard without limits',
        'putSetting',
        { params: { key: 'log.level' }, body: { value: 'warn', guard: { watch_seconds: 5 } } },
        'E_SETTING_INVALID',
        'guard',
      ],
      [
        'a guard for too long',
        'putSetting',
        {
          params: { key: 'log.level' },
          body: { value: 'warn', guard: { watch_seconds: 80_000, error_rate_max: 0.1 } },
        },
        'E_SETTING_INVALID',
        'guard.watch_seconds',
      ],
      [
        'a guard with a field too many',
        'putSetting',
        { params: { key: 'log.level' }, body: { value: 'warn', guard: { watch_second: 5 } } },
        'E_BODY_INVALID',
        'guard.watch_second',
      ],
      [
        'no version',
        'rollbackSetting',
        { params: { key: 'log.level' }, body: { to_version: 0 } },
        'E_BODY_INVALID',
        'to_version',
      ],
      [
        'no actor to burn',
        'restartActor',
        { params: { id: 'match-0' }, body: { how: 'burn' } },
        'E_BODY_INVALID',
        'how',
      ],
      [
        'no time to search from',
        'listAuditLogs',
        { query: { from: 'yesterday' } },
        'E_PARAMETER_INVALID',
        'from',
      ],
      [
        'an impossible day',
        'listConfigAudit',
        { query: { to: '2026-02-31T00:00:00Z' } },
        'E_PARAMETER_INVALID',
        'to',
      ],
      [
        'no operation',
        'listConfigAudit',
        { query: { operation: 'create' } },
        'E_PARAMETER_INVALID',
        'operation',
      ],
      ['no rule id', 'listAuditLogs', { query: { rule_id: '2147483648' } }, 'E_PARAMETER_INVALID', 'rule_id'],
      ['no decision', 'listAuditLogs', { query: { decision: 'Page' } }, 'E_PARAMETER_INVALID', 'decision'],
      [
        'no number to go on from',
        'listRecentAlerts',
        { query: { after: '-1' } },
        'E_PARAMETER_INVALID',
        'after',
      ],
      ['no rule', 'getRule', { params: { id: 'x' } }, 'E_PARAMETER_INVALID', 'id'],
      ['no entry', 'getConfigAuditEntry', { params: { id: '1.5' } }, 'E_PARAMETER_INVALID', 'id'],
      ['no partition', 'getPartition', { params: { n: '-1' } }, 'E_PARAMETER_INVALID', 'n'],
    ];
    for (const [what, operationId, asked, code, field] of bad) {
      it(`${operationId} with ${what}: ${code}, names ${field === '' ? 'the whole' : field}`, async () => {
        const before = (await good('listConfigAudit', { query: { limit: 1 } })).body;
        const { detail } = await refused(ask(operationId, asked), 400, code, field);
        expect(detail).to.not.include('hunter2');
        expect((await good('listConfigAudit', { query: { limit: 1 } })).body).to.deep.equal(before);
      });
    }

    const absent: [operationId: string, asked: Asked, code: string][] = [
      ['getRule', { params: { id: 999_999 } }, 'E_NOT_FOUND'],
      ['replaceRule', { params: { id: 999_999 }, headers: { 'if-match': '*' }, body: RULE }, 'E_NOT_FOUND'],
      ['removeDevHost', { params: { hostname: 'nobody' } }, 'E_NOT_FOUND'],
      ['getTeam', { params: { hostname: 'nobody' } }, 'E_NOT_FOUND'],
      ['getDestination', { params: { name: 'nobody' } }, 'E_NOT_FOUND'],
      ['getSetting', { params: { key: 'pool.match.sise' } }, 'E_SETTING_UNKNOWN'],
      ['putSetting', { params: { key: '__proto__' }, body: { value: 1 } }, 'E_SETTING_UNKNOWN'],
      ['rollbackSetting', { params: { key: 'pool.ingest.size' } }, 'E_NO_EARLIER_VALUE'],
      ['rollbackSetting', { params: { key: 'log.level' }, body: { to_version: 77 } }, 'E_NO_EARLIER_VALUE'],
      ['getConfigAuditEntry', { params: { id: 999_999 } }, 'E_NOT_FOUND'],
      ['getKey', { params: { name: 'nobody' } }, 'E_NOT_FOUND'],
      ['rotateKey', { params: { name: 'nobody' } }, 'E_NOT_FOUND'],
      ['revokeKey', { params: { name: 'nobody' } }, 'E_NOT_FOUND'],
      ['getActor', { params: { id: 'match-00' } }, 'E_ACTOR_UNKNOWN'],
      ['restartActor', { params: { id: 'nobody' } }, 'E_ACTOR_UNKNOWN'],
      ['suspendActor', { params: { id: 'match-0/nobody' } }, 'E_ACTOR_UNKNOWN'],
      ['resumeActor', { params: { id: 'match/match-00/match' } }, 'E_ACTOR_UNKNOWN'],
      ['inspectActor', { params: { id: '../match' } }, 'E_ACTOR_UNKNOWN'],
      ['getPartition', { params: { n: 99 } }, 'E_NOT_FOUND'],
    ];
    for (const [operationId, asked, code] of absent) {
      it(`${operationId} of what is not there: ${code}`, async () => {
        const { detail } = await refused(ask(operationId, asked), 404, code);
        expect(String(detail).split('. ').length).to.be.greaterThan(1);
      });
    }

    it('names the setting that was meant', async () => {
      const { detail } = await refused(
        ask('getSetting', { params: { key: 'pool.match.sise' } }),
        404,
        'E_SETTING_UNKNOWN',
      );
      expect(detail).to.include('pool.match.size');
    });

    it('of a set of rules are all named, and nothing of it is applied', async () => {
      const before = (await good('getRuleSet')).body;
      const body = {
        rules: [{ ...RULE, name: 'half-1' }, { ...RULE, name: 'half-2', priorty: 1 }, 7],
        teams: { 'half-host': '' },
        development_hosts: ['half-dev'],
      };
      const problem = await refused(
        ask('applyRuleSet', { body }),
        400,
        'E_CONFIG_INVALID',
        'rules[1].priorty',
      );
      expect((problem['errors'] as { field: string }[]).map(({ field }) => field)).to.include.members([
        'rules[2]',
        'teams.half-host',
      ]);
      expect((await good('getRuleSet')).body).to.deep.equal(before);
    });

    it('of settings that contradict each other name both', async () => {
      const params = { key: 'forward.retry.baseMs' };
      const problem = await refused(
        ask('putSetting', { params, body: { value: 61_000 } }),
        409,
        'E_SETTINGS_CONTRADICT',
        'forward.retry.baseMs',
      );
      expect(problem['detail']).to.include('forward.retry.delayMaxMs');
      expect((await good('getSetting', { params })).body['source']).to.equal('default');
    });
  });

  describe('text made to do harm', () => {
    for (const text of HOSTILE) {
      it(`comes back as data: ${JSON.stringify(text).slice(0, 40)}`, async () => {
        const name = `${text.slice(0, 90)} n`;
        const fields = { match_string: text, host: text, program: text, team_assignment: text };
        const query = { reason: text };
        const made = await good('createRule', { body: { ...RULE, ...fields, name }, query });
        const shown = await good('getRule', { params: { id: Number(made.body['id']) } });
        expect(shown.body).to.include({ ...fields, name });
        expect(items(await good('listRules', { query: { team: text } })).map(({ id }) => id)).to.include(
          made.body['id'],
        );
        expect(items(await good('listRules', { query: { q: text } })).map(({ id }) => id)).to.include(
          made.body['id'],
        );
        const entry = await newest({ resource: 'alert_rules', record_key: String(made.body['id']) });
        expect(entry['reason']).to.equal(text);
        expect(entry['new_values']).to.include({ match_string: text });
        expect(entry['changed_by']).to.equal('admin');
        await good('deleteRule', { params: { id: Number(made.body['id']) }, headers: { 'if-match': '*' } });

        await good('applyRuleSet', { body: { teams: { [`h${text}`]: text } } });
        const teams = (await good('getRuleSet')).body['teams'] as Record<string, string>;
        expect(teams[`h${text}`.toLowerCase()]).to.equal(text);
        const filters = { changed_by: text, record_key: text };
        expect(items(await good('listConfigAudit', { query: filters }))).to.deep.equal([]);
        await refused(ask('getActor', { params: { id: text } }), 404, 'E_ACTOR_UNKNOWN');
        await refused(ask('getSetting', { params: { key: text } }), 404, 'E_SETTING_UNKNOWN');
      });
    }

    for (const text of UNSTORABLE) {
      it(`is refused when it cannot be stored: ${JSON.stringify(text)}`, async () => {
        for (const field of ['name', 'match_string', 'host', 'program', 'team_assignment', 'signature']) {
          const body = { ...RULE, [field]: `x${text}` };
          await refused(ask('createRule', { body }), 400, 'E_BODY_INVALID', field);
        }
        await refused(
          ask('addDevHost', { body: { hostname: `x${text}` } }),
          400,
          'E_BODY_INVALID',
          'hostname',
        );
        await refused(
          ask('putTeam', { params: { hostname: 'x' }, body: { team: `x${text}` } }),
          400,
          'E_BODY_INVALID',
          'team',
        );
        await refused(
          ask('createKey', { body: { name: 'x', scopes: ['read'], reason: text } }),
          400,
          'E_BODY_INVALID',
          'reason',
        );
        await refused(
          ask('putSetting', { params: { key: 'log.level' }, body: { value: text } }),
          400,
          'E_BODY_INVALID',
          'value',
        );
        await refused(
          ask('applyRuleSet', { body: { teams: { [text]: 'a' } } }),
          400,
          'E_BODY_INVALID',
          'teams',
        );
      });
    }

    it('cannot put U+0000 into an address or a filter', async () => {
      await refused(ask('getTeam', { params: { hostname: 'a\0b' } }), 400, 'E_PARAMETER_INVALID', 'hostname');
      await refused(ask('listRules', { query: { q: 'a\0b' } }), 400, 'E_PARAMETER_INVALID', 'q');
      await refused(
        ask('removeDevHost', { params: { hostname: 'a' }, query: { reason: '\0' } }),
        400,
        'E_PARAMETER_INVALID',
        'reason',
      );
    });
  });
});
