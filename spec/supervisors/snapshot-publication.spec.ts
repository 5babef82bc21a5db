/**
 * Several nodes on one PostgreSQL and one Redis, both real and of this file alone: how a change gets to all of them, and
 * what they run when one of the two servers is away, frozen, restored or empty.
 */
import { join } from 'node:path';
import { expect } from 'chai';
import { after, afterEach, before, beforeEach, describe, it } from 'mocha';
import type { Redis } from 'ioredis';
import sinon from 'sinon';
import type { Snapshot } from '../../actors/ports.ts';
import { openConnection } from '../../gateways/postgres/connection.ts';
import type { Connection } from '../../gateways/postgres/connection.ts';
import { migrate } from '../../gateways/postgres/migrate.ts';
import { PostgresOutboxStore } from '../../gateways/postgres/outbox-store.ts';
import { PostgresSettingsStore } from '../../gateways/postgres/settings-store.ts';
import { PostgresSnapshotSource } from '../../gateways/postgres/snapshot-source.ts';
import { connectRedis, whenReady } from '../../gateways/redis/connection.ts';
import { SnapshotChannel } from '../../gateways/redis/snapshot-channel.ts';
import { systemClock } from '../../runtime/clock.ts';
import type { PrivateServer } from '../../supervisors/embedded/private-server.ts';
import { SnapshotKeeper } from '../../supervisors/snapshot-keeper.ts';
import { freshPrefix, until } from '../runtime/durable/store-under-test.ts';
import { freePorts } from '../../supervisors/embedded/free-ports.ts';
import { specDirectory, startOwnPostgres, startOwnRedis } from '../support/servers.ts';

const TIMEOUT_MS = 60_000;
const AUTHOR = { changedBy: 'nils' };
const KEY = 'pool.match.size';
const PEPPER = 'the pepper of these nodes';

interface NodeUnderTest {
  keeper: SnapshotKeeper;
  channel: SnapshotChannel;
  seen: number[];
  logged: string[];
}

describe('SnapshotKeeper on real servers', function () {
  this.timeout(TIMEOUT_MS);
  let postgres: PrivateServer;
  let redis: PrivateServer;
  let database: Connection;
  let settings: PostgresSettingsStore;
  let outbox: PostgresOutboxStore;
  let keyPrefix: string;
  let nobody: string;
  let nodes: NodeUnderTest[];
  let closers: (() => unknown)[];
  const redisDir = specDirectory('redis-publication');

  before(async () => {
    [postgres, redis] = await Promise.all([startOwnPostgres(), startOwnRedis({ dir: redisDir })]);
    const [port] = await freePorts(1);
    nobody = `postgres://nobody@127.0.0.1:${port}/none`;
    const connection = openConnection({ url: postgres.url, connectionsMax: 1, statementTimeoutMs: 0 });
    await migrate(connection, systemClock);
    await connection.close();
  });
  after(() => Promise.all([postgres.stop(), redis.stop()]));
  beforeEach(() => {
    nodes = [];
    keyPrefix = freshPrefix();
    database = openConnection({ url: postgres.url });
    closers = [() => database.close()];
    settings = new PostgresSettingsStore(database, () => undefined);
    outbox = new PostgresOutboxStore(database);
  });
  afterEach(async () => {
    sinon.restore();
    postgres.kill('SIGCONT');
    await Promise.all(nodes.map(({ keeper }) => keeper.stop()));
    for (const close of closers.reverse()) await close();
  });

  function node(databaseUrl = postgres.url, dir = specDirectory('publication')): NodeUnderTest {
    const connection = openConnection({ url: databaseUrl, connectionsMax: 2 });
    const channel = new SnapshotChannel({ url: redis.url, keyPrefix, pepper: Buffer.from(PEPPER) });
    closers.push(
      () => connection.close(),
      () => channel.close(),
    );
    const logged: string[] = [];
    const log = (_fields: unknown, text?: string): void => void logged.push(text ?? String(_fields));
    const keeper = new SnapshotKeeper(
      new PostgresSnapshotSource(connection),
      join(dir, 'snapshot.json'),
      { info: log, warn: log } as never,
      { channel, outbox: new PostgresOutboxStore(connection) },
    );
    const seen: number[] = [];
    keeper.changes.subscribe(({ version }) => seen.push(version));
    nodes.push({ keeper, channel, seen, logged });
    return { keeper, channel, seen, logged };
  }
  /** A connection to look behind the channel. */
  async function rawRedis(): Promise<Redis> {
    const raw = connectRedis({ url: redis.url, name: 'spec' });
    closers.push(() => raw.disconnect());
    await whenReady(raw, TIMEOUT_MS);
    return raw;
  }
  let next = 1;
  /** Sets something; gives the version at which it is in force. */
  const change = async (): Promise<number> => {
    await settings.set(KEY, ++next, {}, AUTHOR);
    return new PostgresSnapshotSource(database).currentVersion();
  };
  const runs = (one: NodeUnderTest, version: number): Promise<void> =>
    until(() => one.keeper.current?.version === version, TIMEOUT_MS);

  it('brings a change to every node, publishes it and settles its notice', async () => {
    const both = [node(), node()];
    for (const { keeper } of both) await keeper.start();
    const version = await change();
    await Promise.all(both.map((one) => runs(one, version)));
    for (const { keeper } of both) expect(keeper.current?.settings).to.deep.equal({ [KEY]: next });
    await until(async () => (await outbox.unpublished(10)).length === 0, TIMEOUT_MS);
    const [first] = both;
    expect(await first?.channel.publishedVersion()).to.equal(version);
    expect(await first?.channel.latest()).to.deep.equal(first?.keeper.current);
  });

  it('hears of it without waiting for its next look', async () => {
    const [publisher, hearer] = [node(), node()];
    await publisher.keeper.start();
    // No timer of its own: whatever it learns, it learns by a notice.
    const timers = sinon.useFakeTimers({ toFake: ['setInterval'] });
    await hearer.keeper.start();
    timers.restore();
    let rings = 0;
    hearer.channel.onNotice(() => (rings += 1));
    for (let round = 0; round < 3; round++) {
      const version = await change();
      await runs(publisher, version);
      await runs(hearer, version);
    }
    expect(rings).to.be.above(0);
  });

  it('publishes what was changed while no node ran', async () => {
    const version = await change();
    expect(await outbox.unpublished(10)).to.not.deep.equal([]);
    const one = node();
    await one.keeper.start();
    expect(await one.channel.publishedVersion()).to.equal(version);
    expect(await outbox.unpublished(10)).to.deep.equal([]);
  });

  it('starts from Redis where PostgreSQL cannot be reached, and follows what others publish', async () => {
    const writer = node();
    await writer.keeper.start();
    await runs(writer, await change());
    await until(
      async () => (await writer.channel.publishedVersion()) === writer.keeper.current?.version,
      TIMEOUT_MS,
    );
    const cut = node(nobody);
    await cut.keeper.start();
    expect(cut.keeper.current).to.deep.equal(writer.keeper.current);
    const version = await change();
    await runs(cut, version);
    expect(cut.keeper.current?.settings).to.deep.equal({ [KEY]: next });
    expect(cut.logged.filter((text) => text.includes('PostgreSQL is away'))).to.have.length(1);
  });

  it('takes the newer one of disk and Redis', async () => {
    const dir = specDirectory('publication-disk');
    const before = node(postgres.url, dir);
    await before.keeper.start();
    const version = await change();
    await runs(before, version);
    await before.keeper.stop();
    const stale = { ...(before.keeper.current as Snapshot), version: version - 1, settings: { [KEY]: 0 } };
    await before.channel.publish(stale);
    const cut = node(nobody, dir);
    await cut.keeper.start();
    expect(cut.keeper.current).to.deep.equal(before.keeper.current);
  });

  it('never publishes what it has not from PostgreSQL', async () => {
    const writer = node();
    await writer.keeper.start();
    const cut = node(nobody);
    await cut.keeper.start();
    const raw = await rawRedis();
    await writer.keeper.stop();
    await raw.del(`${keyPrefix}:snapshot`);
    for (let looks = 0; looks < 3; looks++) await cut.keeper.refresh();
    expect(await raw.exists(`${keyPrefix}:snapshot`)).to.equal(0);
  });

  it('takes nothing damaged from Redis, and says so once', async () => {
    const writer = node();
    await writer.keeper.start();
    const cut = node(nobody);
    await cut.keeper.start();
    const { current } = cut.keeper;
    const version = Number(current?.version);
    await writer.keeper.stop();
    const before = cut.logged.length;
    const damaged = [{ version: version + 1 }, { ...current, version: version + 1, rules: 'none' }];
    for (const document of damaged) {
      await writer.channel.publish(document as unknown as Snapshot);
      for (let looks = 0; looks < 3; looks++) await cut.keeper.refresh();
    }
    expect(cut.keeper.current).to.deep.equal(current);
    expect(cut.logged.slice(before)).to.have.length(1);
  });

  it('ignores what nobody with its pepper has signed, and says so once, also while Redis has other troubles', async () => {
    const writer = node();
    await writer.keeper.start();
    const cut = node(nobody);
    await cut.keeper.start();
    const { current } = cut.keeper;
    const version = Number(current?.version);
    await writer.keeper.stop();
    const before = cut.logged.length;
    await writer.channel.publish({ version: version + 1 } as Snapshot);
    await cut.keeper.refresh();
    const raw = await rawRedis();
    const forged = JSON.stringify({ ...current, version: version + 2, settings: { [KEY]: 9 } });
    await raw.hset(`${keyPrefix}:snapshot`, { version: version + 2, document: forged });
    for (let looks = 0; looks < 3; looks++) await cut.keeper.refresh();
    expect(cut.keeper.current).to.deep.equal(current);
    expect(cut.logged.slice(before).filter((text) => text.includes('no valid signature'))).to.have.length(1);
    const real = { ...(current as Snapshot), version: version + 3 };
    await writer.channel.publish(real);
    await runs(cut, version + 3);
  });

  it('follows PostgreSQL back to an earlier version, whatever is in Redis', async () => {
    const both = [node(), node()];
    for (const { keeper } of both) await keeper.start();
    const version = await change();
    await Promise.all(both.map((one) => runs(one, version)));
    await until(async () => (await both[0]?.channel.publishedVersion()) === version, TIMEOUT_MS);
    await restoredTo(version - 1);
    await Promise.all(both.map((one) => runs(one, version - 1)));
    await until(async () => (await both[0]?.channel.publishedVersion()) === version - 1, TIMEOUT_MS);
    const cut = node(nobody);
    await cut.keeper.start();
    expect(cut.keeper.current?.version).to.equal(version - 1);
    await database.transaction((transaction) => transaction.script(`${RAISE} + 1`, 'spec'));
  });

  it('goes on while PostgreSQL is frozen: takes what others publish, and gives it up when PostgreSQL is back', async () => {
    const one = node();
    await one.keeper.start();
    const { current } = one.keeper;
    const version = Number(current?.version);
    postgres.kill('SIGSTOP');
    // As if a node that still reached PostgreSQL had published it.
    await one.channel.publish({ ...(current as Snapshot), version: version + 1 });
    await runs(one, version + 1);
    postgres.kill('SIGCONT');
    await runs(one, version);
    await until(async () => (await one.channel.publishedVersion()) === version, TIMEOUT_MS);
    expect(one.keeper.current).to.deep.equal(current);
  });

  it('goes on while Redis is away, publishes again when one is back that has lost everything', async () => {
    const writer = node();
    await writer.keeper.start();
    const { port } = new URL(redis.url);
    redis.kill('SIGKILL');
    await redis.exited;
    const version = await change();
    await runs(writer, version);
    await until(() => writer.logged.some((text) => text.includes('cannot be published')), TIMEOUT_MS);
    expect((await outbox.unpublished(10)).map((notice) => notice.snapshotVersion)).to.include(version);
    redis = await startOwnRedis({ dir: redisDir, port: Number(port) });
    await (await rawRedis()).flushall();
    await until(
      () =>
        writer.channel.publishedVersion().then(
          (published) => published === version,
          () => false,
        ),
      TIMEOUT_MS,
    );
    await until(async () => (await outbox.unpublished(10)).length === 0, TIMEOUT_MS);
    await until(() => writer.logged.includes('the rule set can be published again'), TIMEOUT_MS);
  });

  it('catches up by itself after every connection to Redis was cut', async () => {
    const writer = node();
    await writer.keeper.start();
    const cut = node(nobody);
    await cut.keeper.start();
    const raw = await rawRedis();
    for (const type of ['normal', 'pubsub']) await raw.call('CLIENT', 'KILL', 'TYPE', type, 'SKIPME', 'yes');
    const version = await change();
    await Promise.all([runs(writer, version), runs(cut, version)]);
  });

  const RAISE = 'UPDATE config_version SET snapshot_version = snapshot_version';
  /** As a restored backup would leave it. */
  async function restoredTo(version: number): Promise<void> {
    await database.transaction((transaction) =>
      transaction.script(`UPDATE config_version SET snapshot_version = ${version}`, 'spec'),
    );
  }
});
