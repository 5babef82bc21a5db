import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import { connectRedis, whenReady } from '../../gateways/redis/connection.ts';
import { Vitals } from '../../runtime/shared/vitals.ts';
import type { PrivateServer } from '../../supervisors/embedded/private-server.ts';
import { openGround } from '../../supervisors/ground.ts';
import type { Ground } from '../../supervisors/ground.ts';
import { readStaticConfig } from '../../supervisors/static-config.ts';
import { ownDatabase } from '../gateways/postgres/own-database.ts';
import type { OwnDatabase } from '../gateways/postgres/own-database.ts';
import { freshPrefix, until } from '../runtime/durable/store-under-test.ts';
import { specDirectory, startOwnRedis } from '../support/servers.ts';

describe('openGround', function () {
  this.timeout(60_000);
  let database: OwnDatabase;
  let redis: PrivateServer;
  let logged: string[];

  before(async () => {
    database = await ownDatabase({ isMigrated: false });
    redis = await startOwnRedis();
  });
  after(async () => {
    await redis.stop();
    await database.drop();
  });

  function open(): Promise<Ground> {
    logged = [];
    const log = (_fields: unknown, text?: string): void => void logged.push(text ?? String(_fields));
    return openGround({
      config: { ...readStaticConfig({}), keyPrefix: freshPrefix() },
      dataDir: specDirectory('ground'),
      redisUrl: redis.url,
      databaseUrl: database.url,
      log: { debug: log, info: log, warn: log, error: log } as never,
      samples: undefined,
      nonce: 'spec',
      roles: { match: [new Vitals()], forward: [new Vitals()], remediation: [new Vitals()] },
    });
  }

  it('can be closed twice, as when its stop is followed by a kill', async () => {
    const ground = await open();
    await Promise.all([ground.close(), ground.close()]);
    await ground.close();
    expect(logged.filter((text) => text.includes('could not be closed'))).to.deep.equal([]);
  });

  it('says once that a Redis came back unsafe, and uses it again when that is mended', async () => {
    const ground = await open();
    const operator = connectRedis({ url: redis.url, name: 'operator' });
    try {
      await whenReady(operator, 10_000);
      const complaints = (): number => logged.filter((text) => text.includes('no longer safe')).length;
      expect(ground.isStoreThere()).to.equal(true);
      await operator.config('SET', 'appendfsync', 'everysec');
      const looksBefore = await looks();
      await operator.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
      await until(() => complaints() > 0 && !ground.isStoreThere());
      await until(async () => (await looks()) >= looksBefore + 4);
      expect(complaints()).to.equal(1);
      await operator.config('SET', 'appendfsync', 'always');
      await until(() => ground.isStoreThere());
    } finally {
      operator.disconnect();
      await ground.close();
    }

    /** How often it was looked at: each time begins with a PING, which Redis counts. */
    async function looks(): Promise<number> {
      return Number(/cmdstat_ping:calls=(\d+)/.exec(await operator.info('commandstats'))?.[1] ?? 0);
    }
  });
});
