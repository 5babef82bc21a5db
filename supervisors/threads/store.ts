/**
 * The durable store as every thread and process of a node opens it.
 */
import { connectRedis, whenReady } from '../../gateways/redis/connection.ts';
import { createRedisStore } from '../../runtime/durable/redis-store.ts';
import type { DurableStore } from '../../runtime/durable/durable-store.ts';
import type { SharedPace } from '../../runtime/durable/pace.ts';
import { createRedisPace } from '../../runtime/durable/redis-pace.ts';
import { assertStoreIsSafe, replicasToConfirm } from '../../runtime/durable/store-safety.ts';
import type { StoreSafetyOptions } from '../../runtime/durable/store-safety.ts';

export interface StoreParams {
  redisUrl: string;
  keyPrefix: string;
}

export interface OpenStore {
  store: DurableStore;
  pace: SharedPace;
  close: () => Promise<void>;
}

const CONNECT_TIMEOUT_MS = 5_000;

/**
 * Waits for the connection once; later losses mend themselves. `name` is what the server's client list shows. With
 * `safety`, for those who acknowledge, a server that is unsafe is refused now, and after a reconnect takes no append.
 * `writerTtlMs` is how long it knows an idle writer's last append.
 */
export async function openStore(
  params: StoreParams,
  name: string,
  safety?: StoreSafetyOptions,
  writerTtlMs?: number,
): Promise<OpenStore> {
  const connection = connectRedis({ url: params.redisUrl, name });
  let replicas = 0;
  const check = async (options: StoreSafetyOptions): Promise<void> => {
    replicas = replicasToConfirm(await assertStoreIsSafe(connection, options), options);
  };
  try {
    await whenReady(connection, CONNECT_TIMEOUT_MS);
    if (safety !== undefined) await check(safety);
  } catch (thrown) {
    connection.disconnect();
    throw thrown;
  }
  const store = createRedisStore({
    connection,
    connectReader: () => connectRedis({ url: params.redisUrl, name: `${name}-reader` }),
    prefix: params.keyPrefix,
    ...(writerTtlMs === undefined ? {} : { writerTtlMs }),
    ...(safety === undefined ? {} : { replicas: () => replicas, recheck: () => check(safety) }),
  });
  return {
    store,
    pace: createRedisPace({ connection, prefix: params.keyPrefix }),
    close: async () => {
      await store.close();
      connection.disconnect();
    },
  };
}
