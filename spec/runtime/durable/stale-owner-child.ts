/**
 * A process that owns partition 0, reads its head, and commits when told to: by then it may have been stopped and
 * another may have taken over. Talks by IPC: says `read`, is told `commit`, says what the commit came to.
 */
import { inputOf, openRedisStore, readAll } from './store-under-test.ts';

const [url = '', prefix = '', laneGroup = '', ttlMs = ''] = process.argv.slice(2);
const opened = await openRedisStore(url, { prefix });
const { store } = opened;
const lease = await store.acquire(0, laneGroup, 'stale', Number(ttlMs));
if (!('epoch' in lease)) throw new Error('the lease is taken');
const entries = await readAll(store);
process.send?.({ read: entries.length });
process.once('message', () => {
  void (async () => {
    const token = { laneGroup, nonce: 'stale', epoch: lease.epoch };
    const inputs = entries.map(inputOf);
    const result = await store.commit({ partition: 0, token, inputs, counters: { done: inputs.length } });
    process.send?.(result);
    await opened.close();
    process.disconnect();
  })();
});
