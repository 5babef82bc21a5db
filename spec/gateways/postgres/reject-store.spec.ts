import { expect } from 'chai';
import fc from 'fast-check';
import { after, before, beforeEach, describe, it } from 'mocha';
import type { Reject } from '../../../actors/ports.ts';
import { PostgresRejectStore } from '../../../gateways/postgres/reject-store.ts';
import { SERVER_TIMEOUT_MS, ownDatabase } from './own-database.ts';
import type { OwnDatabase } from './own-database.ts';

let serial = 0;
function rejectOf(changes: Partial<Reject> = {}): Reject {
  serial++;
  return {
    id: `r-${String(serial).padStart(6, '0')}`,
    receivedAtMs: 1_900_000_000_000 + serial,
    keyName: 'relay',
    sender: '192.0.2.1 rsyslog',
    correlationId: 'c-1',
    index: 3,
    code: 'E_EVENT_MALFORMED',
    message: 'hostname is missing',
    body: Buffer.from('{}'),
    ...changes,
  };
}

describe('PostgresRejectStore', function () {
  this.timeout(SERVER_TIMEOUT_MS);
  let database: OwnDatabase;
  before(async () => {
    database = await ownDatabase();
  });
  beforeEach(() => database.sql('TRUNCATE rejects, reject_totals'));
  after(() => database.drop());

  async function kept(keyName: string): Promise<string[]> {
    const rows = await database.sql<{ id: string }>(
      'SELECT id FROM rejects WHERE key_name = $1 ORDER BY id',
      [keyName],
    );
    return rows.map((row) => row.id);
  }

  it('keeps every field, the body byte by byte', async () => {
    const store = new PostgresRejectStore(database.connection);
    const body = Buffer.from([0, 255, 0xc3, 0x28, 92, 34]);
    const reject = rejectOf({ body, sender: 'sënder\0', message: 'quote " \\ \ud800' });
    await store.park([reject]);
    const [row] = await database.sql(
      `SELECT id, (extract(epoch FROM received_at) * 1000)::float8 AS received_ms, key_name, sender, correlation_id,
         position, code, message, body, body_bytes::int, replays FROM rejects`,
    );
    expect(row).to.deep.equal({
      id: reject.id,
      received_ms: reject.receivedAtMs,
      key_name: 'relay',
      sender: 'sënder\ufffd',
      correlation_id: 'c-1',
      position: 3,
      code: 'E_EVENT_MALFORMED',
      message: 'quote " \\ \ufffd',
      body,
      body_bytes: 6,
      replays: 0,
    });
  });

  it('parks the same reject once and counts it once', async () => {
    const store = new PostgresRejectStore(database.connection);
    await store.park([]);
    const reject = rejectOf();
    await store.park([reject]);
    await store.park([reject]);
    expect(await store.totals()).to.deep.equal([
      { keyName: 'relay', keptRows: 1, keptBytes: 2, droppedRows: 0, droppedBytes: 0 },
    ]);
  });

  it('drops the oldest of a key that is over its rows, and nothing of others', async () => {
    const store = new PostgresRejectStore(database.connection, { rowsMax: 10 });
    const quiet = rejectOf({ keyName: 'quiet' });
    const noisy = Array.from({ length: 11 }, () => rejectOf({ keyName: 'noisy' }));
    await store.park([quiet, ...noisy]);
    expect(await kept('noisy')).to.deep.equal(noisy.slice(2).map((reject) => reject.id));
    expect(await kept('quiet')).to.deep.equal([quiet.id]);
    expect(await store.totals()).to.deep.equal([
      { keyName: 'noisy', keptRows: 9, keptBytes: 18, droppedRows: 2, droppedBytes: 4 },
      { keyName: 'quiet', keptRows: 1, keptBytes: 2, droppedRows: 0, droppedBytes: 0 },
    ]);
  });

  it('drops the oldest of a key that is over its bytes', async () => {
    const store = new PostgresRejectStore(database.connection, { bytesMax: 100 });
    const rejects = [40, 40, 40].map((bytes) => rejectOf({ body: Buffer.alloc(bytes) }));
    await store.park(rejects);
    expect(await kept('relay')).to.deep.equal(rejects.slice(1).map((reject) => reject.id));
    await store.park([rejectOf({ body: Buffer.alloc(101) })]);
    expect(await store.totals()).to.deep.equal([
      { keyName: 'relay', keptRows: 0, keptBytes: 0, droppedRows: 4, droppedBytes: 221 },
    ]);
  });

  it('never holds more than its bounds, and counts every reject as kept or dropped', () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(fc.tuple(fc.constantFrom('a', 'b', 'c'), fc.nat(60)), { maxLength: 12 }), {
          maxLength: 6,
        }),
        async (calls) => {
          await database.sql('TRUNCATE rejects, reject_totals');
          const store = new PostgresRejectStore(database.connection, { rowsMax: 8, bytesMax: 200 });
          const given = calls.map((call) =>
            call.map(([keyName, bytes]) => rejectOf({ keyName, body: Buffer.alloc(bytes) })),
          );
          // At once, with the keys in every order: two calls must never wait for each other in a circle.
          await Promise.all(given.map((rejects) => store.park(rejects)));
          const actual = await database.sql<{ key_name: string; rows: number; bytes: number }>(
            `SELECT key_name, count(*)::int AS rows, sum(body_bytes)::int AS bytes FROM rejects GROUP BY key_name`,
          );
          for (const total of await store.totals()) {
            const ofKey = given.flat().filter((reject) => reject.keyName === total.keyName);
            const held = actual.find((row) => row.key_name === total.keyName) ?? { rows: 0, bytes: 0 };
            expect({ rows: total.keptRows, bytes: total.keptBytes }).to.deep.equal({
              rows: held.rows,
              bytes: held.bytes,
            });
            expect(held.rows).to.be.at.most(8);
            expect(held.bytes).to.be.at.most(200);
            expect(total.keptRows + total.droppedRows).to.equal(ofKey.length);
            expect(total.keptBytes + total.droppedBytes).to.equal(
              ofKey.reduce((sum, reject) => sum + reject.body.length, 0),
            );
          }
        },
      ),
      { numRuns: 40 },
    ));
});
