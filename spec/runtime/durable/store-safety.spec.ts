import { expect } from 'chai';
import type { Redis } from 'ioredis';
import { after, before, beforeEach, describe, it } from 'mocha';
import type { StoreSafetyOptions, StoreSettings } from '../../../runtime/durable/store-safety.ts';
import {
  assertStoreIsSafe,
  findStoreProblems,
  readStoreSettings,
  replicasToConfirm,
} from '../../../runtime/durable/store-safety.ts';
import type { PrivateServer } from '../../../supervisors/embedded/private-server.ts';
import { startOwnRedis } from '../../support/servers.ts';
import { connect, rejectionOf } from './store-under-test.ts';

const SAFE: StoreSettings = {
  product: 'redis',
  version: '7.0.15',
  role: 'master',
  replicasOnline: 0,
  minReplicasToWrite: 0,
  minReplicasMaxLagS: 10,
  maxmemoryBytes: 1_000,
  maxmemoryPolicy: 'noeviction',
  appendonly: 'yes',
  appendfsync: 'always',
  noAppendfsyncOnRewrite: 'no',
};

describe('store safety', () => {
  describe('findStoreProblems', () => {
    const problems = (
      settings: Partial<StoreSettings>,
      options: Partial<StoreSafetyOptions> = {},
    ): string[] =>
      findStoreProblems({ ...SAFE, ...settings }, { boundsBytes: 600, ...options }).map(({ code, mend }) => {
        expect(mend).to.be.a('string');
        return code;
      });

    it('finds nothing wrong with safe settings', () => {
      expect(problems({})).to.deep.equal([]);
    });

    for (const [version, codes] of [
      ['6.0.16', ['E_STORE_VERSION']],
      ['6.1.999', ['E_STORE_VERSION']],
      ['6.2.0', []],
      ['10.0.0', []],
    ] as const) {
      it(`${codes.length === 0 ? 'takes' : 'refuses'} Redis ${version}`, () => {
        expect(problems({ version })).to.deep.equal(codes);
      });
    }

    it('wants Valkey 7.2', () => {
      expect(problems({ product: 'valkey', version: '7.1.9' })).to.deep.equal(['E_STORE_VERSION']);
      expect(problems({ product: 'valkey', version: '8.0.1' })).to.deep.equal([]);
    });

    it('takes bounds of 60 % of maxmemory and not a byte more', () => {
      expect(problems({}, { boundsBytes: 601 })).to.deep.equal(['E_STORE_BOUNDS']);
    });

    it('does not ask for an AOF at the ack level written', () => {
      const settings = { appendonly: 'no', appendfsync: 'everysec', noAppendfsyncOnRewrite: 'yes' };
      expect(problems(settings)).to.deep.equal([
        'E_STORE_APPENDONLY',
        'E_STORE_FSYNC',
        'E_STORE_FSYNC_ON_REWRITE',
      ]);
      expect(problems(settings, { ackLevel: 'written' })).to.deep.equal([]);
    });

    it('wants a replica and a server that insists on one at the ack level replicated [S-79]', () => {
      const group = { replicasOnline: 1, minReplicasToWrite: 1 };
      const level = { ackLevel: 'replicated' } as const;
      expect(problems(group, level)).to.deep.equal([]);
      expect(problems({ ...group, appendonly: 'no' }, level)).to.deep.equal(['E_STORE_APPENDONLY']);
      expect(problems({ ...group, minReplicasToWrite: 0 }, level)).to.deep.equal(['E_STORE_MIN_REPLICAS']);
      expect(problems({ ...group, minReplicasToWrite: 2 }, level)).to.deep.equal(['E_STORE_NO_REPLICA']);
      expect(problems({ ...group, minReplicasToWrite: undefined }, level)).to.deep.equal([
        'E_STORE_CONFIG_UNREADABLE',
      ]);
      for (const minReplicasMaxLagS of [0, 61]) {
        expect(problems({ ...group, minReplicasMaxLagS }, level)).to.deep.equal(['E_STORE_REPLICA_LAG']);
      }
      expect(problems({}, { ackLevel: 'fsynced' })).to.deep.equal([]);
    });

    it('refuses a replica at any level', () => {
      for (const ackLevel of ['written', 'fsynced', 'replicated'] as const) {
        const settings = { role: 'replica', minReplicasToWrite: 1 } as const;
        expect(problems(settings, { ackLevel })).to.deep.equal(['E_STORE_REPLICA']);
      }
    });

    it('has as many replicas confirm as the server insists on, and none below that level', () => {
      const settings = { ...SAFE, minReplicasToWrite: 2 };
      expect(replicasToConfirm(settings, { ackLevel: 'replicated', boundsBytes: 1 })).to.equal(2);
      expect(replicasToConfirm(SAFE, { ackLevel: 'replicated', boundsBytes: 1 })).to.equal(1);
      expect(replicasToConfirm(settings, { ackLevel: 'fsynced', boundsBytes: 1 })).to.equal(0);
    });

    it('trusts nothing it cannot read, unless the operator vouches for it [S-72]', () => {
      const unreadable = { appendonly: undefined, appendfsync: undefined, noAppendfsyncOnRewrite: undefined };
      expect(problems(unreadable)).to.deep.equal(['E_STORE_CONFIG_UNREADABLE']);
      expect(problems(unreadable, { isUnreadableConfigAccepted: true })).to.deep.equal([]);
      expect(problems({ maxmemoryBytes: undefined }, { ackLevel: 'written' })).to.deep.equal([
        'E_STORE_CONFIG_UNREADABLE',
      ]);
    });
  });

  describe('of a real server', () => {
    let server: PrivateServer;
    let connection: Redis;
    const options = { boundsBytes: 100_000_000 };
    const safe = {
      appendonly: 'yes',
      appendfsync: 'always',
      'no-appendfsync-on-rewrite': 'no',
      maxmemory: '1gb',
      'maxmemory-policy': 'noeviction',
    };

    before(async () => {
      server = await startOwnRedis();
      connection = await connect(server.url);
    });
    after(async () => {
      connection.disconnect();
      await server.stop();
    });
    beforeEach(async () => {
      for (const [name, value] of Object.entries(safe)) await connection.config('SET', name, value);
    });

    it('is accepted as the private server is configured', async () => {
      await assertStoreIsSafe(connection, options);
    });

    for (const [name, value, code] of [
      ['appendonly', 'no', 'E_STORE_APPENDONLY'],
      ['appendfsync', 'everysec', 'E_STORE_FSYNC'],
      ['appendfsync', 'no', 'E_STORE_FSYNC'],
      ['no-appendfsync-on-rewrite', 'yes', 'E_STORE_FSYNC_ON_REWRITE'],
      ['maxmemory', '0', 'E_STORE_MAXMEMORY'],
      ['maxmemory', '150mb', 'E_STORE_BOUNDS'],
      ['maxmemory-policy', 'allkeys-lru', 'E_STORE_EVICTS'],
      ['maxmemory-policy', 'volatile-ttl', 'E_STORE_EVICTS'],
    ] as const) {
      it(`is refused with ${name} ${value} by ${code} [S-72]`, async () => {
        await connection.config('SET', name, value);
        const error = await rejectionOf(assertStoreIsSafe(connection, options));
        expect(error).to.include({ code, kind: 'permanent' });
        expect(error).to.have.property('mend').that.is.a('string').and.not.empty;
      });
    }

    it('names all problems at once', async () => {
      await connection.config('SET', 'appendfsync', 'no');
      await connection.config('SET', 'maxmemory-policy', 'allkeys-lru');
      const error = await rejectionOf(assertStoreIsSafe(connection, options));
      expect(error)
        .to.have.nested.property('details.problems')
        .that.deep.equals(['E_STORE_EVICTS', 'E_STORE_FSYNC']);
    });

    it('is refused when it hides its settings, unless the operator vouches for them [S-72]', async () => {
      await connection.call('ACL', 'SETUSER', 'limited', 'on', '>pw', '~*', '&*', '+@all', '-config');
      const url = new URL(server.url);
      url.username = 'limited';
      url.password = 'pw';
      const limited = await connect(url.href);
      try {
        expect(await readStoreSettings(limited)).to.include({
          appendonly: undefined,
          maxmemoryPolicy: 'noeviction',
        });
        expect(await rejectionOf(assertStoreIsSafe(limited, options))).to.include({
          code: 'E_STORE_CONFIG_UNREADABLE',
        });
        await assertStoreIsSafe(limited, { ...options, isUnreadableConfigAccepted: true });
      } finally {
        limited.disconnect();
      }
    });
  });
});
