import { expect } from 'chai';
import fc from 'fast-check';
import { after, before, beforeEach, describe, it } from 'mocha';
import type { Reject } from '../../../actors/ports.ts';
import { openConnection } from '../../../gateways/postgres/connection.ts';
import { PostgresRejectStore } from '../../../gateways/postgres/reject-store.ts';
import type { RejectTotals } from '../../../gateways/postgres/reject-store.ts';
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

function totalsOf(keyName: string, changes: Partial<RejectTotals>): RejectTotals {
  return {
    keyName,
    keptRows: 0,
    keptBytes: 0,
    droppedRows: 0,
    droppedBytes: 0,
    resubmittedRows: 0,
    discardedRows: 0,
    discardedBytes: 0,
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
    expect(await store.totals()).to.deep.equal([totalsOf('relay', { keptRows: 1, keptBytes: 2 })]);
  });

  it('drops the oldest of a key that is over its rows, and nothing of others', async () => {
    const store = new PostgresRejectStore(database.connection, () => ({ keyRowsMax: 10 }));
    const quiet = rejectOf({ keyName: 'quiet' });
    const noisy = Array.from({ length: 11 }, () => rejectOf({ keyName: 'noisy' }));
    await store.park([quiet, ...noisy]);
    expect(await kept('noisy')).to.deep.equal(noisy.slice(2).map((reject) => reject.id));
    expect(await kept('quiet')).to.deep.equal([quiet.id]);
    expect(await store.totals()).to.deep.equal([
      totalsOf('noisy', { keptRows: 9, keptBytes: 18, droppedRows: 2, droppedBytes: 4 }),
      totalsOf('quiet', { keptRows: 1, keptBytes: 2 }),
    ]);
  });

  it('drops the oldest of a key that is over its bytes', async () => {
    const store = new PostgresRejectStore(database.connection, () => ({ keyBytesMax: 100 }));
    const rejects = [40, 40, 40].map((bytes) => rejectOf({ body: Buffer.alloc(bytes) }));
    await store.park(rejects);
    expect(await kept('relay')).to.deep.equal(rejects.slice(1).map((reject) => reject.id));
    await store.park([rejectOf({ body: Buffer.alloc(101) })]);
    expect(await store.totals()).to.deep.equal([totalsOf('relay', { droppedRows: 4, droppedBytes: 221 })]);
  });

  it('takes from the key that holds most when all hold too much, and nothing of a quiet one', async () => {
    const bounds = { totalRowsMax: 20, keyRowsMax: 1_000 };
    const store = new PostgresRejectStore(database.connection, () => bounds);
    const quiet = Array.from({ length: 3 }, () => rejectOf({ keyName: 'quiet' }));
    const flood = Array.from({ length: 17 }, () => rejectOf({ keyName: 'flood' }));
    expect(await store.park([...quiet, ...flood])).to.deep.equal({ parked: 20, ofKey: 0, ofAll: 0 });
    // One more of the quiet key: its own oldest stay, and the flood makes room.
    quiet.push(rejectOf({ keyName: 'quiet' }));
    expect(await store.park(quiet.slice(3))).to.deep.equal({ parked: 1, ofKey: 0, ofAll: 3 });
    expect(await kept('quiet')).to.deep.equal(quiet.map(({ id }) => id));
    expect(await kept('flood')).to.deep.equal(flood.slice(3).map(({ id }) => id));
    expect(await store.totals()).to.deep.equal([
      totalsOf('flood', { keptRows: 14, keptBytes: 28, droppedRows: 3, droppedBytes: 6 }),
      totalsOf('quiet', { keptRows: 4, keptBytes: 8 }),
    ]);
  });

  it('takes other bounds from the next call on, and enforces them without one', async () => {
    let keyRowsMax = 100;
    const store = new PostgresRejectStore(database.connection, () => ({ keyRowsMax }));
    const rejects = Array.from({ length: 30 }, () => rejectOf());
    await store.park(rejects);
    keyRowsMax = 20;
    expect(await store.enforce()).to.equal(12);
    expect(await kept('relay')).to.deep.equal(rejects.slice(12).map(({ id }) => id));
    expect(await store.enforce()).to.equal(0);
  });

  it('stays within the bound of all, whatever several nodes park at once', async () => {
    const connections = Array.from({ length: 3 }, () =>
      openConnection({ url: database.url, connectionsMax: 2 }),
    );
    try {
      const bounds = { keyRowsMax: 60, totalRowsMax: 100 };
      const stores = connections.map((connection) => new PostgresRejectStore(connection, () => bounds));
      const quiet = Array.from({ length: 8 }, () => rejectOf({ keyName: 'quiet' }));
      await stores[0]?.park(quiet);
      await Promise.all(
        stores.flatMap((store, nth) =>
          Array.from({ length: 12 }, () =>
            store.park(
              Array.from({ length: 10 }, (_, each) => rejectOf({ keyName: `flood-${(nth + each) % 4}` })),
            ),
          ),
        ),
      );
      await stores[0]?.park([rejectOf({ keyName: 'flood-0' })]);
      const totals = (await stores[0]?.totals()) ?? [];
      expect(totals.reduce((sum, { keptRows }) => sum + keptRows, 0)).to.be.at.most(100);
      expect(totals.reduce((sum, { keptRows, droppedRows }) => sum + keptRows + droppedRows, 0)).to.equal(
        369,
      );
      expect(await kept('quiet')).to.deep.equal(quiet.map(({ id }) => id));
      for (const { keyName, keptRows } of totals) expect((await kept(keyName)).length).to.equal(keptRows);
    } finally {
      await Promise.all(connections.map((connection) => connection.close()));
    }
  });

  it('pages through its totals by name', async () => {
    const store = new PostgresRejectStore(database.connection);
    await store.park(['c', 'a', 'b'].map((keyName) => rejectOf({ keyName })));
    const first = await store.page({ limit: 2 });
    expect(first.items.map(({ keyName }) => keyName)).to.deep.equal(['a', 'b']);
    expect(await store.page({ limit: 2, after: first.next ?? '' })).to.deep.equal({
      items: [totalsOf('c', { keptRows: 1, keptBytes: 2 })],
      next: null,
    });
  });

  it('never holds more than its bounds, and counts every reject as kept or dropped', () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(fc.tuple(fc.constantFrom('a', 'b', 'c'), fc.nat(60)), { maxLength: 12 }), {
          maxLength: 6,
        }),
        async (calls) => {
          await database.sql('TRUNCATE rejects, reject_totals');
          const store = new PostgresRejectStore(database.connection, () => ({
            keyRowsMax: 8,
            keyBytesMax: 200,
          }));
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
