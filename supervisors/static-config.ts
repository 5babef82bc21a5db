/**
 * The static configuration: what a process needs before it can reach PostgreSQL, from the environment alone.
 *
 * Everything else is dynamic configuration (actors/settings.ts); of some settings the environment may give what holds on
 * this node as long as nothing is set. A variable that begins with MUTT_ and that nobody reads is refused, with the
 * nearest known name: a misspelt setting must never look like a working one. All faults are reported at once.
 */
import { resolve } from 'node:path';
import { allowedValues, checkSetting, checkTogether, findSetting } from '../actors/settings.ts';
import type { NodeDefaults, SettingKey } from '../actors/settings.ts';
import { isSentinelUrl, readSentinelUrl } from '../gateways/redis/sentinel-url.ts';
import type { AckLevel } from '../runtime/durable/store-safety.ts';
import { CodedError, messageOf } from '../runtime/errors.ts';
import { BEAT_FORMATS } from './own-alerts/beat.ts';
import type { BeatFormat } from './own-alerts/beat.ts';
import { nearestWord } from '../runtime/nearest-word.ts';
import type { TlsFiles } from '../gateways/http/tls-material.ts';

export interface StaticConfig {
  /** undefined: a private Redis of this node. */
  redisUrl: string | undefined;
  /** undefined: a private PostgreSQL of this node. */
  databaseUrl: string | undefined;
  /** undefined: var/ in the clone, or what stands for it. */
  dataDir: string | undefined;
  /** undefined: `secrets` in the data directory. */
  secretsDir: string | undefined;
  ingestHost: string;
  ingestPort: number;
  /** undefined: the ingest port speaks plain HTTP. */
  ingestTlsCertificateFile: string | undefined;
  ingestTlsKeyFile: string | undefined;
  /** With it clients must show a certificate. */
  ingestTlsClientCaFile: string | undefined;
  healthHost: string;
  healthPort: number;
  adminHost: string;
  adminPort: number;
  /** Fixed when the installation is made: events of one host keep their order within their partition. */
  partitions: number;
  ackLevel: AckLevel;
  /** First part of every Redis key. */
  keyPrefix: string;
  /** Where logs go: a file in the data directory, or this process's standard output (for a service manager). */
  logTo: 'file' | 'stdout';
  /** The operator vouches for a Redis whose settings cannot be read back. */
  trustRedis: boolean;
  /** Silence after which a thread or process counts as hung. */
  hangAfterMs: number;
  gatewayHangAfterMs: number;
  leaseTtlMs: number;
  /** Where the beat goes, or `file:/path` of a file that says it; undefined: there is none. Holds a credential, often. */
  beatUrl: string | undefined;
  beatFormat: BeatFormat;
  beatEveryMs: number;
  /** What holds on this node as long as it is not set: only what the environment gives. */
  settings: NodeDefaults;
}

type Parse<T> = (text: string) => T;
interface Variable<T> {
  name: string;
  default: T;
  parse: Parse<T>;
  /** What is allowed, for the message. */
  allowed: string;
  description: string;
}

function integer(min: number, max: number): { parse: Parse<number>; allowed: string } {
  return {
    allowed: `a whole number from ${min} to ${max}`,
    parse: (text) => {
      const value = Number(text);
      if (!/^\d+$/.test(text) || value < min || value > max) throw new RangeError();
      return value;
    },
  };
}

function oneOf<T extends string>(...words: readonly T[]): { parse: Parse<T>; allowed: string } {
  return {
    allowed: `one of ${words.join(', ')}`,
    parse: (text) => {
      const found = words.find((word) => word === text);
      if (found === undefined) throw new RangeError();
      return found;
    },
  };
}

const text = {
  allowed: 'a text that is not empty',
  parse: (value: string): string => {
    if (value.trim() === '') throw new RangeError('is empty');
    return value;
  },
};

/** Absolute, since servers and child processes that are told it have other working directories. */
const path = {
  allowed: text.allowed,
  parse: (value: string): string => resolve(text.parse(value)),
};

function url(...protocols: string[]): { parse: Parse<string>; allowed: string } {
  return {
    allowed: `an address that begins with ${protocols.map((protocol) => `${protocol}//`).join(' or ')}`,
    parse: (value) => {
      if (!protocols.includes(new URL(value).protocol)) throw new RangeError();
      return value;
    },
  };
}

const beatUrl = {
  allowed: 'an address that begins with http:// or https://, or file:/path of a file that holds it',
  parse: (value: string): string => (/^file:\/./.test(value) ? value : url('http:', 'https:').parse(value)),
};

const redisUrl = {
  allowed: 'an address that begins with redis://, rediss://, redis+sentinel:// or rediss+sentinel://',
  parse: (value: string): string => {
    if (isSentinelUrl(value)) readSentinelUrl(value);
    else url('redis:', 'rediss:').parse(value);
    return value;
  },
};

const keyPrefix = {
  allowed: '1 to 32 letters, digits, dots or hyphens',
  parse: (value: string): string => {
    if (!/^[A-Za-z0-9.-]{1,32}$/.test(value)) throw new RangeError();
    return value;
  },
};

/** Every variable of the static configuration. The documentation page is generated from this table and the next. */
export const STATIC_VARIABLES: {
  [K in Exclude<keyof StaticConfig, 'settings'>]: Variable<StaticConfig[K]>;
} = {
  redisUrl: {
    name: 'REDIS_URL',
    default: undefined,
    ...redisUrl,
    description: 'Redis to use instead of a private one, or the Sentinels that know it.',
  },
  databaseUrl: {
    name: 'DATABASE_URL',
    default: undefined,
    ...url('postgres:', 'postgresql:'),
    description: 'PostgreSQL to use instead of a private one.',
  },
  dataDir: {
    name: 'MUTT_DATA_DIR',
    default: undefined,
    ...path,
    description: 'Where this node keeps its data, keys and logs.',
  },
  secretsDir: {
    name: 'MUTT_SECRETS_DIR',
    default: undefined,
    ...path,
    description:
      'Where the files are that `secret_ref: file:…` of destinations names; no other file is read. Default: `secrets` in the data directory.',
  },
  ingestHost: {
    name: 'MUTT_INGEST_HOST',
    default: '127.0.0.1',
    ...text,
    description: 'Address the ingest port listens on.',
  },
  ingestPort: {
    name: 'MUTT_INGEST_PORT',
    default: 8080,
    ...integer(1, 65_535),
    description: 'Port for relays.',
  },
  ingestTlsCertificateFile: {
    name: 'MUTT_INGEST_TLS_CERT_FILE',
    default: undefined,
    ...path,
    description: 'Certificate chain (PEM) of the ingest port: it speaks TLS, and no plain HTTP.',
  },
  ingestTlsKeyFile: {
    name: 'MUTT_INGEST_TLS_KEY_FILE',
    default: undefined,
    ...path,
    description: 'Private key (PEM) of the certificate.',
  },
  ingestTlsClientCaFile: {
    name: 'MUTT_INGEST_TLS_CLIENT_CA_FILE',
    default: undefined,
    ...path,
    description: 'Authorities (PEM) of client certificates: a client without one is refused.',
  },
  healthHost: {
    name: 'MUTT_HEALTH_HOST',
    default: '127.0.0.1',
    ...text,
    description: 'Address the health port listens on.',
  },
  healthPort: {
    name: 'MUTT_HEALTH_PORT',
    default: 8081,
    ...integer(1, 65_535),
    description: 'Port for /health and /ready.',
  },
  adminHost: {
    name: 'MUTT_ADMIN_HOST',
    default: '127.0.0.1',
    ...text,
    description: 'Address the admin port listens on.',
  },
  adminPort: {
    name: 'MUTT_ADMIN_PORT',
    default: 8090,
    ...integer(1, 65_535),
    description: 'Port for the API and /metrics.',
  },
  partitions: {
    name: 'MUTT_PARTITIONS',
    default: 8,
    ...integer(1, 256),
    description: 'Partitions of the mailboxes. Fixed by the first start.',
  },
  ackLevel: {
    name: 'MUTT_ACK_LEVEL',
    default: 'fsynced',
    ...oneOf('written', 'fsynced', 'replicated'),
    description:
      'What a 200 means: replied by Redis, on its disk, or confirmed by a replica too. With Sentinels the default is `replicated`.',
  },
  keyPrefix: {
    name: 'MUTT_KEY_PREFIX',
    default: 'mutt',
    ...keyPrefix,
    description: 'First part of every Redis key, so that installations can share a server.',
  },
  logTo: {
    name: 'MUTT_LOG_TO',
    default: 'file',
    ...oneOf('file', 'stdout'),
    description: 'Where logs go.',
  },
  trustRedis: {
    name: 'MUTT_TRUST_REDIS',
    default: false,
    allowed: 'yes or no',
    parse: (value) => {
      if (value !== 'yes' && value !== 'no') throw new RangeError();
      return value === 'yes';
    },
    description: 'yes: use a Redis that does not let its settings be read, on your word that they are safe.',
  },
  hangAfterMs: {
    name: 'MUTT_HANG_AFTER_MS',
    default: 5_000,
    ...integer(500, 600_000),
    description: 'Silence after which a thread counts as hung.',
  },
  gatewayHangAfterMs: {
    name: 'MUTT_GATEWAY_HANG_AFTER_MS',
    default: 2_000,
    ...integer(500, 600_000),
    description: 'Silence after which a gateway process counts as hung.',
  },
  leaseTtlMs: {
    name: 'MUTT_LEASE_TTL_MS',
    default: 30_000,
    ...integer(1_000, 600_000),
    description: 'How long a node that has vanished keeps its partitions.',
  },
  beatUrl: {
    name: 'MUTT_BEAT_URL',
    default: undefined,
    ...beatUrl,
    description: 'Where this node says that it lives, for a dead-man service. Without it nowhere.',
  },
  beatFormat: {
    name: 'MUTT_BEAT_FORMAT',
    default: 'webhook',
    ...oneOf(...BEAT_FORMATS),
    description: 'What is posted there: a document, or an alert of Alertmanager API v2 that never ends.',
  },
  beatEveryMs: {
    name: 'MUTT_BEAT_EVERY_MS',
    default: 60_000,
    ...integer(1_000, 3_600_000),
    description: 'How often.',
  },
};

/** The settings that the environment can give, with the variable that does. */
export const SETTING_VARIABLES: Readonly<Partial<Record<SettingKey, string>>> = {
  'pool.gateway.size': 'MUTT_GATEWAYS',
  'pool.ingest.size': 'MUTT_INGEST_THREADS',
  'pool.match.size': 'MUTT_MATCH_THREADS',
  'pool.forward.size': 'MUTT_FORWARD_THREADS',
  'log.level': 'MUTT_LOG_LEVEL',
  'audit.unmatched.policy': 'MUTT_AUDIT_UNMATCHED',
};
/**
 * Where one of the node's ports is reached from this machine. One that listens everywhere is reached at this machine's
 * own address; an IPv6 address goes into brackets.
 */
export function portUrl(config: StaticConfig, port: 'ingest' | 'health' | 'admin'): string {
  const listening = config[`${port}Host`];
  const host = listening === '0.0.0.0' ? '127.0.0.1' : listening === '::' ? '::1' : listening;
  const scheme = port === 'ingest' && ingestTlsFiles(config) !== undefined ? 'https' : 'http';
  return `${scheme}://${host.includes(':') ? `[${host}]` : host}:${config[`${port}Port`]}`;
}

/** undefined: the ingest port speaks plain HTTP. */
export function ingestTlsFiles(config: StaticConfig): TlsFiles | undefined {
  const { ingestTlsCertificateFile: certificateFile, ingestTlsKeyFile: keyFile } = config;
  if (certificateFile === undefined || keyFile === undefined) return undefined;
  return { certificateFile, keyFile, clientCaFile: config.ingestTlsClientCaFile };
}

/** Reads the environment. Throws `E_CONFIG_INVALID` that lists every fault. */
export function readStaticConfig(env: NodeJS.ProcessEnv): StaticConfig {
  const faults: string[] = [];
  const config: Record<string, unknown> = {};
  const known = new Set<string>();
  for (const [key, variable] of Object.entries(STATIC_VARIABLES)) {
    known.add(variable.name);
    const given = env[variable.name];
    config[key] = variable.default;
    if (given === undefined) continue;
    try {
      config[key] = variable.parse(given);
    } catch (thrown) {
      // The value may be an address with a password in it: it is never repeated.
      const fault = thrown instanceof RangeError && thrown.message !== '' ? thrown.message : undefined;
      faults.push(`${variable.name}: ${fault ?? `is not ${variable.allowed}`}`);
    }
  }
  const settings = readSettings(env, known, faults);
  config['settings'] = settings;
  faults.push(...settleAckLevel(config as unknown as StaticConfig, env));
  for (const name of Object.keys(env)) {
    if (!name.startsWith('MUTT_') || known.has(name) || PRIVATE_VARIABLES.has(name)) continue;
    const nearest = nearestWord(name, known);
    faults.push(`${name}: no such setting${nearest === undefined ? '' : `; did you mean ${nearest}?`}`);
  }
  faults.push(...portFaults(config as unknown as StaticConfig));
  faults.push(...tlsFaults(config as unknown as StaticConfig));
  if (faults.length > 0) {
    throw new CodedError('E_CONFIG_INVALID', `the environment cannot be used:\n  ${faults.join('\n  ')}`, {
      details: { faults },
      mend: 'Correct or unset these variables; docs/reference/configuration.md lists them all.',
    });
  }
  return config as unknown as StaticConfig;
}

function readSettings(env: NodeJS.ProcessEnv, known: Set<string>, faults: string[]): NodeDefaults {
  const given: Record<string, string | number> = {};
  for (const [key, name] of Object.entries(SETTING_VARIABLES)) {
    known.add(name);
    const value = env[name];
    if (value === undefined) continue;
    const setting = findSetting(key);
    const read = setting.type === 'integer' && /^\d+$/.test(value) ? Number(value) : value;
    try {
      checkSetting(key, read);
      given[key] = read;
    } catch {
      faults.push(`${name}: is not ${allowedValues(setting)}`);
    }
  }
  try {
    checkTogether({}, given);
  } catch (thrown) {
    faults.push(messageOf(thrown));
  }
  return given;
}

/** A group is there to be failed over, and a Redis alone has nobody to confirm anything. */
function settleAckLevel(config: StaticConfig, env: NodeJS.ProcessEnv): string[] {
  const { name } = STATIC_VARIABLES.ackLevel;
  if (env[name] === undefined && config.redisUrl !== undefined && isSentinelUrl(config.redisUrl)) {
    config.ackLevel = 'replicated';
  }
  if (config.ackLevel !== 'replicated' || config.redisUrl !== undefined) return [];
  return [`${name}: the private Redis has no replica; give ${STATIC_VARIABLES.redisUrl.name} too`];
}

function portFaults(config: StaticConfig): string[] {
  const faults: string[] = [];
  const ports = new Map<number, string>();
  for (const key of ['ingestPort', 'healthPort', 'adminPort'] as const) {
    const { name } = STATIC_VARIABLES[key];
    const other = ports.get(config[key]);
    if (other !== undefined) faults.push(`${name}: is ${config[key]} like ${other}; give each its own port`);
    ports.set(config[key], name);
  }
  return faults;
}

/** None of them means anything alone; and a client CA that is not looked at would look like safety. */
function tlsFaults(config: StaticConfig): string[] {
  const keys = ['ingestTlsCertificateFile', 'ingestTlsKeyFile', 'ingestTlsClientCaFile'] as const;
  const given = keys.find((key) => config[key] !== undefined);
  if (given === undefined) return [];
  return keys
    .filter((key) => key !== 'ingestTlsClientCaFile' && config[key] === undefined)
    .map((key) => `${STATIC_VARIABLES[key].name}: is needed beside ${STATIC_VARIABLES[given].name}`);
}

/** Set by MUTT for its own processes, specs and the torture. */
const PRIVATE_VARIABLES = new Set([
  'MUTT_SPEC_REDIS_URL',
  'MUTT_SPEC_DATABASE_URL',
  'MUTT_SPEC_RUN',
  'MUTT_TORTURE_RUN',
  'MUTT_TORTURE_CLOCK_FILE',
]);
