import { createHmac } from 'node:crypto';
import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import { PostgresKeyStore, readKeyRecords } from '../../../gateways/postgres/key-store.ts';
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
      pepperFingerprint: 'p1',
      eventIds: true,
    };
    await store.insert(first, AUTHOR);
    await store.insert({ ...second, hmac: new Uint8Array(second.hmac) }, AUTHOR);
    expect(await readKeyRecords(database.connection, NOW_MS)).to.deep.equal([
      {
        name: 'admin',
        scopes: ['ingest', 'admin'],
        hmacSha256s: [{ hmac: hmacOf('a').toString('hex'), expiresAt: null }],
        pepperFingerprint: '',
      },
      {
        name: 'relay',
        scopes: ['ingest'],
        hmacSha256s: [{ hmac: hmacOf('b').toString('hex'), expiresAt: NOW_MS + 1_000 }],
        pepperFingerprint: 'p1',
        eventIds: true,
      },
    ]);
    expect([await store.get('admin'), await store.get('relay')].map((key) => key?.eventIds)).to.deep.equal([
      false,
      true,
    ]);
  });

  it('no longer lists an expired one', async () => {
    expect((await readKeyRecords(database.connection, NOW_MS + 1_000)).map((key) => key.name)).to.deep.equal([
      'admin',
    ]);
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
    for (const bad of [
      { scopes: ['root' as 'read'] },
      { scopes: [] },
      { hmac: Buffer.from('short') },
      { name: '' },
      { name: 'a\0' },
      { name: 'x'.repeat(300) },
      { expiresAtMs: Number.POSITIVE_INFINITY },
      { pepperFingerprint: 'x'.repeat(100) },
    ]) {
      expect(await rejectionOf(store.insert({ ...key, ...bad }, AUTHOR))).to.include({
        code: 'E_ROW_INVALID',
      });
    }
  });

  it('revokes a key once, for good', async () => {
    expect(await store.revoke('admin', AUTHOR)).to.equal(true);
    expect(await store.revoke('admin', AUTHOR)).to.equal(false);
    expect(await store.revoke('nobody', AUTHOR)).to.equal(false);
    expect((await readKeyRecords(database.connection, NOW_MS)).map((key) => key.name)).to.deep.equal([
      'relay',
    ]);
    const again = { name: 'admin', scopes: ['read'] as const, hmac: hmacOf('d'), expiresAtMs: null };
    expect(await rejectionOf(store.insert(again, AUTHOR))).to.include({ code: 'E_KEY_EXISTS' });
  });

  it('lists all of them for people, revoked and expired ones too, by pages', async () => {
    const first = await store.list({ limit: 1 });
    expect(first).to.have.property('next', 'admin');
    expect(first.items[0]).to.include({ name: 'admin', expiresAtMs: null, previousExpiresAtMs: null });
    expect(first.items[0]?.revokedAtMs).to.be.within(NOW_MS - 60_000, NOW_MS + 600_000);
    const rest = await store.list({ limit: 5, after: 'admin' });
    expect(rest.items.map(({ name }) => name)).to.deep.equal(['relay']);
    expect(rest.next).to.equal(null);
    expect(JSON.stringify([first, rest])).not.to.contain(hmacOf('b').toString('hex'));
    expect(await store.get('nobody')).to.equal(undefined);
  });

  describe('rotation', () => {
    const DAY_MS = 86_400_000;
    const hexOf = (key: string): string => hmacOf(key).toString('hex');
    const digestsOf = async (name: string, atMs = NOW_MS): Promise<unknown> =>
      (await readKeyRecords(database.connection, atMs)).find((key) => key.name === name)?.hmacSha256s;
    before(async () => {
      const common = { scopes: ['read'] as const, pepperFingerprint: 'p1' };
      await store.insert({ ...common, name: 'rotated', hmac: hmacOf('r1'), expiresAtMs: null }, AUTHOR);
      await store.insert(
        { ...common, name: 'ending', hmac: hmacOf('e1'), expiresAtMs: NOW_MS + 2 * DAY_MS },
        AUTHOR,
      );
    });

    it('lets the old value work until its time and not longer', async () => {
      const untilMs = NOW_MS + DAY_MS;
      const rotated = await store.rotate(
        'rotated',
        { hmac: hmacOf('r2'), previousExpiresAtMs: untilMs, nowMs: NOW_MS },
        AUTHOR,
      );
      expect(rotated).to.include({ name: 'rotated', previousExpiresAtMs: untilMs });
      const fresh = { hmac: hexOf('r2'), expiresAt: null };
      expect(await digestsOf('rotated')).to.deep.equal([fresh, { hmac: hexOf('r1'), expiresAt: untilMs }]);
      expect(await digestsOf('rotated', untilMs)).to.deep.equal([fresh]);
    });

    it('does not end the value before early, unless all are to end', async () => {
      const next = { hmac: hmacOf('r3'), previousExpiresAtMs: NOW_MS + DAY_MS, nowMs: NOW_MS };
      const tooSoon = await rejectionOf(store.rotate('rotated', next, AUTHOR));
      expect(tooSoon).to.include({ code: 'E_KEY_ROTATING' });
      expect(await digestsOf('rotated')).to.have.lengthOf(2);
      await store.rotate('rotated', { ...next, previousExpiresAtMs: NOW_MS }, AUTHOR);
      expect(await digestsOf('rotated')).to.deep.equal([{ hmac: hexOf('r3'), expiresAt: null }]);
    });

    it('does not prolong a key that has an end', async () => {
      await store.rotate(
        'ending',
        { hmac: hmacOf('e2'), previousExpiresAtMs: NOW_MS + 9 * DAY_MS, nowMs: NOW_MS },
        AUTHOR,
      );
      expect(await digestsOf('ending')).to.deep.equal([
        { hmac: hexOf('e2'), expiresAt: NOW_MS + 2 * DAY_MS },
        { hmac: hexOf('e1'), expiresAt: NOW_MS + 2 * DAY_MS },
      ]);
    });

    it('is recorded without a digest', async () => {
      const entries = await database.sql(
        `SELECT operation, old_values, new_values FROM config_audit_log WHERE record_key = 'ending' ORDER BY id`,
      );
      expect(entries.map(({ operation }) => operation)).to.deep.equal(['CREATE', 'UPDATE']);
      expect(JSON.stringify(entries)).not.to.contain('hmac').and.not.to.contain(hexOf('e1'));
    });

    it('refuses a value that is taken, now or as the former of another key', async () => {
      const taken = { hmac: hmacOf('e2'), previousExpiresAtMs: NOW_MS + DAY_MS, nowMs: NOW_MS };
      expect(await rejectionOf(store.rotate('rotated', taken, AUTHOR))).to.include({ code: 'E_KEY_EXISTS' });
      const former = { name: 'z', scopes: ['read'] as const, hmac: hmacOf('e1'), expiresAtMs: null };
      expect(await rejectionOf(store.insert(former, AUTHOR))).to.include({ code: 'E_KEY_EXISTS' });
    });

    it('refuses another pepper, since one record has one', async () => {
      const other = {
        hmac: hmacOf('r4'),
        previousExpiresAtMs: NOW_MS,
        nowMs: NOW_MS,
        pepperFingerprint: 'p2',
      };
      expect(await rejectionOf(store.rotate('rotated', other, AUTHOR))).to.include({ code: 'E_KEY_PEPPER' });
    });

    it('is for keys that work', async () => {
      const rotated = { hmac: hmacOf('x1'), previousExpiresAtMs: NOW_MS + DAY_MS, nowMs: NOW_MS };
      const expired = { scopes: ['read'] as const, hmac: hmacOf('x2'), expiresAtMs: NOW_MS - 1 };
      await store.insert({ ...expired, name: 'expired' }, AUTHOR);
      const [before] = await database.sql('SELECT snapshot_version::int FROM config_version');
      for (const name of ['admin', 'expired', 'nobody']) {
        expect(await store.rotate(name, rotated, AUTHOR)).to.equal(undefined);
      }
      expect(await database.sql('SELECT snapshot_version::int FROM config_version')).to.deep.equal([before]);
    });
  });

  describe('all together', () => {
    it('is in the snapshot, without revoked ones and with what expired today', async () => {
      const { keys } = await new PostgresSnapshotSource(database.connection).load();
      expect(keys.map(({ name }) => name)).to.deep.equal(['ending', 'expired', 'relay', 'rotated']);
    });

    it('holds a thousand keys that work and no more', async () => {
      await database.sql(
        `INSERT INTO api_keys (name, scopes, hmac)
       SELECT 'bulk ' || n, ARRAY['read'], sha256(n::text::bytea) FROM generate_series(1, 1000) AS n`,
      );
      const key = { name: 'one more', scopes: ['read'] as const, hmac: hmacOf('m'), expiresAtMs: null };
      expect(await rejectionOf(store.insert(key, AUTHOR))).to.include({ code: 'E_KEYS_FULL' });
      await database.sql(`UPDATE api_keys SET revoked_at = now() WHERE name LIKE 'bulk %'`);
      expect(await store.insert(key, AUTHOR)).to.include({ name: 'one more' });
    });
  });
});
