import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import { connectRedis, whenReady } from '../../../gateways/redis/connection.ts';
import { newWriterId } from '../../../runtime/durable/flight.ts';
import { codeOf } from '../../../runtime/errors.ts';
import type { PrivateServer } from '../../../supervisors/embedded/private-server.ts';
import { openStore } from '../../../supervisors/threads/store.ts';
import { freshPrefix, until, WIDE } from '../../runtime/durable/store-under-test.ts';
import { rejectionOf } from '../../support/rejection.ts';
import { startOwnRedis } from '../../support/servers.ts';

const SAFETY = { ackLevel: 'fsynced', boundsBytes: 1 } as const;

describe('openStore for those who acknowledge', function () {
  this.timeout(60_000);
  let redis: PrivateServer;
  let operator: ReturnType<typeof connectRedis>;
  before(async () => {
    redis = await startOwnRedis();
    operator = connectRedis({ url: redis.url, name: 'operator' });
    await whenReady(operator, 10_000);
  });
  after(async () => {
    operator.disconnect();
    await redis.stop();
  });

  it('refuses a server that is unsafe', async () => {
    await operator.config('SET', 'appendfsync', 'everysec');
    const refusal = await rejectionOf(
      openStore({ redisUrl: redis.url, keyPrefix: freshPrefix() }, 'unsafe', SAFETY),
    );
    expect(codeOf(refusal)).to.equal('E_STORE_FSYNC');
    await operator.config('SET', 'appendfsync', 'always');
  });

  it('takes no append from a server that came back unsafe, and takes them when that is mended', async () => {
    const { store, close } = await openStore(
      { redisUrl: redis.url, keyPrefix: freshPrefix() },
      'safe',
      SAFETY,
    );
    const writerId = newWriterId();
    let sequence = 1;
    const append = async (): Promise<string> => {
      const payload = Buffer.from('event');
      const place = { partition: 0, lane: 'ingest', writerId, bounds: WIDE };
      const [result] = await store.append([{ ...place, sequence, count: 1, payload }]);
      if (result?.status === 'error') return codeOf(result.error);
      if (result?.status === 'stored') sequence += 1;
      return result?.status ?? '';
    };
    try {
      expect(await append()).to.equal('stored');
      await operator.config('SET', 'appendfsync', 'everysec');
      const { generation } = store;
      await operator.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
      await until(() => store.generation > generation);
      // Reads are answered again, so the connection stands; still nothing is taken.
      await until(() =>
        store.strikes(0, 'ingest').then(
          () => true,
          () => false,
        ),
      );
      for (let attempt = 0; attempt < 20; attempt += 1) expect(await append()).to.equal('E_STORE_UNTRUSTED');
      await operator.config('SET', 'appendfsync', 'always');
      await until(async () => (await append()) === 'stored');
    } finally {
      await close();
    }
  });
});
