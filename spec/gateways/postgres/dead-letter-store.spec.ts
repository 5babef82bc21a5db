import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import type { DeadLetter } from '../../../actors/ports.ts';
import { PostgresDeadLetterStore } from '../../../gateways/postgres/dead-letter-store.ts';
import { SERVER_TIMEOUT_MS, ownDatabase } from './own-database.ts';
import type { OwnDatabase } from './own-database.ts';

const LETTER: DeadLetter = {
  alert: {
    id: 'b'.repeat(32),
    destination: 'noc',
    event_ids: ['e-0'],
    rule_id: 1,
    rule_version: 2,
    decision: 'Page_only',
    environment: 'prod',
    team: 'NetOps',
    severity: 3,
    signature: 'h::1::x',
    hostname: 'h',
    event_time: '2031-01-01T00:00:00Z',
    received_at: '2031-01-01T00:00:00Z',
    description: 'größer\0',
    correlation_id: 'c',
    count: 1,
    status: 'firing',
  },
  partition: 3,
  destination: 'noc',
  reason: 'rejected',
  error: '400 "bad"',
  attempts: 2,
  firstFailedAtMs: 1_900_000_000_000,
  lastFailedAtMs: 1_900_000_000_500,
  replays: 0,
};

describe('PostgresDeadLetterStore', function () {
  this.timeout(SERVER_TIMEOUT_MS);
  let database: OwnDatabase;
  let store: PostgresDeadLetterStore;
  before(async () => {
    database = await ownDatabase();
    store = new PostgresDeadLetterStore(database.connection, 'here');
  });
  after(() => database.drop());

  function letters(): Promise<unknown[]> {
    return database.sql(
      `SELECT alert, partition, destination, reason, error, attempts, replays,
         (extract(epoch FROM first_failed_at) * 1000)::float8 AS "firstFailedAtMs",
         (extract(epoch FROM last_failed_at) * 1000)::float8 AS "lastFailedAtMs" FROM dead_letters`,
    );
  }

  it('keeps a letter whole, once', async () => {
    await store.keep([]);
    await store.keep([LETTER, LETTER]);
    await store.keep([LETTER]);
    const alert = { ...LETTER.alert, description: 'größer\ufffd' };
    expect(await letters()).to.deep.equal([{ ...LETTER, alert }]);
  });

  it('takes over a later failure of the same alert, not an earlier one', async () => {
    const later = { ...LETTER, attempts: 5, error: 'later', lastFailedAtMs: LETTER.lastFailedAtMs + 1 };
    await store.keep([later]);
    await store.keep([{ ...LETTER, error: 'earlier' }]);
    const [kept] = await letters();
    expect(kept).to.include({
      attempts: 5,
      error: 'later',
      firstFailedAtMs: LETTER.firstFailedAtMs,
      lastFailedAtMs: later.lastFailedAtMs,
    });
  });
});
