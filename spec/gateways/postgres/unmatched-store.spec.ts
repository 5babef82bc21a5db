import { expect } from 'chai';
import { after, before, beforeEach, describe, it } from 'mocha';
import type { TemplateChange } from '../../../actors/ports.ts';
import { PostgresUnmatchedLog } from '../../../gateways/postgres/unmatched-log.ts';
import { PostgresUnmatchedStore } from '../../../gateways/postgres/unmatched-store.ts';
import { alertOf } from '../../actors/forward/alerts.ts';
import { until } from '../../runtime/durable/store-under-test.ts';
import { ownDatabase, rejectionOf, SERVER_TIMEOUT_MS } from './own-database.ts';
import type { OwnDatabase } from './own-database.ts';

const HOUR_MS = 3_600_000;
const AT_MS = Date.parse('2026-05-01T12:00:00Z');
const fingerprint = (n: number): string => n.toString(16).padStart(16, '0');

function changeOf(fields: Partial<TemplateChange> = {}): TemplateChange {
  return {
    host: 'core-1',
    fingerprint: fingerprint(1),
    partition: 3,
    program: null,
    trapOid: null,
    template: 'port # down',
    sample: 'port 1 down',
    sampleEventId: 'e-0',
    count: 1,
    firstSeenMs: AT_MS,
    lastSeenMs: AT_MS,
    windowStartMs: AT_MS,
    windowCount: 1,
    alert: null,
    ...fields,
  };
}
const seenAt = (ms: number): Partial<TemplateChange> => ({ firstSeenMs: AT_MS + ms, lastSeenMs: AT_MS + ms });
const alertBy = (carrier: string, atMs = AT_MS): NonNullable<TemplateChange['alert']> => ({
  carrier,
  alertedAtMs: atMs,
  alerts: [alertOf(carrier)],
});

describe('Unmatched templates in PostgreSQL', function () {
  this.timeout(SERVER_TIMEOUT_MS);
  let database: OwnDatabase;
  let store: PostgresUnmatchedStore;
  let log: PostgresUnmatchedLog;

  before(async () => {
    database = await ownDatabase();
    store = new PostgresUnmatchedStore(database.connection);
    log = new PostgresUnmatchedLog(database.connection);
  });
  beforeEach(() => database.sql('TRUNCATE unmatched_templates'));
  after(() => database.drop());

  it('add up, and are there for the thread that begins', async () => {
    const hostile = { host: 'h"{}\\,', template: 'a\0b # \ud800', sample: '{"NULL"}', program: 'NULL' };
    const changes = [
      changeOf({ count: 5, windowCount: 5 }),
      changeOf({ ...hostile, fingerprint: fingerprint(2), trapOid: '1.3.6', partition: 9 }),
    ];
    expect(await store.store(changes, HOUR_MS)).to.deep.equal([
      { isNew: true, isLatched: false, alert: null },
      { isNew: true, isLatched: false, alert: null },
    ]);
    const more = changeOf({ ...seenAt(60_000), count: 2, windowCount: 7 });
    expect(await store.store([more], HOUR_MS)).to.deep.equal([
      { isNew: false, isLatched: false, alert: null },
    ]);
    const [known, ...others] = await store.load([3, 4], AT_MS, 10);
    expect(others).to.deep.equal([]);
    expect(known).to.deep.equal({
      host: 'core-1',
      partition: 3,
      program: null,
      trapOid: null,
      template: 'port # down',
      sample: 'port 1 down',
      sampleEventId: 'e-0',
      windowStartMs: AT_MS,
      windowCount: 7,
      lastSeenMs: AT_MS + 60_000,
      carrier: null,
      alerts: [],
    });
    const [stored] = await store.load([9], AT_MS, 10);
    expect(stored).to.include({
      host: hostile.host,
      program: 'NULL',
      template: 'a\ufffdb # \ufffd',
      trapOid: '1.3.6',
    });
    expect(await store.load([3], AT_MS + 60_001, 10)).to.deep.equal([]);
    expect((await log.search({ limit: 10, hostsMax: 5 })).items[0]).to.include({
      count: 7,
      firstSeenMs: AT_MS,
      lastSeenMs: AT_MS + 60_000,
    });
  });

  it('are latched by the first alert until they were quiet for a window', async () => {
    const latch = async (ms: number, carrier: string | null): Promise<string | undefined> => {
      const alert = carrier === null ? null : alertBy(carrier, AT_MS + ms);
      const [stored] = await store.store([changeOf({ ...seenAt(ms), alert })], HOUR_MS);
      if (carrier !== null) expect(stored?.isLatched).to.equal(true);
      return stored?.alert?.carrier;
    };
    expect(await latch(0, null)).to.equal(undefined);
    expect(await latch(1, 'a')).to.equal('a');
    expect(await latch(2, 'b')).to.equal('a');
    expect(await latch(HOUR_MS, null)).to.equal(undefined);
    expect((await store.load([3], AT_MS, 1))[0]).to.include({ carrier: 'a' });
    expect(await latch(2 * HOUR_MS, 'c')).to.equal('a');
    expect(await latch(3 * HOUR_MS + 1, null)).to.equal(undefined);
    expect((await store.load([3], AT_MS, 1))[0]).to.include({ carrier: null });
    expect(await latch(4 * HOUR_MS, 'd')).to.equal('d');
    expect(await latch(6 * HOUR_MS, 'e')).to.equal('e');
  });

  it('give two threads that latch at once the same alert', async () => {
    const carriers = ['a', 'b', 'c', 'd'];
    const standing = await Promise.all(
      carriers.map(
        async (carrier) => (await store.store([changeOf({ alert: alertBy(carrier) })], HOUR_MS))[0],
      ),
    );
    expect(new Set(standing.map((each) => each?.alert?.carrier)).size).to.equal(1);
    expect(new Set(standing.map((each) => each?.alert?.alerts[0]?.id)).size).to.equal(1);
    expect((await log.search({ limit: 1, hostsMax: 1 })).items[0]).to.include({ count: 4, latchedCount: 1 });
  });

  it('are bounded: those with the fewest events go, and those that nothing came of', async () => {
    const many = Array.from({ length: 300 }, (_, n) =>
      changeOf({ fingerprint: fingerprint(n), count: n + 1, alert: n === 0 ? alertBy('a') : null }),
    );
    await store.store(many, HOUR_MS);
    await store.store([changeOf({ host: 'old', ...seenAt(-90 * HOUR_MS), count: 9_999 })], HOUR_MS);
    expect(await store.trim(1_000, AT_MS - HOUR_MS)).to.equal(1);
    expect(await store.trim(100, AT_MS - HOUR_MS)).to.equal(200);
    const left = await store.load([3], AT_MS, 1_000);
    expect(left).to.have.length(100);
    expect(left[0]).to.include({ carrier: 'a' });
    expect(await store.trim(100, AT_MS - HOUR_MS)).to.equal(0);
  });

  it('are shown by template, in pages, of a host, since a time', async () => {
    const hosts = ['a', 'b', 'c', 'd'];
    await store.store(
      [
        ...hosts.map((host, n) =>
          changeOf({
            host,
            count: 10 + n,
            sample: `of ${host}`,
            ...seenAt(n),
            alert: n === 1 ? alertBy('x') : null,
          }),
        ),
        changeOf({ host: 'a', fingerprint: fingerprint(2), count: 100, program: 'sshd' }),
        changeOf({ host: 'e', fingerprint: fingerprint(3), count: 46 }),
      ],
      HOUR_MS,
    );
    const first = await log.search({ limit: 2, hostsMax: 2 });
    expect(first.items.map(({ count, hostCount, hosts: named }) => [count, hostCount, named])).to.deep.equal([
      [100, 1, ['a']],
      [46, 4, ['d', 'c']],
    ]);
    expect(first.items[1]).to.include({
      sample: 'of d',
      latchedCount: 1,
      firstSeenMs: AT_MS,
      lastSeenMs: AT_MS + 3,
    });
    const second = await log.search({ limit: 2, hostsMax: 2, after: first.next! });
    expect(second.items.map((each) => each.fingerprint)).to.deep.equal([fingerprint(3)]);
    expect(second.next).to.equal(null);

    const ofHost = await log.search({ host: 'a', limit: 9, hostsMax: 9 });
    expect(ofHost.items.map(({ count, hosts: named }) => [count, named])).to.deep.equal([
      [100, ['a']],
      [10, ['a']],
    ]);
    const since = await log.search({ sinceMs: AT_MS + 2, limit: 9, hostsMax: 9 });
    expect(since.items.map(({ count, hosts: named }) => [count, named])).to.deep.equal([[25, ['d', 'c']]]);

    const page = await log.hosts(fingerprint(1), { limit: 3 });
    expect(page.items.map(({ host, isLatched }) => [host, isLatched])).to.deep.equal([
      ['d', false],
      ['c', false],
      ['b', true],
    ]);
    const rest = await log.hosts(fingerprint(1), { limit: 3, after: page.next! });
    expect(rest.items.map(({ host }) => host)).to.deep.equal(['a']);
    expect(await log.get(fingerprint(9), 5)).to.equal(undefined);
    expect((await rejectionOf(log.search({ host: 'a\0', limit: 1, hostsMax: 1 }))).code).to.equal(
      'E_ROW_INVALID',
    );
  });

  it('are forgotten of one host or of all, with an entry in the log of changes', async () => {
    await store.store([changeOf({ alert: alertBy('a') }), changeOf({ host: 'other', count: 4 })], HOUR_MS);
    const author = { changedBy: 'ops', reason: 'a rule takes it', correlationId: 'c-1' };
    expect(await log.forget(fingerprint(1), 'nobody', author)).to.equal(0);
    expect(await log.forget(fingerprint(1), 'core-1', author)).to.equal(1);
    expect((await log.hosts(fingerprint(1), { limit: 9 })).items.map(({ host }) => host)).to.deep.equal([
      'other',
    ]);
    expect(await log.forget(fingerprint(1), undefined, author)).to.equal(1);
    expect(await log.get(fingerprint(1), 5)).to.equal(undefined);
    const entries = await database.sql<{ resource: string; record_key: string; old_values: object }>(
      'SELECT resource, record_key, old_values FROM config_audit_log ORDER BY id',
    );
    expect(entries.map(({ resource, record_key: key }) => [resource, key])).to.deep.equal([
      ['unmatched_templates', fingerprint(1)],
      ['unmatched_templates', fingerprint(1)],
    ]);
    expect(entries[0]?.old_values).to.deep.include({ host: 'core-1', event_count: 1, latched_count: 1 });
    // Counted anew, it is new to the thread that has it in hand.
    const [again] = await store.store([changeOf({ count: 2 })], HOUR_MS);
    expect(again).to.deep.equal({ isNew: true, isLatched: false, alert: null });
  });

  it('are forgotten and trimmed without a deadlock with those who add to them', async () => {
    for (const host of ['core-2', 'core-1']) await store.store([changeOf({ host })], HOUR_MS);
    let forgetting: Promise<number> | undefined;
    await database.connection.transaction(async (transaction) => {
      const add = (host: string): Promise<void> =>
        transaction.script(`UPDATE unmatched_templates SET event_count = 2 WHERE host = '${host}'`, 'add');
      await add('core-1');
      // It passes over what is being added to, and does not wait for it.
      expect(await store.trim(1, 0)).to.equal(0);
      forgetting = log.forget(fingerprint(1), undefined, { changedBy: 'ops' });
      forgetting.catch(() => undefined);
      await waiters(1);
      await add('core-2');
    });
    expect(await forgetting).to.equal(2);
  });

  /** Until so many sessions of this database wait for a lock. */
  async function waiters(count: number): Promise<void> {
    await until(async () => {
      const [row] = await database.sql(
        `SELECT count(*)::integer AS waiting FROM pg_stat_activity
         WHERE datname = current_database() AND wait_event_type = 'Lock'`,
      );
      return (row as { waiting: number }).waiting >= count;
    }, SERVER_TIMEOUT_MS);
  }
});
