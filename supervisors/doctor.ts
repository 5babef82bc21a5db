/**
 * `mutt doctor`: everything about this machine, the stores and the node that can be wrong, one check each.
 *
 * It changes nothing but that it connects. A check that cannot be made is a warning or a failure of its own and never
 * keeps the others from being made. Invariant: no password and no key is shown.
 */
import { lstatSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { AdminClient } from '../gateways/cli/admin-client.ts';
import type { KeyDocument, NodeStatus } from '../gateways/cli/admin-documents.ts';
import { fail, ok, warn } from '../gateways/cli/check-report.ts';
import type { Check } from '../gateways/cli/check-report.ts';
import { HttpClient } from '../gateways/cli/http-client.ts';
import { openConnection } from '../gateways/postgres/connection.ts';
import type { Connection } from '../gateways/postgres/connection.ts';
import { migrationsIn } from '../gateways/postgres/sql-files.ts';
import { POSTGRES_VERSION_MIN, serverClockMs, serverVersion } from '../gateways/postgres/server-facts.ts';
import { connectRedis, whenReady } from '../gateways/redis/connection.ts';
import { systemClock } from '../runtime/clock.ts';
import { findStoreProblems, readStoreSettings } from '../runtime/durable/store-safety.ts';
import type { StoreSettings } from '../runtime/durable/store-safety.ts';
import { codeOf, messageOf } from '../runtime/errors.ts';
import { chooseNode } from './bootstrap.mjs';
import { runningPostgresUrl } from './embedded/postgres.ts';
import { runningRedisUrl } from './embedded/redis.ts';
import { mailboxBounds } from './mailbox-bounds.ts';
import { checkAddresses, checkDataDirectory, checkEnvironment, checkTls } from './preflight.ts';
import type { StaticConfig } from './static-config.ts';

export interface DoctorOptions {
  env: NodeJS.ProcessEnv;
  dataDir: string;
  version: string;
  /** Of the node here; asked only when it runs. */
  adminUrl(): string;
  readAdminKey(): Promise<string>;
}

type Redis = ReturnType<typeof connectRedis>;

const CONNECT_TIMEOUT_MS = 5_000;
const SKEW_MS_WARN = 1_000;
const SKEW_MS_FAIL = 60_000;
/** A machine that believes in an earlier time has no clock: nothing of ours is that old. */
const CLOCK_MS_MIN = Date.UTC(2025, 0, 1);
const OPEN_TO_OTHERS = 0o077;
const PEPPER = /^[0-9a-f]{64}$/;
const KEYS_MAX = 10_000;
/** What a node without a limit would be told to set; the figures of a node's own start. */
const MAXMEMORY_ASSUMED_BYTES = 1024 ** 3;
const DESTINATIONS_PLANNED = 4;
const MEND_CLOCK = 'Let both machines take their time from NTP.';

export async function examine(options: DoctorOptions): Promise<Check[]> {
  const { checks, config } = checkEnvironment(options.env);
  const directory = checkDataDirectory(options.dataDir);
  const isRunning = directory.state?.holderPid !== undefined;
  const found = [checkNodeVersion(), ...checks, ...directory.checks, checkOwnClock()];
  if (directory.state?.exists === true) found.push(...checkSecrets(join(options.dataDir, 'keys')));
  if (config === undefined) return found;
  found.push(...(await checkAddresses(config, isRunning)));
  found.push(...(await checkTls(config)));
  found.push(...(await checkRedis(config, options.dataDir)));
  found.push(...(await checkPostgres(config, options.dataDir)));
  found.push(...(isRunning ? await checkNode(options) : [notRunning()]));
  return found;
}

function checkNodeVersion(): Check {
  const found = `Node ${process.versions.node}`;
  try {
    const cloneDir = fileURLToPath(new URL('..', import.meta.url));
    if (chooseNode(cloneDir) === process.execPath) return ok('node version', found);
    return warn(
      'node version',
      `${found} is not one of 22.18 to 23`,
      'Start MUTT with `npx mutt` or `npm start`.',
    );
  } catch (thrown) {
    return fail('node version', messageOf(thrown), (thrown as { mend?: string }).mend ?? '');
  }
}

function checkOwnClock(): Check {
  const now = new Date(systemClock.wallMs());
  if (now.getTime() >= CLOCK_MS_MIN) return ok('clock', now.toISOString());
  return fail('clock', `it is set to ${now.toISOString()}`, 'Set the clock of this machine, best by NTP.');
}

/** The directory of keys and pepper: only its owner may look. */
function checkSecrets(dir: string): Check[] {
  let names: string[];
  try {
    names = readdirSync(dir);
  } catch (thrown) {
    const code = codeOf(thrown);
    if (code === 'ENOENT') return [warn('keys', 'there are none yet', 'The first start makes them.')];
    return [fail('keys', `${dir} cannot be read: ${code}`, 'Run this as the user that runs the node.')];
  }
  const open = ['', ...names]
    .map((name) => join(dir, name))
    .filter((path) => !lstatSync(path).isSymbolicLink() && (statSync(path).mode & OPEN_TO_OTHERS) !== 0);
  const modes =
    open.length === 0
      ? ok('keys', `${names.length} files that only their owner reads`)
      : fail('keys', `others may read or write: ${open.join(', ')}`, `chmod go= ${open.join(' ')}`);
  return [modes, checkPepper(join(dir, 'pepper'))];
}

function checkPepper(path: string): Check {
  try {
    if (PEPPER.test(readFileSync(path, 'utf8').trim())) return ok('pepper', 'whole');
    return fail(
      'pepper',
      `${path} is damaged`,
      'Restore it: without it no key of the installation works here.',
    );
  } catch (thrown) {
    if (codeOf(thrown) === 'ENOENT') return warn('pepper', 'there is none yet', 'The first start makes it.');
    return fail(
      'pepper',
      `${path} cannot be read: ${codeOf(thrown)}`,
      'Run this as the user that runs the node.',
    );
  }
}

function notRunning(): Check {
  return warn('node', 'none runs in this data directory', 'Start it with `mutt start`.');
}

/** `undefined`: a private server that does not run now. */
function privateServer(name: string): Check {
  return ok(name, 'a private one; it runs when the node does');
}

async function checkRedis(config: StaticConfig, dataDir: string): Promise<Check[]> {
  const url = config.redisUrl ?? runningRedisUrl(join(dataDir, 'redis'));
  if (url === undefined) return [privateServer('Redis')];
  const redis = connectRedis({ url, name: 'mutt-doctor' });
  try {
    await whenReady(redis, CONNECT_TIMEOUT_MS);
    return [...(await checkRedisSettings(redis, config)), await checkRedisClock(redis)];
  } catch (thrown) {
    const mend =
      config.redisUrl === undefined ? 'Read the log of the node.' : 'Start it, or correct REDIS_URL.';
    return [fail('Redis', `cannot be used: ${messageOf(thrown)}`, mend)];
  } finally {
    redis.disconnect();
  }
}

async function checkRedisSettings(redis: Redis, config: StaticConfig): Promise<Check[]> {
  const settings = await readStoreSettings(redis);
  const { maxmemoryBytes } = settings;
  const isLimited = maxmemoryBytes !== undefined && maxmemoryBytes > 0;
  const bounds = mailboxBounds({
    maxmemoryBytes: isLimited ? maxmemoryBytes : MAXMEMORY_ASSUMED_BYTES,
    partitions: config.partitions,
    destinations: DESTINATIONS_PLANNED,
  });
  const problems = findStoreProblems(settings, {
    ackLevel: config.ackLevel,
    boundsBytes: bounds.bytesTotal,
    isUnreadableConfigAccepted: config.trustRedis,
  });
  if (problems.length === 0) {
    const found = `${settings.product} ${settings.version}, safe to use, ${placeOf(redis, settings)}`;
    return [ok('Redis', found)];
  }
  return problems.map((problem) => fail('Redis', messageOf(problem), problem.mend ?? ''));
}

/** Where the server is, which with Sentinels only they know, and who follows it. */
function placeOf(redis: Redis, { role, replicasOnline }: StoreSettings): string {
  const { remoteAddress, remotePort } = redis.stream;
  const replicas = replicasOnline === 1 ? '1 replica' : `${replicasOnline} replicas`;
  return `${role ?? 'of unknown role'} at ${remoteAddress}:${remotePort} with ${replicas}`;
}

async function checkRedisClock(redis: Redis): Promise<Check> {
  return checkSkew('clock of Redis', async () => {
    const [seconds, microseconds] = await redis.time();
    return Number(seconds) * 1_000 + Number(microseconds) / 1_000;
  });
}

async function checkPostgres(config: StaticConfig, dataDir: string): Promise<Check[]> {
  const url = config.databaseUrl ?? runningPostgresUrl(join(dataDir, 'postgres'));
  if (url === undefined) return [privateServer('PostgreSQL')];
  let connection: Connection | undefined;
  try {
    connection = openConnection({ url, connectionsMax: 1, connectTimeoutMs: CONNECT_TIMEOUT_MS });
    const open = connection;
    const version = await serverVersion(open);
    const text = `PostgreSQL ${Math.floor(version / 10_000)}.${version % 10_000}`;
    if (version < POSTGRES_VERSION_MIN) return [fail('PostgreSQL', `${text} is too old`, 'Use 14 or newer.')];
    return [await checkSchema(open, text), await checkSkew('clock of PostgreSQL', () => serverClockMs(open))];
  } catch (thrown) {
    const mend = (thrown as { mend?: string }).mend ?? 'Start it, or correct DATABASE_URL.';
    return [fail('PostgreSQL', `cannot be used: ${messageOf(thrown)}`, mend)];
  } finally {
    await connection?.close();
  }
}

async function checkSchema(connection: Connection, text: string): Promise<Check> {
  const ours = migrationsIn().length;
  let present = 0;
  try {
    present = (await connection.rows('list_schema_migrations')).length;
  } catch (thrown) {
    // Before the first start there is no such table.
    if (codeOf(thrown) !== 'E_STATEMENT_FAILED') throw thrown;
  }
  if (present === ours) return ok('PostgreSQL', `${text}, schema ${present}`);
  if (present > ours) {
    const mend = 'Start the newer program that migrated it.';
    return fail('PostgreSQL', `${text}, schema ${present}; this program knows ${ours}`, mend);
  }
  return warn('PostgreSQL', `${text}, schema ${present} of ${ours}`, 'The next start brings it up to date.');
}

/** Times of different machines meet in leases, expiries and partitions of the audit. */
async function checkSkew(name: string, read: () => Promise<number>): Promise<Check> {
  const beforeMs = systemClock.wallMs();
  const theirsMs = await read();
  const skewMs = Math.round(theirsMs - (beforeMs + systemClock.wallMs()) / 2);
  const found = `${Math.abs(skewMs)} ms ${skewMs < 0 ? 'behind' : 'ahead of'} ours`;
  if (Math.abs(skewMs) < SKEW_MS_WARN) return ok(name, found);
  return Math.abs(skewMs) < SKEW_MS_FAIL ? warn(name, found, MEND_CLOCK) : fail(name, found, MEND_CLOCK);
}

async function checkNode(options: DoctorOptions): Promise<Check[]> {
  const admin = new AdminClient(
    new HttpClient({
      url: options.adminUrl(),
      target: 'the admin API',
      urlOption: '--admin-url',
      readKey: () => options.readAdminKey(),
      clock: systemClock,
    }),
  );
  try {
    const status = await admin.status();
    return [
      checkReady(status),
      checkProgram(status, options.version),
      checkApplied(status),
      await checkForeignKeys(admin),
    ];
  } catch (thrown) {
    const mend = (thrown as { mend?: string }).mend ?? 'Read the log of the node.';
    return [fail('node', messageOf(thrown), mend)];
  } finally {
    admin.close();
  }
}

function checkReady({ ready, reasons, pid }: NodeStatus): Check {
  if (ready) return ok('node', `ready, process ${pid ?? '?'}`);
  return fail('node', `not ready: ${(reasons ?? []).join('; ')}`, 'Look at `mutt status`, and read the log.');
}

function checkProgram({ version }: NodeStatus, ours: string): Check {
  if (version === ours) return ok('program', `version ${ours}, as the node runs it`);
  return warn('program', `the node runs ${version ?? '?'}, this is ${ours}`, 'Restart the node.');
}

function checkApplied({ snapshot }: NodeStatus): Check {
  const applied = snapshot?.applied ?? [];
  const latest = snapshot?.version ?? 0;
  const behind = applied.filter(({ version }) => version < latest);
  if (behind.length === 0) return ok('configuration', `version ${latest} on all ${applied.length} workers`);
  const names = behind.map(({ worker, version }) => `${worker} (${version})`).join(', ');
  return fail(
    'configuration',
    `version ${latest} is not in force on: ${names}`,
    'Look at `mutt actors tree`; restart what hangs.',
  );
}

/** Keys that were made with another pepper are worth nothing here. */
async function checkForeignKeys(admin: AdminClient): Promise<Check> {
  const { items } = await admin.list<KeyDocument>('/api/v2/keys', {}, KEYS_MAX);
  const foreign = items.filter(({ state }) => state === 'foreign').map(({ name }) => name);
  if (foreign.length === 0) return ok('API keys', `${items.length}, none made with another pepper`);
  return warn(
    'API keys',
    `made by a node with another pepper, and refused here: ${foreign.join(', ')}`,
    'Copy keys/pepper of that node into the keys directory of this one and restart it, or make the keys again.',
  );
}
