import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { inspect } from 'node:util';
import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import { sleep, systemClock } from '../../../runtime/clock.ts';
import { toWire } from '../../../runtime/errors.ts';
import { BinaryRows } from '../../../gateways/postgres/copy-in.ts';
import { openConnection } from '../../../gateways/postgres/connection.ts';
import type { Connection } from '../../../gateways/postgres/connection.ts';
import { migrate } from '../../../gateways/postgres/migrate.ts';
import { startOwnPostgres } from '../../support/servers.ts';
import { SERVER_TIMEOUT_MS, ownDatabase, rejectionOf } from './own-database.ts';
import type { OwnDatabase } from './own-database.ts';

const AWAY = { code: 'E_DATABASE_AWAY', kind: 'transient' };
const PASSWORD = 'hunter2/secret';

/** Everything a log or another thread could see of an error. */
function seenOf(error: unknown): string {
  return inspect(error, { depth: 10, showHidden: true }) + JSON.stringify(toWire(error));
}

/** Waits on the server until the script's time is over. */
function slowQuery(connection: Connection, seconds: number): Promise<unknown> {
  return connection.transaction((transaction) =>
    transaction.script(`SELECT pg_sleep(${seconds}) /* slow */`, 'slow'),
  );
}

describe('openConnection', function () {
  this.timeout(SERVER_TIMEOUT_MS);
  let database: OwnDatabase;
  before(async () => {
    database = await ownDatabase();
  });
  after(() => database.drop());

  function withPassword(password: string, changes: (url: URL) => void = () => {}): string {
    const url = new URL(database.url);
    url.username ||= 'someone';
    url.password = encodeURIComponent(password);
    changes(url);
    return url.href;
  }

  it('gives bigint as a number', async () => {
    expect(await database.connection.rows('read_config_version')).to.deep.equal([{ snapshot_version: 0 }]);
  });

  for (const reason of ['No space left on device', 'Disk quota exceeded', 'File too large']) {
    it(`takes it for away when a file cannot grow: ${reason}`, async () => {
      const failing = database.connection.transaction((transaction) =>
        transaction.script(
          `DO $$ BEGIN RAISE EXCEPTION 'could not extend file "base/5/1": ${reason}' USING ERRCODE = 'XX000'; END $$`,
          'grow',
        ),
      );
      expect(await rejectionOf(failing)).to.include(AWAY);
    });
  }

  it('rolls back what a rejected transaction did, and passes its error on', async () => {
    const error = await rejectionOf(
      database.connection.transaction(async (transaction) => {
        await transaction.rows('raise_config_version');
        throw new RangeError('mine');
      }),
    );
    expect(error).to.be.instanceOf(RangeError).with.property('message', 'mine');
    expect(await database.connection.row('read_config_version')).to.deep.equal({ snapshot_version: 0 });
  });

  it('writes nothing in a snapshot', async () => {
    const error = await rejectionOf(
      database.connection.transaction((transaction) => transaction.rows('raise_config_version'), {
        isSnapshot: true,
      }),
    );
    expect(error).to.include({ name: 'CodedError' });
    expect(await database.connection.row('read_config_version')).to.deep.equal({ snapshot_version: 0 });
  });

  for (const url of ['nonsense', 'http://me:hunter2@host/db', 'postgres://me:hunter2%@host/db', '']) {
    it(`refuses ${url === '' ? 'an empty URL' : `a URL like ${url.slice(0, 4)}…`} without repeating it`, () => {
      try {
        openConnection({ url });
        expect.fail('it was accepted');
      } catch (error) {
        expect(error).to.include({ code: 'E_DATABASE_URL_INVALID', kind: 'permanent' });
        expect(seenOf(error)).not.to.contain('hunter2');
      }
    });
  }

  it('is away when nobody listens, and says nothing of the password', async () => {
    const probe = createServer().listen(0, '127.0.0.1');
    await new Promise((settle) => probe.once('listening', settle));
    const { port } = probe.address() as AddressInfo;
    await new Promise((settle) => probe.close(settle));
    const connection = openConnection({
      url: withPassword(PASSWORD, (url) => (url.port = String(port))),
    });
    const error = await rejectionOf(connection.rows('read_config_version'));
    expect(error).to.include(AWAY);
    expect(seenOf(error)).not.to.contain('hunter2');
    await connection.close();
  });

  it('is away when the server takes the connection and stays silent', async () => {
    const silent = createServer().listen(0, '127.0.0.1');
    await new Promise((settle) => silent.once('listening', settle));
    const { port } = silent.address() as AddressInfo;
    const connection = openConnection({
      url: withPassword(PASSWORD, (url) => (url.port = String(port))),
      connectTimeoutMs: 100,
    });
    const error = await rejectionOf(connection.rows('read_config_version'));
    expect(error).to.include(AWAY);
    expect(seenOf(error)).not.to.contain('hunter2');
    await connection.close();
    silent.close();
  });

  it('is refused for good when there is no such database', async () => {
    const url = new URL(database.url);
    url.pathname = '/no_such_database';
    const connection = openConnection({ url: url.href });
    const error = await rejectionOf(connection.rows('read_config_version'));
    expect(error).to.include({ code: 'E_DATABASE_REFUSED', kind: 'permanent' });
    await connection.close();
  });

  it('is refused for good with a wrong password, which it does not repeat', async () => {
    const connection = openConnection({ url: withPassword(PASSWORD) });
    const error = await rejectionOf(connection.rows('read_config_version'));
    expect(error).to.include({ code: 'E_DATABASE_REFUSED', kind: 'permanent' });
    expect(seenOf(error)).not.to.contain('hunter2');
    await connection.close();
  });

  it('is refused for good when TLS is demanded and the server has none', async () => {
    const url = withPassword(new URL(database.url).password, ({ searchParams }) =>
      searchParams.set('sslmode', 'verify-full'),
    );
    const connection = openConnection({ url });
    const error = await rejectionOf(connection.rows('read_config_version'));
    expect(error).to.include({ code: 'E_DATABASE_REFUSED', kind: 'permanent' });
    await connection.close();
  });

  it('is away for a caller whose statement was ended, and serves the next', async () => {
    const connection = openConnection({ url: database.url, connectionsMax: 1, statementTimeoutMs: 50 });
    const error = await rejectionOf(slowQuery(connection, 30));
    expect(error).to.include(AWAY);
    expect(error['details']).to.include({ sqlstate: '57014' });
    expect(await connection.rows('read_config_version')).to.have.length(1);
    await connection.close();
  });

  it('is away when an administrator ends the session in the middle, and serves the next', async () => {
    const connection = openConnection({ url: database.url, connectionsMax: 1 });
    const query = rejectionOf(slowQuery(connection, 30));
    await endSlow(database);
    const error = await query;
    expect(error).to.include(AWAY);
    expect(await connection.rows('read_config_version')).to.have.length(1);
    await connection.close();
  });

  it('survives that its idle sessions are ended', async () => {
    const connection = openConnection({ url: database.url, applicationName: 'idle-spec' });
    await Promise.all(Array.from({ length: 3 }, () => connection.rows('read_config_version')));
    await database.sql(
      `SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'idle-spec'`,
    );
    await sleep(systemClock, 50);
    expect(await connection.rows('read_config_version')).to.have.length(1);
    await connection.close();
  });

  it('has other connections after a renewal, and still answers what ran before', async () => {
    const connection = openConnection({ url: database.url, connectionsMax: 1 });
    const settled: string[] = [];
    const before = connection
      .transaction((transaction) => transaction.script('SELECT pg_sleep(1)', 'spec'))
      .then(() => settled.push('before'));
    connection.renew();
    await connection.rows('read_config_version').then(() => settled.push('after'));
    await before;
    expect(settled).to.deep.equal(['after', 'before']);
    await connection.close();
  });

  it('is closed after close, whatever is asked', async () => {
    const connection = openConnection({ url: database.url });
    await connection.rows('read_config_version');
    await connection.close();
    const error = await rejectionOf(connection.rows('read_config_version'));
    expect(error).to.include({ code: 'E_DATABASE_CLOSED', kind: 'permanent' });
  });

  it('says which constraint a row breaks', async () => {
    const error = await rejectionOf(
      database.connection.rows('insert_api_key', ['', ['read'], Buffer.alloc(32), null, '', false]),
    );
    expect(error).to.include({ code: 'E_ROW_INVALID', kind: 'permanent' });
    expect(error['details']).to.include({ table: 'api_keys', constraint: 'api_keys_name_not_empty' });
  });

  describe('with a server of its own', () => {
    it('is away when the server is killed, frozen or gone, and comes back by itself', async () => {
      const server = await startOwnPostgres();
      const { password } = new URL(server.url);
      const connection = openConnection({ url: server.url, statementTimeoutMs: 300, connectTimeoutMs: 500 });
      const migrating = openConnection({ url: server.url, statementTimeoutMs: 0 });
      await migrate(migrating, systemClock);
      const errors: unknown[] = [];

      // Frozen: it neither answers nor closes.
      await connection.rows('read_config_version');
      server.kill('SIGSTOP');
      errors.push(await rejectionOf(connection.rows('read_config_version')));
      server.kill('SIGCONT');
      expect(await connection.rows('read_config_version')).to.have.length(1);

      // Frozen, when rows are copied in.
      const noRows = new BinaryRows(0).end();
      server.kill('SIGSTOP');
      errors.push(await rejectionOf(connection.copyIn('copy_audit_rows', noRows)));
      server.kill('SIGCONT');
      await connection.copyIn('copy_audit_rows', noRows);

      // Killed in the middle of a statement.
      const query = rejectionOf(slowQuery(migrating, 30));
      await sleep(systemClock, 100);
      server.kill('SIGKILL');
      errors.push(await query);
      errors.push(await rejectionOf(connection.rows('read_config_version')));
      await server.exited;
      const again = await startOwnPostgres({ dir: server.dir, port: server.port });
      await becomesWell(connection);

      for (const error of errors) {
        expect(error).to.include(AWAY);
        expect(seenOf(error)).not.to.contain(password);
      }
      await connection.close();
      await migrating.close();
      await again.stop();
    });
  });
});

/** A server that starts takes no statement for a moment; nothing but trying again is needed. */
async function becomesWell(connection: Connection): Promise<void> {
  for (;;) {
    try {
      await connection.rows('read_config_version');
      return;
    } catch (error) {
      expect(error).to.include(AWAY);
      await sleep(systemClock, 20);
    }
  }
}

async function endSlow(database: OwnDatabase): Promise<void> {
  for (;;) {
    const ended = await database.sql(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
       WHERE query LIKE '%/* slow */' AND state = 'active' AND datname = current_database()`,
    );
    if (ended.length > 0) return;
    await sleep(systemClock, 10);
  }
}
