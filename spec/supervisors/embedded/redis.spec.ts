/**
 * The private Redis, real: durable settings, secrets, leftovers of a killed parent, damaged data.
 */
import { expect } from 'chai';
import { Redis } from 'ioredis';
import { after, before, describe, it } from 'mocha';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, readFileSync, readdirSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { codeOf } from '../../../runtime/errors.ts';
import type { CodedError } from '../../../runtime/errors.ts';
import { startPrivateRedis } from '../../../supervisors/embedded/redis.ts';
import { identityOf } from '../../../supervisors/process-identity.mjs';
import { killHard, saidBy } from '../../support/said-by.ts';
import { specDirectory, startOwnRedis } from '../../support/servers.ts';

const PARENT = fileURLToPath(new URL('./start-and-wait.ts', import.meta.url));

async function failureOf(work: Promise<unknown>): Promise<CodedError> {
  return work.then(
    () => expect.fail('it did not fail'),
    (error: CodedError) => error,
  );
}

async function withClient<T>(url: string, use: (client: Redis) => Promise<T>): Promise<T> {
  const client = new Redis(url, { lazyConnect: true, retryStrategy: () => null });
  try {
    await client.connect();
    return await use(client);
  } finally {
    client.disconnect();
  }
}

describe('startPrivateRedis', () => {
  const dir = specDirectory('redis-main');

  it('is durable, refuses instead of evicting, and listens on 127.0.0.1 alone', async () => {
    const server = await startOwnRedis({ dir });
    await withClient(server.url, async (client) => {
      const settings = await client.config('GET', '*');
      const valueOf = (name: string) => settings[settings.indexOf(name) + 1];
      expect(valueOf('appendonly')).to.equal('yes');
      expect(valueOf('appendfsync')).to.equal('always');
      expect(valueOf('no-appendfsync-on-rewrite')).to.equal('no');
      expect(valueOf('maxmemory')).to.equal(String(1024 ** 3));
      expect(valueOf('maxmemory-policy')).to.equal('noeviction');
      expect(valueOf('bind')).to.equal('127.0.0.1');
      await client.set('kept', 'yes');
    });
    await server.stop();
    expect(identityOf(server.pid)).to.equal(undefined);
  });

  it('keeps its data from one start to the next, and after SIGKILL', async () => {
    const first = await startOwnRedis({ dir });
    await withClient(first.url, (client) => client.set('more', 'too'));
    first.kill('SIGKILL');
    expect(await first.exited).to.deep.equal({ code: null, signal: 'SIGKILL' });
    const second = await startOwnRedis({ dir });
    expect(await withClient(second.url, (client) => client.mget('kept', 'more'))).to.deep.equal([
      'yes',
      'too',
    ]);
    await second.stop();
  });

  it('has its password in files that only their owner reads, and on no command line', async () => {
    const server = await startOwnRedis({ dir });
    const password = new URL(server.url).password;
    expect(readFileSync(join(dir, 'password'), 'utf8')).to.equal(password);
    for (const name of ['password', 'redis.conf', 'nonce', 'server.json']) {
      expect(statSync(join(dir, name)).mode & 0o777, name).to.equal(0o600);
    }
    expect(readFileSync(`/proc/${server.pid}/cmdline`, 'utf8')).not.to.include(password);
    const stranger = connect(server.port, '127.0.0.1');
    stranger.write('PING\r\n');
    expect(String(await once(stranger, 'data'))).to.match(/^-NOAUTH/);
    stranger.destroy();
    await server.stop();
  });

  it('never runs as root, and not in our process group', async () => {
    const server = await startOwnRedis({ dir });
    const status = readFileSync(`/proc/${server.pid}/status`, 'utf8');
    expect(Number(/^Uid:\s+(\d+)/m.exec(status)?.[1])).not.to.equal(0);
    const group = readFileSync(`/proc/${server.pid}/stat`, 'utf8').split(') ')[1]?.split(' ')[2];
    expect(Number(group)).to.equal(server.pid);
    await server.stop();
  });

  it('stops in time though it declines at first, while it writes a new append-only file', async () => {
    const server = await startOwnRedis({ dir: specDirectory('redis-declines') });
    await withClient(server.url, async (client) => {
      await client.config('SET', 'rdb-key-save-delay', '100000');
      for (let index = 0; index < 20; index += 1) await client.set(`key-${index}`, 'value');
      await client.config('SET', 'appendonly', 'no');
      await client.config('SET', 'appendonly', 'yes');
    });
    await server.stop();
    expect(await server.exited).to.deep.equal({ code: 0, signal: null });
  });

  describe('when its parent was killed', () => {
    let parent: ReturnType<typeof spawn> | undefined;
    after(() => parent && killHard(parent));

    async function orphan(): Promise<number> {
      parent = spawn(process.execPath, [PARENT, 'redis', dir], { stdio: ['ignore', 'pipe', 'inherit'] });
      const { pid } = await saidBy(parent);
      return pid as number;
    }

    it('runs on, and the next start adopts it', async () => {
      const pid = await orphan();
      await killHard(parent as NonNullable<typeof parent>);
      const server = await startOwnRedis({ dir });
      expect(server).to.include({ pid, isAdopted: true });
      await server.stop();
      await server.exited;
      expect(identityOf(pid)).to.equal(undefined);
    });

    it('is ended by the next start when that wants other settings', async () => {
      const pid = await orphan();
      await killHard(parent as NonNullable<typeof parent>);
      const server = await startOwnRedis({ dir, maxMemoryBytes: 64 * 1024 ** 2 });
      expect(server.isAdopted).to.equal(false);
      expect(identityOf(pid)).to.equal(undefined);
      await server.stop();
    });

    it('is ended by the next start when it was stopped and does not answer', async () => {
      const pid = await orphan();
      await killHard(parent as NonNullable<typeof parent>);
      process.kill(pid, 'SIGSTOP');
      const server = await startOwnRedis({ dir });
      expect(server.isAdopted).to.equal(false);
      expect(identityOf(pid)).to.equal(undefined);
      await server.stop();
    });

    it('is found by its nonce when the record of it was never written', async () => {
      const pid = await orphan();
      await killHard(parent as NonNullable<typeof parent>);
      writeFileSync(join(dir, 'server.json'), '{"pid":');
      const server = await startOwnRedis({ dir });
      expect(server.isAdopted).to.equal(false);
      expect(identityOf(pid)).to.equal(undefined);
      await server.stop();
    });

    it('is left alone while its parent lives, and that one is named', async () => {
      const pid = await orphan();
      const failure = await failureOf(startPrivateRedis({ dir }));
      expect(failure.code).to.equal('E_ALREADY_RUNNING');
      expect(failure.details).to.include({ pid: parent?.pid });
      expect(identityOf(pid)).not.to.equal(undefined);
      await killHard(parent as NonNullable<typeof parent>);
      await (await startOwnRedis({ dir })).stop();
    });
  });

  it('never touches a stranger that has the pid of its record', async () => {
    const stranger = spawn('sleep', ['60'], { stdio: 'ignore' });
    const owner = { pid: 999_999_999, identity: 'gone' };
    for (const identity of [identityOf(stranger.pid ?? 0), 'another start']) {
      writeFileSync(
        join(dir, 'server.json'),
        JSON.stringify({ pid: stranger.pid, identity, port: 1, settings: '', owner }),
      );
      await (await startOwnRedis({ dir })).stop();
      expect(identityOf(stranger.pid ?? 0)).not.to.equal(undefined);
    }
    await killHard(stranger);
  });

  it('says which port is in use', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await new Promise((settle) => other.once('listening', settle));
    const { port } = other.address() as AddressInfo;
    const failure = await failureOf(startPrivateRedis({ dir, port }));
    expect(failure.code).to.equal('E_PORT_IN_USE');
    expect(failure.details).to.deep.equal({ port });
    other.close();
  });

  it('does not take the server of the directory it was copied from for its own', async () => {
    const original = await startOwnRedis({ dir });
    const copyDir = specDirectory('redis-copy');
    cpSync(dir, copyDir, { recursive: true });
    const copy = await startOwnRedis({ dir: copyDir });
    expect(copy.isAdopted).to.equal(false);
    expect(identityOf(original.pid)).not.to.equal(undefined);
    await Promise.all([original.stop(), copy.stop()]);
  });

  describe('when its data cannot be used', () => {
    const broken = specDirectory('redis-broken');
    const basePath = (): string => {
      const folder = join(broken, 'data', 'appendonlydir');
      return join(folder, readdirSync(folder).find((name) => name.endsWith('.base.rdb')) ?? '');
    };

    before(async () => {
      const server = await startOwnRedis({ dir: broken });
      await withClient(server.url, (client) => client.set('kept', 'yes'));
      await server.stop();
    });

    it('refuses damaged ones and leaves them as they are', async () => {
      truncateSync(basePath(), 5);
      const failure = await failureOf(startPrivateRedis({ dir: broken }));
      expect(failure.code).to.equal('E_DATA_DAMAGED');
      expect(failure.mend).to.include('Nothing was changed');
      expect(statSync(basePath()).size).to.equal(5);
    });

    it('refuses those of a newer Redis', async () => {
      writeFileSync(basePath(), 'REDIS0999' + '\0'.repeat(64));
      expect(codeOf(await failureOf(startPrivateRedis({ dir: broken })))).to.equal('E_DATA_NEWER');
    });
  });
});
