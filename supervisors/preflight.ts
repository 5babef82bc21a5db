/**
 * What can be said of a node before it starts: environment, data directory, addresses. Changes nothing and starts
 * nothing; every fault is named, with how to mend it.
 */
import { lookup } from 'node:dns/promises';
import { networkInterfaces } from 'node:os';
import { fail, ok, warn } from '../gateways/cli/check-report.ts';
import type { Check } from '../gateways/cli/check-report.ts';
import { bytes } from '../gateways/cli/terminal-text.ts';
import { expiryMs, readTlsMaterial } from '../gateways/http/tls-material.ts';
import { systemClock } from '../runtime/clock.ts';
import { isSentinelUrl, readSentinelUrl } from '../gateways/redis/sentinel-url.ts';
import { codeOf, messageOf } from '../runtime/errors.ts';
import { inspectDataDirectory } from './data-directory.ts';
import type { DataDirectoryState } from './data-directory.ts';
import { tryPort } from './start.ts';
import { ingestTlsFiles, readStaticConfig, STATIC_VARIABLES } from './static-config.ts';
import type { StaticConfig } from './static-config.ts';
import { EXPIRY_WARNING_MS } from './tls-keeper.ts';

/** Below this the stores have room for an hour rather than for days. */
const DISK_FREE_BYTES_WISHED = 1024 ** 3;

/** One failed check for each fault; the configuration only without any. */
export function checkEnvironment(env: NodeJS.ProcessEnv): {
  checks: Check[];
  config: StaticConfig | undefined;
} {
  try {
    const config = readStaticConfig(env);
    const given = Object.keys(env).filter(
      (name) => name.startsWith('MUTT_') || name === 'REDIS_URL' || name === 'DATABASE_URL',
    );
    return { checks: [ok('environment', `${given.length} settings, all usable`)], config };
  } catch (thrown) {
    const { details, mend } = thrown as { details?: { faults?: unknown }; mend?: string };
    const faults = Array.isArray(details?.faults) ? (details.faults as string[]) : [messageOf(thrown)];
    return { checks: faults.map((fault) => fail('environment', fault, mend ?? '')), config: undefined };
  }
}

export interface DirectoryChecks {
  checks: Check[];
  /** undefined when it cannot be used. */
  state: DataDirectoryState | undefined;
}

export function checkDataDirectory(path: string): DirectoryChecks {
  try {
    const state = inspectDataDirectory(path);
    const what = state.exists ? path : `${path} (the first start makes it)`;
    const used = state.holderPid === undefined ? '' : `, in use by process ${state.holderPid}`;
    const free = `${bytes(state.freeBytes)} free`;
    return {
      checks: [
        ok('data directory', `${what}${used}`),
        state.freeBytes < DISK_FREE_BYTES_WISHED
          ? warn('disk', free, 'Free some space: Redis and PostgreSQL keep everything on this disk.')
          : ok('disk', free),
      ],
      state,
    };
  } catch (thrown) {
    const mend = (thrown as { mend?: string }).mend ?? '';
    return { checks: [fail('data directory', messageOf(thrown), mend)], state: undefined };
  }
}

/** Whether the node could listen where it is told to. Ports that the running node itself has are fine. */
export async function checkAddresses(config: StaticConfig, isRunning: boolean): Promise<Check[]> {
  const checks: Check[] = [];
  for (const key of ['ingest', 'health', 'admin'] as const) {
    const host = config[`${key}Host`];
    const port = config[`${key}Port`];
    const name = `${key} port`;
    const variables = {
      host: STATIC_VARIABLES[`${key}Host`].name,
      port: STATIC_VARIABLES[`${key}Port`].name,
    };
    const address = await resolved(host);
    if (address === undefined) {
      checks.push(fail(name, `the host ${host} is not known`, `Correct ${variables.host}.`));
      continue;
    }
    const code = await tryPort(host, port);
    const where = `${host}:${port}`;
    if (code === undefined) checks.push(ok(name, `${where} is free`));
    else if (code === 'EADDRINUSE' && isRunning)
      checks.push(ok(name, `${where} is in use by the node that runs`));
    else if (code === 'EADDRINUSE') {
      const mend = `Stop the program that uses it, or choose another port with ${variables.port}.`;
      checks.push(fail(name, `${where} is in use by another program`, mend));
    } else if (code === 'EADDRNOTAVAIL') {
      const own = Object.values(networkInterfaces()).flatMap((each) => each ?? []);
      const mend = `Set ${variables.host} to one of: ${own.map((each) => each.address).join(', ')}.`;
      checks.push(fail(name, `${where}: the address is not one of this machine`, mend));
    } else if (code === 'EACCES') {
      const mend = `Choose a port from 1024 up with ${variables.port}.`;
      checks.push(fail(name, `${where}: this user may not listen on it`, mend));
    } else checks.push(fail(name, `${where} cannot be had: ${code}`, `Correct ${variables.host}.`));
  }
  return checks;
}

/** Whether the certificate of the ingest port can be used; nothing without one. */
export async function checkTls(config: StaticConfig): Promise<Check[]> {
  const files = ingestTlsFiles(config);
  if (files === undefined) return [];
  const nowMs = systemClock.wallMs();
  try {
    const endsMs = expiryMs(await readTlsMaterial(files, nowMs));
    const found = `${files.certificateFile}, until ${new Date(endsMs).toISOString()}`;
    const isSoon = endsMs - nowMs < EXPIRY_WARNING_MS;
    return [isSoon ? warn('TLS certificate', found, 'Renew it soon.') : ok('TLS certificate', found)];
  } catch (thrown) {
    return [fail('TLS certificate', messageOf(thrown), (thrown as { mend?: string }).mend ?? '')];
  }
}

/** One undefined for a private server; of a master group the Sentinels, since only they know the others. */
function hostsOf(url: string | undefined): (string | undefined)[] {
  if (url === undefined) return [undefined];
  if (isSentinelUrl(url)) return readSentinelUrl(url).sentinels.map(({ host }) => host);
  return [new URL(url).hostname.replace(/^\[|\]$/g, '')];
}

/** Whether the host names of servers of your own are known; nobody is called. */
async function checkServerNames(config: StaticConfig): Promise<Check[]> {
  const servers = [
    ...hostsOf(config.redisUrl).map((host) => ['Redis', STATIC_VARIABLES.redisUrl.name, host] as const),
    ...hostsOf(config.databaseUrl).map(
      (host) => ['PostgreSQL', STATIC_VARIABLES.databaseUrl.name, host] as const,
    ),
  ];
  return Promise.all(
    servers.map(async ([name, variable, host]) => {
      if (host === undefined) return ok(name, 'a private one');
      // PostgreSQL takes the directory of a socket as a parameter, and then no host.
      if (host === '' || (await resolved(host)) !== undefined)
        return ok(name, `at ${host || 'a local socket'}`);
      return fail(
        name,
        `the host ${host} is not known`,
        `Correct ${variable}, or the resolver of this machine.`,
      );
    }),
  );
}

/** Everything that can be said without a running node. */
export async function preflight(env: NodeJS.ProcessEnv, dataDir: string): Promise<Check[]> {
  const { checks, config } = checkEnvironment(env);
  const directory = checkDataDirectory(dataDir);
  const isRunning = directory.state?.holderPid !== undefined;
  return [
    ...checks,
    ...directory.checks,
    ...(config === undefined ? [] : await checkServerNames(config)),
    ...(config === undefined ? [] : await checkAddresses(config, isRunning)),
    ...(config === undefined ? [] : await checkTls(config)),
  ];
}

async function resolved(host: string): Promise<string | undefined> {
  try {
    return (await lookup(host)).address;
  } catch (thrown) {
    if (codeOf(thrown) === 'ENOTFOUND' || codeOf(thrown) === 'EAI_AGAIN') return undefined;
    throw thrown;
  }
}
