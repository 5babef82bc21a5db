import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import { PostgresQuarantineStore } from '../../../gateways/postgres/quarantine-store.ts';
import { SERVER_TIMEOUT_MS, ownDatabase } from './own-database.ts';
import type { OwnDatabase } from './own-database.ts';

describe('PostgresQuarantineStore', function () {
  this.timeout(SERVER_TIMEOUT_MS);
  let database: OwnDatabase;
  before(async () => {
    database = await ownDatabase();
  });
  after(() => database.drop());

  it('keeps an event with its bytes and history, as it was first, however often it is given', async () => {
    const store = new PostgresQuarantineStore(database.connection);
    const event = {
      eventId: 'f-0',
      receivedAtMs: 1_900_000_000_123,
      partition: 7,
      attempts: 3,
      reason: 'threw\0',
      history: ['first "try"', 'second\0', '\ud800'],
      body: Buffer.from([0, 1, 255]),
    };
    await store.quarantine([]);
    await store.quarantine([event, event]);
    await store.quarantine([{ ...event, reason: 'again', attempts: 9 }]);
    const rows = await database.sql(
      `SELECT event_id, (extract(epoch FROM received_at) * 1000)::float8 AS received_ms, partition, attempts, reason,
         history, body, replays FROM quarantined_events`,
    );
    expect(rows).to.deep.equal([
      {
        event_id: 'f-0',
        received_ms: 1_900_000_000_123,
        partition: 7,
        attempts: 3,
        reason: 'threw\ufffd',
        history: ['first "try"', 'second\ufffd', '\ufffd'],
        body: event.body,
        replays: 0,
      },
    ]);
  });
});
