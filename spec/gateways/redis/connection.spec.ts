import { createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { expect } from 'chai';
import { after, afterEach, before, describe, it } from 'mocha';
import type { Redis } from 'ioredis';
import { connectRedis, whenReady } from '../../../gateways/redis/connection.ts';
import { STORE_CONNECTION_OPTIONS } from '../../../runtime/durable/redis-store.ts';
import type { PrivateServer } from '../../../supervisors/embedded/private-server.ts';
import { freePorts } from '../../../supervisors/embedded/free-ports.ts';
import { GROUP_NAME, SentinelGroup } from '../../support/sentinel-group.ts';
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

  it('leaves a server that takes the connection and says nothing, and comes back to it', async () => {
    const connections: Socket[] = [];
    let left = 0;
    const silent = createServer((socket) => {
      connections.push(socket);
      socket.resume().on('end', () => {
        left += 1;
      });
    });
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    try {
      connect(`redis://127.0.0.1:${(silent.address() as AddressInfo).port}`);
      await until(() => connections.length === 2);
      expect(left).to.equal(1);
    } finally {
      for (const socket of connections) socket.destroy();
      silent.close();
    }
  }).timeout(15_000);

  it('leaves a server that has become a replica, and sends nothing again', async () => {
    const server = await startOwnRedis();
    try {
      const redis = connect(server.url);
      await whenReady(redis, 2_000);
      await redis.set('counter', 1);
      let closed = 0;
      redis.on('close', () => {
        closed += 1;
      });
      const [deadPort = 0] = await freePorts(1);
      await redis.replicaof('127.0.0.1', deadPort);
      expect((await failureOf(redis.incr('counter'))).message).to.include('READONLY');
      await until(() => closed === 1 && redis.status === 'ready');
      await redis.replicaof('NO', 'ONE');
      expect(await redis.get('counter')).to.equal('1');
    } finally {
      await server.stop();
    }
  }).timeout(15_000);

  describe('by Sentinels', () => {
    let group: SentinelGroup;
    before(async function () {
      this.timeout(60_000);
      group = await SentinelGroup.start();
    });
    after(() => group.close());

    it('finds the master past a Sentinel that is not there, and never resends or queues', async () => {
      const redis = connect(group.url);
      await whenReady(redis, 5_000);
      expect(await redis.info('replication')).to.include('role:master');
      expect(redis.options).to.include(STORE_CONNECTION_OPTIONS);
    }).timeout(10_000);

    it('says that the group is unknown, or which Sentinel refuses, and no password', async () => {
      const unknown = connect(group.url.replace(`/${GROUP_NAME}/`, '/other/'));
      expect((await failureOf(whenReady(unknown, 1_000))).message).to.include(
        'No such master with that name',
      );
      const refused = connect(group.url.replace(/sentinel_password=.*/, 'sentinel_password=hunter2'));
      const { message } = await failureOf(whenReady(refused, 1_000));
      expect(message).to.match(
        /^All sentinels are unreachable.* Last error: .*(WRONGPASS|NOAUTH|ECONNREFUSED)/,
      );
      expect(message).not.to.include('hunter2').and.not.to.include('spec-password');
    }).timeout(10_000);

    it('follows the master to another server', async () => {
      const redis = connect(group.url);
      await whenReady(redis, 5_000);
      const master = await group.master();
      const successor = group.other(master);
      master.kill('SIGKILL');
      await group.whenPromoted(successor);
      await whenReady(redis, 10_000);
      expect(await redis.info('server')).to.include(`tcp_port:${successor.port}`);
    }).timeout(40_000);
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
