/**
 * The real Redis and PostgreSQL that specs run against.
 *
 * The whole test run starts one of each and passes them on in `MUTT_SPEC_REDIS_URL` and `MUTT_SPEC_DATABASE_URL`; a
 * single spec run by hand starts its own at the first call. They are shared: a spec isolates itself by a key prefix,
 * a schema or a database, and one that kills a server takes its own (`startOwnRedis`, `startOwnPostgres`).
 * Invariant: whatever is started here is ended and removed when this process ends, however it ends but by SIGKILL.
 */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startPrivatePostgres } from '../../supervisors/embedded/postgres.ts';
import type { PrivatePostgresOptions } from '../../supervisors/embedded/postgres.ts';
import type { PrivateServer } from '../../supervisors/embedded/private-server.ts';
import { startPrivateRedis } from '../../supervisors/embedded/redis.ts';
import type { PrivateRedisOptions } from '../../supervisors/embedded/redis.ts';

const servers = new Set<PrivateServer>();
const directories = new Set<string>();
let sharedRedis: Promise<PrivateServer> | undefined;
let sharedPostgres: Promise<PrivateServer> | undefined;

/** `redis://…` of the shared Redis. Use a key prefix of your own; never FLUSHALL. */
export async function specRedisUrl(): Promise<string> {
  const given = process.env['MUTT_SPEC_REDIS_URL'];
  if (given !== undefined) return given;
  sharedRedis ??= startOwnRedis();
  return (await sharedRedis).url;
}

/** `postgres://…` of the shared PostgreSQL. Its role may create databases; use one, or a schema, of your own. */
export async function specDatabaseUrl(): Promise<string> {
  const given = process.env['MUTT_SPEC_DATABASE_URL'];
  if (given !== undefined) return given;
  sharedPostgres ??= startOwnPostgres();
  return (await sharedPostgres).url;
}

/** A Redis for one spec alone, which may kill it. Stop it in `after`; forgotten ones are ended with the process. */
export async function startOwnRedis(options: Partial<PrivateRedisOptions> = {}): Promise<PrivateServer> {
  return keep(await startPrivateRedis({ ...options, dir: options.dir ?? specDirectory('redis') }));
}

/** A PostgreSQL for one spec alone, which may kill it. Takes about a second. */
export async function startOwnPostgres(
  options: Partial<PrivatePostgresOptions> = {},
): Promise<PrivateServer> {
  return keep(await startPrivatePostgres({ ...options, dir: options.dir ?? specDirectory('postgres') }));
}

/** A fresh directory that the servers' user can traverse; removed when this process ends. */
export function specDirectory(name: string): string {
  const directory = mkdtempSync(join(process.env['MUTT_SPEC_RUN'] ?? tmpdir(), `mutt-spec-${name}-`));
  chmodSync(directory, 0o711);
  directories.add(directory);
  cleanUpAtTheEnd();
  return directory;
}

function keep(server: PrivateServer): PrivateServer {
  servers.add(server);
  void server.exited.then(() => servers.delete(server));
  cleanUpAtTheEnd();
  return server;
}

let willCleanUp = false;

function cleanUpAtTheEnd(): void {
  if (willCleanUp) return;
  willCleanUp = true;
  // When nothing else is left to do, they end cleanly; after `process.exit` there is only time to kill them.
  process.on('beforeExit', () => {
    void Promise.all([...servers].map((server) => server.stop()));
  });
  process.on('exit', () => {
    for (const server of servers) server.kill('SIGKILL');
    for (const directory of directories) {
      rmSync(directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 20 });
    }
  });
}
