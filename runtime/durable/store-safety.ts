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

/**
 * What an acknowledged append survives: `written` a death of ours, `fsynced` also one of the store's machine,
 * `replicated` also a fail-over to a replica that has confirmed it.
 */
export type AckLevel = 'written' | 'fsynced' | 'replicated';

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
  /** undefined: it did not say. */
  role: 'master' | 'replica' | undefined;
  /** Connected, and past their first copying. */
  replicasOnline: number;
  minReplicasToWrite: number | undefined;
  minReplicasMaxLagS: number | undefined;
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
/** A replica that was last heard of longer ago is no witness that this server is still the master. */
export const REPLICA_LAG_S_MAX = 60;

/** Reads the settings and throws the first problem; all codes are in `details.problems`. */
export async function assertStoreIsSafe(
  connection: Redis,
  options: StoreSafetyOptions,
): Promise<StoreSettings> {
  const settings = await readStoreSettings(connection);
  const problems = findStoreProblems(settings, options);
  const [first] = problems;
  if (first === undefined) return settings;
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
  const role = info.get('role');
  const valkey = info.get('valkey_version');
  const maxmemory = info.get('maxmemory');
  return {
    product: valkey === undefined ? 'redis' : 'valkey',
    version: valkey ?? info.get('redis_version') ?? '0',
    role: role === undefined ? undefined : role === 'master' ? 'master' : 'replica',
    replicasOnline: [...info].filter(([name, value]) => REPLICA_LINE.test(name) && REPLICA_ONLINE.test(value))
      .length,
    minReplicasToWrite: numeric(await setting(connection, 'min-replicas-to-write')),
    minReplicasMaxLagS: numeric(await setting(connection, 'min-replicas-max-lag')),
    maxmemoryBytes: maxmemory === undefined ? undefined : Number(maxmemory),
    maxmemoryPolicy: info.get('maxmemory_policy'),
    appendonly: await setting(connection, 'appendonly'),
    appendfsync: await setting(connection, 'appendfsync'),
    noAppendfsyncOnRewrite: await setting(connection, 'no-appendfsync-on-rewrite'),
  };
}

/** How many replicas must have an append before it is acknowledged. */
export function replicasToConfirm(
  { minReplicasToWrite }: StoreSettings,
  { ackLevel }: StoreSafetyOptions,
): number {
  // As many as the server itself insists on: when that is all of them, any one may be promoted and nothing is lost.
  return ackLevel === 'replicated' ? Math.max(1, minReplicasToWrite ?? 1) : 0;
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

  if (settings.role === 'replica') {
    refuse(
      'E_STORE_REPLICA',
      'the server is a replica: it takes no writes',
      'Give the address of the master, or those of the Sentinels that know it.',
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
  const ackLevel = options.ackLevel ?? 'fsynced';
  if (ackLevel !== 'written') {
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
  if (ackLevel === 'replicated') {
    const { replicasOnline, minReplicasToWrite, minReplicasMaxLagS } = settings;
    read.push(minReplicasToWrite, minReplicasMaxLagS);
    const why = 'a master that was replaced could go on taking what is lost when it hears of it';
    const orElse = "or choose the ack level 'fsynced'.";
    if (minReplicasToWrite !== undefined && minReplicasToWrite < 1) {
      refuse(
        'E_STORE_MIN_REPLICAS',
        `min-replicas-to-write is ${minReplicasToWrite}: ${why}`,
        `Set min-replicas-to-write 1 on every server of the group, ${orElse}`,
      );
    }
    const isLagSane =
      minReplicasMaxLagS === undefined ||
      (minReplicasMaxLagS >= 1 && minReplicasMaxLagS <= REPLICA_LAG_S_MAX);
    if (!isLagSane) {
      refuse(
        'E_STORE_REPLICA_LAG',
        `min-replicas-max-lag is ${minReplicasMaxLagS}: ${why}`,
        `Set min-replicas-max-lag to 1 to ${REPLICA_LAG_S_MAX} seconds on every server of the group, ${orElse}`,
      );
    }
    const wanted = replicasToConfirm(settings, options);
    if (settings.role !== 'replica' && replicasOnline < wanted) {
      refuse(
        'E_STORE_NO_REPLICA',
        `${replicasOnline} replicas are connected where ${wanted} must confirm: nothing could be acknowledged`,
        `Connect a replica, ${orElse}`,
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

/** In INFO: `slave0:ip=10.0.0.2,port=6379,state=online,offset=1,lag=0`. */
const REPLICA_LINE = /^slave\d+$/;
const REPLICA_ONLINE = /\bstate=online\b/;

function numeric(value: string | undefined): number | undefined {
  return value === undefined ? undefined : Number(value);
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
