/**
 * The private PostgreSQL, real: durable settings, secrets, leftovers of a killed parent, damaged and newer clusters.
 */
import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import { spawn } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import pgPromise from 'pg-promise';
import type { CodedError } from '../../../runtime/errors.ts';
import { startPrivatePostgres } from '../../../supervisors/embedded/postgres.ts';
import { identityOf } from '../../../supervisors/process-identity.mjs';
import { killHard, saidBy } from '../../support/said-by.ts';
import { specDirectory, startOwnPostgres } from '../../support/servers.ts';

const PARENT = fileURLToPath(new URL('./start-and-wait.ts', import.meta.url));
/** Somewhere in the part of pg_control that its checksum covers. */
const FLIPPED_BYTE = 40;
/** The driver's own client; its published types leave these out. */
interface Client {
  connect(): Promise<void>;
  query(statement: string): Promise<{ rows: unknown[] }>;
  end(): Promise<void>;
}
const pg = pgPromise().pg as unknown as { Client: new (options: { connectionString: string }) => Client };

/** One connection, closed before it returns: a server that stops would break an open one. */
async function ask(url: string, statement: string): Promise<unknown> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const { rows } = await client.query(statement);
    return rows[0];
  } finally {
    await client.end();
  }
}

async function failureOf(work: Promise<unknown>): Promise<CodedError> {
  return work.then(
    () => expect.fail('it did not fail'),
    (error: unknown) => error as CodedError,
  );
}

function flipped(bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes);
  copy[FLIPPED_BYTE] = (bytes[FLIPPED_BYTE] ?? 0) ^ 1;
  return copy;
}

describe('startPrivatePostgres', () => {
  const dir = specDirectory('postgres-main');

  before(async () => {
    const server = await startOwnPostgres({ dir });
    await ask(server.url, "CREATE TABLE kept AS SELECT 'yes' AS it");
    await server.stop();
  });

  it('keeps its data from one start to the next, and after SIGKILL', async () => {
    const first = await startOwnPostgres({ dir });
    await ask(first.url, "UPDATE kept SET it = 'still' RETURNING it");
    first.kill('SIGKILL');
    await first.exited;
    const second = await startOwnPostgres({ dir });
    expect(await ask(second.url, 'SELECT it FROM kept')).to.deep.equal({ it: 'still' });
    await second.stop();
    expect(identityOf(second.pid)).to.equal(undefined);
  });

  it('writes through to the disk, asks for a scram password and has no socket file', async () => {
    const server = await startOwnPostgres({ dir });
    expect(
      await ask(
        server.url,
        `SELECT current_setting('fsync') AS fsync, current_setting('synchronous_commit') AS commit,
                current_setting('listen_addresses') AS addresses,
                current_setting('unix_socket_directories') AS sockets`,
      ),
    ).to.deep.equal({ fsync: 'on', commit: 'on', addresses: '127.0.0.1', sockets: '' });
    const wrong = new URL(server.url);
    wrong.password = 'wrong';
    expect((await failureOf(ask(wrong.href, 'SELECT 1'))).message).to.match(/password authentication failed/);
    const password = new URL(server.url).password;
    expect(readFileSync(`/proc/${server.pid}/cmdline`, 'utf8')).not.to.include(password);
    for (const name of ['password', 'postgresql.conf', 'nonce', 'server.json']) {
      expect(statSync(join(dir, name)).mode & 0o777, name).to.equal(0o600);
    }
    expect(statSync(join(dir, 'data')).mode & 0o777).to.equal(0o700);
    await server.stop();
  });

  it('stops and goes on with all its processes', async () => {
    const server = await startOwnPostgres({ dir });
    server.kill('SIGSTOP');
    const question = ask(server.url, 'SELECT it FROM kept');
    const first = await Promise.race([question, new Promise((settle) => setTimeout(settle, 300, 'silence'))]);
    expect(first).to.equal('silence');
    server.kill('SIGCONT');
    expect(await question).to.deep.equal({ it: 'still' });
    await server.stop();
  });

  it('is adopted by the next start when its parent was killed', async () => {
    const parent = spawn(process.execPath, [PARENT, 'postgres', dir], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const { pid } = await saidBy(parent);
    await killHard(parent);
    const server = await startOwnPostgres({ dir });
    expect(server).to.include({ pid, isAdopted: true });
    expect(await ask(server.url, 'SELECT it FROM kept')).to.deep.equal({ it: 'still' });
    await server.stop();
    expect(identityOf(pid as number)).to.equal(undefined);
  });

  it('takes the remains of an interrupted first start for none', async () => {
    const fresh = specDirectory('postgres-interrupted');
    mkdirSync(join(fresh, 'data.draft', 'data'), { recursive: true });
    writeFileSync(join(fresh, 'data.draft', 'data', 'PG_VERSION'), '18\n');
    const server = await startOwnPostgres({ dir: fresh });
    expect(await ask(server.url, 'SELECT 1 AS one')).to.deep.equal({ one: 1 });
    await server.stop();
    expect(existsSync(join(fresh, 'data.draft'))).to.equal(false);
  });

  describe('when its cluster cannot be used', () => {
    const broken = specDirectory('postgres-broken');
    before(() => cpSync(dir, broken, { recursive: true }));
    after(() => rmSync(broken, { recursive: true, force: true }));

    for (const [title, file, content, code] of [
      ['is of a newer version', 'PG_VERSION', '99\n', 'E_DATA_NEWER'],
      ['is of an older version', 'PG_VERSION', '12\n', 'E_DATA_OLDER'],
      ['names no version', 'PG_VERSION', 'what?', 'E_DATA_DAMAGED'],
      ['has lost its control file', 'global/pg_control', '', 'E_DATA_DAMAGED'],
      ['has a control file of another build', 'global/pg_control', Buffer.alloc(8_192), 'E_DATA_DAMAGED'],
      ['has a control file with a flipped bit', 'global/pg_control', 'flip', 'E_DATA_DAMAGED'],
    ] as const) {
      it(`refuses one that ${title} and leaves it as it is`, async () => {
        const path = join(broken, 'data', file);
        const before = readFileSync(path);
        const damaged = content === 'flip' ? flipped(before) : Buffer.from(content);
        writeFileSync(path, damaged);
        const failure = await failureOf(startPrivatePostgres({ dir: broken }));
        expect(failure.code, failure.message).to.equal(code);
        expect(failure.mend).to.include('Nothing was changed');
        expect(readFileSync(path).equals(damaged)).to.equal(true);
        writeFileSync(path, before);
      });
    }

    it('refuses one whose password file is missing, names it, and makes no other', async () => {
      const path = join(broken, 'password');
      const before = readFileSync(path);
      rmSync(path);
      const failure = await failureOf(startPrivatePostgres({ dir: broken }));
      expect(failure).to.include({ code: 'E_DATA_DAMAGED' });
      expect(failure.message).to.include(path);
      expect(existsSync(path)).to.equal(false);
      writeFileSync(path, before);
    });

    it('refuses one that is gone: it must not look like a first start', async () => {
      const path = join(broken, 'data');
      renameSync(path, join(broken, 'elsewhere'));
      const failure = await failureOf(startPrivatePostgres({ dir: broken }));
      expect(failure, failure.message).to.include({ code: 'E_DATA_DAMAGED' });
      expect(failure.message).to.include(path);
      expect(failure.mend).to.include('Nothing was changed');
      expect(existsSync(path)).to.equal(false);
    });

    it('refuses when all of it is gone, and what was outside of it is still there', async () => {
      const traceFile = join(specDirectory('postgres-trace'), 'snapshot.json');
      const gone = specDirectory('postgres-gone');
      writeFileSync(traceFile, '{}');
      const failure = await failureOf(startPrivatePostgres({ dir: gone, traceFile }));
      expect(failure, failure.message).to.include({ code: 'E_DATA_DAMAGED' });
      expect(failure.message).to.include(traceFile);
      expect(readdirSync(gone)).to.deep.equal([]);
    });
  });
});
