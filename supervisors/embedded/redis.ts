/**
 * A private Redis (or Valkey) for one node: bound to 127.0.0.1, with a generated password, every write on disk before
 * it is answered. Not for real installations that bring their own through `REDIS_URL`.
 *
 * Invariant: what it acknowledged survives its death and the machine's (`appendfsync always`), and it refuses writes
 * at `maxmemory` instead of forgetting keys.
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { CodedError } from '../../runtime/errors.ts';
import { NO_ROOM_TEXT, diskFull } from './disk-room.ts';
import { findRedis } from './find-redis.ts';
import type { RedisProgram } from './find-redis.ts';
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

export interface PrivateRedisOptions {
  /** Its own directory; made when absent. Data, password and log live in it. */
  dir: string;
  /** A free one when not given. */
  port?: number;
  maxMemoryBytes?: number;
  appendFsync?: 'always' | 'everysec';
  log?: ServerLog;
  /** The program to run; looked for when not given. */
  program?: RedisProgram;
}

const MAX_MEMORY_BYTES = 1024 ** 3;
const LOG_BYTES_MAX = 1024 ** 2;
const PING_TIMEOUT_MS = 1_000;
const SERVER_USERS = ['redis', 'valkey', 'nobody'];

/**
 * Starts it or adopts its leftover. Errors: E_REDIS_MISSING, E_ALREADY_RUNNING, E_PORT_IN_USE, E_PATH_CLOSED,
 * E_DATA_DAMAGED, E_DATA_NEWER, E_DISK_FULL, E_SERVER_START.
 */
export async function startPrivateRedis(options: PrivateRedisOptions): Promise<PrivateServer> {
  const { dir } = options;
  const log = options.log ?? (() => {});
  const user = serverUser(SERVER_USERS);
  const program = options.program ?? (await findRedis({ log, user }));
  makeServerDirectory(dir, user);
  const password = secretIn(dir, 'password');
  const dataDir = join(dir, 'data');
  const logPath = join(dataDir, 'redis.log');
  const configPath = join(dir, 'redis.conf');
  const settingsText = settingLines(options).join('\n');

  return startPrivateServer({
    name: 'Redis',
    dir,
    port: options.port,
    user,
    log,
    settings: digest(`${program.file}\n${program.version}\n${settingsText}`),
    stopSignals: ['SIGTERM'],
    async prepare(port) {
      mkdirSync(dataDir, { recursive: true, mode: 0o700 });
      giveTo(dataDir, user);
      startNewLog(logPath);
      const place = [
        `port ${port}`,
        `requirepass ${password}`,
        `dir ${quoted(dataDir)}`,
        `logfile ${quoted(logPath)}`,
      ];
      writeWhole(configPath, `${settingsText}\n${place.join('\n')}\n`, 0o600);
      giveTo(configPath, user);
      return { file: program.file, args: [configPath], env: program.env };
    },
    isReady: (port) => answersPing(port, password),
    url: (port) => urlOf(port, password),
    explain: (output) => explain(dir, `${readTail(logPath)}\n${output}`),
  });
}

function urlOf(port: number, password: string): string {
  return `redis://:${password}@127.0.0.1:${port}/0`;
}

/** The address of the one that runs in `dir` now, with its password; undefined when none does. */
export function runningRedisUrl(dir: string): string | undefined {
  const port = portOfRunning(dir);
  return port === undefined ? undefined : urlOf(port, secretIn(dir, 'password'));
}

function settingLines(options: PrivateRedisOptions): string[] {
  return [
    'bind 127.0.0.1',
    'protected-mode yes',
    'daemonize no',
    // The title would overwrite the environment by which a leftover is recognised.
    'set-proc-title no',
    'loglevel notice',
    'appendonly yes',
    `appendfsync ${options.appendFsync ?? 'always'}`,
    'no-appendfsync-on-rewrite no',
    'auto-aof-rewrite-min-size 1gb',
    `maxmemory ${options.maxMemoryBytes ?? MAX_MEMORY_BYTES}`,
    'maxmemory-policy noeviction',
    'save ""',
    'databases 16',
  ];
}

function answersPing(port: number, password: string): Promise<boolean> {
  return new Promise((settle) => {
    const socket = connect({ host: '127.0.0.1', port });
    let reply = '';
    const finish = (isReady: boolean): void => {
      socket.destroy();
      settle(isReady);
    };
    socket.setTimeout(PING_TIMEOUT_MS, () => finish(false));
    socket.once('error', () => finish(false));
    socket.once('close', () => settle(false));
    socket.once('connect', () => socket.write(`AUTH ${password}\r\nPING\r\n`));
    socket.on('data', (chunk) => {
      reply += chunk.toString('latin1');
      if (reply.includes('+PONG')) finish(true);
      else if (/^-/m.test(reply)) finish(false);
    });
  });
}

function explain(dir: string, output: string): CodedError {
  const details = { output };
  if (NO_ROOM_TEXT.test(output)) return diskFull(dir, details);
  if (/Can't handle RDB format version|unsupported.*version/i.test(output)) {
    return new CodedError('E_DATA_NEWER', `the Redis data in ${dir} were written by a newer Redis`, {
      mend: 'Install that Redis version (or a newer one) and start again. Nothing was changed.',
      details,
    });
  }
  if (
    /Bad file format|Unexpected end of file|wrong signature|Wrong RDB|Short read|manifest|corrupt/i.test(
      output,
    )
  ) {
    return new CodedError('E_DATA_DAMAGED', `the Redis data in ${dir} are damaged: ${reasonIn(output)}`, {
      mend: `Copy ${join(dir, 'data')} away, then repair it with redis-check-aof --fix, or move it aside to start empty. Nothing was changed.`,
      details,
    });
  }
  return new CodedError('E_SERVER_START', `Redis ended while starting: ${reasonIn(output)}`, {
    // For no reason that would stay: it was killed, or its predecessor was still going away.
    kind: 'transient',
    mend: `Read ${join(dir, 'data', 'redis.log')} and ${join(dir, 'start.log')}.`,
    details,
  });
}

/** The line a person needs: Redis marks what ends it with `#`. */
function reasonIn(output: string): string {
  const marked = output.split('\n').filter((line) => / # |FATAL|error/i.test(line));
  return lastLine((marked.length > 0 ? marked : [output]).join('\n'));
}

function startNewLog(path: string): void {
  if (existsSync(path) && statSync(path).size > LOG_BYTES_MAX) renameSync(path, `${path}.1`);
  // Marks where this start begins, so that an error is not explained by an older one.
  if (existsSync(path)) writeFileSync(path, `${START_MARK}\n`, { flag: 'a' });
}

const START_MARK = '--- start ---';

function readTail(path: string): string {
  try {
    return readFileSync(path, 'utf8').split(START_MARK).at(-1)?.slice(-2_000) ?? '';
  } catch {
    return '';
  }
}

/** In Redis configuration a quoted string knows the escapes of JSON. */
function quoted(text: string): string {
  return JSON.stringify(text);
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
