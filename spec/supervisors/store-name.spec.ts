/**
 * The name of the mailboxes, with a real Redis: the same for every node of it, and not lost with either of the two
 * places it is kept in.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { after, before, beforeEach, describe, it } from 'mocha';
import type { Redis } from 'ioredis';
import { connectRedis, whenReady } from '../../gateways/redis/connection.ts';
import { keepStoreName } from '../../supervisors/store-name.ts';
import { freshPrefix } from '../runtime/durable/store-under-test.ts';
import { specDirectory, specRedisUrl } from '../support/servers.ts';

const TIMEOUT_MS = 30_000;

describe('keepStoreName', function () {
  this.timeout(TIMEOUT_MS);
  let redis: Redis;
  let keyPrefix: string;
  let logged: string[];

  before(async () => {
    redis = connectRedis({ url: await specRedisUrl(), name: 'spec' });
    await whenReady(redis, TIMEOUT_MS);
  });
  after(() => redis.disconnect());
  beforeEach(() => {
    keyPrefix = freshPrefix();
    logged = [];
  });

  const log = { warn: (_fields: unknown, text: string) => logged.push(text) } as never;
  const newFile = (): string => join(specDirectory('store-name'), 'store-name');
  const nameFor = (file: string): Promise<string> => keepStoreName(redis, keyPrefix, file, log);

  it('is the same for every node of a Redis, and another for other mailboxes in it', async () => {
    const name = await nameFor(newFile());
    expect(name).to.match(/^[0-9a-f]{24}$/);
    expect(await nameFor(newFile())).to.equal(name);
    keyPrefix = freshPrefix();
    expect(await nameFor(newFile())).to.not.equal(name);
  });

  it('is given again to a Redis that came back empty', async () => {
    const file = newFile();
    const name = await nameFor(file);
    await redis.del(`${keyPrefix}:store`);
    expect(await nameFor(file)).to.equal(name);
    expect(await redis.get(`${keyPrefix}:store`)).to.equal(name);
  });

  it('follows the node to another Redis that has one', async () => {
    const file = newFile();
    await nameFor(file);
    keyPrefix = freshPrefix();
    const other = await nameFor(newFile());
    expect(await nameFor(file)).to.equal(other);
    expect(readFileSync(file, 'utf8').trim()).to.equal(other);
  });

  it('is good without a disk to keep it on, which is told', async () => {
    const file = join(newFile(), 'no', 'such', 'directory');
    const name = await nameFor(file);
    expect(await nameFor(file)).to.equal(name);
    expect(logged[0]).to.include('cannot be kept on disk');
  });
});
