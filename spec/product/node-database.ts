/**
 * The private PostgreSQL of a node, read directly: what a spec proves about a node must not come from the node itself.
 *
 * Read only by intention; the address and the password come from the files the node keeps in its directory.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import pgPromise from 'pg-promise';

const pgp = pgPromise({ noWarnings: true });
const CONNECT_TIMEOUT_MS = 5_000;

export interface StoredRow {
  /** As received. */
  raw: string;
  alertIds: string[];
}

/** Where the private server of the node in `dir` is, with user and password. */
export function databaseUrlOf(dir: string): string {
  const password = readFileSync(join(dir, 'postgres', 'password'), 'utf8').trim();
  const settings = readFileSync(join(dir, 'postgres', 'postgresql.conf'), 'utf8');
  const port = Number(/^port = (\d+)$/m.exec(settings)?.[1]);
  return `postgres://mutt:${encodeURIComponent(password)}@127.0.0.1:${port}/mutt`;
}

/** Any SQL on the private server of the node in `dir`. One connection, closed afterwards. */
export async function queryNode<Row>(dir: string, sql: string, values: unknown[] = []): Promise<Row[]> {
  const database = openDatabase(dir);
  try {
    return await database.any<Row>(sql, values);
  } finally {
    await database.$pool.end();
  }
}

/** Holds matching back without breaking anything: until the returned function is called, nobody can store an audit row. */
export async function holdAuditRows(dir: string): Promise<() => Promise<void>> {
  const database = openDatabase(dir);
  const connection = await database.connect();
  await connection.none('BEGIN; LOCK TABLE event_audit_log IN SHARE MODE');
  return async () => {
    await connection.none('COMMIT');
    await connection.done();
    await database.$pool.end();
  };
}

/** Every audit row there is. */
export function auditRows(dir: string): Promise<StoredRow[]> {
  return queryNode<StoredRow>(
    dir,
    `SELECT raw_message AS raw,
            ARRAY(SELECT alert ->> 'id' FROM jsonb_array_elements(alerts) AS alert) AS "alertIds"
       FROM event_audit_log`,
  );
}

/** Ids of the alerts about what no rule matched: they are of no event. */
export async function metaAlerts(dir: string): Promise<string[]> {
  const rows = await queryNode<{ id: string }>(
    dir,
    "SELECT alert ->> 'id' AS id FROM unmatched_templates, jsonb_array_elements(alerts) AS alert",
  );
  return rows.map(({ id }) => id);
}

/** Ids of the alerts that are kept as dead letters. */
export async function deadLetters(dir: string): Promise<string[]> {
  const rows = await queryNode<{ id: string }>(dir, 'SELECT alert_id AS id FROM dead_letters');
  return rows.map(({ id }) => id);
}

function openDatabase(dir: string): pgPromise.IDatabase<object> {
  const database = pgp({
    connectionString: databaseUrlOf(dir),
    max: 1,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
  });
  database.$pool.on('error', () => {});
  return database;
}
