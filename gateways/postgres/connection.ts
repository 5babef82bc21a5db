/**
 * A pool of connections to one PostgreSQL, reduced to what the stores need: a named statement, and a transaction.
 *
 * It knows no table. Lost connections are replaced by themselves at the next use; nothing is repeated here, since only
 * the caller knows what may be repeated. Invariant: every call settles within its time limit, with rows or with a coded
 * error (see database-error.ts), even when the server is frozen.
 */
import pgPromise from 'pg-promise';
import { CodedError } from '../../runtime/errors.ts';
import { copyIn } from './copy-in.ts';
import { databaseError } from './database-error.ts';
import { statement } from './sql-files.ts';

export interface ConnectionOptions {
  /** `postgres://user:password@host:port/database?sslmode=…`; the one place that says whether TLS is used. */
  url: string;
  /** Connections at most; default 4. */
  connectionsMax?: number;
  /** For getting a connection, a free one of the pool or a new one; default 5 s. */
  connectTimeoutMs?: number;
  /**
   * For one statement; default 30 s. The server ends it; when the server is silent, we drop the connection a little
   * later. 0 is no limit: for migrations and for moving rows.
   */
  statementTimeoutMs?: number;
  /** What the server's own lists show; default `mutt`. */
  applicationName?: string;
}

export interface Statements {
  /**
   * Runs `sql/queries/<name>.sql` and gives its rows. Values as that file's header says; bigint comes as number.
   * Errors: E_DATABASE_AWAY (transient), E_DATABASE_REFUSED, E_DATABASE_CLOSED, E_ROW_INVALID, E_STATEMENT_FAILED.
   */
  rows<Row>(name: string, values?: readonly unknown[]): Promise<Row[]>;
  /** As `rows`, for statements that always give exactly one. */
  row<Row>(name: string, values?: readonly unknown[]): Promise<Row>;
}

export interface Transaction extends Statements {
  /** Runs the text of a migration: several statements, no values. */
  script(text: string, name: string): Promise<void>;
}

export interface TransactionOptions {
  /** Everything is read as of one moment, and nothing is written. */
  isSnapshot?: boolean;
}

export interface Connection extends Statements {
  /** Commits when `work` resolves, rolls back when it rejects. Errors: those of `rows` and whatever `work` throws. */
  transaction<T>(work: (transaction: Transaction) => Promise<T>, options?: TransactionOptions): Promise<T>;
  /**
   * Runs the COPY of `sql/queries/<name>.sql` in a transaction of its own: all of `rows` (see BinaryRows), or an error and
   * none of them. Errors: those of `rows`.
   */
  copyIn(name: string, rows: Uint8Array): Promise<void>;
  /** For when one may be lost without a sign: what comes now gets new ones; what runs settles on the old ones. */
  renew(): void;
  /** Ends all connections, after what runs on them, but for those before a `renew`: they end by themselves. */
  close(): Promise<void>;
}

const CONNECTIONS_MAX = 4;
const CONNECT_TIMEOUT_MS = 5_000;
const STATEMENT_TIMEOUT_MS = 30_000;
/** How much longer than the server we wait before we believe that it is silent. */
const SILENCE_MARGIN_MS = 2_000;
const INT8_TYPE = 20;
const SILENCE_TEXT = 'Query read timeout';

/** What the driver's types leave out. The mark is the library's own, for connections it saw break. */
interface DriverClient {
  $connectionError?: Error;
  connection?: { stream?: { destroy(): void } };
}

// One library instance per process: it holds global state of the driver.
const pgp = pgPromise({
  noWarnings: true,
  error(error: unknown, context) {
    // After its own time limit the driver would hand the connection to the next caller, still waiting for the old
    // answer. Only a new connection is sure to be in a known state: this one is marked so that the pool drops it when
    // it is released, and cut off, since a frozen server would not even take our good-bye.
    const client = context.client as unknown as DriverClient | undefined;
    if (client !== undefined && error instanceof Error && error.message === SILENCE_TEXT) {
      client.$connectionError = error;
      cutOff(client);
    }
  },
});

function cutOff(client: DriverClient): void {
  client.connection?.stream?.destroy();
}

type DriverTypes = typeof pgp.pg.types;
const driverTypes = pgp.pg.types as unknown as {
  getTypeParser(type: number, format?: string): unknown;
};
const snapshotMode = new pgp.txMode.TransactionMode({
  tiLevel: pgp.txMode.isolationLevel.repeatableRead,
  readOnly: true,
});

/** Opens nothing yet: the first statement connects. Errors: E_DATABASE_URL_INVALID. */
export function openConnection(options: ConnectionOptions): Connection {
  const password = passwordIn(options.url);
  const statementTimeoutMs = options.statementTimeoutMs ?? STATEMENT_TIMEOUT_MS;

  function openPool(): pgPromise.IDatabase<object> {
    const pool = pgp({
      connectionString: options.url,
      max: options.connectionsMax ?? CONNECTIONS_MAX,
      connectionTimeoutMillis: options.connectTimeoutMs ?? CONNECT_TIMEOUT_MS,
      application_name: options.applicationName ?? 'mutt',
      keepAlive: true,
      types: rowTypes as unknown as DriverTypes,
      ...(statementTimeoutMs > 0
        ? { statement_timeout: statementTimeoutMs, query_timeout: statementTimeoutMs + SILENCE_MARGIN_MS }
        : {}),
    });
    // The library listens only until the pool ends, but the last connections close a moment later: a server that stops
    // just then would end our process. Whoever uses a lost connection is told; an idle one is replaced in silence.
    pool.$pool.on('error', () => {});
    return pool;
  }
  let database = openPool();

  async function coded<T>(what: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw databaseError(error, what, password);
    }
  }

  function statementsOn(protocol: () => Pick<pgPromise.IDatabase<object>, 'any' | 'one'>): Statements {
    return {
      rows: <Row>(name: string, values: readonly unknown[] = []) =>
        coded(name, () => protocol().any<Row>(statement(name), values)),
      row: <Row>(name: string, values: readonly unknown[] = []) =>
        coded(name, () => protocol().one<Row>(statement(name), values)),
    };
  }

  return {
    ...statementsOn(() => database),
    async transaction(work, { isSnapshot = false } = {}) {
      const mode = isSnapshot ? snapshotMode : null;
      let thrownByWork: unknown;
      try {
        return await database.tx({ mode }, async (task) => {
          try {
            return await work({
              ...statementsOn(() => task),
              script: (text, name) =>
                coded(name, async () => {
                  await task.multi(text);
                }),
            });
          } catch (error) {
            thrownByWork = error;
            throw error;
          }
        });
      } catch (error) {
        if (error === thrownByWork) throw error;
        throw databaseError(error, 'transaction', password);
      }
    },
    copyIn: (name, rows) =>
      coded(name, async () => {
        const { text } = statement(name).parse() as pgPromise.IPreparedParsed;
        const held = await database.connect();
        let isSilent = false;
        try {
          await copyIn(held.client, text, rows);
        } catch (error) {
          isSilent = error instanceof Error && error.message === SILENCE_TEXT;
          if (isSilent) cutOff(held.client as unknown as DriverClient);
          throw error;
        } finally {
          void held.done(isSilent);
        }
      }),
    renew() {
      const left = database;
      database = openPool();
      void left.$pool.end();
    },
    async close() {
      await database.$pool.end();
    },
  };
}

/** What the driver makes of columns: bigint as number (ours stay below 2^53), everything else as it likes. */
const rowTypes = {
  getTypeParser: (type: number, format?: string): unknown =>
    type === INT8_TYPE ? Number : driverTypes.getTypeParser(type, format),
};

/** The password, so that it can be kept out of every message. Says nothing of the URL when it is wrong. */
function passwordIn(url: string): string {
  let parsed: URL;
  try {
    parsed = new URL(url);
    if (!/^postgres(ql)?:$/.test(parsed.protocol)) throw new Error('not PostgreSQL');
    return decodeURIComponent(parsed.password);
  } catch {
    throw new CodedError('E_DATABASE_URL_INVALID', 'the database URL is not one of PostgreSQL', {
      mend: 'Write it as postgres://user:password@host:5432/database, with special characters percent-encoded.',
    });
  }
}
