/**
 * A PostgreSQL database of its own for one spec file, dropped afterwards. Not for production: it holds raw SQL, which
 * specs need to look behind the stores.
 */
import { randomBytes } from 'node:crypto';
import pgPromise from 'pg-promise';
import { systemClock } from '../../../runtime/clock.ts';
import { openConnection } from '../../../gateways/postgres/connection.ts';
import type { Connection } from '../../../gateways/postgres/connection.ts';
import { migrate } from '../../../gateways/postgres/migrate.ts';
import { specDatabaseUrl } from '../../support/servers.ts';

/** For one spec against a server on a busy machine. None takes so long by itself. */
export const SERVER_TIMEOUT_MS = 30_000;

const pgp = pgPromise({ noWarnings: true });

export interface OwnDatabase {
  url: string;
  /** Without statement timeout, so that it can migrate. */
  connection: Connection;
  /** Any SQL; the rows of its last statement. */
  sql<Row = Record<string, unknown>>(text: string, values?: unknown[]): Promise<Row[]>;
  drop(): Promise<void>;
}

/** An empty database; `isMigrated` runs the migrations. */
export async function ownDatabase({ isMigrated = true } = {}): Promise<OwnDatabase> {
  const serverUrl = await specDatabaseUrl();
  const name = `spec_${randomBytes(8).toString('hex')}`;
  const admin = pgp({ connectionString: serverUrl, max: 1 });
  await admin.none('CREATE DATABASE $1:name TEMPLATE template0', [name]);
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  const raw = pgp({ connectionString: url.href, max: 4 });
  raw.$pool.on('error', () => {});
  const connection = openConnection({ url: url.href, connectionsMax: 8, statementTimeoutMs: 0 });
  if (isMigrated) await migrate(connection, systemClock);
  return {
    url: url.href,
    connection,
    sql: (text, values) => raw.any(text, values),
    async drop() {
      await connection.close();
      await raw.$pool.end();
      await admin.none('DROP DATABASE $1:name WITH (FORCE)', [name]);
      await admin.$pool.end();
    },
  };
}

/** What a promise rejects with. */
export async function rejectionOf(promise: Promise<unknown>): Promise<Error & Record<string, unknown>> {
  try {
    await promise;
  } catch (error) {
    return error as Error & Record<string, unknown>;
  }
  throw new Error('it did not reject');
}
