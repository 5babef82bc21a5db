/**
 * `mutt check-config`: names every fault with what to do, and changes nothing.
 */
import { expect } from 'chai';
import { afterEach, beforeEach, describe, it } from 'mocha';
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { Server } from 'node:net';
import { join } from 'node:path';
import type { Check } from '../../gateways/cli/check-report.ts';
import { openDataDirectory } from '../../supervisors/data-directory.ts';
import { machineCommands } from '../../supervisors/commands.ts';
import { preflight } from '../../supervisors/preflight.ts';
import { readStaticConfig } from '../../supervisors/static-config.ts';
import { buildProgram } from '../../gateways/cli/program.ts';
import { CliRun } from '../gateways/cli/cli-run.ts';
import { makeAuthority } from '../support/certificates.ts';
import { freePorts } from '../../supervisors/embedded/free-ports.ts';
import { specDirectory } from '../support/servers.ts';

describe('the checks before a start', () => {
  let dataDir: string;
  let env: NodeJS.ProcessEnv;
  let taken: Server | undefined;

  beforeEach(async () => {
    dataDir = join(specDirectory('preflight'), 'var');
    const [ingest, health, admin] = await freePorts(3);
    env = {
      MUTT_INGEST_PORT: String(ingest),
      MUTT_HEALTH_PORT: String(health),
      MUTT_ADMIN_PORT: String(admin),
    };
  });
  afterEach(async () => {
    await new Promise<void>((resolve) => (taken === undefined ? resolve() : taken.close(() => resolve())));
    taken = undefined;
  });

  async function failures(): Promise<Check[]> {
    return (await preflight(env, dataDir)).filter(({ verdict }) => verdict === 'fail');
  }

  it('finds nothing wrong with a good one, and makes nothing', async () => {
    expect(await failures()).to.deep.equal([]);
    expect(existsSync(dataDir)).to.equal(false);
  });

  it('looks at the certificate of the ingest port, and at how long it still holds', async () => {
    const authority = await makeAuthority('ours');
    const put = async (days: number): Promise<void> => {
      const { certificate, key } = await authority.issue('server', { from: -1, until: days });
      writeFileSync(join(dir, 'crt'), certificate);
      writeFileSync(join(dir, 'key'), key, { mode: 0o600 });
    };
    const dir = specDirectory('preflight-tls');
    env['MUTT_INGEST_TLS_CERT_FILE'] = join(dir, 'crt');
    env['MUTT_INGEST_TLS_KEY_FILE'] = join(dir, 'key');
    const found = async (): Promise<Check | undefined> =>
      (await preflight(env, dataDir)).find(({ name }) => name === 'TLS certificate');
    expect(await found()).to.include({ verdict: 'fail' });
    for (const [days, verdict] of [
      [15, 'ok'],
      [13, 'warn'],
    ] as const) {
      await put(days);
      expect(await found()).to.include({ verdict });
    }
  });

  it('names every fault of the environment, each with what to do', async () => {
    env['MUTT_MATCH_THREDS'] = '2';
    env['MUTT_PARTITIONS'] = 'many';
    env['MUTT_LEASE_TTL_MS'] = '1';
    const found = await failures();
    expect(found.map(({ name }) => name)).to.deep.equal(['environment', 'environment', 'environment']);
    expect(found.map(({ found: text }) => text).join('\n'))
      .to.contain('MUTT_MATCH_THREDS: no such setting; did you mean MUTT_MATCH_THREADS?')
      .and.to.contain('MUTT_PARTITIONS: is not a whole number from 1 to 256')
      .and.to.contain('MUTT_LEASE_TTL_MS: is not');
    for (const { mend } of found) expect(mend).to.contain('docs/reference/configuration.md');
  });

  it('never repeats a value, which may be a password', async () => {
    env['REDIS_URL'] = 'http://:secret-word@redis.example';
    expect(JSON.stringify(await preflight(env, dataDir)))
      .to.contain('REDIS_URL')
      .and.not.contain('secret-word');
  });

  it('names a port that another program has', async () => {
    const server = createServer();
    taken = server;
    await new Promise<void>((resolve) => server.listen(Number(env['MUTT_ADMIN_PORT']), '127.0.0.1', resolve));
    const [found] = await failures();
    expect(found).to.include({ name: 'admin port' });
    expect(found?.found).to.contain(`127.0.0.1:${env['MUTT_ADMIN_PORT']} is in use by another program`);
    expect(found?.mend).to.contain('MUTT_ADMIN_PORT');
  });

  it('names addresses that are not of this machine, and hosts that nobody knows', async () => {
    env['MUTT_INGEST_HOST'] = '192.0.2.1';
    env['MUTT_ADMIN_HOST'] = 'no-such-host.invalid';
    env['DATABASE_URL'] = 'postgres://mutt:secret-word@no-such-host.invalid/mutt';
    const found = await failures();
    expect(found.map(({ name }) => name)).to.deep.equal(['PostgreSQL', 'ingest port', 'admin port']);
    expect(found[1]?.mend).to.match(/^Set MUTT_INGEST_HOST to one of: .*127\.0\.0\.1/);
    expect(found[2]?.found).to.equal('the host no-such-host.invalid is not known');
    expect(JSON.stringify(found)).to.not.contain('secret-word');
  });

  it('looks up every Sentinel, and repeats no password', async () => {
    env['REDIS_URL'] =
      'redis+sentinel://:secret-word@127.0.0.1,no-such-host.invalid:1/mymaster?sentinel_password=secret-word';
    const found = await failures();
    expect(found.map(({ name, found: text }) => `${name}: ${text}`)).to.deep.equal([
      'Redis: the host no-such-host.invalid is not known',
    ]);
    expect(JSON.stringify(found)).to.not.contain('secret-word');
  });

  it('names a data directory of a newer version, a damaged one, and a file in its place', async () => {
    mkdirSync(dataDir);
    writeFileSync(join(dataDir, 'FORMAT'), 'mutt-data 99\n');
    expect((await failures())[0]?.found).to.contain('has data format 99');
    writeFileSync(join(dataDir, 'FORMAT'), 'gibberish\n');
    expect((await failures())[0]?.found).to.contain('is damaged');
    expect(readdirSync(dataDir)).to.deep.equal(['FORMAT']);
    dataDir = join(dataDir, 'FORMAT');
    expect((await failures())[0]?.found).to.contain('cannot be used');
  });

  it('names a data directory that cannot be made', async () => {
    dataDir = '/dev/null/var';
    const [found] = await failures();
    expect(found).to.include({ name: 'data directory', verdict: 'fail' });
    expect(found?.mend).to.contain('MUTT_DATA_DIR');
  });

  it('says which process uses the data directory, which is no fault', async () => {
    const directory = openDataDirectory({ path: dataDir });
    try {
      const [, check] = await preflight(env, dataDir);
      expect(check).to.include({ name: 'data directory', verdict: 'ok' });
      expect(check?.found).to.contain(`in use by process ${process.pid}`);
    } finally {
      directory.release();
    }
  });
});

describe('mutt check-config', () => {
  let cli: CliRun;

  beforeEach(() => {
    cli = new CliRun('http://127.0.0.1:1');
  });
  afterEach(() => cli.close());

  async function check(env: NodeJS.ProcessEnv, ...args: string[]): Promise<number> {
    const context = { ...cli.context, env };
    const dataDir = join(specDirectory('check'), 'var');
    const config = (): ReturnType<typeof readStaticConfig> => readStaticConfig(env);
    const commands = machineCommands({ context, config, dataDir, version: '0.0.0-spec' });
    return buildProgram({ ...context, commands }).run(['check-config', ...args]);
  }

  it('shows each check with its verdict, and is 1 when one failed', async () => {
    expect(await check({ MUTT_ADMIN_PORT: '8080' })).to.equal(1);
    expect(cli.out).to.match(
      /^fail {2}environment +MUTT_ADMIN_PORT: is 8080 like MUTT_INGEST_PORT; give each its own port\n/,
    );
    expect(cli.out).to.match(/\n +-> Correct or unset these variables/);
    expect(cli.out).to.match(/\n\d checks: 1 failed, \d to look at\n$/);
  });

  it('is 0 when nothing is wrong, and gives everything as JSON', async () => {
    const [ingest, health, admin] = await freePorts(3);
    const env = {
      MUTT_INGEST_PORT: String(ingest),
      MUTT_HEALTH_PORT: String(health),
      MUTT_ADMIN_PORT: String(admin),
    };
    expect(await check(env, '--json')).to.equal(0);
    const { ok, checks } = JSON.parse(cli.out) as { ok: boolean; checks: Check[] };
    expect(ok).to.equal(true);
    expect(checks.map(({ name }) => name)).to.include.members([
      'environment',
      'data directory',
      'disk',
      'admin port',
    ]);
  });
});
