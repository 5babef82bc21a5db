import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import type { Reject } from '../../../actors/ports.ts';
import { PostgresFailureLog } from '../../../gateways/postgres/failure-log.ts';
import type { FailurePosition, StoredReject } from '../../../gateways/postgres/failure-log.ts';
import { PostgresQuarantineStore } from '../../../gateways/postgres/quarantine-store.ts';
import { PostgresRejectStore } from '../../../gateways/postgres/reject-store.ts';
import { SERVER_TIMEOUT_MS, ownDatabase, rejectionOf } from './own-database.ts';
import type { OwnDatabase } from './own-database.ts';

const AT_MS = 1_900_000_000_000;
const HOSTILE = ["'; DROP TABLE rejects; --", '%', '_', '\\', '$1', '{"a":1}', '😀'];

describe('PostgresFailureLog', function () {
  this.timeout(SERVER_TIMEOUT_MS);
  let database: OwnDatabase;
  let log: PostgresFailureLog;
  /** As parked: the oldest first, several in one millisecond. */
  let rejects: Reject[];
  before(async () => {
    database = await ownDatabase();
    log = new PostgresFailureLog(database.connection);
    rejects = Array.from({ length: 40 }, (_, nth) => ({
      id: `r-${String(nth).padStart(3, '0')}`,
      receivedAtMs: AT_MS + Math.floor(nth / 4),
      keyName: nth % 5 === 0 ? 'quiet' : 'noisy',
      sender: nth % 2 === 0 ? 'rsyslog' : (HOSTILE[nth % HOSTILE.length] ?? 'vector'),
      correlationId: `c-${nth}`,
      index: nth,
      code: nth % 3 === 0 ? 'E_FIELD_MISSING' : 'E_TIMESTAMP_INVALID',
      message: 'is missing',
      body: Buffer.from(`{"n":${nth}}${'.'.repeat(nth)}`),
    }));
    await new PostgresRejectStore(database.connection).park(rejects);
  });
  after(() => database.drop());

  const newestFirst = (wanted: (reject: Reject) => boolean): string[] =>
    rejects
      .filter(wanted)
      .sort((a, b) => b.receivedAtMs - a.receivedAtMs || (a.id < b.id ? 1 : -1))
      .map(({ id }) => id);

  async function all(
    question: Parameters<PostgresFailureLog['rejects']>[0] extends infer Asked
      ? Omit<Asked & object, 'after' | 'limit' | 'bodyBytesMax'>
      : never,
    limit = 7,
  ): Promise<StoredReject[]> {
    const found: StoredReject[] = [];
    let after: FailurePosition | undefined;
    do {
      const page = await log.rejects({ ...question, after, limit, bodyBytesMax: 5 });
      found.push(...page.items);
      after = page.next ?? undefined;
    } while (after !== undefined);
    return found;
  }

  it('gives every reject once, newest first, whatever the size of a page', async () => {
    for (const limit of [1, 7, 40, 200]) {
      expect((await all({}, limit)).map(({ id }) => id)).to.deep.equal(newestFirst(() => true));
    }
  });

  it('shows every field, and of a body no more than was asked for', async () => {
    const [first] = await all({ sender: 'rsyslog', keyName: 'quiet', code: 'E_FIELD_MISSING' }, 1);
    expect(first).to.deep.equal({
      id: 'r-030',
      receivedAtMs: AT_MS + 7,
      keyName: 'quiet',
      sender: 'rsyslog',
      correlationId: 'c-30',
      index: 30,
      code: 'E_FIELD_MISSING',
      message: 'is missing',
      state: 'parked',
      replays: 0,
      resubmittedAtMs: null,
      bodyBytes: 38,
      body: Buffer.from('{"n":'),
    });
    expect((await log.reject('r-030', 1_000))?.body).to.deep.equal(rejects[30]?.body);
    expect((await log.reject('r-030', 0))?.body.length).to.equal(0);
    expect(await log.reject('r-999', 0)).to.equal(undefined);
  });

  it('finds by key, code, sender and time together, each taken as it is', async () => {
    const ids = async (question: Parameters<typeof all>[0]): Promise<string[]> =>
      (await all(question)).map(({ id }) => id);
    expect(await ids({ keyName: 'quiet' })).to.deep.equal(newestFirst(({ keyName }) => keyName === 'quiet'));
    expect(await ids({ sinceMs: AT_MS + 8 })).to.deep.equal(
      newestFirst(({ receivedAtMs }) => receivedAtMs >= AT_MS + 8),
    );
    for (const sender of HOSTILE) {
      expect(await ids({ sender })).to.deep.equal(newestFirst((each) => each.sender === sender));
      expect(await ids({ sender, keyName: 'noisy', code: 'E_FIELD_MISSING' })).to.deep.equal(
        newestFirst(
          (each) => each.sender === sender && each.keyName === 'noisy' && each.code === 'E_FIELD_MISSING',
        ),
      );
    }
    expect(await ids({ state: 'resubmitted' })).to.deep.equal([]);
    expect(await ids({ keyName: 'nobody' })).to.deep.equal([]);
  });

  it('goes on behind the last one seen when others come and go meanwhile', async () => {
    const first = await log.rejects({ limit: 5, bodyBytesMax: 0 });
    const newer: Reject = { ...(rejects[0] as Reject), id: 'r-new', receivedAtMs: AT_MS + 1_000 };
    await new PostgresRejectStore(database.connection).park([newer]);
    await database.sql('DELETE FROM rejects WHERE id = $1', [first.items[2]?.id]);
    const second = await log.rejects({ limit: 5, bodyBytesMax: 0, after: first.next ?? undefined });
    expect(second.items.map(({ id }) => id)).to.deep.equal(newestFirst(() => true).slice(5, 10));
  });

  it('uses an index for the newest, and for the newest of a key', async () => {
    await database.sql('ANALYZE rejects');
    for (const [where, index] of [
      ['', 'rejects_newest'],
      [`WHERE key_name = 'quiet'`, 'rejects_oldest'],
    ] as const) {
      const plan = await database.sql<{ 'QUERY PLAN': string }>(
        `SET enable_seqscan = off; EXPLAIN SELECT id FROM rejects ${where} ORDER BY received_at DESC, id DESC LIMIT 5`,
      );
      expect(plan.map((line) => line['QUERY PLAN']).join('\n'))
        .to.include(index)
        .and.not.include('Sort');
    }
  });

  it('ends a search that takes too long, and says how to ask', async () => {
    const impatient = new PostgresFailureLog(database.connection, 100);
    const holder = database.sql('BEGIN; LOCK TABLE rejects; SELECT pg_sleep(0.6); COMMIT');
    await new Promise((resolve) => setTimeout(resolve, 150));
    const error = await rejectionOf(impatient.rejects({ limit: 1, bodyBytesMax: 0 }));
    await holder;
    expect(error).to.include({ code: 'E_SEARCH_TOO_LONG' });
    expect(error['mend']).to.include('since');
  });

  it('refuses what no list can mean', async () => {
    const bad = [
      { limit: 0 },
      { limit: 1, keyName: '' },
      { limit: 1, code: 'a\0b' },
      { limit: 1, sinceMs: NaN },
      { limit: 1, after: { at: 0.5, id: 'x' } },
      { limit: 1, after: { at: 1, id: 'x'.repeat(10_000) } },
    ];
    for (const question of bad) {
      expect(await rejectionOf(log.rejects({ bodyBytesMax: 0, ...question }))).to.include({
        code: 'E_ROW_INVALID',
      });
    }
  });

  it('gives quarantined events, newest first and to the microsecond, with what they did', async () => {
    const store = new PostgresQuarantineStore(database.connection);
    for (let nth = 0; nth < 9; nth++) {
      await store.quarantine([
        {
          eventId: `e-${nth}`,
          receivedAtMs: AT_MS,
          partition: nth,
          attempts: 3,
          reason: 'E_BOOM',
          history: ['E_BOOM: first', `E_BOOM: ${nth}`],
          body: Buffer.from([0, 255, nth]),
        },
      ]);
    }
    // Three in one moment, the others microseconds apart.
    await database.sql(
      `UPDATE quarantined_events SET quarantined_at = timestamptz '2030-01-01T00:00:00Z'
         + greatest(0, substring(event_id FROM 3)::integer - 2) * interval '1 microsecond'`,
    );
    const found: string[] = [];
    let after: FailurePosition | undefined;
    do {
      const page = await log.quarantined({ after, limit: 2, bodyBytesMax: 2 });
      found.push(...page.items.map(({ eventId }) => eventId));
      after = page.next ?? undefined;
    } while (after !== undefined);
    expect(found).to.deep.equal(['e-8', 'e-7', 'e-6', 'e-5', 'e-4', 'e-3', 'e-0', 'e-1', 'e-2']);
    expect(await log.quarantinedEvent('e-4', 10)).to.deep.equal({
      eventId: 'e-4',
      receivedAtMs: AT_MS,
      quarantinedAtMs: Date.UTC(2030, 0, 1),
      partition: 4,
      attempts: 3,
      reason: 'E_BOOM',
      history: ['E_BOOM: first', 'E_BOOM: 4'],
      replays: 0,
      state: 'quarantined',
      resubmittedAtMs: null,
      bodyBytes: 3,
      body: Buffer.from([0, 255, 4]),
    });
    expect(await log.quarantinedEvent('r-001', 10)).to.equal(undefined);
    const later = await log.quarantined({ sinceMs: Date.UTC(2031, 0, 1), limit: 5, bodyBytesMax: 0 });
    expect(later).to.deep.equal({ items: [], next: null });
  });
});
