import { writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import { connectRedis, whenReady } from '../../gateways/redis/connection.ts';
import type { PrivateServer } from '../../supervisors/embedded/private-server.ts';
import { openGround } from '../../supervisors/ground.ts';
import type { Ground, GroundOptions } from '../../supervisors/ground.ts';
import { readStaticConfig } from '../../supervisors/static-config.ts';
import { ownDatabase } from '../gateways/postgres/own-database.ts';
import type { OwnDatabase } from '../gateways/postgres/own-database.ts';
import { freshPrefix, until } from '../runtime/durable/store-under-test.ts';
import { rejectionOf } from '../support/rejection.ts';
import { specDirectory, startOwnPostgres, startOwnRedis } from '../support/servers.ts';

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

  function open(options: Partial<GroundOptions> = {}): Promise<Ground> {
    logged = [];
    const log = (_fields: unknown, text?: string): void => void logged.push(text ?? String(_fields));
    return openGround({
      config: { ...readStaticConfig({}), keyPrefix: freshPrefix() },
      dataDir: specDirectory('ground'),
      redisUrl: redis.url,
      databaseUrl: database.url,
      log: { debug: log, info: log, warn: log, error: log } as never,
      own: undefined,
      pepper: '00'.repeat(32),
      nonce: 'spec',
      signal: new AbortController().signal,
      ...options,
    });
  }

  it('can be closed twice, as when its stop is followed by a kill', async () => {
    const ground = await open();
    await Promise.all([ground.close(), ground.close()]);
    await ground.close();
    expect(logged.filter((text) => text.includes('could not be closed'))).to.deep.equal([]);
  });

  it('migrates later what it could not at its start, since PostgreSQL was away', async () => {
    const dataDir = specDirectory('ground');
    const kept = { version: 7, rules: [], developmentHosts: [], teams: {}, destinations: [] };
    writeFileSync(join(dataDir, 'snapshot.json'), JSON.stringify(kept));
    const dir = specDirectory('ground-postgres');
    const first = await startOwnPostgres({ dir });
    const { url, port } = first;
    await first.stop();
    const ground = await open({ databaseUrl: url, dataDir });
    try {
      expect(ground.snapshots.current?.version).to.equal(7);
      expect(logged.filter((text) => text.includes('PostgreSQL is away: migrations'))).to.have.length(1);
      const second = await startOwnPostgres({ dir, port });
      await until(() => logged.some((text) => text.includes('at the version of this program')), 30_000);
      // The truth is PostgreSQL's again, without another restart.
      await until(() => ground.snapshots.current?.version === 0, 30_000);
      await second.stop();
    } finally {
      await ground.close();
    }
  });

  it('names the password file of a private PostgreSQL that does not take it', async () => {
    const wrong = new URL(database.url);
    wrong.password = 'wrong';
    const own = { adminUrl: 'http://127.0.0.1:1', sinkKeyFile: '/sink.key', passwordFile: '/data/password' };
    const error = await rejectionOf(open({ databaseUrl: wrong.href, own }));
    expect(error).to.include({ code: 'E_DATABASE_REFUSED' });
    expect(error.message).to.include('/data/password');
    expect(error.message).not.to.include('DATABASE_URL');
  });

  it('names the variable that a refused Redis needs, and no other', async () => {
    const operator = connectRedis({ url: redis.url, name: 'operator' });
    try {
      await whenReady(operator, 10_000);
      await operator.config('SET', 'appendfsync', 'everysec');
      const { mend } = await rejectionOf(open());
      expect(mend).to.include('MUTT_ACK_LEVEL=written').and.not.to.include('MUTT_TRUST_REDIS');
    } finally {
      await operator.config('SET', 'appendfsync', 'always');
      operator.disconnect();
    }
  });

  it('is given up at once when the node stops, whatever it waits for', async () => {
    const silent = createServer();
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const stopping = new AbortController();
    silent.once('connection', () => stopping.abort());
    const redisUrl = `redis://127.0.0.1:${(silent.address() as AddressInfo).port}`;
    try {
      expect(await rejectionOf(open({ redisUrl, signal: stopping.signal }))).to.include({
        code: 'E_INTERRUPTED',
      });
    } finally {
      silent.close();
    }
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
