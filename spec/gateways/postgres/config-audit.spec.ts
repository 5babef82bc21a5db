import { expect } from 'chai';
import { after, before, beforeEach, describe, it } from 'mocha';
import { PostgresConfigAudit, verifyConfigAudit } from '../../../gateways/postgres/config-audit.ts';
import { PostgresOutboxStore } from '../../../gateways/postgres/outbox-store.ts';
import { PostgresRuleStore } from '../../../gateways/postgres/rule-store.ts';
import { SERVER_TIMEOUT_MS, ownDatabase, rejectionOf } from './own-database.ts';
import type { OwnDatabase } from './own-database.ts';

const AUTHOR = {
  changedBy: 'nils',
  reason: 'größer \0',
  correlationId: 'a correlation id of any length at all',
};
const RULE = {
  name: 'a',
  match_string: 'x',
  prod_handling: 'Ignore',
  dev_handling: 'Ignore',
  team_assignment: 't',
} as const;

describe('configuration audit', function () {
  this.timeout(SERVER_TIMEOUT_MS);
  let database: OwnDatabase;
  let store: PostgresRuleStore;

  before(async () => {
    database = await ownDatabase();
    store = new PostgresRuleStore(database.connection);
  });
  after(() => database.drop());

  it('is whole when it is empty', async () => {
    expect(await verifyConfigAudit(database.connection)).to.deep.equal([]);
  });

  it('records who, what, why, and the whole record before and after', async () => {
    await store.applyConfiguration({ rules: [RULE] }, AUTHOR);
    await store.applyConfiguration({ rules: [{ ...RULE, priority: 5 }] }, AUTHOR);
    await store.applyConfiguration({ remove: { rules: [1] } }, AUTHOR);
    await store.applyConfiguration({ teams: { h: 'one' } }, { changedBy: 'eva' });
    const log = await database.sql<Record<string, unknown> & { old_values: unknown; new_values: unknown }>(
      `SELECT id::int, changed_by, operation, resource, record_key, old_values, new_values, reason, correlation_id
       FROM config_audit_log ORDER BY id`,
    );
    const reason = 'größer \ufffd';
    const { correlationId } = AUTHOR;
    const nils = { changed_by: 'nils', resource: 'alert_rules', record_key: '1', reason };
    expect(log[0]).to.deep.include({
      ...{ ...nils, id: 1, operation: 'CREATE', correlation_id: correlationId, old_values: null },
    });
    expect(log[0]?.new_values).to.include({ ...RULE, id: 1, version: 1, priority: 100 });
    expect(log[1]).to.deep.include({ ...nils, id: 2, operation: 'UPDATE' });
    expect(log[1]?.old_values).to.deep.equal(log[0]?.new_values);
    expect(log[1]?.new_values).to.include({ version: 2, priority: 5 });
    expect(log[2]).to.deep.include({ ...nils, id: 3, operation: 'DELETE', new_values: null });
    expect(log[2]?.old_values).to.deep.equal(log[1]?.new_values);
    const { new_values: team, ...rest } = log[3] ?? {};
    expect(rest).to.deep.equal({
      id: 4,
      changed_by: 'eva',
      operation: 'CREATE',
      resource: 'device_teams',
      record_key: 'h',
      old_values: null,
      reason: null,
      correlation_id: null,
    });
    expect(team).to.include({ hostname: 'h', team: 'one', version: 1 });
    expect(await verifyConfigAudit(database.connection)).to.deep.equal([]);
  });

  describe('PostgresConfigAudit', () => {
    const idsOf = async (
      filter: Omit<Parameters<PostgresConfigAudit['search']>[0], 'limit'>,
    ): Promise<number[]> => {
      const { items } = await new PostgresConfigAudit(database.connection).search({ ...filter, limit: 50 });
      return items.map(({ id }) => id);
    };

    it('gives an entry as it was recorded, and none for an id that is not there', async () => {
      const audit = new PostgresConfigAudit(database.connection);
      const entry = await audit.get(3);
      expect(entry).to.deep.include({
        id: 3,
        changedBy: 'nils',
        operation: 'DELETE',
        resource: 'alert_rules',
        recordKey: '1',
        newValues: null,
        reason: 'größer \ufffd',
        correlationId: AUTHOR.correlationId,
      });
      expect(entry?.oldValues).to.include({ id: 1, priority: 5 });
      expect(entry?.hash).to.match(/^[0-9a-f]{64}$/);
      expect(Date.now() - (entry?.changedAtMs ?? 0)).to.be.within(-60_000, 600_000);
      expect(await audit.get(99)).to.equal(undefined);
    });

    it('pages from the newest back', async () => {
      const audit = new PostgresConfigAudit(database.connection);
      const seen: number[][] = [];
      let beforeId: number | undefined;
      do {
        const page = await audit.search({ limit: 3, beforeId });
        seen.push(page.items.map(({ id }) => id));
        beforeId = page.next ?? undefined;
      } while (beforeId !== undefined);
      expect(seen).to.deep.equal([
        [5, 4, 3],
        [2, 1],
      ]);
    });

    it('finds by who, what, which record and when', async () => {
      expect(await idsOf({ changedBy: 'nils' })).to.deep.equal([3, 2, 1]);
      expect(await idsOf({ changedBy: 'nil' })).to.deep.equal([]);
      expect(await idsOf({ changedByPart: 'V' })).to.deep.equal([4]);
      expect(await idsOf({ changedByPart: '%' })).to.deep.equal([]);
      expect(await idsOf({ operation: 'UPDATE' })).to.deep.equal([2]);
      expect(await idsOf({ resource: 'device_teams' })).to.deep.equal([4]);
      expect(await idsOf({ resource: 'alert_rules', recordKey: '1' })).to.deep.equal([3, 2, 1]);
      expect(await idsOf({ recordKey: `1' OR true --` })).to.deep.equal([]);
      expect(await idsOf({ fromMs: Date.now() + 60_000 })).to.deep.equal([]);
      expect(await idsOf({ fromMs: Date.now() - 600_000, toMs: Date.now() + 60_000 })).to.have.length(5);
      expect(await idsOf({ toMs: Date.now() - 600_000 })).to.deep.equal([]);
    });

    for (const [what, filter] of [
      ['a NUL byte', { changedBy: 'a\0' }],
      ['half a character', { recordKey: '\ud800' }],
      ['an endless text', { changedBy: 'x'.repeat(300) }],
      ['a time that is none', { fromMs: Number.NaN }],
      ['an id that is none', { beforeId: 1.5 }],
      ['a page of any size', { limit: 1_000_000 }],
    ] as const) {
      it(`refuses to search with ${what}`, async () => {
        const audit = new PostgresConfigAudit(database.connection);
        const error = await rejectionOf(audit.search({ limit: 10, ...filter }));
        expect(error).to.include({ code: 'E_ROW_INVALID', kind: 'permanent' });
        expect(error['details']).to.have.nested.property('faults[0].field');
      });
    }

    it('says whether the chain is whole, and how long it is', async () => {
      expect(await new PostgresConfigAudit(database.connection).verify()).to.deep.equal({
        intact: true,
        entries: 5,
        problems: [],
      });
    });
  });

  for (const statement of [
    `UPDATE config_audit_log SET changed_by = 'nobody'`,
    'DELETE FROM config_audit_log WHERE id = 1',
    'TRUNCATE config_audit_log',
    `SET session_replication_role = replica; DELETE FROM config_audit_log`,
  ]) {
    it(`refuses ${statement}`, async () => {
      const error = await rejectionOf(database.sql(statement));
      expect(error.message).to.contain('append-only');
      await database.sql('SET session_replication_role = DEFAULT');
    });
  }

  it('seals an entry itself, whatever the writer claims', async () => {
    await database.sql(
      `INSERT INTO config_audit_log
         (id, changed_at, changed_by, operation, resource, record_key, previous_hash, hash)
       VALUES (77, '2001-01-01', 'x', 'CREATE', 'r', 'k', 'fake', 'fake')`,
    );
    const [last] = await database.sql(
      `SELECT id::int, changed_at > now() - interval '1 minute' AS is_now FROM config_audit_log ORDER BY id DESC LIMIT 1`,
    );
    expect(last).to.deep.equal({ id: 5, is_now: true });
    expect(await verifyConfigAudit(database.connection)).to.deep.equal([]);
  });

  it('gives the same hashes in any session', async () => {
    await database.sql(
      `ALTER DATABASE "${new URL(database.url).pathname.slice(1)}" SET timezone = 'Asia/Kathmandu'`,
    );
    const other = await database.sql(
      `SET timezone = 'Pacific/Chatham'; SET datestyle = 'German'; SET extra_float_digits = 0;
       SELECT id FROM config_audit_log AS log WHERE hash <> config_audit_hash(log)`,
    );
    expect(other).to.deep.equal([]);
  });

  describe('when its owner tampers with it', () => {
    /** Runs the tampering and the check in one transaction that is rolled back. */
    async function problemsAfter(tampering: string): Promise<unknown> {
      let problems: unknown;
      await database.connection
        .transaction(async (transaction) => {
          await transaction.script('ALTER TABLE config_audit_log DISABLE TRIGGER ALL', 'tampering');
          await transaction.script(tampering, 'tampering');
          problems = await transaction.rows('verify_config_audit', [100]);
          throw new Error('roll back');
        })
        .catch(() => {});
      return problems;
    }
    const reseal = 'hash = config_audit_hash(config_audit_log)';
    const cases: [string, string, unknown][] = [
      [
        'an altered entry',
        `UPDATE config_audit_log SET changed_by = 'eve' WHERE id = 2`,
        [{ id: 2, problem: 'altered' }],
      ],
      [
        'an altered time',
        `UPDATE config_audit_log SET changed_at = changed_at + interval '1 microsecond' WHERE id = 5`,
        [{ id: 5, problem: 'altered' }],
      ],
      [
        'an altered entry with a new seal',
        `UPDATE config_audit_log SET changed_by = 'eve' WHERE id = 2;
         UPDATE config_audit_log SET ${reseal} WHERE id = 2`,
        [{ id: 3, problem: 'unlinked' }],
      ],
      [
        'a last entry with a new seal',
        `UPDATE config_audit_log SET changed_by = 'eve' WHERE id = 5;
         UPDATE config_audit_log SET ${reseal} WHERE id = 5`,
        [{ id: 5, problem: 'truncated' }],
      ],
      ['a missing entry', 'DELETE FROM config_audit_log WHERE id = 3', [{ id: 4, problem: 'missing' }]],
      ['a missing first entry', 'DELETE FROM config_audit_log WHERE id = 1', [{ id: 2, problem: 'missing' }]],
      [
        'missing last entries',
        'DELETE FROM config_audit_log WHERE id > 3',
        [{ id: 3, problem: 'truncated' }],
      ],
      ['nothing left', 'DELETE FROM config_audit_log', [{ id: 0, problem: 'truncated' }]],
    ];
    for (const [what, tampering, problems] of cases) {
      it(`shows ${what}`, async () => {
        expect(await problemsAfter(tampering)).to.deep.equal(problems);
      });
    }
  });

  describe('PostgresOutboxStore', () => {
    let outbox: PostgresOutboxStore;
    beforeEach(async () => {
      await database.sql('TRUNCATE outbox RESTART IDENTITY');
      outbox = new PostgresOutboxStore(database.connection);
    });

    it('holds a notice per change until it is published', async () => {
      const { snapshotVersion } = await store.applyConfiguration({ development_hosts: ['o1'] }, AUTHOR);
      await store.applyConfiguration({ development_hosts: ['o2'] }, AUTHOR);
      expect(await outbox.unpublished(10)).to.deep.equal([
        { id: 1, snapshotVersion },
        { id: 2, snapshotVersion: snapshotVersion + 1 },
      ]);
      await outbox.markPublished(1);
      expect((await outbox.unpublished(10)).map((notice) => notice.id)).to.deep.equal([2]);
      await outbox.markPublished(2);
      expect(await outbox.unpublished(10)).to.deep.equal([]);
    });

    it('keeps the newest thousand', async () => {
      await database.sql('INSERT INTO outbox (snapshot_version) SELECT generate_series(1, 1500)');
      await store.applyConfiguration({ development_hosts: ['o3'] }, AUTHOR);
      expect(await database.sql('SELECT count(*)::int FROM outbox')).to.deep.equal([{ count: 1_000 }]);
    });
  });
});
