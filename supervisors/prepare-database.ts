/**
 * Brings the database to this version and gives a private one its samples, at the first start.
 *
 * A PostgreSQL that is away does not keep a node from starting, since the last good rule set is on disk: then the same is
 * tried again until it is done, so that a newer program never runs for long on the tables of an older one.
 */
import { openConnection } from '../gateways/postgres/connection.ts';
import type { Connection } from '../gateways/postgres/connection.ts';
import { migrate } from '../gateways/postgres/migrate.ts';
import { PostgresRuleStore } from '../gateways/postgres/rule-store.ts';
import { PostgresSnapshotSource } from '../gateways/postgres/snapshot-source.ts';
import { sleep, systemClock } from '../runtime/clock.ts';
import { CodedError, codeOf, kindOf, messageOf } from '../runtime/errors.ts';
import type { Log } from '../runtime/telemetry/log.ts';
import { loadSamples } from './first-start.ts';

/** A PostgreSQL of this node's own. */
export interface OwnDatabase {
  adminUrl: string;
  sinkKeyFile: string;
  passwordFile: string;
}

export interface PrepareOptions {
  databaseUrl: string;
  /** Given when the PostgreSQL is this node's own: its first start gets samples. */
  own: OwnDatabase | undefined;
  log: Log;
}

const RETRY_MS = 2_000;
const INVALID_PASSWORD = '28P01';

/**
 * Rejects when it can never succeed. When PostgreSQL is away it resolves, goes on in the background until the signal
 * aborts, and calls `onLater` once it is done.
 */
export async function prepareDatabase(
  options: PrepareOptions,
  signal: AbortSignal,
  onLater: () => void,
): Promise<void> {
  try {
    await prepareOnce(options);
  } catch (thrown) {
    if (kindOf(thrown) !== 'transient') throw explained(thrown, options.own);
    options.log.warn(
      { code: codeOf(thrown), message: messageOf(thrown) },
      'PostgreSQL is away: migrations are tried again until they are done',
    );
    void prepareLater(options, signal, onLater, codeOf(thrown));
  }
}

/** Never rejects. Another trouble than the last one is told; one that does not pass by itself is mended by a person. */
async function prepareLater(
  options: PrepareOptions,
  signal: AbortSignal,
  onDone: () => void,
  troubleAtFirst: string,
): Promise<void> {
  const { log } = options;
  let trouble = troubleAtFirst;
  for (;;) {
    await sleep(systemClock, RETRY_MS, signal);
    if (signal.aborted) return;
    try {
      await prepareOnce(options);
      if (signal.aborted) return;
      log.info('the database is at the version of this program now');
      onDone();
      return;
    } catch (thrown) {
      const code = codeOf(thrown);
      if (code === trouble || signal.aborted) continue;
      trouble = code;
      const { message, mend } = explained(thrown, options.own) as Partial<CodedError>;
      log.error({ code, message, mend }, 'the database cannot be prepared; tried again');
    }
  }
}

async function prepareOnce({ databaseUrl, own, log }: PrepareOptions): Promise<void> {
  await withPatience(databaseUrl, async (connection) => {
    const { applied } = await migrate(connection, systemClock);
    if (applied.length > 0) log.info({ applied }, 'migrated');
    const { version } = await new PostgresSnapshotSource(connection).load();
    if (own !== undefined && version === 0) {
      await loadSamples(new PostgresRuleStore(connection), {
        adminUrl: own.adminUrl,
        keyFile: own.sinkKeyFile,
      });
    }
  });
}

/** A connection without a limit per statement: migrations and moving rows may take long. */
export async function withPatience<T>(
  databaseUrl: string,
  work: (connection: Connection) => Promise<T>,
): Promise<T> {
  const connection = openConnection({
    url: databaseUrl,
    connectionsMax: 1,
    statementTimeoutMs: 0,
    applicationName: 'mutt-migrate',
  });
  try {
    return await work(connection);
  } finally {
    await connection.close();
  }
}

/** Of a private PostgreSQL nobody knows the URL: what can be wrong is the file that its password is in. */
function explained(thrown: unknown, own: OwnDatabase | undefined): unknown {
  const sqlstate = (thrown as { details?: { sqlstate?: unknown } }).details?.sqlstate;
  if (own === undefined || sqlstate !== INVALID_PASSWORD) return thrown;
  return new CodedError(
    'E_DATABASE_REFUSED',
    `the private PostgreSQL does not take the password in ${own.passwordFile}`,
    {
      mend: 'Restore that file from a backup, or set the password anew as docs/how-to/set-the-database-password.md says.',
      cause: thrown,
    },
  );
}
