/**
 * A private PostgreSQL for one node: bound to 127.0.0.1, scram passwords, no socket file, every commit on disk. Not for
 * real installations that bring their own through `DATABASE_URL`.
 *
 * Invariant: a cluster appears whole or not at all (`initdb` works on a draft that is renamed), and an existing one is
 * never initialised again, whatever state it is in.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { CodedError } from '../../runtime/errors.ts';
import { identityOf } from '../process-identity.mjs';
import { NO_ROOM_TEXT, diskFull } from './disk-room.ts';
import { findPostgres } from './find-postgres.ts';
import type { PostgresPrograms } from './find-postgres.ts';
import {
  lastLine,
  makeServerDirectory,
  portOfRunning,
  secretIn,
  startPrivateServer,
  writeWhole,
} from './private-server.ts';
import type { PrivateServer, ServerLog } from './private-server.ts';
import { giveTo, serverUser } from './server-user.ts';
import type { ServerUser } from './server-user.ts';

export interface PrivatePostgresOptions {
  /** Its own directory; made when absent. Cluster, password and logs live in it. */
  dir: string;
  /** A free one when not given. */
  port?: number;
  log?: ServerLog;
  /** Outside `dir`, and there since it was first used: with it and without a cluster the data are lost, not new. */
  traceFile?: string;
}

const ROLE = 'mutt';
const DATABASE = 'mutt';
const SERVER_USERS = ['postgres', 'nobody'];
const INITDB_TIMEOUT_MS = 60_000;
const LOG_CHARS_MAX = 2_000;
/** What PostgreSQL says of files that are not as it wrote them; a damaged control file looks like one of another build. */
const DAMAGE_TEXT = new RegExp(
  [
    'PANIC|not a valid data|invalid|corrupt',
    'could not (open|read|locate) .*(file|checkpoint|directory)',
    'incorrect checksum in control file|database files are incompatible with server',
    'required WAL directory',
  ].join('|'),
  'i',
);

/**
 * Starts it or adopts its leftover. Errors: E_POSTGRES_MISSING, E_ALREADY_RUNNING, E_PORT_IN_USE, E_PATH_CLOSED,
 * E_DATA_DAMAGED, E_DATA_NEWER, E_DATA_OLDER, E_DISK_FULL, E_SERVER_START.
 */
export async function startPrivatePostgres(options: PrivatePostgresOptions): Promise<PrivateServer> {
  const { dir } = options;
  const log = options.log ?? (() => {});
  const user = serverUser(SERVER_USERS);
  const programs = await findPostgres({ user, log });
  const dataDir = join(dir, 'data');
  const configPath = join(dir, 'postgresql.conf');
  if (existsSync(dataDir)) requireUsable(dir, dataDir, programs);
  else requireFirstStart(dataDir, [configPath, options.traceFile ?? configPath]);
  makeServerDirectory(dir, user);
  const password = secretIn(dir, 'password');
  const settingsText = settingLines().join('\n');

  return startPrivateServer({
    name: 'PostgreSQL',
    dir,
    port: options.port,
    user,
    log,
    settings: createHash('sha256').update(`${programs.postgres}\n${settingsText}`).digest('hex'),
    // SIGINT ends sessions and shuts down cleanly; SIGQUIT is for when that hangs.
    stopSignals: ['SIGINT', 'SIGQUIT'],
    async prepare(port) {
      if (!existsSync(dataDir)) await makeCluster({ dir, dataDir, password, programs, user });
      giveTo(dataDir, user);
      writeWhole(configPath, `${settingsText}\nport = ${port}\n`, 0o600);
      giveTo(configPath, user);
      return { file: programs.postgres, args: ['-D', dataDir, '-c', `config_file=${configPath}`], env: ENV };
    },
    isReady: (port) => Promise.resolve(isReady(dataDir, port)),
    url: (port) => urlOf(port, password),
    explain: (output) => explain(dir, output + lastLog(dataDir)),
    // The backends of a killed postmaster need a moment to notice.
    isPassing: (output) =>
      /shared memory block .* is still in use|lock file "postmaster.pid" already exists/.test(output),
  });
}

const ENV = { LC_ALL: 'C', TZ: 'UTC', PATH: '/usr/bin:/bin' };

function urlOf(port: number, password: string): string {
  return `postgres://${ROLE}:${password}@127.0.0.1:${port}/${DATABASE}`;
}

/** The address of the one that runs in `dir` now, with its password; undefined when none does. */
export function runningPostgresUrl(dir: string): string | undefined {
  const port = portOfRunning(dir);
  return port === undefined ? undefined : urlOf(port, secretIn(dir, 'password'));
}

function settingLines(): string[] {
  return [
    "listen_addresses = '127.0.0.1'",
    // A path in a deep directory is longer than a socket name may be, and nothing needs one.
    "unix_socket_directories = ''",
    'max_connections = 100',
    'shared_buffers = 128MB',
    'fsync = on',
    'synchronous_commit = on',
    'full_page_writes = on',
    'wal_level = minimal',
    'max_wal_senders = 0',
    'max_wal_size = 1GB',
    'jit = off',
    "timezone = 'UTC'",
    "password_encryption = 'scram-sha-256'",
    'logging_collector = on',
    "log_directory = 'log'",
    // One file per hour of the day, each overwritten the next day: bounded in time. Failed statements go to their
    // client and not into the log: that bounds its size and keeps contents out of it.
    "log_filename = 'postgresql-%H.log'",
    'log_truncate_on_rotation = on',
    'log_rotation_age = 1h',
    'log_rotation_size = 0',
    'log_min_messages = log',
    'log_min_error_statement = panic',
    'log_error_verbosity = terse',
    'log_checkpoints = off',
    "log_line_prefix = '%m [%p] '",
    "log_timezone = 'UTC'",
  ];
}

interface NewCluster {
  dir: string;
  dataDir: string;
  password: string;
  programs: PostgresPrograms;
  user: ServerUser | undefined;
}

async function makeCluster({ dir, dataDir, password, programs, user }: NewCluster): Promise<void> {
  const work = join(dir, 'data.draft');
  const draft = join(work, 'data');
  const passwordPath = join(work, 'password');
  rmSync(work, { recursive: true, force: true });
  mkdirSync(work, { mode: 0o700 });
  try {
    writeWhole(passwordPath, `${password}\n`, 0o600);
    giveTo(work, user);
    const flags = [
      ...['-D', draft, `--username=${ROLE}`, `--pwfile=${passwordPath}`, '--auth=scram-sha-256'],
      ...['--encoding=UTF8', '--locale=C', '--locale-provider=builtin', '--builtin-locale=C.UTF-8'],
    ];
    await runAs(user, programs.initdb, flags, work);
    const single = ['--single', '-D', draft, '-c', 'log_min_messages=fatal', 'postgres'];
    await runAs(user, programs.postgres, single, work, `CREATE DATABASE ${DATABASE}\n`);
    renameSync(draft, dataDir);
  } catch (error) {
    throw explain(dir, error instanceof Error ? error.message : String(error));
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function runAs(
  user: ServerUser | undefined,
  file: string,
  args: string[],
  cwd: string,
  input?: string,
): Promise<void> {
  return new Promise((settle, fail) => {
    const child = execFile(
      file,
      args,
      {
        cwd,
        env: ENV,
        timeout: INITDB_TIMEOUT_MS,
        ...(user === undefined ? {} : { uid: user.uid, gid: user.gid }),
      },
      (error, stdout, stderr) => {
        if (error === null) settle();
        else fail(new Error(`${stderr || stdout || error.message}`.slice(-LOG_CHARS_MAX)));
      },
    );
    child.stdin?.end(input);
  });
}

/**
 * A volume that is not mounted, or a directory that was removed, must not look like a first start: the rules and the
 * audit would silently be gone. The configuration is written only once there is a cluster.
 */
function requireFirstStart(dataDir: string, traceFiles: string[]): void {
  const trace = traceFiles.find((path) => existsSync(path));
  if (trace === undefined) return;
  throw new CodedError(
    'E_DATA_DAMAGED',
    `the PostgreSQL data in ${dataDir} are missing, and there were some: ${trace} is from then`,
    {
      mend: 'Mount or restore them (with a PostgreSQL of your own: set DATABASE_URL), or move the whole data directory away to begin anew. Nothing was changed.',
      details: { path: dataDir },
    },
  );
}

function requireUsable(dir: string, dataDir: string, programs: PostgresPrograms): void {
  requireSoundCluster(dataDir, programs);
  const path = join(dir, 'password');
  if (existsSync(path)) return;
  throw new CodedError('E_DATA_DAMAGED', `${path} is missing, the password of the PostgreSQL in ${dataDir}`, {
    mend: 'Restore it from a backup, or set a new one as docs/how-to/set-the-database-password.md says. Nothing was changed.',
    details: { path },
  });
}

function requireSoundCluster(dataDir: string, programs: PostgresPrograms): void {
  let found: number;
  try {
    found = Number(readFileSync(join(dataDir, 'PG_VERSION'), 'utf8').trim());
  } catch {
    found = NaN;
  }
  if (!Number.isInteger(found)) {
    throw new CodedError(
      'E_DATA_DAMAGED',
      `${dataDir} holds no PostgreSQL cluster: PG_VERSION is unreadable`,
      {
        mend: 'Restore it from a backup, or move it aside to start empty. Nothing was changed.',
      },
    );
  }
  if (found === programs.majorVersion) return;
  const isNewer = found > programs.majorVersion;
  throw new CodedError(
    isNewer ? 'E_DATA_NEWER' : 'E_DATA_OLDER',
    `${dataDir} was written by PostgreSQL ${found}, and this one is ${programs.majorVersion}`,
    {
      mend: isNewer
        ? 'Use the newer MUTT that wrote it. Nothing was changed.'
        : 'Dump it with the older MUTT and load it into a new one. Nothing was changed.',
      details: { found, ours: programs.majorVersion },
    },
  );
}

/** The postmaster writes its state into the eighth line of its pid file; the port is the fourth. */
function isReady(dataDir: string, port: number): boolean {
  try {
    const lines = readFileSync(join(dataDir, 'postmaster.pid'), 'utf8').split('\n');
    // A killed server leaves its file behind, with the word in it.
    return isAlive(Number(lines[0])) && lines[3] === String(port) && lines[7]?.trim() === 'ready';
  } catch {
    return false;
  }
}

function isAlive(pid: number): boolean {
  return identityOf(pid) !== undefined;
}

function explain(dir: string, output: string): CodedError {
  const details = { output };
  const reason = lastLine(
    output
      .split('\n')
      .filter((line) => /FATAL|PANIC|error:|could not|No space/.test(line))
      .join('\n') || output,
  );
  if (NO_ROOM_TEXT.test(output)) return diskFull(dir, details);
  if (DAMAGE_TEXT.test(output)) {
    return new CodedError('E_DATA_DAMAGED', `the PostgreSQL cluster in ${dir} is damaged: ${reason}`, {
      mend: 'Restore it from a backup, or move it aside to start empty. Nothing was changed.',
      details,
    });
  }
  return new CodedError('E_SERVER_START', `PostgreSQL ended while starting: ${reason}`, {
    // For no reason that would stay: it was killed, or its predecessor was still going away.
    kind: 'transient',
    mend: `Read ${join(dir, 'start.log')} and ${join(dir, 'data', 'log')}.`,
    details,
  });
}

function lastLog(dataDir: string): string {
  try {
    const directory = join(dataDir, 'log');
    const newest = readdirSync(directory).sort().at(-1);
    return newest === undefined ? '' : readFileSync(join(directory, newest), 'utf8').slice(-LOG_CHARS_MAX);
  } catch {
    return '';
  }
}
