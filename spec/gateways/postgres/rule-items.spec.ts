import { expect } from 'chai';
import { after, before, beforeEach, describe, it } from 'mocha';
import { openConnection } from '../../../gateways/postgres/connection.ts';
import { PostgresConfigAudit } from '../../../gateways/postgres/config-audit.ts';
import { PostgresRuleStore } from '../../../gateways/postgres/rule-store.ts';
import type {
  RuleFilter,
  RulePosition,
  StoredRule,
  WholeRule,
} from '../../../gateways/postgres/rule-store.ts';
import { PostgresSnapshotSource } from '../../../gateways/postgres/snapshot-source.ts';
import { SERVER_TIMEOUT_MS, ownDatabase, rejectionOf } from './own-database.ts';
import type { OwnDatabase } from './own-database.ts';
import { ruleOf } from './rule-of.ts';

const AUTHOR = { changedBy: 'nils', reason: 'because', correlationId: 'c-1' };

describe('PostgresRuleStore, one rule at a time', function () {
  this.timeout(SERVER_TIMEOUT_MS);
  let database: OwnDatabase;
  let store: PostgresRuleStore;

  before(async () => {
    database = await ownDatabase();
    store = new PostgresRuleStore(database.connection);
  });
  beforeEach(() =>
    database.sql(
      `TRUNCATE alert_rules, outbox RESTART IDENTITY CASCADE; UPDATE config_version SET snapshot_version = 0`,
    ),
  );
  after(() => database.drop());

  const version = (): Promise<number> => new PostgresSnapshotSource(database.connection).currentVersion();
  const entries = async (limit: number): Promise<Record<string, unknown>[]> =>
    (await new PostgresConfigAudit(database.connection).search({ limit })).items.map((entry) => ({
      ...entry,
    }));
  const refused = async (attempt: () => Promise<unknown>, code: string): Promise<Record<string, unknown>> => {
    const before = [await version(), await store.list()];
    const error = await rejectionOf(attempt());
    expect(error).to.include({ code, kind: 'permanent' });
    expect([await version(), await store.list()]).to.deep.equal(before);
    return error['details'] as Record<string, unknown>;
  };

  it('creates, gets, replaces and removes, and records the whole rule each time', async () => {
    const created = await store.create(ruleOf('a', { priority: 5, tests: [{ any: 'thing' }] }), AUTHOR);
    expect(created).to.deep.include({ id: 1, version: 1, priority: 5, tests: [{ any: 'thing' }] });
    expect(await store.get(1)).to.deep.equal(created);

    const replaced = await store.replace(
      1,
      ruleOf('b', { match_string: 'up' }),
      { expectedVersion: 1 },
      AUTHOR,
    );
    expect(replaced).to.deep.include({ name: 'b', version: 2, match_string: 'up', priority: 100, tests: [] });
    expect(await store.replace(1, ruleOf('b', { match_string: 'up' }), {}, AUTHOR)).to.deep.equal(replaced);

    expect(await store.remove(1, { expectedVersion: 2 }, AUTHOR)).to.equal(true);
    expect(await store.remove(1, {}, AUTHOR)).to.equal(false);
    expect(await store.get(1)).to.equal(undefined);
    expect(await store.replace(1, ruleOf('b'), {}, AUTHOR)).to.equal(undefined);
    expect(await version()).to.equal(3);

    const [removal, change, creation] = await entries(3);
    expect(creation).to.deep.include({ operation: 'CREATE', resource: 'alert_rules', recordKey: '1' });
    expect(creation?.['newValues']).to.include({ name: 'a', version: 1, priority: 5 });
    expect(change?.['oldValues']).to.deep.equal(creation?.['newValues']);
    expect(change?.['newValues']).to.include({ name: 'b', version: 2, match_string: 'up' });
    expect(removal).to.deep.include({ operation: 'DELETE', newValues: null });
    expect(removal?.['oldValues']).to.deep.equal(change?.['newValues']);
  });

  it('does not ask the document which rule it is', async () => {
    await store.create({ ...ruleOf('a'), id: 77 } as WholeRule, AUTHOR);
    await store.replace(1, { ...ruleOf('b'), id: 78 } as WholeRule, {}, AUTHOR);
    expect((await store.list()).map(({ id, name }) => [id, name])).to.deep.equal([[1, 'b']]);
  });

  it('refuses a stale version, also of a rule that is gone', async () => {
    await store.create(ruleOf('a'), AUTHOR);
    await store.replace(1, ruleOf('a', { priority: 1 }), {}, AUTHOR);
    for (const attempt of [
      () => store.replace(1, ruleOf('a', { priority: 2 }), { expectedVersion: 1 }, AUTHOR),
      () => store.replace(1, ruleOf('a', { priority: 2 }), { expectedVersion: null }, AUTHOR),
      () => store.remove(1, { expectedVersion: 1 }, AUTHOR),
    ]) {
      expect(await refused(attempt, 'E_VERSION_STALE')).to.include({ current: 2 });
    }
    await store.remove(1, {}, AUTHOR);
    const gone = await refused(
      () => store.replace(1, ruleOf('a'), { expectedVersion: 2 }, AUTHOR),
      'E_VERSION_STALE',
    );
    expect(gone).to.include({ current: null });
  });

  it('lets one of two writers on connections of their own win, and the other change nothing', async () => {
    await store.create(ruleOf('a'), AUTHOR);
    const connections = [0, 1].map(() => openConnection({ url: database.url }));
    try {
      const outcomes = await Promise.allSettled(
        connections.map((connection, writer) =>
          new PostgresRuleStore(connection).replace(
            1,
            ruleOf('a', { priority: writer }),
            { expectedVersion: 1 },
            AUTHOR,
          ),
        ),
      );
      const winner = outcomes.findIndex(({ status }) => status === 'fulfilled');
      const loser = outcomes[1 - winner];
      expect(loser?.status === 'rejected' && loser.reason).to.include({ code: 'E_VERSION_STALE' });
      expect(await store.get(1)).to.include({ priority: winner, version: 2 });
      expect(await version()).to.equal(2);
    } finally {
      await Promise.all(connections.map((connection) => connection.close()));
    }
  });

  it('refuses a name that another living rule has', async () => {
    await store.create(ruleOf('a'), AUTHOR);
    await store.create(ruleOf('b'), AUTHOR);
    await refused(() => store.create(ruleOf('a'), AUTHOR), 'E_EXISTS');
    await refused(() => store.replace(2, ruleOf('a'), {}, AUTHOR), 'E_EXISTS');
    await store.remove(1, {}, AUTHOR);
    expect(await store.replace(2, ruleOf('a'), {}, AUTHOR)).to.include({ id: 2, name: 'a' });
  });

  const cases: [string, Partial<WholeRule>, string][] = [
    ['a handling nobody knows', { prod_handling: 'Page' as never }, 'alert_rules_prod_handling_known'],
    ['no criterion', { match_string: null }, 'alert_rules_has_a_criterion'],
    ['an endless pattern', { match_string: 'x'.repeat(5_000) }, 'match_string'],
    ['a NUL byte', { host: 'a\0' }, 'host'],
    ['half a character', { program: '\ud800' }, 'program'],
    ['a list for a text', { team_assignment: ['a'] as never }, 'team_assignment'],
    ['a number out of range', { priority: 3e9 }, 'priority'],
    ['tests of any length', { tests: ['x'.repeat(1_100_000)] }, 'tests'],
    ['a rule to clear that is not there', { clears: 99 }, 'clears'],
  ];
  for (const [what, changes, why] of cases) {
    it(`refuses ${what}, at creation and at replacement`, async () => {
      await store.create(ruleOf('good'), AUTHOR);
      for (const attempt of [
        () => store.create(ruleOf('bad', changes), AUTHOR),
        () => store.replace(1, ruleOf('bad', changes), {}, AUTHOR),
      ]) {
        const error = await rejectionOf(attempt());
        expect(error).to.include({ code: 'E_RULE_INVALID' });
        expect(error.message).to.match(why === 'priority' ? /3000000000|integer/ : new RegExp(why));
      }
      expect(await version()).to.equal(1);
    });
  }

  for (const id of [0, -1, 1.5, 3e9, Number.NaN, '1' as never]) {
    it(`refuses ${JSON.stringify(id)} as an id`, async () => {
      await refused(() => store.get(id), 'E_ROW_INVALID');
      await refused(() => store.replace(id, ruleOf('a'), {}, AUTHOR), 'E_ROW_INVALID');
      await refused(() => store.remove(id, {}, AUTHOR), 'E_ROW_INVALID');
    });
  }

  describe('pages', () => {
    beforeEach(async () => {
      const rules = [
        ruleOf('core links', { priority: 50, host: 'core-*' }),
        ruleOf('disks', { priority: 10, match_string: '100% FULL', team_assignment: 'SysOps' }),
        ruleOf(null, { priority: 10, match_string: null, trap_oid: '1.3.6.1.6.3.1.1.5.3' }),
        ruleOf('off', { priority: 50, is_active: false, program: 'sshd' }),
      ];
      await store.applyConfiguration({ rules }, AUTHOR);
    });
    const ids = async (filter: RuleFilter): Promise<number[]> =>
      (await store.page({ ...filter, limit: 10 })).items.map(({ id }) => id);

    it('are in the order the rules are tried, whole and once each', async () => {
      const seen: StoredRule[] = [];
      let after: RulePosition | undefined;
      do {
        const { items, next } = await store.page({ limit: 1, after });
        seen.push(...items);
        after = next ?? undefined;
      } while (after !== undefined);
      expect(seen).to.deep.equal(await store.list());
      expect(seen.map(({ id }) => id)).to.deep.equal([2, 3, 1, 4]);
    });

    it('hold what is searched for', async () => {
      expect(await ids({ q: 'CORE' })).to.deep.equal([1]);
      expect(await ids({ q: '0% f' })).to.deep.equal([2]);
      expect(await ids({ q: '%' })).to.deep.equal([2]);
      expect(await ids({ q: '6.3.1' })).to.deep.equal([3]);
      expect(await ids({ q: 'sshd' })).to.deep.equal([4]);
      expect(await ids({ q: `'; DELETE FROM alert_rules; --` })).to.deep.equal([]);
      expect(await ids({ team: 'SysOps' })).to.deep.equal([2]);
      expect(await ids({ isActive: false })).to.deep.equal([4]);
      expect(await ids({ isActive: true, team: 'NetOps', q: 'link' })).to.deep.equal([1]);
    });

    for (const [what, options] of [
      ['no limit', { limit: 0 }],
      ['any limit', { limit: 5_000 }],
      ['a limit that is none', { limit: Number.NaN }],
      ['a position that is none', { limit: 1, after: { priority: 1.5, id: 1 } }],
      ['a search with a NUL byte', { limit: 1, q: '\0' }],
    ] as const) {
      it(`refuse ${what}`, async () => {
        expect(await rejectionOf(store.page(options))).to.include({ code: 'E_ROW_INVALID' });
      });
    }
  });
});
