import { expect } from 'chai';
import { afterEach, beforeEach, describe, it } from 'mocha';
import { systemClock } from '../../../runtime/clock.ts';
import { verifyConfigAudit } from '../../../gateways/postgres/config-audit.ts';
import { openConnection } from '../../../gateways/postgres/connection.ts';
import { migrate } from '../../../gateways/postgres/migrate.ts';
import { migrationsIn } from '../../../gateways/postgres/sql-files.ts';
import type { Migration } from '../../../gateways/postgres/sql-files.ts';
import { PostgresSnapshotSource } from '../../../gateways/postgres/snapshot-source.ts';
import { PostgresTeamStore } from '../../../gateways/postgres/team-store.ts';
import { SERVER_TIMEOUT_MS, ownDatabase, rejectionOf } from './own-database.ts';
import type { OwnDatabase } from './own-database.ts';

const OURS = migrationsIn();
const NAMES = OURS.map((migration) => migration.name);

function migration(number: number, text: string): Migration {
  return { number, name: `step_${number}`, text, checksum: `checksum of ${text}` };
}

describe('migrate', function () {
  this.timeout(SERVER_TIMEOUT_MS);
  let database: OwnDatabase;

  beforeEach(async () => {
    database = await ownDatabase({ isMigrated: false });
  });
  afterEach(() => database.drop());

  it('brings an empty database to the newest version and records each migration', async () => {
    const report = await migrate(database.connection, systemClock);
    expect(report).to.deep.equal({ applied: NAMES, schemaVersion: OURS.length });
    const ledger = await database.sql('SELECT number, name, checksum FROM schema_migrations ORDER BY number');
    expect(ledger).to.deep.equal(OURS.map(({ number, name, checksum }) => ({ number, name, checksum })));
  });

  it('does nothing the second time and keeps what is stored', async () => {
    await migrate(database.connection, systemClock);
    await database.sql(`INSERT INTO development_hosts VALUES ('lab1')`);
    const report = await migrate(database.connection, systemClock);
    expect(report.applied).to.deep.equal([]);
    expect(await database.sql('SELECT hostname FROM development_hosts')).to.deep.equal([
      { hostname: 'lab1' },
    ]);
  });

  it('keeps what an older program stored, and goes on with it', async () => {
    await migrate(database.connection, systemClock, OURS.slice(0, 4));
    await database.sql(
      `INSERT INTO device_teams (hostname, team) VALUES ('core-1', 'NetOps');
       INSERT INTO api_keys (name, scopes, hmac) VALUES ('old', ARRAY['read'], sha256('old'::bytea));
       INSERT INTO config_audit_log (changed_by, operation, resource, record_key, new_values)
       VALUES ('nils', 'CREATE', 'device_teams', 'core-1', '{"hostname":"core-1","team":"NetOps"}');
       UPDATE config_version SET snapshot_version = 7`,
    );
    await migrate(database.connection, systemClock);
    const teams = new PostgresTeamStore(database.connection);
    expect(await teams.get('core-1')).to.include({ team: 'NetOps', version: 1 });
    await teams.remove('core-1', { expectedVersion: 1 }, { changedBy: 'nils' });
    expect(await teams.put('core-1', 'SysOps', {}, { changedBy: 'nils' })).to.include({ version: 2 });
    const { version, keys, settings } = await new PostgresSnapshotSource(database.connection).load();
    expect([version, settings, keys[0]?.name, keys[0]?.pepperFingerprint]).to.deep.equal([9, {}, 'old', '']);
    expect(await verifyConfigAudit(database.connection)).to.deep.equal([]);
  });

  it('succeeds for everyone when four programs do it at once', async () => {
    const connections = Array.from({ length: 4 }, () =>
      openConnection({ url: database.url, statementTimeoutMs: 0 }),
    );
    const reports = await Promise.all(connections.map((connection) => migrate(connection, systemClock)));
    expect(reports.flatMap((report) => report.applied).sort()).to.deep.equal([...NAMES].sort());
    await Promise.all(connections.map((connection) => connection.close()));
  });

  it('seeds no rows but the version and the head of the audit chain', async () => {
    await migrate(database.connection, systemClock);
    const tables = await database.sql<{ name: string }>(
      `SELECT relname AS name FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace`,
    );
    const filled: string[] = [];
    for (const { name } of tables) {
      const [row] = await database.sql<{ count: string }>(`SELECT count(*) FROM "${name}"`);
      if (row?.count !== '0') filled.push(name);
    }
    expect(filled.sort()).to.deep.equal(['config_audit_head', 'config_version', 'schema_migrations']);
  });

  it('creates the partitions of this month and the next three, across the end of a year', async () => {
    const clock = { ...systemClock, wallMs: () => Date.UTC(2031, 10, 30, 23, 59, 59, 999) };
    await migrate(database.connection, clock);
    const months = await database.sql(
      `SELECT relid::text AS name FROM pg_partition_tree('event_audit_log') WHERE isleaf ORDER BY 1`,
    );
    expect(months.map((month) => month['name'])).to.deep.equal([
      'event_audit_log_2031_11',
      'event_audit_log_2031_12',
      'event_audit_log_2032_01',
      'event_audit_log_2032_02',
      'event_audit_log_default',
    ]);
  });

  describe('when the database is not what this program left', () => {
    it('refuses a migration whose text changed and touches nothing', async () => {
      await migrate(database.connection, systemClock, [migration(1, 'CREATE TABLE a ()'), ...months()]);
      const changed = [
        migration(1, 'CREATE TABLE a (b int)'),
        ...months(),
        migration(3, 'CREATE TABLE c ()'),
      ];
      const error = await rejectionOf(migrate(database.connection, systemClock, changed));
      expect(error).to.include({ code: 'E_MIGRATION_CHANGED', kind: 'permanent' });
      expect(error['details']).to.deep.equal({ number: 1, name: 'step_1' });
      expect(await database.sql(`SELECT to_regclass('c') AS c`)).to.deep.equal([{ c: null }]);
    });

    it('refuses a schema that is newer than the program', async () => {
      await migrate(database.connection, systemClock);
      await database.sql(
        `INSERT INTO schema_migrations (number, name, checksum) VALUES ($1, 'future', 'x')`,
        [OURS.length + 1],
      );
      const error = await rejectionOf(migrate(database.connection, systemClock));
      expect(error).to.include({ code: 'E_SCHEMA_NEWER', kind: 'permanent' });
      expect(error['details']).to.deep.equal({ found: OURS.length + 1, ours: OURS.length });
    });

    it('keeps nothing of a migration that fails half-way, and all that came before it', async () => {
      const broken = migration(2, 'CREATE TABLE half (); SELECT 1/0; CREATE TABLE other ()');
      const error = await rejectionOf(
        migrate(database.connection, systemClock, [migration(1, 'CREATE TABLE whole ()'), broken]),
      );
      expect(error).to.include({ code: 'E_MIGRATION_FAILED', kind: 'permanent' });
      expect(error.message).to.contain('step_2');
      expect(
        await database.sql(`SELECT to_regclass('whole')::text AS whole, to_regclass('half') AS half`),
      ).to.deep.equal([{ whole: 'whole', half: null }]);
      expect(await database.sql('SELECT number FROM schema_migrations')).to.deep.equal([{ number: 1 }]);
    });

    it('refuses a server older than 14', async () => {
      const { connection } = database;
      const old = {
        ...connection,
        row: <Row>(name: string) =>
          name === 'read_server_version'
            ? Promise.resolve({ version: 130_014 } as Row)
            : connection.row<Row>(name),
      };
      const error = await rejectionOf(migrate(old, systemClock));
      expect(error).to.include({ code: 'E_SERVER_TOO_OLD' });
      expect(await database.sql(`SELECT to_regclass('schema_migrations') AS ledger`)).to.deep.equal([
        { ledger: null },
      ]);
    });
  });

  /** The audit months are created after every run, so even the smallest set of migrations needs their function. */
  function months(): Migration[] {
    const audit = OURS.find(({ name }) => name === 'audit');
    return [{ ...migration(2, audit?.text ?? ''), name: 'audit' }];
  }
});
