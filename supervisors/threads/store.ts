/**
 * The durable store as every thread and process of a node opens it.
 */
import { connectRedis, whenReady } from '../../gateways/redis/connection.ts';
import { createRedisStore } from '../../runtime/durable/redis-store.ts';
import type { DurableStore } from '../../runtime/durable/durable-store.ts';

export interface StoreParams {
  redisUrl: string;
  keyPrefix: string;
}

export interface OpenStore {
  store: DurableStore;
  close: () => Promise<void>;
}

const CONNECT_TIMEOUT_MS = 5_000;

/** Waits for the connection once; later losses mend themselves. `name` is what the server's client list shows. */
export async function openStore(params: StoreParams, name: string): Promise<OpenStore> {
  const connection = connectRedis({ url: params.redisUrl, name });
  try {
    await whenReady(connection, CONNECT_TIMEOUT_MS);
  } catch (thrown) {
    connection.disconnect();
    throw thrown;
  }
  const store = createRedisStore({
    connection,
    connectReader: () => connectRedis({ url: params.redisUrl, name: `${name}-reader` }),
    prefix: params.keyPrefix,
  });
  return {
    store,
    close: async () => {
      await store.close();
      connection.disconnect();
    },
  };
}
