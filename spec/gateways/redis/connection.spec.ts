import { expect } from 'chai';
import { after, afterEach, before, describe, it } from 'mocha';
import type { Redis } from 'ioredis';
import { connectRedis, whenReady } from '../../../gateways/redis/connection.ts';
import type { PrivateServer } from '../../../supervisors/embedded/private-server.ts';
import { freePorts } from '../../support/free-port.ts';
import { specDirectory, specRedisUrl, startOwnRedis } from '../../support/servers.ts';
import { delay, until } from '../../runtime/durable/store-under-test.ts';

describe('connectRedis', () => {
  const open: Redis[] = [];
  const connect = (url: string, name = 'spec'): Redis => {
    const redis = connectRedis({ url, name });
    open.push(redis);
    return redis;
  };
  afterEach(() => {
    for (const redis of open.splice(0)) redis.disconnect();
  });
  async function failureOf(promise: Promise<unknown>): Promise<Error> {
    return promise.then(
      () => {
        throw new Error('it did not reject');
      },
      (thrown: unknown) => thrown as Error,
    );
  }

  it('is ready once, and again at once, and shows its name to the server', async () => {
    const redis = connect(await specRedisUrl(), 'spec-connection');
    await whenReady(redis, 2_000);
    await whenReady(redis, 1);
    expect(await redis.client('LIST')).to.include('name=spec-connection');
  });

  it('says why when nobody listens, and neither ends the process nor waits longer', async () => {
    const [port] = await freePorts(1);
    const redis = connect(`redis://user:hunter2@127.0.0.1:${port}`);
    const began = performance.now();
    const error = await failureOf(whenReady(redis, 150));
    expect(performance.now() - began).to.be.within(140, 600);
    expect(error.message).to.include('ECONNREFUSED');
    expect(`${error.message} ${JSON.stringify(error)}`).to.not.include('hunter2');
  });

  it('fails a command at once while there is no connection', async () => {
    const [port] = await freePorts(1);
    const redis = connect(`redis://127.0.0.1:${port}`);
    const began = performance.now();
    await failureOf(redis.get('x'));
    expect(performance.now() - began).to.be.lessThan(200);
  });

  describe('when the server dies', () => {
    let server: PrivateServer;
    const dir = specDirectory('redis-restarted');
    before(async () => {
      server = await startOwnRedis({ dir });
    });
    after(() => server.stop());

    it('says so to whoever asks, and connects again to the next one', async () => {
      const redis = connect(server.url);
      await whenReady(redis, 2_000);
      const { port } = new URL(server.url);
      server.kill('SIGKILL');
      await server.exited;
      await until(() => redis.status !== 'ready');
      await failureOf(redis.get('x'));
      await delay(200);
      server = await startOwnRedis({ dir, port: Number(port) });
      await whenReady(redis, 3_000);
      expect(await redis.ping()).to.equal('PONG');
    }).timeout(10_000);
  });
});
