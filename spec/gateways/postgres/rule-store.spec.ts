import { expect } from 'chai';
import { after, before, beforeEach, describe, it } from 'mocha';
import type { Destination } from '../../../actors/ports.ts';
import { openConnection } from '../../../gateways/postgres/connection.ts';
import { verifyConfigAudit } from '../../../gateways/postgres/config-audit.ts';
import { PostgresRuleStore } from '../../../gateways/postgres/rule-store.ts';
import type { AppliedConfiguration } from '../../../gateways/postgres/rule-store.ts';
import type { RuleInput } from '../../../gateways/postgres/rule-input.ts';
import { PostgresSnapshotSource } from '../../../gateways/postgres/snapshot-source.ts';
import { SERVER_TIMEOUT_MS, ownDatabase, rejectionOf } from './own-database.ts';
import type { OwnDatabase } from './own-database.ts';
import { ruleOf } from './rule-of.ts';

const AUTHOR = { changedBy: 'nils', reason: 'because', correlationId: 'c-1' };

const EVERYTHING: RuleInput = {
  name: 'übung "1"',
  match_string: '^%LINK-\\d: "größe"',
  match_type: 'regex',
  case_sensitive: true,
  trap_oid: '1.3.6.1.4.1.9',
  syslog_severity: 0,
  severity_op: '<=',
  host: 'core-*',
  program: 'sshd',
  facility: 23,
  network: '10.0.0.1/8',
  priority: -5,
  continue: true,
  prod_handling: 'Page_and_ticket',
  dev_handling: 'Ticket_only',
  team_assignment: 'Netz \u{1f525}',
  severity: 7,
  signature: '{host}::x',
  clears: null,
  active_from: '2031-01-01T01:30:00.500+01:30',
  active_until: '2032-01-01T00:00:00Z',
  is_active: false,
  tests: [{ event: { message: 'a' }, matches: true }],
};

const NOC: Destination = {
  name: 'noc',
  kind: 'webhook',
  url: 'https://noc.example.net/hook?tenant=1@2',
  secretRef: 'env:NOC_TOKEN',
  routes: [{ team: 'NetOps', severityAtMost: 3, environment: 'prod', handling: 'Page_only' }],
  ratePerSecond: 2.5,
  concurrency: 4,
  timeoutMs: 5_000,
  staleAfterMs: null,
  collapse: true,
  hold: null,
};

describe('PostgresRuleStore', function () {
  this.timeout(SERVER_TIMEOUT_MS);
  let database: OwnDatabase;
  let store: PostgresRuleStore;
  let source: PostgresSnapshotSource;

  before(async () => {
    database = await ownDatabase();
    store = new PostgresRuleStore(database.connection);
    source = new PostgresSnapshotSource(database.connection);
  });
  beforeEach(() =>
    database.sql(
      `TRUNCATE alert_rules, development_hosts, device_teams, destinations, outbox RESTART IDENTITY CASCADE;
       UPDATE config_version SET snapshot_version = 0`,
    ),
  );
  after(() => database.drop());
  const applyRules = (rules: RuleInput[]): Promise<AppliedConfiguration> =>
    store.applyConfiguration({ rules }, AUTHOR);

  it('stores every field of a rule as it was given', async () => {
    await applyRules([EVERYTHING]);
    expect(await store.list()).to.deep.equal([
      {
        ...EVERYTHING,
        id: 1,
        version: 1,
        active_from: '2031-01-01T00:00:00.500Z',
        active_until: '2032-01-01T00:00:00.000Z',
        suspended: null,
      },
    ]);
  });

  it('fills what is left out with the defaults of the contract', async () => {
    await applyRules([ruleOf(null)]);
    expect(await store.list()).to.deep.equal([
      {
        id: 1,
        name: null,
        version: 1,
        match_string: 'link down',
        match_type: 'contains',
        case_sensitive: false,
        trap_oid: null,
        syslog_severity: null,
        severity_op: '=',
        host: null,
        program: null,
        facility: null,
        network: null,
        priority: 100,
        continue: false,
        prod_handling: 'Page_only',
        dev_handling: 'Ignore',
        team_assignment: 'NetOps',
        severity: null,
        signature: null,
        clears: null,
        active_from: null,
        active_until: null,
        is_active: true,
        tests: [],
        suspended: null,
      },
    ]);
  });

  it('lists rules in the order they are tried', async () => {
    const priorities = [50, 10, 50, 10];
    await applyRules(priorities.map((priority, i) => ruleOf(`r${i}`, { priority })));
    expect((await store.list()).map((rule) => rule.name)).to.deep.equal(['r1', 'r3', 'r0', 'r2']);
  });

  describe('applying again', () => {
    it('changes nothing, not even the version, when nothing differs', async () => {
      const input = {
        rules: [EVERYTHING, ruleOf('b')],
        development_hosts: ['LAB-1', 'lab-1', 'lab-2'],
        teams: { 'Core-1': 'NetOps' },
        destinations: [NOC],
      };
      const first = await store.applyConfiguration(input, AUTHOR);
      expect(first).to.include({ created: 6, updated: 0, unchanged: 0, deleted: 0, snapshotVersion: 1 });
      const [entries] = await database.sql('SELECT count(*)::int FROM config_audit_log');
      const again = await store.applyConfiguration(input, AUTHOR);
      expect(again).to.include({ created: 0, updated: 0, unchanged: 6, deleted: 0, snapshotVersion: 1 });
      expect(again.rules.map((rule) => rule.outcome)).to.deep.equal(['unchanged', 'unchanged']);
      expect(await database.sql('SELECT count(*)::int FROM config_audit_log')).to.deep.equal([entries]);
      expect(await database.sql('SELECT snapshot_version::int FROM outbox')).to.deep.equal([
        { snapshot_version: 1 },
      ]);
    });

    it('raises the version of what differs and leaves the rest alone', async () => {
      await applyRules([ruleOf('a'), ruleOf('b')]);
      const applied = await applyRules([ruleOf('a', { priority: 7 }), ruleOf('b')]);
      expect(applied).to.deep.equal({
        created: 0,
        updated: 1,
        unchanged: 1,
        deleted: 0,
        snapshotVersion: 2,
        rules: [
          { id: 1, name: 'a', version: 2, outcome: 'updated' },
          { id: 2, name: 'b', version: 1, outcome: 'unchanged' },
        ],
      });
    });

    it('finds a rule by its id before its name, so that it can be renamed', async () => {
      await applyRules([ruleOf('a')]);
      await applyRules([ruleOf('renamed', { id: 1 })]);
      expect((await store.list()).map(({ id, name, version }) => ({ id, name, version }))).to.deep.equal([
        { id: 1, name: 'renamed', version: 2 },
      ]);
    });

    it('creates a rule with the id it asks for, and gives later ones ids behind it', async () => {
      await applyRules([ruleOf('a', { id: 41 })]);
      const { rules } = await applyRules([ruleOf('b')]);
      expect(rules[0]?.id).to.be.above(41);
    });

    it('takes no id from which on none would be left', async () => {
      const error = await rejectionOf(applyRules([ruleOf('a', { id: 2_147_483_647 })]));
      expect(error).to.include({ code: 'E_RULE_INVALID' });
      expect(error.message).to.contain('at most 2000000000');
      await applyRules([ruleOf('b', { id: 2_000_000_000 })]);
      await applyRules([ruleOf('c')]);
      expect(await store.list()).to.have.length(2);
    });

    it('names the rule whose name another one is to get', async () => {
      await applyRules([ruleOf('a', { id: 1 }), ruleOf('b', { id: 2 })]);
      for (const rules of [[ruleOf('b', { id: 1 })], [ruleOf('b', { id: 1 }), ruleOf('a', { id: 2 })]]) {
        const error = await rejectionOf(applyRules(rules));
        expect(error.message).to.equal(
          'rule 1 (b): its name is that of rule 2, which must get another one before',
        );
        expect(error['details']).to.include({ field: 'name' });
      }
    });

    it('updates hosts, teams and destinations, and removes what is named', async () => {
      await store.applyConfiguration(
        {
          rules: [ruleOf('a'), ruleOf('b')],
          development_hosts: ['lab-1', 'lab-2'],
          teams: { 'core-1': 'NetOps', 'core-2': 'NetOps' },
          destinations: [NOC, { ...NOC, name: 'old' }],
        },
        AUTHOR,
      );
      const changed = await store.applyConfiguration(
        {
          teams: { 'CORE-1': 'Security' },
          destinations: [{ ...NOC, secretRef: null }],
          remove: {
            rules: [1, 999],
            development_hosts: ['LAB-1'],
            teams: ['core-2'],
            destinations: ['old'],
          },
        },
        AUTHOR,
      );
      expect(changed).to.include({ created: 0, updated: 2, unchanged: 0, deleted: 4, snapshotVersion: 2 });
      const snapshot = await source.load();
      expect(snapshot.rules.map((rule) => rule.id)).to.deep.equal([2]);
      expect(snapshot.developmentHosts).to.deep.equal(['lab-2']);
      expect(snapshot.teams).to.deep.equal({ 'core-1': 'Security' });
      expect(snapshot.destinations).to.deep.equal([{ ...NOC, secretRef: null }]);
    });

    it('keeps the row of a deleted rule, frees its name, and revives it by its id', async () => {
      await applyRules([ruleOf('a')]);
      await store.applyConfiguration({ remove: { rules: [1] } }, AUTHOR);
      expect(await store.list()).to.deep.equal([]);
      const fresh = await applyRules([ruleOf('a')]);
      expect(fresh.rules[0]).to.deep.equal({ id: 2, name: 'a', version: 1, outcome: 'created' });
      const revived = await applyRules([ruleOf('first', { id: 1 })]);
      expect(revived.rules[0]).to.deep.equal({ id: 1, name: 'first', version: 3, outcome: 'created' });
    });
  });

  describe('refuses, and then changes nothing:', () => {
    const cases: [string, Partial<RuleInput>, string][] = [
      ['a handling nobody knows', { prod_handling: 'Page' as never }, 'alert_rules_prod_handling_known'],
      ['no criterion', { match_string: null }, 'alert_rules_has_a_criterion'],
      ['an empty criterion', { host: '' }, 'alert_rules_host_not_empty'],
      ['a severity out of range', { syslog_severity: 8 }, 'alert_rules_syslog_severity_range'],
      ['an operator nobody knows', { severity_op: '<' as never }, 'alert_rules_severity_op_known'],
      ['a window that ends before it begins', window('2032', '2031'), 'alert_rules_window_is_forward'],
      ['a time without offset', { active_from: '2031-01-01T00:00:00' }, 'active_from'],
      ['a network that is none', { network: '10.0.0.0/99' }, '10.0.0.0/99'],
      ['no team', { team_assignment: undefined as never }, 'team_assignment'],
      ['a number that is none', { priority: 'high' as never }, 'high'],
      ['a character PostgreSQL cannot hold', { match_string: 'a\0' }, 'match_string'],
      ['the name of another', { name: 'good' }, 'twice'],
      ['an id that is none', { id: 0 }, 'id'],
    ];
    for (const [what, changes, why] of cases) {
      it(`${what}, naming the rule`, async () => {
        const input = {
          rules: [ruleOf('good'), ruleOf('bad', changes), ruleOf('later')],
          development_hosts: ['lab'],
        };
        const error = await rejectionOf(store.applyConfiguration(input, AUTHOR));
        expect(error).to.include({ code: 'E_RULE_INVALID', kind: 'permanent' });
        expect(error.message).to.match(/^rule 2 \((bad|good)\): /);
        expect(error.message).to.contain(why);
        expect(error['details']).to.include({ index: 1 });
        expect(await source.load()).to.deep.include({ version: 0, rules: [], developmentHosts: [] });
        expect(await database.sql('SELECT * FROM outbox')).to.deep.equal([]);
      });
    }

    it('a rule that clears one that does not exist', async () => {
      const error = await rejectionOf(applyRules([ruleOf('a', { clears: 99 })]));
      expect(error).to.include({ code: 'E_ROW_INVALID' });
      expect(error['details']).to.include({ constraint: 'alert_rules_clears_exists' });
      expect(await store.list()).to.deep.equal([]);
    });

    it('a version that is no more', async () => {
      await applyRules([ruleOf('a')]);
      await applyRules([ruleOf('a', { priority: 1, expected_version: 1 })]);
      const late = ruleOf('a', { priority: 2, expected_version: 1 });
      const gone = ruleOf('b', { expected_version: 3 });
      const error = await rejectionOf(applyRules([late, gone]));
      expect(error).to.include({ code: 'E_VERSION_CONFLICT' });
      const { faults } = error['details'] as { faults: { field: string; why: string }[] };
      expect(faults.map(({ field }) => field)).to.deep.equal([
        'rules[0].expected_version',
        'rules[1].expected_version',
      ]);
      expect(faults[0]?.why).to.match(/is at version 2 by now$/);
      const stored = await store.list();
      expect(stored.map(({ priority, version }) => [priority, version])).to.deep.equal([[1, 2]]);
      // What is there already is in nobody's way.
      await applyRules([ruleOf('a', { priority: 1, expected_version: 1 })]);
    });

    const destinations: [string, Partial<Destination>, string][] = [
      ['a credential in the URL', { url: 'https://me:hunter2@noc/' }, 'destinations_url_without_credential'],
      ['another scheme', { url: 'file:///etc/passwd' }, 'destinations_url_without_credential'],
      ['a credential for a reference', { secretRef: 'hunter2' }, 'destinations_secret_ref_is_a_reference'],
      ['no rate', { ratePerSecond: 0 }, 'destinations_rate_positive'],
      ['a rate that is none', { ratePerSecond: NaN }, 'destinations_rate_positive'],
      ['a name that is no name', { name: '../x' }, 'destinations_name_safe'],
    ];
    for (const [what, changes, constraint] of destinations) {
      it(`a destination with ${what}`, async () => {
        const error = await rejectionOf(
          store.applyConfiguration({ rules: [ruleOf('a')], destinations: [{ ...NOC, ...changes }] }, AUTHOR),
        );
        expect(error).to.include({ code: 'E_DESTINATION_INVALID' });
        expect(error.message).to.contain(constraint).and.not.to.contain('hunter2');
        expect(await store.list()).to.deep.equal([]);
      });
    }

    it('changes by nobody', async () => {
      await rejectionOf(store.applyConfiguration({ rules: [ruleOf('a')] }, { changedBy: '' }));
      expect(await store.list()).to.deep.equal([]);
    });
  });

  it('lets a rule clear one that comes later in the same file', async () => {
    await applyRules([ruleOf('up', { id: 1, clears: 2 }), ruleOf('down', { id: 2 })]);
    expect((await store.list()).map((rule) => rule.clears)).to.deep.equal([2, null]);
  });

  it('applies one after the other when eight do it at once', async () => {
    const connections = Array.from({ length: 8 }, () => openConnection({ url: database.url }));
    const applied = await Promise.all(
      connections.map((connection, i) =>
        new PostgresRuleStore(connection).applyConfiguration(
          { rules: [ruleOf('shared', { priority: i })] },
          AUTHOR,
        ),
      ),
    );
    expect(applied.map((result) => result.snapshotVersion).sort()).to.deep.equal([1, 2, 3, 4, 5, 6, 7, 8]);
    expect(applied.map((result) => result.rules[0]?.version).sort()).to.deep.equal([1, 2, 3, 4, 5, 6, 7, 8]);
    expect(await store.list()).to.have.length(1);
    expect(await verifyConfigAudit(database.connection)).to.deep.equal([]);
    await Promise.all(connections.map((connection) => connection.close()));
  });

  it('takes a thousand rules in one call', async () => {
    const rules = Array.from({ length: 1_000 }, (_, i) => ruleOf(`rule ${i}`));
    expect(await applyRules(rules)).to.include({ created: 1_000, snapshotVersion: 1 });
    expect(await applyRules(rules)).to.include({ unchanged: 1_000, snapshotVersion: 1 });
    expect(await verifyConfigAudit(database.connection)).to.deep.equal([]);
  });

  describe('PostgresSnapshotSource', () => {
    it('loads everything at its version', async () => {
      expect(await source.load()).to.deep.equal({
        version: 0,
        rules: [],
        developmentHosts: [],
        teams: {},
        destinations: [],
        settings: {},
        keys: [],
      });
      await store.applyConfiguration(
        { rules: [EVERYTHING], development_hosts: ['Lab'], teams: { Core: 'NetOps' }, destinations: [NOC] },
        AUTHOR,
      );
      const snapshot = await source.load();
      expect(snapshot).to.deep.equal({
        version: 1,
        rules: await store.list(),
        developmentHosts: ['lab'],
        teams: { core: 'NetOps' },
        destinations: [NOC],
        settings: {},
        keys: [],
      });
      expect(await source.currentVersion()).to.equal(1);
    });

    it('never mixes two versions while changes go on', async () => {
      const writing = (async () => {
        for (let i = 1; i <= 40; i++) {
          await store.applyConfiguration(
            { rules: [ruleOf('r', { priority: i })], teams: { host: `team ${i}` } },
            AUTHOR,
          );
        }
      })();
      let isDone = false;
      void writing.finally(() => (isDone = true));
      let snapshots = 0;
      while (!isDone) {
        const snapshot = await source.load();
        if (snapshot.version === 0) continue;
        snapshots++;
        expect(snapshot.rules[0]?.priority).to.equal(snapshot.version);
        expect(snapshot.teams['host']).to.equal(`team ${snapshot.version}`);
      }
      await writing;
      expect(snapshots).to.be.above(0);
    });
  });
});

function window(from: string, until: string): Partial<RuleInput> {
  return { active_from: `${from}-01-01T00:00:00Z`, active_until: `${until}-01-01T00:00:00Z` };
}
