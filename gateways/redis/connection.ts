/**
 * Redis connections: one place for their options, so that every part fails and reconnects alike.
 *
 * A command while the connection is down fails at once (no offline queue): whoever waits for an answer must learn
 * that there is none. Reconnecting goes on for ever under jittered back-off. Errors never carry the password.
 */
import { Redis } from 'ioredis';
import { STORE_CONNECTION_OPTIONS } from '../../runtime/durable/redis-store.ts';

export interface RedisOptions {
  url: string;
  /** Shown in CLIENT LIST, so that an operator can see who is connected. */
  name: string;
}

const CONNECT_TIMEOUT_MS = 2_000;
const RECONNECT_MS_MAX = 1_000;

export function connectRedis(options: RedisOptions): Redis {
  const redis = new Redis(options.url, {
    connectionName: options.name,
    connectTimeout: CONNECT_TIMEOUT_MS,
    ...STORE_CONNECTION_OPTIONS,
    enableAutoPipelining: false,
    keepAlive: 10_000,
    noDelay: true,
    retryStrategy: (attempt) => Math.random() * Math.min(RECONNECT_MS_MAX, 20 * 2 ** Math.min(attempt, 10)),
  });
  // Each failing command reports the loss to its caller; an unhandled 'error' event would end the process.
  redis.on('error', () => undefined);
  return redis;
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
