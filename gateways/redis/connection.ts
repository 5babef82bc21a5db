/**
 * Redis connections: one place for their options, so that every part fails and reconnects alike.
 *
 * A command while the connection is down fails at once (no offline queue): whoever waits for an answer must learn
 * that there is none. Reconnecting goes on for ever under jittered back-off. Errors never carry the password.
 *
 * With Sentinels every connection asks them anew for the master each time it connects, and goes on only when the server
 * says that it is one. It leaves a server that answers as a replica, and one that takes it and then says nothing.
 */
import { Redis } from 'ioredis';
import type { RedisOptions as AllOptions } from 'ioredis';
import { REPLY_TIMEOUT_MS, STORE_CONNECTION_OPTIONS } from '../../runtime/durable/redis-store.ts';
import { isSentinelUrl, readSentinelUrl } from './sentinel-url.ts';

type LibraryOptions = Omit<AllOptions, 'replyMapping'>;

export interface RedisOptions {
  url: string;
  /** Shown in CLIENT LIST, so that an operator can see who is connected. */
  name: string;
}

const CONNECT_TIMEOUT_MS = 2_000;
/** A server that hangs does not close its side. */
const DISCONNECT_TIMEOUT_MS = 200;
const RECONNECT_MS_MAX = 1_000;

export function connectRedis(options: RedisOptions): Redis {
  const common: LibraryOptions = {
    connectionName: options.name,
    connectTimeout: CONNECT_TIMEOUT_MS,
    disconnectTimeout: DISCONNECT_TIMEOUT_MS,
    ...STORE_CONNECTION_OPTIONS,
    enableAutoPipelining: false,
    keepAlive: 10_000,
    noDelay: true,
    retryStrategy: backOffMs,
    // Once the master, a replica now. The command is not sent again.
    reconnectOnError: ({ message }) => message.includes('READONLY'),
  };
  const redis = isSentinelUrl(options.url)
    ? new Redis({ ...common, ...sentinelOptions(options.url) })
    : new Redis(options.url, common);
  // Each failing command reports the loss to its caller; an unhandled 'error' event would end the process.
  redis.on('error', () => undefined);
  leaveSilentServers(redis);
  return redis;
}

function backOffMs(attempt: number): number {
  return Math.random() * Math.min(RECONNECT_MS_MAX, 20 * 2 ** Math.min(attempt, 10));
}

function sentinelOptions(url: string): LibraryOptions {
  const address = readSentinelUrl(url);
  const { username, password, sentinelUsername, sentinelPassword, isTls } = address;
  return {
    sentinels: address.sentinels,
    name: address.group,
    role: 'master',
    db: address.database,
    sentinelRetryStrategy: backOffMs,
    sentinelCommandTimeout: CONNECT_TIMEOUT_MS,
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...(sentinelUsername === undefined ? {} : { sentinelUsername }),
    ...(sentinelPassword === undefined ? {} : { sentinelPassword }),
    ...(isTls ? { tls: {}, sentinelTLS: {}, enableTLSForSentinelMode: true } : {}),
  };
}

/** The library waits for ever for the answers with which a connection begins. */
function leaveSilentServers(redis: Redis): void {
  let timer: NodeJS.Timeout | undefined;
  const stop = (): void => clearTimeout(timer);
  redis.on('connect', () => {
    stop();
    timer = setTimeout(() => redis.disconnect(true), REPLY_TIMEOUT_MS);
  });
  redis.on('ready', stop);
  redis.on('close', stop);
}

/** Resolves when the connection is ready; rejects after `timeoutMs`. */
export async function whenReady(redis: Redis, timeoutMs: number): Promise<void> {
  if (redis.status === 'ready') return;
  await new Promise<void>((resolve, reject) => {
    let lastError: Error | undefined;
    const onError = (error: Error): void => {
      lastError = error;
    };
    const done = (error?: Error): void => {
      clearTimeout(timer);
      redis.off('ready', onReady);
      redis.off('error', onError);
      if (error === undefined) resolve();
      else reject(error);
    };
    const onReady = (): void => done();
    const timer = setTimeout(
      () => done(lastError ?? new Error(`no connection within ${timeoutMs} ms`)),
      timeoutMs,
    );
    redis.on('ready', onReady);
    redis.on('error', onError);
  });
}
