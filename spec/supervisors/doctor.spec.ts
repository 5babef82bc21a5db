/**
 * `mutt doctor` against real stores. With a running node: spec/gateways/cli/real-node.spec.ts.
 */
import { expect } from 'chai';
import { beforeEach, describe, it } from 'mocha';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Check } from '../../gateways/cli/check-report.ts';
import { openConnection } from '../../gateways/postgres/connection.ts';
import { migrate } from '../../gateways/postgres/migrate.ts';
import { systemClock } from '../../runtime/clock.ts';
import { openDataDirectory } from '../../supervisors/data-directory.ts';
import { examine } from '../../supervisors/doctor.ts';
import { openNodeKeys } from '../../supervisors/node-keys.ts';
import { freePorts } from '../../supervisors/embedded/free-ports.ts';
import { specDirectory, startOwnPostgres, startOwnRedis } from '../support/servers.ts';

describe('mutt doctor', () => {
  let dataDir: string;
  let env: NodeJS.ProcessEnv;

  beforeEach(async () => {
    dataDir = join(specDirectory('doctor'), 'var');
    openDataDirectory({ path: dataDir }).release();
    const [ingest, health, admin] = await freePorts(3);
    env = {
      MUTT_INGEST_PORT: String(ingest),
      MUTT_HEALTH_PORT: String(health),
      MUTT_ADMIN_PORT: String(admin),
    };
  });

  async function examined(): Promise<Map<string, Check>> {
    const checks = await examine({
      env,
      dataDir,
      version: '0.0.0-spec',
      adminUrl: () => expect.fail('no node runs here'),
      readAdminKey: () => expect.fail('no node runs here'),
    });
    for (const check of checks) {
      if (check.verdict !== 'ok') expect(check.mend, check.name).to.match(/\w/);
    }
    return new Map(checks.map((check) => [check.name, check]));
  }

  it('finds nothing failed before the first start', async () => {
    const checks = await examined();
    expect([...checks.values()].filter(({ verdict }) => verdict === 'fail')).to.deep.equal([]);
    expect(checks.get('node version')).to.include({ verdict: 'ok' });
    expect(checks.get('Redis')).to.include({ verdict: 'ok' });
    expect(checks.get('node')).to.include({ verdict: 'warn', found: 'none runs in this data directory' });
  });

  it('finds keys that others may read, and a damaged pepper', async () => {
    openNodeKeys(dataDir);
    expect((await examined()).get('keys')).to.include({ verdict: 'ok' });
    const key = join(dataDir, 'keys', 'admin.key');
    chmodSync(key, 0o644);
    writeFileSync(join(dataDir, 'keys', 'pepper'), 'too short\n');
    const checks = await examined();
    expect(checks.get('keys')).to.deep.include({ verdict: 'fail', mend: `chmod go= ${key}` });
    expect(checks.get('pepper')).to.include({ verdict: 'fail' });
  });

  it('finds a Redis that is safe, and one that is not', async () => {
    const safe = await startOwnRedis();
    const unsafe = await startOwnRedis({ appendFsync: 'everysec' });
    try {
      env['REDIS_URL'] = safe.url;
      const checks = await examined();
      expect(checks.get('Redis')?.found).to.match(
        /^(redis|valkey) [\d.]+, safe to use, master at [^ ]+:\d+ with 0 replicas$/,
      );
      expect(checks.get('clock of Redis')).to.include({ verdict: 'ok' });
      env['REDIS_URL'] = unsafe.url;
      const found = (await examined()).get('Redis');
      expect(found).to.include({ verdict: 'fail' });
      expect(found?.found).to.contain('appendfsync is everysec');
    } finally {
      await Promise.all([safe.stop(), unsafe.stop()]);
    }
  });

  it('finds a PostgreSQL that no start has prepared yet, and one that is up to date', async () => {
    const server = await startOwnPostgres();
    try {
      env['DATABASE_URL'] = server.url;
      expect((await examined()).get('PostgreSQL')).to.include({ verdict: 'warn' });
      const connection = openConnection({ url: server.url, statementTimeoutMs: 0 });
      await migrate(connection, systemClock);
      await connection.close();
      const checks = await examined();
      expect(checks.get('PostgreSQL')?.found).to.match(/^PostgreSQL \d+\.\d+, schema \d+$/);
      expect(checks.get('clock of PostgreSQL')).to.include({ verdict: 'ok' });
    } finally {
      await server.stop();
    }
  });

  it('finds stores that do not answer, shows no password, and makes the other checks all the same', async () => {
    const [port] = await freePorts(1);
    env['REDIS_URL'] = `redis://:secret-word@127.0.0.1:${port}/0`;
    env['DATABASE_URL'] = `postgres://mutt:secret-word@127.0.0.1:${port}/mutt`;
    const checks = await examined();
    expect(checks.get('Redis')).to.include({ verdict: 'fail' });
    expect(checks.get('PostgreSQL')).to.include({ verdict: 'fail' });
    expect(checks.get('ingest port')).to.include({ verdict: 'ok' });
    expect(JSON.stringify([...checks.values()])).to.not.contain('secret-word');
  }).timeout(60_000);

  it('goes on without what an unusable environment would have told', async () => {
    env['MUTT_PARTITIONS'] = '0';
    mkdirSync(join(dataDir, 'keys'));
    const checks = await examined();
    expect(checks.get('environment')).to.include({ verdict: 'fail' });
    expect(checks.get('keys')).to.include({ verdict: 'fail' });
  });
});
