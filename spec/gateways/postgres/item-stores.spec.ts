import { expect } from 'chai';
import { after, before, beforeEach, describe, it } from 'mocha';
import type { Destination } from '../../../actors/ports.ts';
import { PostgresConfigAudit } from '../../../gateways/postgres/config-audit.ts';
import { openConnection } from '../../../gateways/postgres/connection.ts';
import { PostgresDestinationStore } from '../../../gateways/postgres/destination-store.ts';
import { PostgresDevelopmentHostStore } from '../../../gateways/postgres/development-host-store.ts';
import { PostgresRuleStore } from '../../../gateways/postgres/rule-store.ts';
import { PostgresSnapshotSource } from '../../../gateways/postgres/snapshot-source.ts';
import { PostgresTeamStore } from '../../../gateways/postgres/team-store.ts';
import { SERVER_TIMEOUT_MS, ownDatabase, rejectionOf } from './own-database.ts';
import type { OwnDatabase } from './own-database.ts';

const AUTHOR = { changedBy: 'nils', reason: 'because', correlationId: 'c-1' };
const NOC: Destination = {
  name: 'noc',
  kind: 'webhook',
  url: 'https://noc.example.net/hook',
  secretRef: 'env:NOC_TOKEN',
  routes: [{ team: 'NetOps' }],
  ratePerSecond: 2.5,
  concurrency: 4,
  timeoutMs: 5_000,
  staleAfterMs: 60_000,
  collapse: false,
  hold: null,
};
/** What no text field takes. */
const BAD_TEXTS: [string, unknown][] = [
  ['nothing', ''],
  ['blanks', '  '],
  ['a NUL byte', 'a\0b'],
  ['half a character', 'a\udc00'],
  ['a text of any length', 'x'.repeat(10_000)],
  ['a number', 7],
  ['a list', ['a']],
];

describe('configured items', function () {
  this.timeout(SERVER_TIMEOUT_MS);
  let database: OwnDatabase;
  let hosts: PostgresDevelopmentHostStore;
  let teams: PostgresTeamStore;
  let destinations: PostgresDestinationStore;
  let source: PostgresSnapshotSource;

  before(async () => {
    database = await ownDatabase();
    hosts = new PostgresDevelopmentHostStore(database.connection);
    teams = new PostgresTeamStore(database.connection);
    destinations = new PostgresDestinationStore(database.connection);
    source = new PostgresSnapshotSource(database.connection);
  });
  beforeEach(() => database.sql('TRUNCATE development_hosts, device_teams, destinations, outbox'));
  after(() => database.drop());

  const version = (): Promise<number> => source.currentVersion();
  /** The newest entry. */
  const lastEntry = async (): Promise<Record<string, unknown>> => {
    const { items } = await new PostgresConfigAudit(database.connection).search({ limit: 1 });
    const { id: _id, changedAtMs: _at, hash: _hash, ...entry } = items[0] ?? {};
    return entry;
  };
  const refused = async (attempt: () => Promise<unknown>, code: string): Promise<Record<string, unknown>> => {
    const before = await version();
    const error = await rejectionOf(attempt());
    expect(error).to.include({ code, kind: 'permanent' });
    expect(await version()).to.equal(before);
    return error['details'] as Record<string, unknown>;
  };

  describe('PostgresDevelopmentHostStore', () => {
    it('adds, lists and removes hosts, whatever their case, and records them whole', async () => {
      const before = await version();
      const added = await hosts.add('Lab-1.Example', AUTHOR);
      expect(added.hostname).to.equal('lab-1.example');
      const created = await lastEntry();
      expect(created).to.deep.include({
        ...AUTHOR,
        operation: 'CREATE',
        resource: 'development_hosts',
        recordKey: 'lab-1.example',
        oldValues: null,
      });
      expect((await hosts.page({ limit: 5 })).items).to.deep.equal([added]);
      expect((await source.load()).developmentHosts).to.deep.equal(['lab-1.example']);
      expect(await hosts.remove('LAB-1.example', AUTHOR)).to.equal(true);
      expect(await lastEntry()).to.deep.include({
        operation: 'DELETE',
        oldValues: created['newValues'],
        newValues: null,
      });
      expect(await hosts.remove('lab-1.example', AUTHOR)).to.equal(false);
      expect(await version()).to.equal(before + 2);
    });

    it('refuses one that is there, and what is no name', async () => {
      await hosts.add('lab', AUTHOR);
      await refused(() => hosts.add('LAB', AUTHOR), 'E_EXISTS');
      for (const [, text] of BAD_TEXTS) {
        await refused(() => hosts.add(text as string, AUTHOR), 'E_ROW_INVALID');
        await refused(() => hosts.remove(text as string, AUTHOR), 'E_ROW_INVALID');
      }
    });

    it('takes a name that looks like SQL as a name', async () => {
      const name = `x'); drop table development_hosts; --`;
      await hosts.add(name, AUTHOR);
      expect((await hosts.page({ limit: 5 })).items.map(({ hostname }) => hostname)).to.deep.equal([name]);
      expect(await hosts.remove(`' or '1'='1`, AUTHOR)).to.equal(false);
    });

    it('gives every host once, page by page, while others come and go', async () => {
      for (const name of ['a', 'b', 'c', 'd', 'e', 'f', 'g']) await hosts.add(name, AUTHOR);
      const seen: string[] = [];
      let after: string | undefined;
      for (;;) {
        const { items, next } = await hosts.page({ limit: 3, after });
        seen.push(...items.map(({ hostname }) => hostname));
        if (next === null) break;
        after = next;
        await hosts.remove(next, AUTHOR);
        await hosts.add(`a${seen.length}`, AUTHOR);
      }
      expect(seen).to.deep.equal(['a', 'b', 'c', 'd', 'e', 'f', 'g']);
    });
  });

  describe('PostgresTeamStore', () => {
    it('sets, changes and removes a team, with a version that only rises', async () => {
      const before = await version();
      const first = await teams.put('Core-1', 'NetOps', { expectedVersion: null }, AUTHOR);
      expect(first).to.include({ hostname: 'core-1', team: 'NetOps', version: 1 });
      const second = await teams.put('core-1', 'SysOps', { expectedVersion: 1 }, AUTHOR);
      expect(second).to.include({ team: 'SysOps', version: 2 });
      const entry = await lastEntry();
      expect(entry).to.include({ operation: 'UPDATE', resource: 'device_teams', recordKey: 'core-1' });
      expect(entry['oldValues']).to.include({ hostname: 'core-1', team: 'NetOps', version: 1 });
      expect(entry['newValues']).to.include({ hostname: 'core-1', team: 'SysOps', version: 2 });
      expect(await teams.get('CORE-1')).to.deep.equal(second);
      expect(await teams.put('core-1', 'SysOps', {}, AUTHOR)).to.deep.equal(second);
      expect(await teams.remove('core-1', { expectedVersion: 2 }, AUTHOR)).to.equal(true);
      expect(await teams.remove('core-1', {}, AUTHOR)).to.equal(false);
      expect(await teams.get('core-1')).to.equal(undefined);
      expect(await teams.put('core-1', 'NetOps', {}, AUTHOR)).to.include({ version: 3 });
      expect(await version()).to.equal(before + 4);
    });

    it('refuses a stale version, for any change', async () => {
      await teams.put('stale', 'a', {}, AUTHOR);
      const { version: at } = await teams.put('stale', 'b', {}, AUTHOR);
      for (const attempt of [
        () => teams.put('stale', 'c', { expectedVersion: at - 1 }, AUTHOR),
        () => teams.put('stale', 'c', { expectedVersion: null }, AUTHOR),
        () => teams.remove('stale', { expectedVersion: at - 1 }, AUTHOR),
      ]) {
        expect(await refused(attempt, 'E_VERSION_STALE')).to.include({ current: at });
      }
      const gone = await refused(
        () => teams.put('gone', 'c', { expectedVersion: 1 }, AUTHOR),
        'E_VERSION_STALE',
      );
      expect(gone).to.include({ current: null });
    });

    it('lets one of two writers on connections of their own win', async () => {
      const { version: at } = await teams.put('contended', 'nobody', {}, AUTHOR);
      const connections = [0, 1].map(() => openConnection({ url: database.url }));
      try {
        const outcomes = await Promise.allSettled(
          connections.map((connection, writer) =>
            new PostgresTeamStore(connection).put('contended', `${writer}`, { expectedVersion: at }, AUTHOR),
          ),
        );
        const statuses = outcomes.map(({ status }) => status).sort();
        expect(statuses).to.deep.equal(['fulfilled', 'rejected']);
        const winner = outcomes.findIndex(({ status }) => status === 'fulfilled');
        expect(await teams.get('contended')).to.include({ team: String(winner), version: at + 1 });
      } finally {
        await Promise.all(connections.map((connection) => connection.close()));
      }
    });

    it('refuses what is no host and no team', async () => {
      for (const [, text] of BAD_TEXTS) {
        await refused(() => teams.put(text as string, 'team', {}, AUTHOR), 'E_ROW_INVALID');
        const details = await refused(() => teams.put('host', text as string, {}, AUTHOR), 'E_ROW_INVALID');
        expect(details).to.have.nested.property('faults[0].field', 'team');
      }
    });

    it('counts versions on when a whole document sets teams', async () => {
      const rules = new PostgresRuleStore(database.connection);
      const { version: at } = await teams.put('bulk', 'a', {}, AUTHOR);
      await rules.applyConfiguration({ teams: { BULK: 'b', fresh: 'c' } }, AUTHOR);
      expect(await teams.get('bulk')).to.include({ team: 'b', version: at + 1 });
      await rules.applyConfiguration({ remove: { teams: ['bulk'] } }, AUTHOR);
      await rules.applyConfiguration({ teams: { bulk: 'b' } }, AUTHOR);
      expect(await teams.get('bulk')).to.include({ version: at + 2 });
      const { items } = await teams.page({ limit: 1 });
      expect(items.map(({ hostname }) => hostname)).to.deep.equal(['bulk']);
      expect((await teams.page({ limit: 1, after: 'bulk' })).items[0]).to.include({ hostname: 'fresh' });
    });
  });

  describe('PostgresDestinationStore', () => {
    it('holds one, which is recorded, published and kept when it is replaced, until that is ended', async () => {
      await destinations.put(NOC, {}, AUTHOR);
      const hold = { kind: 'pause', untilMs: 5, reason: 'upgrade', sinceMs: 1, by: 'nils' } as const;
      const held = await destinations.hold('noc', hold, AUTHOR);
      expect(held).to.deep.include({ ...NOC, hold, version: held?.version ?? 0 });
      expect(await lastEntry()).to.deep.include({ ...AUTHOR, operation: 'UPDATE', resource: 'destinations' });
      expect((await source.load()).destinations).to.deep.equal([{ ...NOC, hold }]);
      const before = await version();
      expect(await destinations.hold('noc', hold, AUTHOR)).to.deep.equal(held);
      expect(await version()).to.equal(before);
      const replaced = await destinations.put({ ...NOC, concurrency: 9 }, {}, AUTHOR);
      expect(replaced).to.deep.include({ hold, concurrency: 9, version: (held?.version ?? 0) + 1 });
      expect((await destinations.hold('noc', null, AUTHOR))?.hold).to.equal(null);
      expect(await destinations.hold('nobody', hold, AUTHOR)).to.equal(undefined);
    });

    it('sets, changes, lists and removes a destination, with a version that only rises', async () => {
      const first = await destinations.put(NOC, { expectedVersion: null }, AUTHOR);
      const { version: at, updatedAtMs: _updatedAtMs, ...stored } = first;
      expect(stored).to.deep.equal(NOC);
      expect((await source.load()).destinations).to.deep.equal([NOC]);
      const changed = { ...NOC, secretRef: null, routes: [], concurrency: 1 };
      const second = await destinations.put(changed, { expectedVersion: at }, AUTHOR);
      expect(second).to.deep.include({ ...changed, version: at + 1 });
      const entry = await lastEntry();
      expect(entry).to.include({ operation: 'UPDATE', resource: 'destinations', recordKey: 'noc' });
      expect(entry['oldValues']).to.include({ version: at, secret_ref: 'env:NOC_TOKEN', concurrency: 4 });
      expect(entry['newValues']).to.include({ version: at + 1, secret_ref: null, concurrency: 1 });
      expect(await destinations.put(changed, {}, AUTHOR)).to.deep.equal(second);
      expect(await destinations.get('noc')).to.deep.equal(second);
      await destinations.put({ ...NOC, name: 'sink' }, {}, AUTHOR);
      const page = await destinations.page({ limit: 1 });
      expect([page.items, page.next]).to.deep.equal([[second], 'noc']);
      expect((await destinations.page({ limit: 1, after: 'noc' })).items[0]).to.include({ name: 'sink' });
      expect(await destinations.remove('noc', {}, AUTHOR)).to.equal(true);
      expect(await destinations.remove('noc', {}, AUTHOR)).to.equal(false);
      expect(await destinations.put(NOC, {}, AUTHOR)).to.include({ version: at + 2 });
    });

    it('keeps what only some kinds have, and lets it go again', async () => {
      const kinds: Destination[] = [
        { ...NOC, auth: 'basic', template: '{{ id }}', contentType: 'text/plain' },
        { ...NOC, kind: 'alertmanager', resolveAfterMs: 2_592_000_000 },
        { ...NOC, kind: 'moogsoft', auth: 'auth_token' },
        { ...NOC, kind: 'pagerduty' },
        { ...NOC, kind: 'moogsoft_cloud' },
        NOC,
      ];
      let at = 0;
      for (const destination of kinds) {
        const { version: now } = await destinations.put(destination, {}, AUTHOR);
        expect(now).to.be.above(at);
        at = now;
        expect((await source.load()).destinations).to.deep.equal([destination]);
        expect(await destinations.put(destination, {}, AUTHOR)).to.include({ version: now });
      }
    });

    it('refuses a stale version', async () => {
      const { version: at } = await destinations.put(NOC, {}, AUTHOR);
      for (const attempt of [
        () => destinations.put({ ...NOC, concurrency: 9 }, { expectedVersion: at - 1 }, AUTHOR),
        () => destinations.put({ ...NOC, concurrency: 9 }, { expectedVersion: null }, AUTHOR),
        () => destinations.remove('noc', { expectedVersion: at + 1 }, AUTHOR),
      ]) {
        expect(await refused(attempt, 'E_VERSION_STALE')).to.include({ current: at });
      }
      expect(await destinations.get('noc')).to.include({ concurrency: 4 });
    });

    const cases: [string, Partial<Destination>, string][] = [
      ['a kind nobody knows', { kind: 'pigeon' as never }, 'destinations_kind_known'],
      [
        'a credential in the URL',
        { url: 'https://u:p@noc.example.net' },
        'destinations_url_without_credential',
      ],
      ['an endless URL', { url: `https://x/${'y'.repeat(5_000)}` }, 'url'],
      ['a credential instead of a reference', { secretRef: 'hunter2' }, 'destinations_secret_ref'],
      ['no room for anything', { concurrency: 0 }, 'destinations_concurrency_positive'],
      ['a content type of nothing', { contentType: 'text/plain' }, 'destinations_content_type_of_template'],
      ['a form that nobody knows', { auth: 'digest' as never }, 'destinations_auth_known'],
      ['an end that has passed', { resolveAfterMs: 0 }, 'destinations_resolve_after_positive'],
      ['a rate that is none', { ratePerSecond: Number.NaN }, 'destinations_rate_positive'],
      ['a time that is none', { timeoutMs: 1.5 }, '1.5'],
      ['routes of any length', { routes: [{ team: 'x'.repeat(100_000) }] }, 'routes'],
    ];
    for (const [what, changes, why] of cases) {
      it(`refuses ${what}, saying why`, async () => {
        const details = await refused(
          () => destinations.put({ ...NOC, ...changes }, {}, AUTHOR),
          'E_DESTINATION_INVALID',
        );
        expect(details['why']).to.contain(why);
        expect(await destinations.get('noc')).to.equal(undefined);
      });
    }

    it('refuses a name that is none', async () => {
      for (const [, text] of BAD_TEXTS) {
        await refused(() => destinations.put({ ...NOC, name: text as string }, {}, AUTHOR), 'E_ROW_INVALID');
        await refused(() => destinations.remove(text as string, {}, AUTHOR), 'E_ROW_INVALID');
      }
      await refused(() => destinations.put({ ...NOC, name: '../x' }, {}, AUTHOR), 'E_DESTINATION_INVALID');
    });
  });

  it('leave an audit that is whole', async () => {
    expect(await new PostgresConfigAudit(database.connection).verify()).to.include({ intact: true });
  });
});
