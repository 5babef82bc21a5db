/**
 * Refuses a Redis or Valkey whose settings would make an acknowledgement a lie: one that forgets at a power cut, evicts
 * keys, or can be filled until nothing drains. Checked at start and again after every reconnect, since a fail-over or
 * an operator may have changed what was true.
 *
 * Invariant: what cannot be read is not assumed. Without CONFIG access only an operator's explicit word lets it pass.
 */
import type { Redis } from 'ioredis';
import { CodedError, messageOf } from '../errors.ts';
import { storeError } from './store-errors.ts';

/** What an acknowledged append has survived: `written` a death of ours, `fsynced` also one of the store's machine. */
export type AckLevel = 'written' | 'fsynced';

export interface StoreSafetyOptions {
  ackLevel?: AckLevel;
  /** The sum of `bytesMax` over all lanes, delayed sets and partitions. */
  boundsBytes: number;
  /** The operator vouches for the settings that cannot be read. */
  isUnreadableConfigAccepted?: boolean;
}

/** What of a server's settings matters; `undefined` could not be read. */
export interface StoreSettings {
  product: 'redis' | 'valkey';
  version: string;
  maxmemoryBytes: number | undefined;
  maxmemoryPolicy: string | undefined;
  appendonly: string | undefined;
  appendfsync: string | undefined;
  noAppendfsyncOnRewrite: string | undefined;
}

/** The largest part of maxmemory that all bounds together may take: the rest is overhead, buffers and the books. */
export const BOUNDS_SHARE_MAX = 0.6;
export const REDIS_VERSION_MIN = '6.2.0';
export const VALKEY_VERSION_MIN = '7.2.0';

/** Reads the settings and throws the first problem; all codes are in `details.problems`. */
export async function assertStoreIsSafe(connection: Redis, options: StoreSafetyOptions): Promise<void> {
  const problems = findStoreProblems(await readStoreSettings(connection), options);
  const [first] = problems;
  if (first === undefined) return;
  throw new CodedError(first.code, problems.map(messageOf).join('; '), {
    kind: 'permanent',
    details: { problems: problems.map(({ code }) => code) },
    mend: problems.map(({ mend }) => mend).join(' '),
  });
}

/** Asks the server. Rejects with kind `transient` when it is away. */
export async function readStoreSettings(connection: Redis): Promise<StoreSettings> {
  let info: Map<string, string>;
  try {
    info = linesOf(String(await connection.call('INFO')));
  } catch (thrown) {
    throw storeError(thrown);
  }
  const valkey = info.get('valkey_version');
  const maxmemory = info.get('maxmemory');
  return {
    product: valkey === undefined ? 'redis' : 'valkey',
    version: valkey ?? info.get('redis_version') ?? '0',
    maxmemoryBytes: maxmemory === undefined ? undefined : Number(maxmemory),
    maxmemoryPolicy: info.get('maxmemory_policy'),
    appendonly: await setting(connection, 'appendonly'),
    appendfsync: await setting(connection, 'appendfsync'),
    noAppendfsyncOnRewrite: await setting(connection, 'no-appendfsync-on-rewrite'),
  };
}

/** Pure: everything that is wrong with these settings. */
export function findStoreProblems(settings: StoreSettings, options: StoreSafetyOptions): CodedError[] {
  const problems: CodedError[] = [];
  const refuse = (code: string, message: string, mend: string): void => {
    problems.push(new CodedError(code, message, { kind: 'permanent', mend }));
  };

  const versionMin = settings.product === 'valkey' ? VALKEY_VERSION_MIN : REDIS_VERSION_MIN;
  if (isOlder(settings.version, versionMin)) {
    refuse(
      'E_STORE_VERSION',
      `${settings.product} ${settings.version} is too old`,
      `Use Redis ${REDIS_VERSION_MIN} or Valkey ${VALKEY_VERSION_MIN}, or newer.`,
    );
  }

  const { maxmemoryBytes, maxmemoryPolicy } = settings;
  if (maxmemoryBytes === 0) {
    refuse(
      'E_STORE_MAXMEMORY',
      'maxmemory is 0: the store would grow until the machine kills it',
      `Set maxmemory to at least ${Math.ceil(options.boundsBytes / BOUNDS_SHARE_MAX)} bytes.`,
    );
  } else if (maxmemoryBytes !== undefined && options.boundsBytes > maxmemoryBytes * BOUNDS_SHARE_MAX) {
    refuse(
      'E_STORE_BOUNDS',
      `the bounds of all mailboxes sum up to ${options.boundsBytes} bytes, more than 60 % of maxmemory ${maxmemoryBytes}`,
      `Set maxmemory to at least ${Math.ceil(options.boundsBytes / BOUNDS_SHARE_MAX)} bytes, or lower the bounds.`,
    );
  }
  if (maxmemoryPolicy !== undefined && maxmemoryPolicy !== 'noeviction') {
    refuse(
      'E_STORE_EVICTS',
      `maxmemory-policy is ${maxmemoryPolicy}: the store would drop what it acknowledged`,
      'Set maxmemory-policy noeviction.',
    );
  }

  const read: (string | number | undefined)[] = [maxmemoryBytes, maxmemoryPolicy];
  if ((options.ackLevel ?? 'fsynced') === 'fsynced') {
    const { appendonly, appendfsync, noAppendfsyncOnRewrite } = settings;
    read.push(appendonly, appendfsync, noAppendfsyncOnRewrite);
    const why = 'an acknowledged message could be lost with the machine';
    const orElse = "or choose the ack level 'written'.";
    if (appendonly !== undefined && appendonly !== 'yes') {
      refuse('E_STORE_APPENDONLY', `appendonly is ${appendonly}: ${why}`, `Set appendonly yes, ${orElse}`);
    }
    if (appendfsync !== undefined && appendfsync !== 'always') {
      refuse('E_STORE_FSYNC', `appendfsync is ${appendfsync}: ${why}`, `Set appendfsync always, ${orElse}`);
    }
    if (noAppendfsyncOnRewrite !== undefined && noAppendfsyncOnRewrite !== 'no') {
      refuse(
        'E_STORE_FSYNC_ON_REWRITE',
        `no-appendfsync-on-rewrite is ${noAppendfsyncOnRewrite}: during a rewrite ${why}`,
        `Set no-appendfsync-on-rewrite no, ${orElse}`,
      );
    }
  }
  if (read.includes(undefined) && options.isUnreadableConfigAccepted !== true) {
    refuse(
      'E_STORE_CONFIG_UNREADABLE',
      'the store does not let its settings be read, so they cannot be trusted',
      'Allow CONFIG GET to this user, or confirm explicitly that the settings are as documented.',
    );
  }
  return problems;
}

/** One setting, or undefined when the server will not say. */
async function setting(connection: Redis, name: string): Promise<string | undefined> {
  try {
    const reply = (await connection.call('CONFIG', 'GET', name)) as string[];
    return reply[1];
  } catch (thrown) {
    const error = storeError(thrown);
    if (error.kind === 'transient') throw error;
    return undefined;
  }
}

function linesOf(info: string): Map<string, string> {
  const lines = info.split('\r\n').map((line) => line.split(':'));
  return new Map(lines.map(([name = '', ...rest]) => [name, rest.join(':')]));
}

function isOlder(version: string, least: string): boolean {
  const [a, b] = [version, least].map((text) => text.split('.').map(Number)) as [number[], number[]];
  for (const [index, part] of b.entries()) {
    const have = a[index] ?? 0;
    if (have !== part) return !(have > part);
  }
  return false;
}
