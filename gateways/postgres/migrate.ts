/**
 * Brings a database to the version of this program: the migrations of `sql/migrations`, then the audit months.
 *
 * Never destructive, and safe to run at every start and by many programs at once: each migration is one transaction
 * under an advisory lock, and one that somebody else has just done counts as done. Invariant: a database that another
 * program changed in a way we do not know is left untouched.
 */
import type { Clock } from '../../runtime/clock.ts';
import { CodedError } from '../../runtime/errors.ts';
import { createAuditMonths } from './audit-months.ts';
import type { Connection, Transaction } from './connection.ts';
import { POSTGRES_VERSION_MIN, serverVersion } from './server-facts.ts';
import { migrationsIn } from './sql-files.ts';
import type { Migration } from './sql-files.ts';

export interface MigrationReport {
  /** Names of the migrations this call applied; empty when there was nothing to do. */
  applied: string[];
  /** The number of the newest migration. */
  schemaVersion: number;
}

/**
 * Needs a connection without statement timeout. Errors: E_SERVER_TOO_OLD, E_SCHEMA_NEWER, E_MIGRATION_CHANGED,
 * E_MIGRATION_FAILED (permanent), and those of Connection.
 */
export async function migrate(
  connection: Connection,
  clock: Clock,
  migrations: readonly Migration[] = migrationsIn(),
): Promise<MigrationReport> {
  const version = await serverVersion(connection);
  if (version < POSTGRES_VERSION_MIN) {
    throw new CodedError('E_SERVER_TOO_OLD', `PostgreSQL ${Math.floor(version / 10_000)} is too old`, {
      mend: 'Use PostgreSQL 14 or newer.',
      details: { version, versionMin: POSTGRES_VERSION_MIN },
    });
  }
  const applied: string[] = [];
  for (;;) {
    const name = await connection.transaction((transaction) => applyNext(transaction, migrations));
    if (name === undefined) break;
    applied.push(name);
  }
  await createAuditMonths(connection, clock.wallMs());
  return { applied, schemaVersion: migrations.length };
}

async function applyNext(
  transaction: Transaction,
  migrations: readonly Migration[],
): Promise<string | undefined> {
  await transaction.rows('disable_statement_timeout');
  await transaction.rows('lock_migrations');
  await transaction.rows('create_schema_migrations');
  const known = await transaction.rows<Omit<Migration, 'text'>>('list_schema_migrations');
  requireOurs(known, migrations);
  const next = migrations[known.length];
  if (next === undefined) return undefined;
  try {
    await transaction.script(next.text, next.name);
  } catch (error) {
    throw failedMigration(error, next);
  }
  await transaction.rows('insert_schema_migration', [next.number, next.name, next.checksum]);
  return next.name;
}

function requireOurs(known: readonly Omit<Migration, 'text'>[], migrations: readonly Migration[]): void {
  const newest = known.at(-1);
  if (newest !== undefined && newest.number > migrations.length) {
    throw new CodedError(
      'E_SCHEMA_NEWER',
      `the database is at migration ${newest.number} and this program knows ${migrations.length}`,
      {
        mend: 'Start the newer program that migrated it. Nothing was changed.',
        details: { found: newest.number, ours: migrations.length },
      },
    );
  }
  for (const [index, entry] of known.entries()) {
    const ours = migrations[index];
    if (ours?.number === entry.number && ours.checksum === entry.checksum) continue;
    throw new CodedError(
      'E_MIGRATION_CHANGED',
      `migration ${entry.number} (${entry.name}) is not the one that this database has`,
      {
        mend: 'Restore the file as it was released and put the change into a new migration. Nothing was changed.',
        details: { number: entry.number, name: entry.name },
      },
    );
  }
}

/** A statement of ours that fails is a defect elsewhere; here it is most often a right that is missing. */
function failedMigration(error: unknown, migration: Migration): unknown {
  if (!(error instanceof CodedError) || error.kind === 'transient') return error;
  return new CodedError('E_MIGRATION_FAILED', `migration ${migration.number} (${migration.name}) failed`, {
    cause: error,
    mend: 'Nothing of it was kept. Give the role the right to create tables in its schema, or report this.',
    details: { number: migration.number, name: migration.name },
  });
}
