import { createHmac } from 'node:crypto';
import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import { PostgresKeyStore } from '../../../gateways/postgres/key-store.ts';
import { PostgresSnapshotSource } from '../../../gateways/postgres/snapshot-source.ts';
import { SERVER_TIMEOUT_MS, ownDatabase, rejectionOf } from './own-database.ts';
import type { OwnDatabase } from './own-database.ts';

const AUTHOR = { changedBy: 'setup' };
const NOW_MS = Date.now();

function hmacOf(key: string): Buffer {
  return createHmac('sha256', 'pepper').update(key).digest();
}

describe('PostgresKeyStore', function () {
  this.timeout(SERVER_TIMEOUT_MS);
  let database: OwnDatabase;
  let store: PostgresKeyStore;
  before(async () => {
    database = await ownDatabase();
    store = new PostgresKeyStore(database.connection);
  });
  after(() => database.drop());

  it('lists what was inserted, several at once', async () => {
    const first = {
      name: 'admin',
      scopes: ['ingest', 'admin'] as const,
      hmac: hmacOf('a'),
      expiresAtMs: null,
    };
    const second = {
      name: 'relay',
      scopes: ['ingest'] as const,
      hmac: hmacOf('b'),
      expiresAtMs: NOW_MS + 1_000,
    };
    await store.insert(first, AUTHOR);
    await store.insert({ ...second, hmac: new Uint8Array(second.hmac) }, AUTHOR);
    expect(await store.listActive(NOW_MS)).to.deep.equal([first, second]);
  });

  it('no longer lists an expired one', async () => {
    expect((await store.listActive(NOW_MS + 1_000)).map((key) => key.name)).to.deep.equal(['admin']);
  });

  it('raises the version, and puts no HMAC into the audit', async () => {
    expect(await new PostgresSnapshotSource(database.connection).currentVersion()).to.equal(2);
    const entries = await database.sql(
      'SELECT operation, resource, record_key, old_values, new_values FROM config_audit_log ORDER BY id',
    );
    expect(entries).to.have.length(2);
    expect(entries[0]).to.include({ operation: 'CREATE', resource: 'api_keys', record_key: 'admin' });
    expect(JSON.stringify(entries)).not.to.contain(hmacOf('a').toString('hex')).and.not.to.contain('hmac');
  });

  it('refuses a name or a value that is taken', async () => {
    const key = { name: 'admin', scopes: ['read'] as const, hmac: hmacOf('c'), expiresAtMs: null };
    expect(await rejectionOf(store.insert(key, AUTHOR))).to.include({ code: 'E_KEY_EXISTS' });
    const same = { ...key, name: 'other', hmac: hmacOf('a') };
    expect(await rejectionOf(store.insert(same, AUTHOR))).to.include({ code: 'E_KEY_EXISTS' });
  });

  it('refuses an unknown scope, none at all, and an HMAC of another length', async () => {
    const key = { name: 'x', scopes: ['read'] as const, hmac: hmacOf('x'), expiresAtMs: null };
    for (const bad of [{ scopes: ['root' as 'read'] }, { scopes: [] }, { hmac: Buffer.from('short') }]) {
      expect(await rejectionOf(store.insert({ ...key, ...bad }, AUTHOR))).to.include({
        code: 'E_ROW_INVALID',
      });
    }
  });

  it('revokes a key once, for good', async () => {
    expect(await store.revoke('admin', AUTHOR)).to.equal(true);
    expect(await store.revoke('admin', AUTHOR)).to.equal(false);
    expect(await store.revoke('nobody', AUTHOR)).to.equal(false);
    expect((await store.listActive(NOW_MS)).map((key) => key.name)).to.deep.equal(['relay']);
    const again = { name: 'admin', scopes: ['read'] as const, hmac: hmacOf('d'), expiresAtMs: null };
    expect(await rejectionOf(store.insert(again, AUTHOR))).to.include({ code: 'E_KEY_EXISTS' });
  });
});
