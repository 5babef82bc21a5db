import { expect } from 'chai';
import { after, afterEach, before, beforeEach, describe, it } from 'mocha';
import type { Redis } from 'ioredis';
import type { Snapshot } from '../../../actors/ports.ts';
import { connectRedis, whenReady } from '../../../gateways/redis/connection.ts';
import { SnapshotChannel } from '../../../gateways/redis/snapshot-channel.ts';
import type { PrivateServer } from '../../../supervisors/embedded/private-server.ts';
import { freePorts } from '../../../supervisors/embedded/free-ports.ts';
import { rejectionOf } from '../../support/rejection.ts';
import { specDirectory, specRedisUrl, startOwnRedis } from '../../support/servers.ts';
import { freshPrefix, until } from '../../runtime/durable/store-under-test.ts';

const TIMEOUT_MS = 30_000;
const PEPPER = 'the pepper of these nodes';
const snapshotOf = (version: number, changes: Partial<Snapshot> = {}): Snapshot => ({
  version,
  rules: [],
  developmentHosts: ['lab \u0000 größe'],
  teams: {},
  destinations: [],
  settings: { 'log.level': 'info' },
  keys: [],
  ...changes,
});

describe('SnapshotChannel', function () {
  this.timeout(TIMEOUT_MS);
  let url: string;
  let keyPrefix: string;
  let channels: SnapshotChannel[];
  let redis: Redis;

  before(async () => {
    url = await specRedisUrl();
    redis = connectRedis({ url, name: 'spec-raw' });
    await whenReady(redis, TIMEOUT_MS);
  });
  beforeEach(() => {
    keyPrefix = freshPrefix();
    channels = [];
  });
  afterEach(() => {
    for (const channel of channels) channel.close();
  });
  after(() => redis.disconnect());

  const open = (bytesMax?: number, at = url, pepper = PEPPER): SnapshotChannel => {
    const channel = new SnapshotChannel(
      { url: at, keyPrefix, pepper: Buffer.from(pepper), name: `spec-${keyPrefix}` },
      bytesMax,
    );
    channels.push(channel);
    return channel;
  };
  /** Counts the notices; resolves when the connection that hears them is there. */
  const hear = async (channel: SnapshotChannel): Promise<() => number> => {
    let heard = 0;
    channel.onNotice(() => (heard += 1));
    await until(() => heard > 0, TIMEOUT_MS);
    return () => heard;
  };

  it('has nothing at first, without waiting to be told that it is connected', async () => {
    const channel = open();
    expect(await channel.publishedVersion()).to.equal(undefined);
    expect(await channel.latest()).to.equal(undefined);
  });

  it('gives every other one what was published last, and its version', async () => {
    const [writer, reader] = [open(), open()];
    for (const version of [1, 9, 5]) {
      await writer.publish(snapshotOf(version));
      expect(await reader.publishedVersion()).to.equal(version);
      expect(await reader.latest()).to.deep.equal(snapshotOf(version));
    }
  });

  it('rings at every publication, until the listener wants no more', async () => {
    const [writer, reader] = [open(), open()];
    const heard = await hear(reader);
    let others = 0;
    const stop = reader.onNotice(() => (others += 1));
    const before = heard();
    await writer.publish(snapshotOf(1));
    await until(() => heard() === before + 1, TIMEOUT_MS);
    stop();
    await writer.publish(snapshotOf(2));
    await until(() => heard() === before + 2, TIMEOUT_MS);
    expect(others).to.equal(1);
  });

  it('keeps installations with other prefixes apart', async () => {
    const mine = open();
    await mine.publish(snapshotOf(1));
    keyPrefix = freshPrefix();
    expect(await open().publishedVersion()).to.equal(undefined);
  });

  it('publishes nothing that is too large, and reads nothing that is', async () => {
    const small = open(1_000);
    await small.publish(snapshotOf(1));
    const large = snapshotOf(2, { developmentHosts: ['x'.repeat(1_000)] });
    expect(await rejectionOf(small.publish(large))).to.include({
      code: 'E_SNAPSHOT_TOO_LARGE',
      kind: 'permanent',
    });
    expect(await small.publishedVersion()).to.equal(1);
    await open().publish(large);
    expect(await rejectionOf(small.latest())).to.include({ code: 'E_SNAPSHOT_TOO_LARGE' });
  });

  it('gives out nothing when somebody has written something else', async () => {
    const channel = open();
    for (const [version, document] of [
      ['', '{"version":'],
      ['-1', ''],
      ['1e9', 'x'],
      ['9'.repeat(40), '\u0000'],
    ] as const) {
      await redis.hset(`${keyPrefix}:snapshot`, { version, document });
      expect(await channel.publishedVersion(), version).to.equal(undefined);
      expect(await rejectionOf(channel.latest()), document).to.include({ code: 'E_SNAPSHOT_UNSIGNED' });
    }
    await redis.del(`${keyPrefix}:snapshot`);
    await redis.set(`${keyPrefix}:snapshot`, 'a string');
    for (const attempt of [
      () => channel.publishedVersion(),
      () => channel.latest(),
      () => channel.publish(snapshotOf(1)),
    ]) {
      expect(await rejectionOf(attempt())).to.include({ code: 'E_SNAPSHOT_CHANNEL' });
    }
    await redis.del(`${keyPrefix}:snapshot`);
  });

  describe('believes only what a node with the same pepper has signed for this prefix:', () => {
    const forgeries: [string, (key: string, real: Record<string, string>) => unknown][] = [
      [
        'another document',
        (key, { document = '' }) => redis.hset(key, { document: document.replace('"info"', '"debug"') }),
      ],
      ['no signature', (key) => redis.hdel(key, 'signature')],
      ['a short signature', (key, { signature = '' }) => redis.hset(key, { signature: signature.slice(2) })],
      ['an endless signature', (key) => redis.hset(key, { signature: 'a'.repeat(100_000) })],
      ['another signature', (key) => redis.hset(key, { signature: '0'.repeat(64) })],
      ['one of a node with another pepper', () => open(undefined, url, 'another').publish(snapshotOf(8))],
    ];
    for (const [what, forge] of forgeries) {
      it(what, async () => {
        const channel = open();
        await channel.publish(snapshotOf(7));
        const key = `${keyPrefix}:snapshot`;
        await forge(key, await redis.hgetall(key));
        expect(await rejectionOf(channel.latest())).to.include({
          code: 'E_SNAPSHOT_UNSIGNED',
          kind: 'permanent',
        });
        await channel.publish(snapshotOf(9));
        expect(await channel.latest()).to.deep.equal(snapshotOf(9));
      });
    }

    it('one of another installation', async () => {
      await open().publish(snapshotOf(7));
      const real = await redis.hgetall(`${keyPrefix}:snapshot`);
      keyPrefix = freshPrefix();
      await redis.hset(`${keyPrefix}:snapshot`, real);
      expect(await rejectionOf(open().latest())).to.include({ code: 'E_SNAPSHOT_UNSIGNED' });
    });
  });

  it('fails while nobody listens, and never with the password', async () => {
    const [port] = await freePorts(1);
    const channel = open(undefined, `redis://user:hunter2@127.0.0.1:${port}`);
    const error = await rejectionOf(channel.publish(snapshotOf(1)));
    expect(error).to.include({ code: 'E_SNAPSHOT_CHANNEL', kind: 'transient' });
    expect(`${error.message} ${JSON.stringify(error)}`).not.to.include('hunter2');
  });

  describe('when the server', () => {
    let server: PrivateServer;
    let own: SnapshotChannel;
    const dir = specDirectory('redis-snapshots');
    beforeEach(async () => {
      server = await startOwnRedis({ dir });
      own = open(undefined, server.url);
    });
    afterEach(async () => {
      server.kill('SIGCONT');
      await server.stop();
    });

    it('is killed and comes back, it rings, hears and publishes again by itself', async () => {
      const heard = await hear(own);
      await own.publish(snapshotOf(1));
      await until(() => heard() === 2, TIMEOUT_MS);
      const { port } = new URL(server.url);
      server.kill('SIGKILL');
      await server.exited;
      expect(await rejectionOf(own.publishedVersion())).to.include({ code: 'E_SNAPSHOT_CHANNEL' });
      server = await startOwnRedis({ dir, port: Number(port) });
      // What was missed meanwhile is made up for by this one.
      await until(() => heard() === 3, TIMEOUT_MS);
      await until(
        () =>
          own.publish(snapshotOf(2)).then(
            () => true,
            () => false,
          ),
        TIMEOUT_MS,
      );
      await until(() => heard() >= 4, TIMEOUT_MS);
      expect(await own.publishedVersion()).to.equal(2);
    });

    it('is frozen, every call ends with an error, and works again afterwards', async () => {
      await own.publish(snapshotOf(1));
      server.kill('SIGSTOP');
      expect(await rejectionOf(own.publishedVersion())).to.include({
        code: 'E_SNAPSHOT_CHANNEL',
        kind: 'transient',
      });
      server.kill('SIGCONT');
      await until(
        () =>
          own.publishedVersion().then(
            (version) => version === 1,
            () => false,
          ),
        TIMEOUT_MS,
      );
    });
  });
});
