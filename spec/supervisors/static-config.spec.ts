import { resolve } from 'node:path';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import {
  STATIC_VARIABLES,
  ingestTlsFiles,
  portUrl,
  readStaticConfig,
} from '../../supervisors/static-config.ts';
import { thrownBy } from '../support/rejection.ts';

const faultsOf = (env: NodeJS.ProcessEnv): string[] => {
  const error = thrownBy(() => readStaticConfig(env));
  expect(error.code).to.equal('E_CONFIG_INVALID');
  return error.details.faults as string[];
};

describe('readStaticConfig', () => {
  it('has a default for everything, loopback for every port', () => {
    const config = readStaticConfig({});
    expect(config).to.include({
      ingestPort: 8080,
      healthPort: 8081,
      adminPort: 8090,
      partitions: 8,
      ackLevel: 'fsynced',
      redisUrl: undefined,
    });
    expect([config.ingestHost, config.healthHost, config.adminHost]).to.deep.equal(
      Array(3).fill('127.0.0.1'),
    );
  });

  it('takes what is given, and leaves other programs’ variables alone', () => {
    const config = readStaticConfig({
      PATH: '/bin',
      MUTTER: 'x',
      REDIS_URL: 'rediss://u:p@redis:6379/1',
      MUTT_PARTITIONS: '256',
      MUTT_TRUST_REDIS: 'yes',
      MUTT_ACK_LEVEL: 'written',
    });
    expect(config).to.include({
      redisUrl: 'rediss://u:p@redis:6379/1',
      partitions: 256,
      trustRedis: true,
      ackLevel: 'written',
    });
  });

  it('takes Sentinels, and then has a replica confirm unless told otherwise', () => {
    const group = { REDIS_URL: 'redis+sentinel://:p@a:1,b:2/mymaster/0' };
    expect(readStaticConfig(group)).to.include({ redisUrl: group.REDIS_URL, ackLevel: 'replicated' });
    expect(readStaticConfig({ ...group, MUTT_ACK_LEVEL: 'fsynced' }).ackLevel).to.equal('fsynced');
    const server = { REDIS_URL: 'redis://a', MUTT_ACK_LEVEL: 'replicated' };
    expect(readStaticConfig(server).ackLevel).to.equal('replicated');
  });

  it('wants no replica to confirm of a private Redis, which has none', () => {
    expect(faultsOf({ MUTT_ACK_LEVEL: 'replicated' })).to.deep.equal([
      'MUTT_ACK_LEVEL: the private Redis has no replica; give REDIS_URL too',
    ]);
  });

  it('makes the data directory absolute, since others who are told it have other working directories', () => {
    expect(readStaticConfig({ MUTT_DATA_DIR: 'data/of this' }).dataDir).to.equal(resolve('data/of this'));
    expect(readStaticConfig({ MUTT_DATA_DIR: '/data' }).dataDir).to.equal('/data');
  });

  it('makes addresses of its ports that every client can read', () => {
    const config = readStaticConfig({ MUTT_ADMIN_HOST: '::1', MUTT_HEALTH_HOST: 'node-1.example' });
    expect(portUrl(config, 'admin')).to.equal('http://[::1]:8090');
    expect(portUrl(config, 'health')).to.equal('http://node-1.example:8081');
    expect(portUrl(config, 'ingest')).to.equal('http://127.0.0.1:8080');
  });

  it('speaks TLS on the ingest port with a certificate and its key, and takes no part of that alone', () => {
    const files = {
      MUTT_INGEST_TLS_CERT_FILE: 'tls/server.crt',
      MUTT_INGEST_TLS_KEY_FILE: '/tls/server.key',
    };
    const config = readStaticConfig(files);
    expect(portUrl(config, 'ingest')).to.equal('https://127.0.0.1:8080');
    expect(portUrl(config, 'admin')).to.equal('http://127.0.0.1:8090');
    expect(ingestTlsFiles(config)).to.deep.equal({
      certificateFile: resolve('tls/server.crt'),
      keyFile: '/tls/server.key',
      clientCaFile: undefined,
    });
    expect(ingestTlsFiles(readStaticConfig({}))).to.equal(undefined);
    expect(faultsOf({ MUTT_INGEST_TLS_CLIENT_CA_FILE: '/ca.crt' })).to.deep.equal([
      'MUTT_INGEST_TLS_CERT_FILE: is needed beside MUTT_INGEST_TLS_CLIENT_CA_FILE',
      'MUTT_INGEST_TLS_KEY_FILE: is needed beside MUTT_INGEST_TLS_CLIENT_CA_FILE',
    ]);
    expect(faultsOf({ MUTT_INGEST_TLS_KEY_FILE: '/key' })).to.deep.equal([
      'MUTT_INGEST_TLS_CERT_FILE: is needed beside MUTT_INGEST_TLS_KEY_FILE',
    ]);
  });

  it('says of an empty text that it is empty', () => {
    expect(faultsOf({ MUTT_INGEST_HOST: ' ', MUTT_DATA_DIR: '' })).to.deep.equal([
      'MUTT_DATA_DIR: is empty',
      'MUTT_INGEST_HOST: is empty',
    ]);
  });

  const bad: [name: string, value: string][] = [
    ['REDIS_URL', ''],
    ['REDIS_URL', 'http://redis'],
    ['REDIS_URL', 'redis+sentinel://:hunter2@sentinel'],
    ['DATABASE_URL', 'mysql://u:hunter2@db/x'],
    ['DATABASE_URL', 'hunter2'],
    ['MUTT_DATA_DIR', ''],
    ['MUTT_INGEST_HOST', '  '],
    ['MUTT_INGEST_PORT', '0'],
    ['MUTT_INGEST_PORT', '65536'],
    ['MUTT_INGEST_PORT', '80.5'],
    ['MUTT_INGEST_PORT', '1e3'],
    ['MUTT_INGEST_PORT', ' 80'],
    ['MUTT_GATEWAYS', '-1'],
    ['MUTT_PARTITIONS', '257'],
    ['MUTT_ACK_LEVEL', 'fsync'],
    ['MUTT_ACK_LEVEL', 'FSYNCED'],
    ['MUTT_KEY_PREFIX', 'a:b'],
    ['MUTT_KEY_PREFIX', 'x'.repeat(33)],
    ['MUTT_KEY_PREFIX', '{p}'],
    ['MUTT_TRUST_REDIS', 'true'],
    ['MUTT_LEASE_TTL_MS', '999'],
  ];
  for (const [name, value] of bad) {
    it(`refuses ${name}="${value.slice(0, 20)}", says what is allowed, and never repeats the value`, () => {
      const faults = faultsOf({ [name]: value });
      expect(faults).to.have.length(1);
      expect(faults[0]).to.match(new RegExp(`^${name}: is (empty$|not (a|an|one|1|yes) ?)`));
      if (value.includes('hunter2')) expect(faults.join()).to.not.include('hunter2');
    });
  }

  it('names a setting that nobody reads, with the nearest one', () => {
    expect(faultsOf({ MUTT_MATCH_THREDS: '2' })).to.deep.equal([
      'MUTT_MATCH_THREDS: no such setting; did you mean MUTT_MATCH_THREADS?',
    ]);
    expect(faultsOf({ MUTT_COMPLETELY_DIFFERENT: '2' })).to.deep.equal([
      'MUTT_COMPLETELY_DIFFERENT: no such setting',
    ]);
  });

  it('reports everything at once, ports that collide included', () => {
    const faults = faultsOf({
      MUTT_INGEST_PORT: '8090',
      MUTT_GATEWAYS: 'many',
      MUTT_PORT: '1',
    });
    expect(faults.map((fault) => fault.split(':')[0])).to.have.members([
      'MUTT_ADMIN_PORT',
      'MUTT_GATEWAYS',
      'MUTT_PORT',
    ]);
  });

  it('describes every variable, each by a name of its own', () => {
    const variables = Object.values(STATIC_VARIABLES);
    expect(new Set(variables.map(({ name }) => name)).size).to.equal(variables.length);
    for (const { description, allowed } of variables)
      expect([description, allowed].every(Boolean)).to.equal(true);
  });
});
