import { expect } from 'chai';
import { after, before, beforeEach, describe, it } from 'mocha';
import type { SettingValues } from '../../../actors/ports.ts';
import { checkChange } from '../../../actors/settings.ts';
import { CodedError } from '../../../runtime/errors.ts';
import { openConnection } from '../../../gateways/postgres/connection.ts';
import { PostgresConfigAudit } from '../../../gateways/postgres/config-audit.ts';
import { PostgresSettingsStore } from '../../../gateways/postgres/settings-store.ts';
import type { StoredSetting } from '../../../gateways/postgres/settings-store.ts';
import { PostgresSnapshotSource } from '../../../gateways/postgres/snapshot-source.ts';
import { SERVER_TIMEOUT_MS, ownDatabase, rejectionOf } from './own-database.ts';
import type { OwnDatabase } from './own-database.ts';

const AUTHOR = { changedBy: 'nils', reason: 'because', correlationId: 'c-1' };
const KEY = 'pool.match.size';
const OTHER = 'pool.forward.size';
const SUM_MAX = 20;

/** As the real check does, it refuses what single values cannot tell: the two sizes together. */
function check(values: SettingValues): void {
  const sum = Number(values[KEY] ?? 1) + Number(values[OTHER] ?? 1);
  if (sum > SUM_MAX) throw new CodedError('E_SETTINGS_CONTRADICT', `together they are ${sum}`);
}

describe('PostgresSettingsStore', function () {
  this.timeout(SERVER_TIMEOUT_MS);
  let database: OwnDatabase;
  let store: PostgresSettingsStore;

  before(async () => {
    database = await ownDatabase();
    store = new PostgresSettingsStore(database.connection, check);
  });
  beforeEach(() =>
    database.sql(
      `TRUNCATE settings, outbox;
       ALTER TABLE config_audit_log DISABLE TRIGGER ALL; TRUNCATE config_audit_log;
       ALTER TABLE config_audit_log ENABLE ALWAYS TRIGGER config_audit_log_seal;
       ALTER TABLE config_audit_log ENABLE ALWAYS TRIGGER config_audit_log_advance_head;
       ALTER TABLE config_audit_log ENABLE ALWAYS TRIGGER config_audit_log_append_only;
       UPDATE config_audit_head SET id = 0, hash = sha256('mutt config audit'::bytea);
       UPDATE config_version SET snapshot_version = 0`,
    ),
  );
  after(() => database.drop());

  const version = async (): Promise<number> =>
    new PostgresSnapshotSource(database.connection).currentVersion();
  const audit = async (): Promise<unknown[]> =>
    database.sql(
      `SELECT operation, old_values -> 'value' AS old, new_values -> 'value' AS new, reason FROM config_audit_log
       WHERE resource = 'settings' ORDER BY id`,
    );
  const settingOf = (setting: StoredSetting | undefined): unknown => [setting?.value, setting?.version];

  it('keeps numbers, texts and booleans as they were given', async () => {
    const values: SettingValues = {
      'a.integer': 3,
      'a.fraction': 0.1,
      'a.large': 1e21,
      'a.text': 'größe "1"',
      'a.yes': true,
      'a.no': false,
    };
    for (const [key, value] of Object.entries(values)) await store.set(key, value, {}, AUTHOR);
    const stored = await store.list();
    expect(Object.fromEntries(stored.map(({ key, value }) => [key, value]))).to.deep.equal(values);
    expect(stored[0]).to.include({ key: 'a.fraction', version: 1, guard: null, updatedBy: 'nils' });
    expect(stored[0]?.updatedAtMs).to.be.within(Date.now() - 60_000, Date.now() + 60_000);
    expect((await new PostgresSnapshotSource(database.connection).load()).settings).to.deep.equal(values);
    expect(await store.get('a.number')).to.equal(undefined);
  });

  it('records each change whole, raises the version and leaves a notice; nothing for what is so already', async () => {
    await store.set(KEY, 2, {}, AUTHOR);
    await store.set(KEY, 2, {}, AUTHOR);
    await store.set(KEY, 3, {}, { changedBy: 'eva' });
    expect(await store.unset(KEY, {}, AUTHOR)).to.equal(true);
    expect(await store.unset(KEY, {}, AUTHOR)).to.equal(false);
    expect(await audit()).to.deep.equal([
      { operation: 'CREATE', old: null, new: 2, reason: 'because' },
      { operation: 'UPDATE', old: 2, new: 3, reason: null },
      { operation: 'DELETE', old: 3, new: null, reason: 'because' },
    ]);
    expect(await version()).to.equal(3);
    expect(await database.sql('SELECT snapshot_version::int AS at FROM outbox ORDER BY id')).to.deep.equal([
      { at: 1 },
      { at: 2 },
      { at: 3 },
    ]);
    const [entry] = (await new PostgresConfigAudit(database.connection).search({ limit: 2 })).items.slice(1);
    expect(entry?.oldValues).to.include({ key: KEY, value: 2, version: 1, updated_by: 'nils' });
    expect(entry?.newValues).to.include({ key: KEY, value: 3, version: 2, updated_by: 'eva' });
  });

  it('never gives a version twice, also not after it was unset', async () => {
    await store.set(KEY, 2, {}, AUTHOR);
    await store.set(KEY, 3, {}, AUTHOR);
    await store.unset(KEY, {}, AUTHOR);
    expect(await store.set(KEY, 4, {}, AUTHOR)).to.include({ version: 3 });
    expect(await store.set(KEY, 5, { expectedVersion: 3 }, AUTHOR)).to.include({ version: 4 });
  });

  describe('with an expected version', () => {
    const staleAt = async (attempt: () => Promise<unknown>, current: number | null): Promise<void> => {
      const before = await version();
      const error = await rejectionOf(attempt());
      expect(error).to.include({ code: 'E_VERSION_STALE', kind: 'permanent' });
      expect(error['details']).to.include({ current });
      expect(await version()).to.equal(before);
    };

    it('refuses every change of what was changed meanwhile', async () => {
      await store.set(KEY, 2, { expectedVersion: null }, AUTHOR);
      await store.set(KEY, 3, { expectedVersion: 1 }, AUTHOR);
      await staleAt(() => store.set(KEY, 4, { expectedVersion: 1 }, AUTHOR), 2);
      await staleAt(() => store.set(KEY, 4, { expectedVersion: null }, AUTHOR), 2);
      await staleAt(() => store.unset(KEY, { expectedVersion: 1 }, AUTHOR), 2);
      await staleAt(() => store.rollback(KEY, { expectedVersion: 1 }, AUTHOR), 2);
      await staleAt(() => store.set(OTHER, 4, { expectedVersion: 1 }, AUTHOR), null);
      expect((await store.list()).map(settingOf)).to.deep.equal([[3, 2]]);
    });

    it('lets one of two writers on connections of their own win, and the other change nothing', async () => {
      await store.set(KEY, 1, {}, AUTHOR);
      const connections = [0, 1].map(() => openConnection({ url: database.url }));
      try {
        const outcomes = await Promise.allSettled(
          connections.map((connection, writer) =>
            new PostgresSettingsStore(connection, check).set(
              KEY,
              10 + writer,
              { expectedVersion: 1 },
              { changedBy: `writer ${writer}` },
            ),
          ),
        );
        const won = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []));
        const lost = outcomes.flatMap((outcome) =>
          outcome.status === 'rejected' ? [outcome.reason as CodedError] : [],
        );
        expect(won).to.have.length(1);
        expect(lost).to.have.length(1);
        expect(lost[0]).to.include({ code: 'E_VERSION_STALE' });
        expect(lost[0]?.details).to.include({ current: 2 });
        expect(await store.list()).to.deep.equal(won);
        expect(await version()).to.equal(2);
        expect(await audit()).to.have.length(2);
      } finally {
        await Promise.all(connections.map((connection) => connection.close()));
      }
    });

    it('makes a writer wait for another who has not finished, and then see what he did', async () => {
      await store.set(KEY, 1, {}, AUTHOR);
      const second = openConnection({ url: database.url });
      try {
        let writing: Promise<unknown> | undefined;
        await database.connection.transaction(async (transaction) => {
          await transaction.row('lock_config_version');
          writing = rejectionOf(
            new PostgresSettingsStore(second, check).set(KEY, 2, { expectedVersion: 1 }, AUTHOR),
          );
          await waitsForLock(database);
          await transaction.rows('upsert_setting', [KEY, '7', null, 'eva']);
        });
        expect(await writing).to.include({ code: 'E_VERSION_STALE' });
        expect(settingOf(await store.get(KEY))).to.deep.equal([7, 2]);
      } finally {
        await second.close();
      }
    });
  });

  describe('checks the whole set as it would be', () => {
    beforeEach(async () => {
      await store.set(KEY, 15, {}, AUTHOR);
      await store.set(OTHER, 4, {}, AUTHOR);
    });

    it('and leaves everything as it was when it contradicts itself', async () => {
      const error = await rejectionOf(store.set(OTHER, 6, {}, AUTHOR));
      expect(error).to.include({ code: 'E_SETTINGS_CONTRADICT' });
      expect((await store.list()).map(settingOf)).to.deep.equal([
        [4, 1],
        [15, 1],
      ]);
      expect([await version(), (await audit()).length]).to.deep.equal([2, 2]);
    });

    it('when two change different keys at once: only one of two that contradict each other holds', async () => {
      await store.set(KEY, 10, {}, AUTHOR);
      const connections = [0, 1].map(() => openConnection({ url: database.url }));
      try {
        const [first, second] = connections.map((connection) => new PostgresSettingsStore(connection, check));
        const outcomes = await Promise.allSettled([
          first?.set(KEY, 14, {}, AUTHOR),
          second?.set(OTHER, 9, {}, AUTHOR),
        ]);
        expect(outcomes.filter(({ status }) => status === 'fulfilled')).to.have.length(1);
        check(Object.fromEntries((await store.list()).map(({ key, value }) => [key, value])));
      } finally {
        await Promise.all(connections.map((connection) => connection.close()));
      }
    });

    it('on the way back too', async () => {
      await store.set(KEY, 5, {}, AUTHOR);
      await store.set(OTHER, 14, {}, AUTHOR);
      expect(await rejectionOf(store.rollback(KEY, {}, AUTHOR))).to.include({
        code: 'E_SETTINGS_CONTRADICT',
      });
      expect(settingOf(await store.get(KEY))).to.deep.equal([5, 2]);
    });
  });

  describe('rollback', () => {
    it('goes back to the value before the last change, and back again', async () => {
      await store.set(KEY, 2, {}, AUTHOR);
      await store.set(KEY, 3, {}, AUTHOR);
      expect(settingOf(await store.rollback(KEY, {}, AUTHOR))).to.deep.equal([2, 3]);
      expect(settingOf(await store.rollback(KEY, {}, AUTHOR))).to.deep.equal([3, 4]);
    });

    it('unsets what was not set before, and sets what was unset', async () => {
      await store.set(KEY, 2, {}, AUTHOR);
      expect(await store.rollback(KEY, {}, AUTHOR)).to.equal(undefined);
      expect(await store.get(KEY)).to.equal(undefined);
      expect(settingOf(await store.rollback(KEY, {}, AUTHOR))).to.deep.equal([2, 2]);
    });

    it('goes to any version there was', async () => {
      for (const value of [2, 3, 4]) await store.set(KEY, value, {}, AUTHOR);
      expect(settingOf(await store.rollback(KEY, { toVersion: 1 }, AUTHOR))).to.deep.equal([2, 4]);
      expect(settingOf(await store.rollback(KEY, { toVersion: 4 }, AUTHOR))).to.deep.equal([2, 4]);
    });

    it('refuses a version there never was, and a key without history', async () => {
      await store.set(KEY, 2, {}, AUTHOR);
      for (const attempt of [
        () => store.rollback(KEY, { toVersion: 9 }, AUTHOR),
        () => store.rollback(OTHER, {}, AUTHOR),
        () => store.rollback(OTHER, { toVersion: 1 }, AUTHOR),
      ]) {
        expect(await rejectionOf(attempt())).to.include({ code: 'E_NO_EARLIER_VALUE', kind: 'permanent' });
      }
      expect(await version()).to.equal(1);
    });
  });

  describe('a watched change', () => {
    const WATCH = { untilMs: Date.now() + 60_000, errorRateMax: 0.05, latencyP99MsMax: null };

    it('knows what it goes back to, and is listed as long as it is watched', async () => {
      await store.set(KEY, 2, {}, AUTHOR);
      await store.set(KEY, 3, { guard: WATCH }, AUTHOR);
      await store.set(OTHER, 3, { guard: WATCH }, AUTHOR);
      expect((await store.guarded()).map(({ key, guard }) => [key, guard])).to.deep.equal([
        [OTHER, { ...WATCH, previousValue: null }],
        [KEY, { ...WATCH, previousValue: 2 }],
      ]);
    });

    it('is kept: the value stays and the watch is over', async () => {
      await store.set(KEY, 3, { guard: WATCH }, AUTHOR);
      const settled = await store.settleGuard(KEY, 1, 'keep', { changedBy: 'guard' }, 'nothing was wrong');
      expect(settled).to.equal(true);
      expect(await store.get(KEY)).to.include({ value: 3, guard: null, version: 2 });
      expect((await audit()).at(-1)).to.deep.equal({
        operation: 'UPDATE',
        old: 3,
        new: 3,
        reason: 'nothing was wrong',
      });
      expect(await store.settleGuard(KEY, 1, 'revert', AUTHOR, 'late')).to.equal(false);
      expect(await store.settleGuard(KEY, 2, 'revert', AUTHOR, 'unwatched')).to.equal(false);
    });

    it('is taken back to the value before, or to none', async () => {
      await store.set(KEY, 2, {}, AUTHOR);
      await store.set(KEY, 3, { guard: WATCH }, AUTHOR);
      await store.set(OTHER, 3, { guard: WATCH }, AUTHOR);
      expect(await store.settleGuard(KEY, 2, 'revert', AUTHOR, 'error rate 0.2')).to.equal(true);
      expect(await store.settleGuard(OTHER, 1, 'revert', AUTHOR, 'error rate 0.2')).to.equal(true);
      expect((await store.list()).map(settingOf)).to.deep.equal([[2, 3]]);
      expect(await store.guarded()).to.deep.equal([]);
      expect((await audit()).at(-1)).to.include({ operation: 'DELETE', reason: 'because: error rate 0.2' });
    });

    it('is no longer ours to settle when somebody has changed it meanwhile', async () => {
      await store.set(KEY, 3, { guard: WATCH }, AUTHOR);
      await store.set(KEY, 4, {}, AUTHOR);
      expect(await store.settleGuard(KEY, 1, 'revert', AUTHOR, 'late')).to.equal(false);
      await store.unset(KEY, {}, AUTHOR);
      await store.set(KEY, 3, { guard: WATCH }, AUTHOR);
      expect(await store.settleGuard(KEY, 1, 'revert', AUTHOR, 'late')).to.equal(false);
      expect(settingOf(await store.get(KEY))).to.deep.equal([3, 3]);
    });

    it('goes back past the end of the watch: rollback looks for another value, not for another entry', async () => {
      await store.set(KEY, 2, {}, AUTHOR);
      await store.set(KEY, 3, { guard: WATCH }, AUTHOR);
      await store.settleGuard(KEY, 2, 'keep', AUTHOR, 'fine');
      expect(settingOf(await store.rollback(KEY, {}, AUTHOR))).to.deep.equal([2, 4]);
    });

    it('is confirmed by setting the same value without a watch', async () => {
      await store.set(KEY, 3, { guard: WATCH }, AUTHOR);
      await store.set(KEY, 3, {}, AUTHOR);
      expect(await store.guarded()).to.deep.equal([]);
    });
  });

  describe('with values of another version of the program', () => {
    const LEVEL = 'log.level';
    let other: PostgresSettingsStore;
    let present: PostgresSettingsStore;
    before(() => {
      const { connection } = database;
      other = new PostgresSettingsStore(connection, () => undefined);
      present = new PostgresSettingsStore(connection, (values, key) => checkChange(key, values));
    });

    it('never brings one back that can no longer be used', async () => {
      await other.set(LEVEL, 'loud', {}, AUTHOR);
      const guard = { untilMs: Date.now() + 60_000, errorRateMax: 0.1, latencyP99MsMax: null };
      await other.set(LEVEL, 'debug', { guard }, AUTHOR);
      for (const attempt of [
        () => present.rollback(LEVEL, {}, AUTHOR),
        () => present.rollback(LEVEL, { toVersion: 1 }, AUTHOR),
        () => present.settleGuard(LEVEL, 2, 'revert', AUTHOR, 'harm'),
      ]) {
        expect(await rejectionOf(attempt())).to.include({ code: 'E_SETTING_INVALID' });
      }
      expect(settingOf(await present.get(LEVEL))).to.deep.equal(['debug', 2]);
    });

    it('changes and unsets others in spite of it, and it as well', async () => {
      await other.set(KEY, 500, {}, AUTHOR);
      await other.set('gone.since', 1, {}, AUTHOR);
      await present.set(LEVEL, 'debug', {}, AUTHOR);
      await present.set(LEVEL, 'warn', {}, AUTHOR);
      expect(settingOf(await present.rollback(LEVEL, {}, AUTHOR))).to.deep.equal(['debug', 3]);
      expect(await present.unset(KEY, {}, AUTHOR)).to.equal(true);
      expect(await present.unset('gone.since', {}, AUTHOR)).to.equal(true);
    });
  });

  describe('refuses, and then changes nothing:', () => {
    const cases: [string, () => Promise<unknown>][] = [
      ['an empty key', () => store.set('', 1, {}, AUTHOR)],
      ['a key with a NUL byte', () => store.get('a\0.b')],
      ['a key of any length', () => store.unset(`a.${'b'.repeat(500)}`, {}, AUTHOR)],
      ['a key that is none', () => store.set(`x'); DROP TABLE settings; --`, 1, {}, AUTHOR)],
      ['no number', () => store.set(KEY, Number.NaN, {}, AUTHOR)],
      ['an endless number', () => store.set(KEY, Number.POSITIVE_INFINITY, {}, AUTHOR)],
      ['an object', () => store.set(KEY, { a: 1 } as never, {}, AUTHOR)],
      ['nothing', () => store.set(KEY, null as never, {}, AUTHOR)],
      ['a text with a NUL byte', () => store.set(KEY, 'a\0', {}, AUTHOR)],
      ['half a character', () => store.set(KEY, 'a\ud800', {}, AUTHOR)],
      ['a text of any length', () => store.set(KEY, 'x'.repeat(2_000), {}, AUTHOR)],
      [
        'a watch without end',
        () =>
          store.set(
            KEY,
            1,
            { guard: { untilMs: Number.NaN, errorRateMax: 1, latencyP99MsMax: null } },
            AUTHOR,
          ),
      ],
      ['a version that is none', () => store.rollback(KEY, { toVersion: 0.5 }, AUTHOR)],
      ['a reason of any length', () => store.set(KEY, 1, {}, { ...AUTHOR, reason: 'x'.repeat(5_000) })],
    ];
    for (const [what, attempt] of cases) {
      it(what, async () => {
        const error = await rejectionOf(attempt());
        expect(error).to.include({ code: 'E_ROW_INVALID', kind: 'permanent' });
        expect([await version(), await store.list()]).to.deep.equal([0, []]);
      });
    }
  });
});

/** Until somebody waits for a lock in this database. */
async function waitsForLock(database: OwnDatabase): Promise<void> {
  for (;;) {
    const [row] = await database.sql<{ waiting: number }>(
      `SELECT count(*)::int AS waiting FROM pg_stat_activity
       WHERE datname = current_database() AND wait_event_type = 'Lock'`,
    );
    if ((row?.waiting ?? 0) > 0) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
