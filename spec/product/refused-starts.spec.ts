/**
 * Starts that must not succeed: each ends by itself, in bounded time, with a code that is not 0 and a message that names
 * what is wrong and how to mend it, and leaves nothing running and nothing changed.
 */
import { execFile } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { Redis } from 'ioredis';
import { after, before, describe, it } from 'mocha';
import { makeAuthority } from '../support/certificates.ts';
import { freePorts } from '../../supervisors/embedded/free-ports.ts';
import { processesOf } from '../support/node-under-test.ts';
import { specDatabaseUrl, specRedisUrl, startOwnRedis } from '../support/servers.ts';

const ENTRY = fileURLToPath(new URL('../../supervisors/mutt.ts', import.meta.url));
/** How long a start that cannot succeed may take to say so, on a busy machine. */
const REFUSAL_MS = 60_000;

interface Refusal {
  code: number;
  text: string;
}

describe('A start that is refused', function () {
  this.timeout(2 * REFUSAL_MS);
  let root: string;
  let made = 0;

  before(() => {
    root = mkdtempSync(join(tmpdir(), 'mutt-refused-'));
    chmodSync(root, 0o755);
  });

  after(() => {
    expect(processesOf(root)).to.deep.equal([]);
    rmSync(root, { recursive: true, force: true });
  });

  const newDirectory = (): string => join(root, `data-${++made}`);

  async function start(env: NodeJS.ProcessEnv, dir = newDirectory()): Promise<Refusal> {
    const [ingest, health, admin] = await freePorts(3);
    const refusal = await new Promise<Refusal>((resolve) => {
      execFile(
        process.execPath,
        [ENTRY, 'start'],
        {
          timeout: REFUSAL_MS,
          killSignal: 'SIGKILL',
          env: {
            ...process.env,
            MUTT_DATA_DIR: dir,
            MUTT_INGEST_PORT: String(ingest),
            MUTT_HEALTH_PORT: String(health),
            MUTT_ADMIN_PORT: String(admin),
            ...env,
          },
        },
        (error, stdout, stderr) =>
          resolve({ code: error === null ? 0 : Number(error.code ?? -1), text: stdout + stderr }),
      );
    });
    expect(refusal.code, refusal.text).to.be.above(0);
    expect(refusal.text).not.to.include('is ready');
    expect(processesOf(dir), refusal.text).to.deep.equal([]);
    return refusal;
  }

  it('names the certificate file that cannot be used, before anything has started', async () => {
    const dir = newDirectory();
    const { text } = await start(
      { MUTT_INGEST_TLS_CERT_FILE: join(root, 'none.crt'), MUTT_INGEST_TLS_KEY_FILE: join(root, 'none.key') },
      dir,
    );
    expect(text)
      .to.include(`the TLS certificate cannot be read from ${join(root, 'none.crt')}: there is no such file`)
      .and.include('E_TLS_FILE_UNREADABLE');
    expect(existsSync(join(dir, 'postgres'))).to.equal(false);
  });

  for (const [name, variable] of [
    ['ingest', 'MUTT_INGEST_PORT'],
    ['health', 'MUTT_HEALTH_PORT'],
    ['admin', 'MUTT_ADMIN_PORT'],
  ] as const) {
    it(`names the ${name} port that another program has, and its variable`, async () => {
      const other = createServer();
      await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
      const port = String((other.address() as AddressInfo).port);
      try {
        const { text } = await start({ [variable]: port });
        expect(text).to.include('E_PORT_IN_USE').and.to.include(`${name} port`).and.to.include(port);
        expect(text).to.include(variable);
      } finally {
        other.close();
      }
    });
  }

  for (const [host, reason] of [
    ['203.0.113.99', 'no address of this machine'],
    ['no.such.host.invalid', 'no.such.host.invalid'],
  ] as const) {
    it(`names MUTT_INGEST_HOST, not the port, when it is ${host}`, async () => {
      const { text } = await start({ MUTT_INGEST_HOST: host });
      expect(text).to.include('E_LISTEN_REFUSED').and.to.include(reason).and.to.include('MUTT_INGEST_HOST');
      expect(text).not.to.include('E_PORT_IN_USE');
    });
  }

  it('names every bad variable at once, an unknown one with the nearest known, and repeats no value', async () => {
    const { text } = await start({
      MUTT_MATCH_THREDS: '2',
      MUTT_FORWARD_THREADS: 'many',
      MUTT_ACK_LEVEL: 'maybe',
      REDIS_URL: 'http://user:pass-word@nowhere',
    });
    expect(text).to.include('E_CONFIG_INVALID');
    expect(text).to.match(/MUTT_MATCH_THREDS: no such setting; did you mean MUTT_MATCH_THREADS\?/);
    expect(text).to.include('MUTT_FORWARD_THREADS: is not a whole number from 1 to 64');
    expect(text).to.include('MUTT_ACK_LEVEL: is not one of written, fsynced');
    expect(text).to.include('REDIS_URL: is not an address');
    expect(text).not.to.include('pass-word');
  });

  it('says that Redis cannot be reached, and shows no password', async () => {
    const { text } = await start({
      REDIS_URL: 'redis://:pass-word@127.0.0.1:1/0',
      DATABASE_URL: await specDatabaseUrl(),
    });
    expect(text).to.include('E_REDIS_UNREACHABLE').and.to.include('REDIS_URL');
    expect(text).not.to.include('pass-word');
  });

  it('says that PostgreSQL cannot be reached while there is no rule set on disk, and shows no password', async () => {
    const { certificate, key } = await (await makeAuthority('ours')).issue('server');
    writeFileSync(join(root, 'server.crt'), certificate);
    writeFileSync(join(root, 'server.key'), key, { mode: 0o600 });
    const { text } = await start({
      // Whoever looks after these must not hold up the end.
      MUTT_INGEST_TLS_CERT_FILE: join(root, 'server.crt'),
      MUTT_INGEST_TLS_KEY_FILE: join(root, 'server.key'),
      REDIS_URL: await specRedisUrl(),
      MUTT_KEY_PREFIX: `refused-${process.pid}`,
      DATABASE_URL: 'postgres://mutt:pass-word@127.0.0.1:1/mutt',
    });
    expect(text).to.include('E_DATABASE_UNREACHABLE').and.to.include('DATABASE_URL');
    expect(text).not.to.include('pass-word');
  });

  it('names the setting by which a Redis could lose acknowledged events', async () => {
    const server = await startOwnRedis();
    const redis = new Redis(server.url);
    try {
      await redis.config('SET', 'appendonly', 'no');
      const { text } = await start({ REDIS_URL: server.url, DATABASE_URL: await specDatabaseUrl() });
      expect(text).to.include('E_STORE_APPENDONLY').and.to.include('Set appendonly yes');
    } finally {
      redis.disconnect();
      await server.stop();
    }
  });

  it('leaves a data directory of a newer format as it is', async () => {
    const dir = newDirectory();
    mkdirSync(dir);
    writeFileSync(join(dir, 'FORMAT'), 'mutt-data 99\n');
    const { text } = await start({}, dir);
    expect(text).to.include('E_DATA_NEWER').and.to.include('99').and.to.include('Nothing was changed');
    expect(readFileSync(join(dir, 'FORMAT'), 'utf8')).to.equal('mutt-data 99\n');
    expect(existsSync(join(dir, 'keys'))).to.equal(false);
  });

  it('leaves a damaged data directory as it is', async () => {
    const dir = newDirectory();
    mkdirSync(join(dir, 'postgres', 'data'), { recursive: true });
    writeFileSync(join(dir, 'postgres', 'data', 'PG_VERSION'), 'who knows');
    const { text } = await start({}, dir);
    expect(text).to.include('E_DATA_DAMAGED').and.to.include('Nothing was changed');
    expect(existsSync(join(dir, 'FORMAT'))).to.equal(false);
  });

  it('leaves a damaged PostgreSQL cluster as it is, and stops the Redis it had started', async () => {
    const dir = newDirectory();
    mkdirSync(join(dir, 'postgres', 'data'), { recursive: true });
    writeFileSync(join(dir, 'FORMAT'), 'mutt-data 1\n');
    writeFileSync(join(dir, 'postgres', 'data', 'PG_VERSION'), 'who knows');
    const { text } = await start({}, dir);
    expect(text).to.include('E_DATA_DAMAGED').and.to.include('PG_VERSION');
    expect(readFileSync(join(dir, 'postgres', 'data', 'PG_VERSION'), 'utf8')).to.equal('who knows');
  });

  it('says which directory cannot be written when it is a file', async () => {
    const dir = newDirectory();
    writeFileSync(dir, 'no directory');
    const { text } = await start({}, dir);
    expect(text).to.include('E_DATA_UNWRITABLE').and.to.include(`${dir} is a file`);
  });

  it('says that a directory cannot be made where there are no others, as in /proc', async () => {
    const { text } = await start({}, '/proc/mutt');
    expect(text).to.include('E_DATA_UNWRITABLE').and.to.include('/proc');
  });

  it('names the log file that cannot be written', async () => {
    const dir = newDirectory();
    mkdirSync(join(dir, 'log', 'mutt.log'), { recursive: true });
    const { text } = await start({}, dir);
    expect(text)
      .to.include('E_DATA_UNWRITABLE')
      .and.to.include(`${join(dir, 'log', 'mutt.log')} is a directory`);
  });

  it('does not begin anew when the PostgreSQL data of an installation are gone', async () => {
    const dir = newDirectory();
    mkdirSync(dir);
    writeFileSync(join(dir, 'FORMAT'), 'mutt-data 1\n');
    writeFileSync(join(dir, 'snapshot.json'), '{}');
    const { text } = await start({}, dir);
    expect(text)
      .to.include('E_DATA_DAMAGED')
      .and.to.include(join(dir, 'postgres', 'data'));
    expect(existsSync(join(dir, 'postgres'))).to.equal(false);
  });
});
